package scenario

import (
	"strings"
	"testing"

	"gatehouse/fhir"
)

// Every fact that a type has by an element of its own can be built, and is read
// back; what cannot is an error and never a record without the fact.
func TestEveryFactCanBeBuilt(t *testing.T) {
	values := map[string]any{"of": "A", "organization": "2", "practitioners": []any{"7"}, "labels": []any{"R", "HIV", "http://x|y"},
		"categories": []any{"laboratory"}, "codes": []any{"loinc|4548-4"}, "status": "final", "author": "7", "encounter": "e1", "date": "2026-11-21"}
	built, refused := 0, 0
	for _, typ := range fhir.R4.ResourceTypes() {
		for _, f := range facts {
			b := &builder{taken: map[string]bool{}}
			_, err := b.build(typ, map[string]any{f.name: values[f.name]})
			elements := fhir.R4.FactElements(typ, f.fact)
			switch {
			case err == nil && len(elements) == 0:
				t.Errorf("%s was built with %s, which it has no element for", typ, f.name)
			case err == nil:
				built++
			case len(elements) > 0 && elements[0] != "id":
				refused++ // codes of a plain code, which has no system
			}
		}
	}
	if built < 400 || refused > 8 {
		t.Errorf("%d built, %d refused", built, refused)
	}
}

func TestBuilder(t *testing.T) {
	for _, c := range []struct{ record, want string }{
		{`patient: A`, `{"id":"A","resourceType":"Patient"}`},
		{`observation: {of: A, codes: ["loinc|4548-4"], labels: [R]}`,
			`{"code":{"coding":[{"code":"4548-4","system":"http://loinc.org"}]},"id":"1","meta":{"security":[{"code":"R","system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality"}]},"resourceType":"Observation","subject":{"reference":"Patient/A"}}`},
		{`medication_request: {id: m, of: A, organization: "2", practitioners: ["7", "8"], with: {intent: order}}`,
			`{"id":"m","intent":"order","performer":{"reference":"Organization/2"},"recorder":{"reference":"Practitioner/7"},"requester":{"reference":"Practitioner/8"},"resourceType":"MedicationRequest","subject":{"reference":"Patient/A"}}`},
		{`Encounter: {of: A, status: in-progress, practitioners: ["8"], location: ward-3}`,
			`{"id":"1","location":[{"location":{"reference":"Location/ward-3"}}],"participant":[{"individual":{"reference":"Practitioner/8"}}],"resourceType":"Encounter","status":"in-progress","subject":{"reference":"Patient/A"}}`},
		{`care_team: {of: A, status: active, practitioners: ["8"]}`,
			`{"id":"1","participant":[{"member":{"reference":"Practitioner/8"}}],"resourceType":"CareTeam","status":"active","subject":{"reference":"Patient/A"}}`},
		{`resource: {resourceType: Basic, id: b}`, `{"id":"b","resourceType":"Basic"}`},
		{`observation: {of: A, location: ward-3}`, "location is of an encounter alone"},
		{`patient: {of: A}`, "a Patient has its patients by its id"},
		{`medication: {of: A}`, "no element of a Medication that is left gives its patients"},
		{`observatoin: A`, "observatoin is no type of FHIR R4"},
	} {
		got, err := one(t, c.record)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s\ngot  %s\nwant %s", c.record, got, c.want)
		}
	}
}

func one(t *testing.T, record string) (string, error) {
	t.Helper()
	all, err := readText(t, "s: {as: {roles: []}, records: [{"+record+"}], request: GET /Patient, expect: {status: 200}}")
	if err != nil {
		return "", err
	}
	return string(all[0].records[0]), nil
}
