package factsgen

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/fhir"
	"gatehouse/fhir/search"
	"gatehouse/fhir/wire"
)

// B-05, B-06, FHIR-24: in every type of the Patient compartment, every
// parameter of its definition ties the resource to the patient, and the same
// element without a name leaves it nobody's.
func TestEveryCompartmentParameterTies(t *testing.T) {
	for _, v := range Releases {
		for _, typ := range v.ResourceTypes() {
			params, _ := v.Compartment("Patient", typ)
			if typ == "Patient" {
				continue // its own alone
			}
			for _, param := range params {
				paths, err := search.Elements(v, typ, param)
				if err != nil {
					t.Fatal(err)
				}
				for _, path := range paths {
					if formOf(v, typ, path) == "reference" { // R5 mixes in a canonical, which names no patient
						ties(t, v, typ, path)
					}
				}
			}
		}
	}
}

// R5's CompartmentDefinition forgets Appointment.subject: one whose subject is
// another than who takes part is of both.
func TestAppointmentSubject(t *testing.T) {
	got, err := fhir.R5.ReadFacts([]byte(`{"resourceType":"Appointment","subject":{"reference":"Patient/B"},"participant":[{"actor":{"reference":"Patient/A"}}]}`), nil)
	if err != nil || !slices.Equal(got.Patients, []string{"Patient/B", "Patient/A"}) {
		t.Errorf("patients %v, %v", got.Patients, err)
	}
}

func ties(t *testing.T, v fhir.Version, typ, path string) {
	t.Helper()
	got := facts(t, v, typ, path, `{"reference":"Patient/B"}`)
	if !slices.Equal(got.Patients, []string{"Patient/B"}) || got.Unnamed {
		t.Errorf("%s %s.%s: patients %v, unnamed %v", v, typ, path, got.Patients, got.Unnamed)
	}
	if got := facts(t, v, typ, path, `{"identifier":{"value":"B"}}`); !got.Unnamed {
		t.Errorf("%s %s.%s: a logical reference leaves it named", v, typ, path)
	}
}

// facts of a resource that has one value at a path.
func facts(t *testing.T, v fhir.Version, typ, path, value string) fhir.Facts {
	t.Helper()
	doc := `{"resourceType":"` + typ + `",` + build(v, typ, strings.Split(path, "."), value) + `}`
	got, err := v.ReadFacts([]byte(doc), nil)
	if err != nil {
		t.Fatalf("%s %s: %v", v, doc, err)
	}
	return got
}

func build(v fhir.Version, typ string, path []string, value string) string {
	e, _ := v.Element(typ, path[0])
	if len(path) > 1 {
		value = "{" + build(v, e.Type, path[1:], value) + "}"
	}
	if e.Array {
		value = "[" + value + "]"
	}
	return `"` + path[0] + `":` + value
}

// Whatever the bytes, a patient whom the deep walk finds in a compartment
// element is among the facts, or the resource is nobody's.
func FuzzPatientsAreFound(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Observation","subject":{"reference":"Patient/A"},"performer":[{"reference":"Patient/B","type":"Patient"}]}`))
	f.Add([]byte(`{"resourceType":"Appointment","participant":[{"actor":{"reference":"Patient\/A"}},{"actor":[{"reference":"Patient/B"}]}]}`))
	f.Add([]byte(`{"participant":{"actor":{"reference":"Patient/B"}},"resourceType":"Appointment"}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := fhir.R4.ReadFacts(doc, nil)
		var tree wire.Tree
		if err != nil || got.Unnamed || tree.Parse(doc) != nil {
			return
		}
		all, err := rows(fhir.R4, got.Type)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if r.fact != "patients" || r.form == "self" {
				continue
			}
			find(&tree, 0, strings.Split(r.path, "."), func(node int) {
				ref, _, ok := fhir.ParseRef(tree.Text(max(tree.Get(node, "reference"), 0)), nil)
				if ok && ref.Type == "Patient" && !slices.Contains(got.Patients, ref.String()) {
					t.Errorf("%s is missing in %v", ref, got.Patients)
				}
			})
		}
	})
}

func find(t *wire.Tree, node int, path []string, visit func(int)) {
	if t.Nodes[node].Kind == wire.Array {
		for element := range t.Children(node) {
			find(t, element, path, visit)
		}
		return
	}
	if len(path) == 0 {
		visit(node)
	} else if child := t.Get(node, path[0]); child >= 0 {
		find(t, child, path[1:], visit)
	}
}
