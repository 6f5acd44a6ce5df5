package test

import "testing"

// Issue 7.8: a caller whose token tells of nothing but the launch patient is taken for
// that patient, and who they are is erased with the patient; staff are not, whatever
// they launched an app about.
func TestCallerOfALaunchIsThePatient(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Patient/mother", 200, `{"resourceType":"Patient","id":"mother","meta":{"versionId":"1"}}`)
	for name, test := range map[string]struct {
		claims map[string]any
		want   string
	}{
		"an app of the patient": {map[string]any{"patient": "mother", "scope": "patient/*.rs"}, "Patient/mother"},
		"fhirUser says it":      {map[string]any{"patient": "mother", "scope": "patient/*.rs", "fhirUser": "Patient/mother"}, ""},
		"a relative":            {map[string]any{"patient": "mother", "scope": "patient/*.rs", "fhirUser": "RelatedPerson/1"}, ""},
		"staff":                 {map[string]any{"patient": "mother", "roles": []string{"staff"}}, ""},
		"another organization":  {map[string]any{"patient": "mother", "scope": "patient/*.rs", "organization": "Organization/2"}, ""},
		"a machine":             {map[string]any{"patient": "mother", "scope": "patient/*.rs", "sub": "app", "client_id": "app"}, ""},
	} {
		got := h.get("/Patient/mother", h.token(test.claims))
		records := h.records(t, got.header.Get("X-Request-Id"))
		if len(records) != 1 || records[0].Caller.Self != test.want {
			t.Errorf("%s: status %d, %d records, taken for %q, want %q", name, got.status, len(records), records[0].Caller.Self, test.want)
		}
	}
}
