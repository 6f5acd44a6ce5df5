package relation

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"gatehouse/fhir"
)

type source struct {
	resources []string
	err       error
	asked     [][]string
}

func (s *source) Around(_ context.Context, patients []string) ([][]byte, error) {
	s.asked = append(s.asked, patients)
	var all [][]byte
	for _, r := range s.resources {
		all = append(all, []byte(r))
	}
	return all, s.err
}

func TestLoad(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	s := &source{resources: []string{
		`{"resourceType":"Encounter","id":"e1","status":"in-progress","subject":{"reference":"Patient/1"},"period":{"start":"2026-04-30"},"participant":[{"individual":{"reference":"Practitioner/7"}},{"individual":{"display":"x"}}],"location":[{"location":{"reference":"Location/3"}}]}`,
		`{"resourceType":"Encounter","id":"e2","status":"finished","subject":{"reference":"Patient/1"},"participant":[{"individual":{"reference":"Practitioner/8"}}]}`,
		`{"resourceType":"CareTeam","id":"t1","status":"active","subject":{"reference":"Patient/2"},"participant":[{"member":{"reference":"Practitioner/9"}},{"member":{"reference":"Patient/2"}}]}`,
		`{"resourceType":"CareTeam","id":"t2","status":"inactive","subject":{"reference":"Patient/2"},"participant":[{"member":{"reference":"Practitioner/10"}}]}`,
		`{"resourceType":"Encounter","id":"other","status":"in-progress","subject":{"reference":"Patient/99"},"participant":[{"individual":{"reference":"Practitioner/7"}}]}`,
	}}
	e := New(fhir.R4, s, nil, 5*time.Second, func() time.Time { return now })
	got, err := e.Load(context.Background(), []string{"Patient/1", "Patient/2", "Patient/1"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]*Care{
		"Patient/1": {Encounters: []Encounter{
			{ID: "e1", Status: "in-progress", Start: "2026-04-30", Locations: []string{"Location/3"}, Participants: []string{"Practitioner/7"}},
			{ID: "e2", Status: "finished", Participants: []string{"Practitioner/8"}}}, Practitioners: []string{"Practitioner/7"}},
		"Patient/2": {CareTeams: []string{"CareTeam/t1"}, Practitioners: []string{"Practitioner/9"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	now = now.Add(4 * time.Second)
	if _, err := e.Load(context.Background(), []string{"Patient/1"}); err != nil || len(s.asked) != 1 {
		t.Errorf("remembered: asked %v, error %v", s.asked, err)
	}
	now = now.Add(time.Second)
	s.err = errors.New("down")
	if _, err := e.Load(context.Background(), []string{"Patient/1"}); err == nil || len(s.asked) != 2 {
		t.Errorf("stale: asked %v, error %v", s.asked, err)
	}
	both := Merge(got, []string{"Patient/1", "Patient/2"})
	if len(both.Encounters) != 2 || !reflect.DeepEqual(both.Practitioners, []string{"Practitioner/7", "Practitioner/9"}) {
		t.Errorf("merged: %+v", both)
	}
}

// Who has left, and where a patient lay before, make no relation.
func TestOnlyWhatHoldsNow(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	member := func(id, more string) string { return `{"member":{"reference":"Practitioner/` + id + `"}` + more + `}` }
	s := &source{resources: []string{
		`{"resourceType":"CareTeam","id":"t","status":"active","subject":{"reference":"Patient/1"},"participant":[` +
			member("in", `,"period":{"start":"2026-01-01"}`) + `,` + member("until-today", `,"period":{"end":"2026-05-01"}`) + `,` +
			member("this-month", `,"period":{"end":"2026-05"}`) + `,` + member("left", `,"period":{"end":"2026-04-30"}`) + `,` +
			member("left-at-noon", `,"period":{"end":"2026-05-01T11:59:59Z"}`) + `,` + member("unread", `,"period":{"end":"soon"}`) + `,` + member("odd", `,"period":7`) + `]}`,
		`{"resourceType":"Encounter","id":"e","status":"in-progress","subject":{"reference":"Patient/1"},"location":[
			{"location":{"reference":"Location/before"},"status":"completed"},{"location":{"reference":"Location/now"},"status":"active"},{"location":{"reference":"Location/next"},"status":"planned"}]}`,
	}}
	got, err := New(fhir.R4, s, nil, 0, func() time.Time { return now }).Load(context.Background(), []string{"Patient/1"})
	if err != nil {
		t.Fatal(err)
	}
	care := got["Patient/1"]
	if want := []string{"Practitioner/in", "Practitioner/until-today", "Practitioner/this-month"}; !reflect.DeepEqual(care.Practitioners, want) {
		t.Errorf("got %v, want %v", care.Practitioners, want)
	}
	if places := care.Encounters[0].Locations; !reflect.DeepEqual(places, []string{"Location/now"}) {
		t.Errorf("got %v", places)
	}
}
