package fhir

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"gatehouse/fhir/wire"
)

// marker labels by code, type and category as tables do.
type marker struct{}

func (marker) AddCode(labels []string, system, code []byte) []string {
	if string(code) == "1234-5" || string(system) == "urn:hiv" {
		return append(labels, "HIV")
	}
	return labels
}

func (marker) Known(code string) bool { return code != "WHAT" }

func (marker) Settle(typ string, categories, labels []string) ([]string, string) {
	all := append([]string{"N"}, labels...)
	for _, c := range categories {
		all = append(all, typ+c)
	}
	return all, strings.Join(categories, " ")
}

var formPlans = map[string]*EntryPlan{} // slow to make

// holdForm: the facts of a second entry, read by what differs from the first, are
// those that are read of its resource alone.
func holdForm(t *testing.T, base *BaseSet, first, second string) (read bool) {
	entry := func(resource, url string) string {
		return `{"fullUrl":"` + url + `","resource":` + resource + `,"search":{"mode":"match"}}`
	}
	facts, err := R4.ReadLabelled([]byte(first), base, marker{})
	if err != nil {
		return false
	}
	p := formPlans[facts.Type]
	if p == nil {
		p = R4.NewEntryPlan(facts.Type, "resource", "search.mode")
		formPlans[facts.Type] = p
	}
	b := wire.NewBundle(strings.NewReader(`{"resourceType":"Bundle","entry":[`+entry(first, "urn:x")+","+entry(second, "urn:longer")+","+entry(first, "urn:y")+`]}`), wire.Limits{})
	e, err := b.NextEntry(p.Plan)
	if err != nil {
		return false
	}
	hits := e.Hits(nil)
	m := b.Learn()
	f := p.Form(m, hits[0].Start, hits[0].End, base, marker{})
	if e, err = b.NextEntry(p.Plan); err != nil || e.Mold == nil || f == nil {
		return false
	}
	var got Facts
	if !f.Read(e, &got) {
		return false
	}
	want, err := R4.ReadLabelled([]byte(second), base, marker{})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nread as a form of %s:\ngot  %+v\nwant %+v, %v", second, first, got, want, err)
	}
	if start, end := f.Resource(e); string(e.Raw[start:end]) != second {
		t.Errorf("%s\nread as a form of %s: the resource is %s", second, first, e.Raw[start:end])
	}
	var again Facts
	if e, err = b.NextEntry(p.Plan); err != nil || !f.Read(e, &again) || !reflect.DeepEqual(again, facts) {
		t.Errorf("%s\nafter %s: got %+v, want %+v, %v", first, second, again, facts, err)
	}
	return true
}

func TestFactForm(t *testing.T) {
	base := ownBases(t)
	patient := `{"resourceType":"Patient","id":"1","active":true,"managingOrganization":{"reference":"Organization/2"},"link":[{"other":{"reference":"Patient/2"}}]}`
	own := `{"resourceType":"AllergyIntolerance","id":"1","category":["food"],"patient":{"reference":"Patient/1","type":"Patient"},"recorder":{"display":"x"},"onsetDateTime":"2024"}`
	for _, c := range []struct {
		first, old, new string
		read            bool
	}{
		{observation, `"o1"`, `"another-one"`, true},
		{observation, `"versionId":"3"`, `"versionId":"12"`, true},
		{observation, `"versionId":"3"`, `"versionId":""`, false},
		{observation, `Patient/1/_history/4`, `Patient/7`, true},
		{observation, `Patient/1/_history/4`, `https://gw.example.org/fhir/Patient/7`, true},
		{observation, `Patient/1/_history/4`, `Group/7`, true},
		{observation, `Patient/1/_history/4`, ``, false},
		{observation, `Patient/1/_history/4`, `urn:uuid:1`, false},
		{observation, `Patient/1/_history/4`, `#p`, false},
		{observation, `"Patient/1/_history/4"`, `null`, false},
		{observation, `Encounter/e1`, `Encounter/\u0045`, true},
		{observation, `http://EHR.internal:8080/r4/Encounter/e1`, `http://other/Encounter/e1`, true},
		{observation, `"final"`, `"amended"`, true},
		{observation, `"final"`, `null`, false},
		{observation, `"final"`, `7`, false},
		{observation, `2024-05-01`, `2024-06`, true},
		{observation, `Practitioner/p`, `PractitionerRole/q`, true},
		{observation, `"Jane"`, `"Bob"`, true},
		{observation, `"T"`, `"extension-inline-sec-label"`, false},
		{observation, `"T"`, `"extension-inline\u002Dsec-label"`, false},
		{observation, `"T"`, `"\u00e4\n"`, true},
		{observation, `"T"`, `"\u0061"`, true}, // too short for a label's url
		{observation, `"1234-5"`, `"1"`, false},
		{observation, `"code":"HIV"`, `"code":"WHAT"`, false},
		{observation, `"local"`, `"other"`, false},
		{observation, `"laboratory"`, `"vital"`, false},
		{patient, `"1"`, `"22"`, true},
		{patient, `"1"`, `".."`, false},
		{patient, `true`, `false`, true},
		{patient, `Patient/2`, `Patient/1`, true},
		{own, `"food"`, `"biologic"`, false},
		{own, `"2024"`, `"2023-01-01"`, true},
		{own, `Patient/1`, `Group/1`, false},
		{own, `"type":"Patient"`, `"type":"Group"`, false},
		{`{"resourceType":"Patient","id":"1","contained":[{"resourceType":"Organization","id":"o"}]}`, `"1"`, `"2"`, false},
		{`{"resourceType":"Observation","id":"1","subject":{"identifier":{"value":"x"}}}`, `"1"`, `"2"`, false},
	} {
		if !strings.Contains(c.first, c.old) {
			t.Fatalf("%s is not there", c.old)
		}
		if got := holdForm(t, base, c.first, strings.Replace(c.first, c.old, c.new, 1)); got != c.read {
			t.Errorf("%s for %s: read by its form: %v, want %v", c.new, c.old, got, c.read)
		}
	}
}

func FuzzFactForm(f *testing.F) {
	f.Add(observation, `"o1"`, `"o2"`)
	f.Add(observation, `Patient/1/_history/4`, `Patient/2`)
	f.Add(observation, `http://EHR.internal:8080/r4/Encounter/e1`, `Encounter/2`)
	f.Add(`{"resourceType":"Appointment","status":"booked","participant":[{"actor":{"reference":"Patient/1"}},{"actor":{"reference":"Patient/2"}},{"actor":{"display":"Room 3"}}]}`, "2", "1")
	for _, resource := range entryResources {
		f.Add(resource, "1", "22")
	}
	base := ownBases(f)
	f.Fuzz(func(t *testing.T, first, old, new string) {
		second := strings.Replace(first, old, new, 1)
		if json.Valid([]byte(first)) && json.Valid([]byte(second)) { // else they could close the entry and open another
			holdForm(t, base, first, second)
		}
	})
}
