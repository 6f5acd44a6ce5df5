package consent

import (
	"testing"

	"gatehouse/fhir"
)

// CONS-11, IUA-01: forbid removes, permit overrides a forbid, what neither
// names flows, and what cannot be read does not.
func TestResidual(t *testing.T) {
	bases, err := fhir.NewBaseSet("https://ehr.example.org/fhir")
	if err != nil {
		t.Fatal(err)
	}
	restricted, normal := []string{"R"}, []string{"N"}
	for _, c := range []struct {
		name, token string
		labels      []string
		refused     bool
	}{
		{"nothing left out", `{"patient_id":"1"}`, normal, false},
		{"as a reference", `{"patient_id":"https://ehr.example.org/fhir/Patient/1"}`, normal, false},
		{"another patient", `{"patient_id":"2"}`, normal, true},
		{"a patient of another domain", `{"patient_id":"1^^^&1.2.3&ISO"}`, normal, true},
		{"no restricted", `{"residual":[{"type":"forbid","securityLabel":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}]}`, restricted, true},
		{"no restricted, normal", `{"residual":[{"type":"forbid","securityLabel":[{"code":"R"}]}]}`, normal, false},
		{"outside the time, PCF's timeframe", `{"residual":[{"type":"forbid","dataPeriod":{"end":"2021-12"}},{"type":"forbid","dataPeriod":{"start":"2023-01"}}]}`, normal, true},
		{"forbidden but this", `{"residual":[{"type":"forbid"},{"type":"permit","data":[{"meaning":"instance","reference":"Observation/o"}]}]}`, normal, false},
		{"forbidden but this, as a Reference", `{"residual":[{"type":"forbid"},{"type":"permit","data":[{"meaning":"instance","reference":{"reference":"Observation/o"}}]}]}`, normal, false},
		{"forbidden but another", `{"residual":[{"type":"forbid"},{"type":"permit","data":[{"meaning":"instance","reference":"Observation/p"}]}]}`, normal, true},
		{"forbidden: what is by somebody unknown", `{"residual":[{"type":"forbid","data":[{"meaning":"authoredby","reference":{"display":"Dr. No"}}]}]}`, normal, true},
		{"a permit alone opens nothing and closes nothing", `{"residual":[{"type":"permit","data":[{"meaning":"instance","reference":"Observation/p"}]}]}`, normal, false},
		{"a member that PCF has not", `{"residual":[{"type":"forbid","weather":"rain"}]}`, normal, true},
		{"a permit with one", `{"residual":[{"type":"forbid"},{"type":"permit","weather":"rain"}]}`, normal, true},
		{"a type that there is not", `{"residual":[{"type":"perhaps"}]}`, normal, true},
		{"no list", `{"residual":{"type":"permit"}}`, normal, true},
		{"no object", `"all"`, normal, true},
	} {
		r := ReadResidual([]byte(c.token), bases, nil)
		f := &fhir.Facts{Type: "Observation", ID: "o", Patients: []string{"Patient/1"}, Labels: c.labels, Date: "2026-03-01"}
		if _, refused := r.Refuses(f, nil); refused != c.refused {
			t.Errorf("%s: got %v", c.name, refused)
		}
	}
}
