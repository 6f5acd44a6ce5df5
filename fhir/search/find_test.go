package search

import (
	"strings"
	"testing"

	"gatehouse/fhir"
)

// A fact is asked for only by parameters that read every element it may come
// from, for the type that its value has.
func TestFinding(t *testing.T) {
	for _, c := range []struct{ typ, fact, value, want string }{
		{"Observation", "organization", "Organization/2", "performer=Organization/2"},
		{"Observation", "patients", "Patient/1", ""}, // subject, and performer
		{"Observation", "codes", "http://loinc.org|1", "combo-code=http://loinc.org|1"},
		{"Encounter", "patients", "Patient/1", "patient=Patient/1 subject=Patient/1"},
		{"Encounter", "practitioners", "PractitionerRole/1", "participant=PractitionerRole/1"}, // practitioner= reads Practitioners alone
		{"Encounter", "encounter", "Encounter/1", "_id=1"},
		{"Encounter", "codes", "s|c", ""},
		{"PractitionerRole", "practitioners", "Practitioner/1", "practitioner=Practitioner/1"},
		{"PractitionerRole", "practitioners", "PractitionerRole/1", ""}, // its own id, and its practitioner
		{"Patient", "patients", "Patient/1", "_id=1"},
		{"DocumentReference", "organization", "Organization/2", ""}, // custodian, or else author
		{"AllergyIntolerance", "status", "active", "clinical-status=active"},
		{"Observation", "categories", "|lab", "category=lab"},
		{"Observation", "categories", "s|a,b", `category=s|a\,b`},
		{"Observation", "categories", "lab", ""},
		{"Observation", "categories", "s|a|b", ""},
		{"Observation", "categories", "s|", ""},
		{"Observation", "status", "", ""},
		{"Observation", "id", "x", "_id=x"},
		{"Observation", "id", "x,y", ""},
		{"Observation", "organization", "", ""},
		{"Observation", "organization", "university", ""},
		{"Observation", "organization", "Organization/2/_history/1", ""},
		{"Observation", "organization", "https://ehr.test/Organization/2", ""},
		{"Observation", "organization", "Nonsense/2", ""},
		{"Observation", "labels", "R", ""},
		{"Observation", "date", "2026", ""},
		{"Observation", "nonsense", "x", ""},
		{"Nonsense", "organization", "Organization/2", ""},
		{"StructureDefinition", "organization", "Organization/2", ""},
	} {
		var all []string
		for _, p := range Finding(fhir.R4, c.typ, c.fact, c.value) {
			if _, err := Compile(fhir.R4, c.typ, []fhir.Param{p}, nil); err != nil {
				t.Errorf("%s %s: %v", c.typ, p.Name, err)
			}
			all = append(all, p.Name+"="+strings.Join(p.Values, ","))
		}
		if got := strings.Join(all, " "); got != c.want {
			t.Errorf("%s %s %s: %q, want %q", c.typ, c.fact, c.value, got, c.want)
		}
	}
}
