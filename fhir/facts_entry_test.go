package fhir

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"gatehouse/fhir/wire"
)

// readEntry reads the facts of a resource within an entry, by a plan that
// expects a type.
func readEntry(resource, expect string, base *BaseSet) (Facts, error) {
	entry := []byte(`{"fullUrl":"urn:x","resource":` + resource + `,"search":{"mode":"match"}}`)
	p := R4.NewEntryPlan(expect, "resource", "search.mode")
	b := wire.NewBundle(strings.NewReader(`{"resourceType":"Bundle","entry":[`+string(entry)+`]}`), wire.Limits{})
	got, err := b.NextEntry(p.Plan)
	if err != nil {
		return Facts{}, err
	}
	hits := got.Hits(nil)
	return p.ReadFacts(got.Raw, hits, hits[0].Start, hits[0].End, base, nil)
}

var entryResources = []string{observation,
	`{"resourceType":"Patient","id":"1","link":[{"other":{"reference":"Patient/2"}}]}`,
	`{"id":"1","meta":{"security":[{"code":"R"}]},"resourceType":"Patient"}`,
	`{"resourceType":"Patient","id":"1","resourceType":"Observation"}`,
	`{"resourceType":"Patient","id":1}`,
	`{"resourceType":["Patient"],"id":"1"}`,
	`{"resourceType":"Pati\u0065nt","id":"1"}`,
	`{"resourceType":"Nothing","id":"1"}`,
	`{"id":"1"}`, `{}`, `[]`, `null`, `"Patient"`,
	`[{"resourceType":"Patient","id":"1"},{"resourceType":"Patient","id":"2"}]`,
	`{"resourceType":"Observation","id":"1","subject":{"reference":"#p"},"contained":[{"resourceType":"Group","id":"p"}]}`,
	`{"resourceType":"Observation","id":"1","subject":{"reference":"#p"},"contained":[{"resourceType":"Patient","id":"p"}]}`,
	`{"resourceType":"Observation","id":"1","subject":[{"reference":"Patient/1"},{"reference":"Patient/2"}],"status":7}`,
}

// What is read in one pass with the entry is what is read of the resource
// alone, whatever type was expected.
func TestEntryFacts(t *testing.T) {
	base := ownBases(t)
	for _, resource := range entryResources {
		want, wantErr := R4.ReadFacts([]byte(resource), base)
		for _, expect := range []string{"", "Patient", "Observation", "Nothing"} {
			got, err := readEntry(resource, expect, base)
			if (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
				t.Errorf("%s, expecting %q: got %+v, %v, want %+v, %v", resource, expect, got, err, want, wantErr)
			}
		}
	}
}

// SEC-01: an array of resources is none, though a plan looks into arrays.
func TestNoFactsOfArray(t *testing.T) {
	got, err := R4.ReadFacts([]byte(` [{"resourceType":"Patient","id":"1"},{"resourceType":"Patient","id":"2"}]`), ownBases(t))
	if err == nil {
		t.Errorf("got %+v", got)
	}
}

func FuzzEntryFacts(f *testing.F) {
	for _, resource := range entryResources {
		f.Add(resource, "Observation")
		f.Add(resource, "Patient")
	}
	base := ownBases(f)
	f.Fuzz(func(t *testing.T, resource, expect string) {
		if !json.Valid([]byte(resource)) {
			return // it could close the entry and open another
		}
		want, wantErr := R4.ReadFacts([]byte(resource), base)
		got, err := readEntry(resource, expect, base)
		if err == nil && (wantErr != nil || !reflect.DeepEqual(got, want)) {
			t.Errorf("%s: got %+v, want %+v, %v", resource, got, want, wantErr)
		}
	})
}
