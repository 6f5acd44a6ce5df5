package patch

import (
	"strings"
	"testing"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

const fhirPatch = "application/fhir+json"

// operations makes a Parameters of operations, each a list of parts written
// "name value[x] value".
func operations(ops ...[][3]string) string {
	var b strings.Builder
	b.WriteString(`{"resourceType":"Parameters","parameter":[`)
	for i, parts := range ops {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"name":"operation","part":[`)
		for j, p := range parts {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteString(`{"name":"` + p[0] + `","` + p[1] + `":` + p[2] + `}`)
		}
		b.WriteString(`]}`)
	}
	return b.String() + `]}`
}

func kind(s string) [3]string { return [3]string{"type", "valueCode", `"` + s + `"`} }
func at(s string) [3]string   { return [3]string{"path", "valueString", `"` + s + `"`} }
func named(s string) [3]string {
	return [3]string{"name", "valueString", `"` + s + `"`}
}
func put(x, raw string) [3]string         { return [3]string{"value", x, raw} }
func num(name, n string) [3]string        { return [3]string{name, "valueInteger", n} }
func does(parts ...[3]string) [][3]string { return parts }

const patient = `{"resourceType":"Patient","id":"1","active":true,"name":[{"family":"A","given":["x","y"]},{"family":"B"}],"birthDate":"1970-01-01","_birthDate":{"extension":[{"url":"u","valueCode":"c"}]},"deceasedBoolean":false,"contact":[{"gender":"male"}]}`

func TestFHIRPathPatch(t *testing.T) {
	for _, c := range []struct {
		name       string
		op         [][3]string
		was, turns string // in patient
	}{
		{"replace", does(kind("replace"), at("Patient.birthDate"), put("valueDate", `"1980-02-02"`)), `"birthDate":"1970-01-01"`, `"birthDate":"1980-02-02"`},
		{"replace in a list", does(kind("replace"), at("Patient.name[1].family"), put("valueString", `"C"`)), `"B"`, `"C"`},
		{"replace a choice by another type", does(kind("replace"), at("Patient.deceased"), put("valueDateTime", `"2001"`)), `"deceasedBoolean":false`, `"deceasedDateTime":"2001"`},
		{"add", does(kind("add"), at("Patient"), named("gender"), put("valueCode", `"other"`)), `"contact":[{"gender":"male"}]}`, `"contact":[{"gender":"male"}],"gender":"other"}`},
		{"add to a list", does(kind("add"), at("Patient.name[0]"), named("given"), put("valueString", `"z"`)), `["x","y"]`, `["x","y","z"]`},
		{"add makes the list", does(kind("add"), at("Patient.name[1]"), named("given"), put("valueString", `"z"`)), `{"family":"B"}`, `{"family":"B","given":["z"]}`},
		{"add a backbone", does(kind("add"), at("Patient"), named("contact"), put("part", `[{"name":"gender","valueCode":"female"},{"name":"telecom","valueContactPoint":{"value":"1"}},{"name":"telecom","valueContactPoint":{"value":"2"}}]`)),
			`[{"gender":"male"}]`, `[{"gender":"male"},{"gender":"female","telecom":[{"value":"1"},{"value":"2"}]}]`},
		{"insert", does(kind("insert"), at("Patient.name[0].given"), num("index", "1"), put("valueString", `"z"`)), `["x","y"]`, `["x","z","y"]`},
		{"insert at the end", does(kind("insert"), at("Patient.name[0].given"), num("index", "2"), put("valueString", `"z"`)), `["x","y"]`, `["x","y","z"]`},
		{"move", does(kind("move"), at("Patient.name"), num("source", "1"), num("destination", "0")), `{"family":"A","given":["x","y"]},{"family":"B"}`, `{"family":"B"},{"family":"A","given":["x","y"]}`},
		{"delete", does(kind("delete"), at("Patient.name[0]")), `{"family":"A","given":["x","y"]},`, ``},
		{"delete with its extensions", does(kind("delete"), at("Patient.birthDate")), `"birthDate":"1970-01-01","_birthDate":{"extension":[{"url":"u","valueCode":"c"}]},`, ``},
		{"delete the last of a list", does(kind("delete"), at("Patient.contact.gender")), `,"contact":[{"gender":"male"}]`, ``},
		{"delete nothing", does(kind("delete"), at("Patient.maritalStatus.text")), ``, ``},
	} {
		want := strings.Replace(patient, c.was, c.turns, 1)
		got, err := apply([]byte(patient), []byte(operations(c.op)), fhirPatch)
		if err != nil || string(got) != want {
			t.Errorf("%s:\ngot  %s, %v\nwant %s", c.name, got, err, want)
		}
	}
}

// W-05: what is not a simple path, or not what FHIR defines, is refused.
func TestFHIRPathPatchRefused(t *testing.T) {
	replace := func(path string) string {
		return operations(does(kind("replace"), at(path), put("valueString", `"x"`)))
	}
	for name, body := range map[string]string{
		"a function":                replace("Patient.name.first().family"),
		"resolve":                   replace("Patient.managingOrganization.resolve().name"),
		"a condition":               replace("Patient.name.where(use = 'official').family"),
		"a Bundle's entry":          replace("Bundle.entry[0].resource.id"),
		"another type":              replace("Observation.status"),
		"no type":                   replace("name[0].family"),
		"an unknown element":        replace("Patient.nothing"),
		"a JSON name":               replace("Patient.deceasedBoolean"),
		"which of two":              replace("Patient.name.family"),
		"beyond the list":           replace("Patient.name[2].family"),
		"a sign":                    replace("Patient.name[-1].family"),
		"a leading zero":            replace("Patient.name[01].family"),
		"the whole":                 replace("Patient"),
		"nothing there":             replace("Patient.gender"),
		"empty":                     replace(""),
		"a type that no choice has": operations(does(kind("replace"), at("Patient.deceased"), put("valueQuantity", `{"value":1}`))),
		"an object for a code":      operations(does(kind("replace"), at("Patient.birthDate"), put("valueReference", `{"reference":"Patient/B"}`))),
		"a text for an object":      operations(does(kind("add"), at("Patient"), named("maritalStatus"), put("valueString", `"x"`))),
		"another datatype":          operations(does(kind("add"), at("Patient"), named("maritalStatus"), put("valueCoding", `{"code":"x"}`))),
		"a second of one":           operations(does(kind("add"), at("Patient"), named("active"), put("valueBoolean", `true`))),
		"a list with extensions":    operations(does(kind("replace"), at("Patient.birthDate"), put("valueDate", `["1970"]`))),
		"an index beyond":           operations(does(kind("insert"), at("Patient.name[0].given"), num("index", "3"), put("valueString", `"z"`))),
		"a move beyond":             operations(does(kind("move"), at("Patient.name"), num("source", "0"), num("destination", "2"))),
		"an insert without index":   operations(does(kind("insert"), at("Patient.name"), put("valueHumanName", `{}`))),
		"an unknown operation":      operations(does(kind("test"), at("Patient.active"), put("valueBoolean", `true`))),
		"a part too many":           operations(does(kind("delete"), at("Patient.active"), put("valueBoolean", `true`))),
		"a part twice":              operations(does(kind("delete"), at("Patient.active"), at("Patient.name"))),
		"null":                      operations(does(kind("replace"), at("Patient.birthDate"), put("valueDate", `null`))),
		"two values":                `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"delete","valueString":"add"},{"name":"path","valueString":"Patient.active"}]}]}`,
		"another parameter":         `{"resourceType":"Parameters","parameter":[{"name":"Canary"}]}`,
		"no Parameters":             `{"resourceType":"Patient"}`,
		"a backbone of nothing":     operations(does(kind("add"), at("Patient"), named("contact"), put("part", `[{"name":"nothing","valueCode":"x"}]`))),
	} {
		if got, err := apply([]byte(patient), []byte(body), fhirPatch); err == nil {
			t.Errorf("%s: got %s, want an error", name, got)
		} else if strings.Contains(err.Error(), "Canary") {
			t.Errorf("%s: the error tells values: %v", name, err)
		}
	}
}

// What comes out is strict JSON of the same type, whatever the patch.
func FuzzFHIRPathPatch(f *testing.F) {
	f.Add(patient, operations(does(kind("add"), at("Patient"), named("contact"), put("part", `[{"name":"gender","valueCode":"x"}]`))))
	f.Add(patient, operations(does(kind("move"), at("Patient.name"), num("source", "1"), num("destination", "0"))))
	f.Fuzz(func(t *testing.T, doc, body string) {
		p, err := Parse(fhir.R4, []byte(body), fhirPatch)
		if err != nil {
			return
		}
		var in, out wire.Tree
		if got, err := p.Apply([]byte(doc)); err == nil && in.Parse([]byte(doc)) == nil && out.Parse(got) != nil {
			t.Errorf("%s patched by %s is not JSON: %s", doc, body, got)
		}
	})
}
