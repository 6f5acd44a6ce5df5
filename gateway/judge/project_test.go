package judge

import (
	"bytes"
	"testing"

	"gatehouse/fhir"
	"gatehouse/gateway/view"
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

// FHIR-07: what turns the meaning round is never left out of a part.
func TestProjectionModifiers(t *testing.T) {
	const tag = `"meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}`
	for doc, want := range map[string]string{
		`{"resourceType":"Patient","implicitRules":"http://x.org/r","modifierExtension":[{"url":"x","valueBoolean":true}],"active":false,"deceasedBoolean":true,"gender":"male","birthDate":"1970"}`: `{"resourceType":"Patient","implicitRules":"http://x.org/r","modifierExtension":[{"url":"x","valueBoolean":true}],"active":false,"deceasedBoolean":true,"gender":"male",` + tag + `}`,
		`{"resourceType":"ServiceRequest","status":"active","intent":"order","doNotPerform":true,"note":[{"text":"n"}]}`:                                                                             `{"resourceType":"ServiceRequest","status":"active","intent":"order","doNotPerform":true,` + tag + `}`,
		`{"resourceType":"Condition","verificationStatus":{"text":"refuted"},"_status":{"id":"x"},"code":{"text":"c"}}`:                                                                              `{"resourceType":"Condition","verificationStatus":{"text":"refuted"},` + tag + `}`,
	} {
		p := Projection{Elements: []string{"gender"}}
		if got, err := p.apply(fhir.R4, []byte(doc)); err != nil || string(got) != want {
			t.Errorf("%s:\n got %s, %v\nwant %s", doc, got, err, want)
		}
	}
	for _, summary := range []string{"true", "text", "data"} {
		p := Projection{Summary: summary}
		got, err := p.apply(fhir.R4, []byte(`{"resourceType":"Patient","modifierExtension":[{"url":"x"}]}`))
		if err != nil || !bytes.Contains(got, []byte("modifierExtension")) {
			t.Errorf("_summary=%s: got %s, %v", summary, got, err)
		}
	}
}

// DESIGN §10.6: the client's version replaces the upstream's, and the id is the
// one that the view gave.
func TestRename(t *testing.T) {
	for _, c := range []struct {
		doc         string
		id, number  view.Span
		version     string
		want, named string
	}{
		{`{"id":"x","meta":{"versionId":"1","a":[1.10]}}`, view.Span{Start: 6, End: 9}, view.Span{Start: 30, End: 33}, "tag", `{"id":"x","meta":{"versionId":"tag","a":[1.10]}}`, "x"},
		{`{"meta":{"versionId":"1"},"id":"x"}`, view.Span{Start: 31, End: 34}, view.Span{Start: 21, End: 24}, "longer-tag", `{"meta":{"versionId":"longer-tag"},"id":"x"}`, "x"},
		{`{"id":"x"}`, view.Span{Start: 6, End: 9}, view.Span{}, "tag", `{"id":"x"}`, "x"},
		{`{"id":"x","meta":{"versionId":"1"}}`, view.Span{Start: 6, End: 9}, view.Span{Start: 30, End: 33}, "", `{"id":"x","meta":{"versionId":"1"}}`, "x"},
		{`{"id":"x","meta":{"versionId":"1"}}`, view.Span{Start: 6, End: 9}, view.Span{Start: 30, End: 33}, "1", `{"id":"x","meta":{"versionId":"1"}}`, "x"},
	} {
		room, got, id, err := rename([]byte("before"), view.Shown{Doc: []byte(c.doc), ID: c.id, Version: c.number}, c.version)
		if err != nil || string(got) != c.want || id != c.named || string(room[:6]) != "before" {
			t.Errorf("%s: got %s, %q, %v, want %s, %q", c.doc, got, id, err, c.want, c.named)
		}
	}
	if _, got, id, err := rename(nil, view.Shown{Doc: []byte(`{"id":1}`), ID: view.Span{Start: 6, End: 7}}, "tag"); err == nil {
		t.Errorf("a number: got %s, %q, want an error", got, id)
	}
}
