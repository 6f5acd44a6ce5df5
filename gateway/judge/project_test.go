package judge

import (
	"testing"

	"gatehouse/fhir"
)

func TestProjection(t *testing.T) {
	const doc = `{"resourceType":"Observation","id":"a","meta":{"versionId":"1"},"text":{"status":"generated"},"status":"final","_status":{"id":"x"},"code":{"text":"c"},"note":[{"text":"n"}],"valueQuantity":{"value":1.10},"subject":{"reference":"Patient/A"}}`
	const tag = `"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]`
	for _, c := range []struct {
		name string
		p    Projection
		want string
	}{
		{"FHIR-07 named elements and mandatory ones", Projection{Elements: []string{"subject"}},
			`{"resourceType":"Observation","id":"a","meta":{"versionId":"1",` + tag + `},"status":"final","_status":{"id":"x"},"code":{"text":"c"},"subject":{"reference":"Patient/A"}}`},
		{"a choice by its base name", Projection{Elements: []string{"Observation.value"}},
			`{"resourceType":"Observation","id":"a","meta":{"versionId":"1",` + tag + `},"status":"final","_status":{"id":"x"},"code":{"text":"c"},"valueQuantity":{"value":1.10}}`},
		{"_summary=data", Projection{Summary: "data"},
			`{"resourceType":"Observation","id":"a","meta":{"versionId":"1",` + tag + `},"status":"final","_status":{"id":"x"},"code":{"text":"c"},"note":[{"text":"n"}],"valueQuantity":{"value":1.10},"subject":{"reference":"Patient/A"}}`},
		{"_summary=text", Projection{Summary: "text"},
			`{"resourceType":"Observation","id":"a","meta":{"versionId":"1",` + tag + `},"text":{"status":"generated"},"status":"final","_status":{"id":"x"},"code":{"text":"c"}}`},
		{"_summary=true", Projection{Summary: "true"},
			`{"resourceType":"Observation","id":"a","meta":{"versionId":"1",` + tag + `},"status":"final","_status":{"id":"x"},"code":{"text":"c"},"valueQuantity":{"value":1.10},"subject":{"reference":"Patient/A"}}`},
	} {
		got, err := c.p.apply(fhir.R4, []byte(doc))
		if err != nil || string(got) != c.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", c.name, got, err, c.want)
		}
	}
}
