package fhir

import (
	"slices"
	"testing"
)

func TestKinds(t *testing.T) {
	for name, want := range map[string]Kind{
		"Patient": Resource, "Patient.contact": Backbone, "HumanName": Complex, "date": Primitive,
		"DomainResource": Abstract, "patient": Unknown, "": Unknown, "Timing.repeat": Backbone, "MetadataResource": Unknown,
	} {
		if got := R4.Kind(name); got != want {
			t.Errorf("Kind(%q) = %v, want %v", name, got, want)
		}
	}
	if got := len(R4.ResourceTypes()); got != 146 {
		t.Errorf("R4 has %d resource types, want 146", got)
	}
}

func TestElements(t *testing.T) {
	for _, c := range []struct {
		typ, name string
		want      ElementInfo
	}{
		{"Patient", "name", ElementInfo{Name: "name", Path: "name", Type: "HumanName", Array: true}},
		{"Patient", "id", ElementInfo{Name: "id", Path: "id", Type: "id"}},
		{"Patient", "contact", ElementInfo{Name: "contact", Path: "contact", Type: "Patient.contact", Array: true}},
		{"Patient.contact", "relationship", ElementInfo{Name: "relationship", Path: "relationship", Type: "CodeableConcept", Array: true}},
		{"Observation", "valueQuantity", ElementInfo{Name: "valueQuantity", Path: "value", Type: "Quantity", Choice: true}},
		{"Observation", "value", ElementInfo{Name: "value", Path: "value", Choice: true}},
		{"Observation", "status", ElementInfo{Name: "status", Path: "status", Type: "code", Required: true}},
		{"Patient", "deceasedDateTime", ElementInfo{Name: "deceasedDateTime", Path: "deceased", Type: "dateTime", Choice: true}},
		{"Timing", "repeat", ElementInfo{Name: "repeat", Path: "repeat", Type: "Timing.repeat"}},
		{"Parameters.parameter", "part", ElementInfo{Name: "part", Path: "part", Type: "Parameters.parameter", Array: true}},
		{"Bundle.entry", "resource", ElementInfo{Name: "resource", Path: "resource", Type: "Resource"}},
		{"Patient", "contained", ElementInfo{Name: "contained", Path: "contained", Type: "Resource", Array: true}},
		{"Extension", "valueReference", ElementInfo{Name: "valueReference", Path: "value", Type: "Reference", Choice: true}},
		{"Extension", "url", ElementInfo{Name: "url", Path: "url", Type: "uri", Required: true}},
	} {
		got, ok := R4.Element(c.typ, c.name)
		got.Summary = false // held by TestSummary
		got.Order = 0
		if !ok || got != c.want {
			t.Errorf("Element(%s, %s) = %+v %v, want %+v", c.typ, c.name, got, ok, c.want)
		}
	}
	for _, c := range [][2]string{{"Patient", "Name"}, {"Patient", "valueQuantity"}, {"Nothing", "id"}, {"Patient", ""}} {
		if _, ok := R4.Element(c[0], c[1]); ok {
			t.Errorf("Element(%s, %s) found", c[0], c[1])
		}
	}
}

var releases = []Version{R4, R4B, R5, STU3}

// Every element's type has rows of its own, or a walk would end in the dark.
func TestElementTypesResolve(t *testing.T) {
	for _, v := range releases {
		tab := v.tables()
		for _, row := range tab.types[:len(tab.types)-1] {
			for e := range v.Elements(tab.texts[row.name]) {
				if !(e.Type == "" && e.Choice) && v.Kind(e.Type) == Unknown {
					t.Errorf("%s %s.%s: type %q is not in the tables", v, tab.texts[row.name], e.Name, e.Type)
				}
			}
		}
	}
}

// A package of definitions that has more than the release would let unknown
// members through a view (PSD-03).
func TestReleasesAreAsPublished(t *testing.T) {
	for v, want := range map[Version]int{R4: 146, R4B: 141, R5: 158, STU3: 117} {
		if got := len(v.ResourceTypes()); got != want {
			t.Errorf("%s has %d resource types, want %d", v, got, want)
		}
	}
	for _, c := range [][2]string{{"Meta", "author"}, {"Meta", "project"}, {"Meta", "compartment"}, {"Binary", "url"}, {"ResearchStudy", "label"}} {
		if _, ok := R4.Element(c[0], c[1]); ok {
			t.Errorf("%s.%s is no element of R4", c[0], c[1])
		}
	}
	for _, c := range [][2]string{{"DetectedIssue", "status"}, {"ServiceRequest", "order-detail"}} {
		if _, ok := R4.SearchParam(c[0], c[1]); ok {
			t.Errorf("%s.%s is no parameter of R4", c[0], c[1])
		}
	}
}

// Every component of a composite can be looked up where the composite stands.
func TestComponentsResolve(t *testing.T) {
	for _, v := range releases {
		for _, typ := range v.ResourceTypes() {
			for p := range v.SearchParams(typ) {
				for _, c := range p.Components {
					if _, ok := v.SearchParam(typ, c.Code); !ok {
						t.Errorf("%s %s.%s: component %q is no parameter", v, typ, p.Code, c.Code)
					}
				}
			}
		}
	}
}

func TestSearchParams(t *testing.T) {
	for _, c := range []struct{ typ, code, kind, expression string }{
		{"Observation", "patient", "reference", "Observation.subject.where(resolve() is Patient)"},
		{"Patient", "_id", "token", "Resource.id"},
		{"", "_lastUpdated", "date", "Resource.meta.lastUpdated"},
		{"Location", "near", "special", "Location.position"},
		{"InsurancePlan", "name", "string", "InsurancePlan.name | InsurancePlan.alias"},
		{"Observation", "code-value-quantity", "composite", "Observation"},
	} {
		got, ok := R4.SearchParam(c.typ, c.code)
		if !ok || got.Type != c.kind || got.Expression != c.expression {
			t.Errorf("SearchParam(%s, %s) = %+v %v", c.typ, c.code, got, ok)
		}
	}
	for _, c := range [][2]string{{"Patient", "Name"}, {"patient", "_id"}, {"", "name"}, {"Patient", "colour"}} {
		if _, ok := R4.SearchParam(c[0], c[1]); ok {
			t.Errorf("SearchParam(%s, %s) found", c[0], c[1])
		}
	}
	if p, _ := R4.SearchParam("Observation", "code-value-quantity"); len(p.Components) != 2 || p.Components[0] != (Component{"code", "code"}) {
		t.Errorf("components = %+v", p.Components)
	}
}

// FHIR-24: the compartment is the published one (66 types), not the copy that
// ships beside it (67), and every parameter it names exists.
func TestCompartments(t *testing.T) {
	for v, want := range map[Version]int{R4: 66, R4B: 66, R5: 73, STU3: 64} {
		sizes := map[string]int{}
		tab := v.tables()
		for _, r := range tab.compartments {
			name, typ := tab.texts[r.name], tab.texts[r.typ]
			sizes[name]++
			for _, p := range tab.lists[r.params] {
				if _, ok := v.SearchParam(typ, p); !ok {
					t.Errorf("%s, compartment %s: %s has no parameter %s", v, name, typ, p)
				}
			}
		}
		if sizes["Patient"] != want || len(sizes) != 5 {
			t.Errorf("%s: compartments have %v types", v, sizes)
		}
	}
	if got, in := R4.Compartment("Patient", "Coverage"); !in || !slices.Equal(got, []string{"beneficiary", "payor", "policy-holder", "subscriber"}) {
		t.Errorf("B-05: Coverage is in by %v %v", got, in)
	}
	if _, in := R4.Compartment("Patient", "Location"); in {
		t.Error("Location is in the Patient compartment")
	}
}

// FHIR marks the elements of the _summary=true form.
func TestSummary(t *testing.T) {
	for _, c := range []struct {
		typ, name string
		want      bool
	}{{"Patient", "name", true}, {"Patient", "photo", false}, {"Observation", "valueQuantity", true}, {"Observation", "note", false}, {"Observation", "code", true}} {
		got, ok := R4.Element(c.typ, c.name)
		if !ok || got.Summary != c.want {
			t.Errorf("%s.%s: got %v, %v; want %v", c.typ, c.name, got.Summary, ok, c.want)
		}
	}
}
