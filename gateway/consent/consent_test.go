package consent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// source hands out Consents and what they name from memory, and counts how
// often it is asked.
type source struct {
	consents []string
	named    map[string]string
	err      error
	calls    int
	lookups  int
}

func (s *source) Consents(context.Context, []string) (all [][]byte, err error) {
	s.calls++
	for _, c := range s.consents {
		all = append(all, []byte(c))
	}
	return all, s.err
}

func (s *source) Named(_ context.Context, names []string) (map[string][][]byte, error) {
	s.lookups++
	found := map[string][][]byte{}
	for _, n := range names {
		if r, ok := s.named[n]; ok {
			found[n] = [][]byte{[]byte(r)}
		}
	}
	return found, s.err
}

// usual is the configuration of most tests.
func usual() config.Consent {
	return config.Consent{Default: "deny", MaxStaleness: config.Duration(5 * time.Second), ClinicianRoles: []string{"clinician"}}
}

func engine(c config.Consent, s *source) *Engine {
	bases, err := fhir.NewBaseSet("https://ehr.example.org/fhir")
	if err != nil {
		panic(err)
	}
	return New(c, Options{Source: s, Bases: bases, Now: func() time.Time { return noon }})
}

func wrap(provision string) string {
	return `{"resourceType":"Consent","id":"c","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"patient":{"reference":"Patient/1"}` + provision + `}`
}

func decide(t *testing.T, e *Engine, a Actor, action string, f *fhir.Facts, content string) Result {
	t.Helper()
	set, err := e.Load(context.Background(), &a, f.Patients)
	if err != nil {
		t.Fatal(err)
	}
	var raw []byte
	if content != "" {
		raw = []byte(content)
	}
	return set.Decide(&a, action, f, raw)
}

func TestDecide(t *testing.T) {
	nurse := Actor{User: "Practitioner/7", Organization: "Organization/2", Client: "ward-app", Purpose: []string{"TREAT"}}
	plain := &fhir.Facts{Type: "Observation", ID: "o", Patients: []string{"Patient/1"}, Date: "2026-03-01"}
	hiv := &fhir.Facts{Type: "Observation", ID: "h", Patients: []string{"Patient/1"}, Labels: []string{"R", "HIV"}, Codes: []string{"http://loinc.org|75622-1"}}
	permitAll := wrap(`,"provision":{"type":"permit"}`)
	for _, c := range []struct {
		name     string
		actor    Actor
		action   string
		facts    *fhir.Facts
		consents []string
		want     string
		refused  bool
	}{
		{"CONS-02 no consent: the default", nurse, "read", plain, nil, "none", true},
		{"permit", nurse, "read", plain, []string{permitAll}, "permit", false},
		{"CONS-01 not active", nurse, "read", plain, []string{strings.Replace(permitAll, "active", "inactive", 1)}, "none", true},
		{"CONS-01 C-10 draft", nurse, "read", plain, []string{strings.Replace(permitAll, "active", "draft", 1)}, "none", true},
		{"CONS-01 another scope", nurse, "read", plain, []string{strings.Replace(permitAll, "patient-privacy", "research", 1)}, "none", true},
		{"CONS-01 expired falls to the default", nurse, "read", plain, []string{wrap(`,"provision":{"type":"permit","period":{"end":"2020-01-01"}}`)}, "none", true},
		{"C-10 the end is inclusive", nurse, "read", plain, []string{wrap(`,"provision":{"type":"permit","period":{"end":"2026-05-01"}}`)}, "permit", false},
		{"C-10 the zone counts", nurse, "read", plain, []string{wrap(`,"provision":{"type":"permit","period":{"end":"2026-05-01T12:30:00+02:00"}}`)}, "none", true},
		{"C-01 partial dates", nurse, "read", plain, []string{wrap(`,"provision":{"type":"permit","period":{"start":"2026","end":"2026-05"}}`)}, "permit", false},
		{"unreadable period is no permit", nurse, "read", plain, []string{wrap(`,"provision":{"type":"permit","period":{"end":"soon"}}`)}, "none", true},
		{"C6 base policy opt-in", nurse, "read", plain, []string{wrap(`,"policyRule":{"coding":[{"code":"OPTIN"}]}`)}, "permit", false},
		{"C6 base policy opt-out", nurse, "read", plain, []string{wrap(`,"policyRule":{"coding":[{"code":"OPTOUT"}]}`)}, "deny", true},
		{"CONS-03 deny overrides", nurse, "read", plain, []string{permitAll, wrap(`,"provision":{"type":"deny"}`)}, "deny", true},
		{"CONS-03 in either order", nurse, "read", plain, []string{wrap(`,"provision":{"type":"deny"}`), permitAll}, "deny", true},
		{"CONS-04 MII root deny, nested permit", nurse, "read", plain, []string{wrap(`,"provision":{"type":"deny","provision":[{"type":"permit","class":[{"code":"Observation"}]}]}`)}, "permit", false},
		{"CONS-04 the exception does not match", nurse, "read", plain, []string{wrap(`,"provision":{"type":"deny","provision":[{"type":"permit","class":[{"code":"Condition"}]}]}`)}, "deny", true},
		{"CONS-04 three levels", nurse, "read", hiv, []string{wrap(`,"provision":{"type":"permit","provision":[{"type":"deny","securityLabel":[{"code":"HIV"}],"provision":[{"type":"permit","actor":[{"role":{},"reference":{"reference":"Practitioner/7"}}]}]}]}`)}, "permit", false},
		{"CONS-04 a sibling's deny wins", nurse, "read", hiv, []string{wrap(`,"provision":{"type":"deny","provision":[{"type":"permit"},{"type":"deny","securityLabel":[{"code":"HIV"}]}]}`)}, "deny", true},
		{"CONS-05 another organization", nurse, "read", plain, []string{wrap(`,"provision":{"type":"permit","actor":[{"reference":{"reference":"Organization/9"}}]}`)}, "none", true},
		{"CONS-05 own organization, versioned", nurse, "read", plain, []string{wrap(`,"provision":{"type":"permit","actor":[{"reference":{"reference":"Organization/2/_history/3"}}]}`)}, "permit", false},
		{"C-10 an actor by display alone is no permit", nurse, "read", plain, []string{wrap(`,"provision":{"type":"permit","actor":[{"reference":{"display":"Nurse"}}]}`)}, "none", true},
		{"an unknown group denies", nurse, "read", plain, []string{permitAll, wrap(`,"provision":{"type":"deny","actor":[{"reference":{"reference":"CareTeam/1"}}]}`)}, "deny", true},
		{"CONS-06 an action that is not this one", nurse, "create", plain, []string{wrap(`,"provision":{"type":"permit","action":[{"coding":[{"code":"access"}]}]}`)}, "none", true},
		{"CONS-06 an unknown action denies", nurse, "read", plain, []string{permitAll, wrap(`,"provision":{"type":"deny","action":[{"coding":[{"code":"sniff"}]}]}`)}, "deny", true},
		{"CONS-07 purpose", Actor{User: "Practitioner/7", Purpose: []string{"HRESCH"}}, "read", plain, []string{wrap(`,"provision":{"type":"permit","purpose":[{"code":"TREAT"}]}`)}, "none", true},
		{"CONS-07 a kind of treatment", Actor{Purpose: []string{"ETREAT"}}, "read", plain, []string{wrap(`,"provision":{"type":"permit","purpose":[{"code":"TREAT"}]}`)}, "permit", false},
		{"CONS-07 BTG is no treatment", Actor{Purpose: []string{"BTG"}}, "read", plain, []string{wrap(`,"provision":{"type":"permit","purpose":[{"code":"TREAT"}]}`)}, "none", true},
		{"CONS-08 confidentiality is ordered", nurse, "read", hiv, []string{wrap(`,"provision":{"type":"permit","provision":[{"type":"deny","securityLabel":[{"code":"R"}]}]}`)}, "deny", true},
		{"CONS-08 up to N", nurse, "read", hiv, []string{wrap(`,"provision":{"type":"permit","securityLabel":[{"code":"N"}]}`)}, "none", true},
		{"CONS-08 unlabelled is N", nurse, "read", plain, []string{wrap(`,"provision":{"type":"permit","securityLabel":[{"code":"N"}]}`)}, "permit", false},
		{"CONS-09 code", nurse, "read", hiv, []string{wrap(`,"provision":{"type":"permit","provision":[{"type":"deny","code":[{"coding":[{"system":"http://loinc.org","code":"75622-1"}]}]}]}`)}, "deny", true},
		{"CONS-09 instance", nurse, "read", hiv, []string{wrap(`,"provision":{"type":"permit","provision":[{"type":"deny","data":[{"meaning":"instance","reference":{"reference":"Observation/h"}}]}]}`)}, "deny", true},
		{"CONS-09 dependents cannot be told: deny", nurse, "read", plain, []string{wrap(`,"provision":{"type":"permit","provision":[{"type":"deny","data":[{"meaning":"dependents","reference":{"reference":"Encounter/1"}}]}]}`)}, "deny", true},
		{"dataPeriod", nurse, "read", plain, []string{wrap(`,"provision":{"type":"permit","dataPeriod":{"start":"2026-03-01","end":"2026-03-01"}}`)}, "permit", false},
		{"dataPeriod before", nurse, "read", plain, []string{wrap(`,"provision":{"type":"permit","dataPeriod":{"end":"2026-02"}}`)}, "none", true},
		{"CONS-10 modifierExtension is no permit", nurse, "read", plain, []string{wrap(`,"modifierExtension":[{"url":"x","valueBoolean":true}],"provision":{"type":"permit"}`)}, "none", true},
		{"CONS-10 modifierExtension still denies", nurse, "read", plain, []string{permitAll, wrap(`,"modifierExtension":[{"url":"x"}],"provision":{"type":"deny"}`)}, "deny", true},
		{"CONS-10 an unknown member", nurse, "read", plain, []string{wrap(`,"provision":{"type":"permit","resourceLabel":[]}`)}, "none", true},
		{"an unreadable Consent denies", nurse, "read", plain, []string{permitAll, `{"resourceType":"Consent"`}, "deny", true},
		{"no patient", nurse, "read", &fhir.Facts{Type: "Medication"}, nil, "n/a", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := decide(t, engine(usual(), &source{consents: c.consents}), c.actor, c.action, c.facts, "")
			if got.Decision != c.want || got.Refused != c.refused {
				t.Errorf("got %s, refused %v; want %s, refused %v", got.Decision, got.Refused, c.want, c.refused)
			}
		})
	}
}

// Of two patients, one refusal is enough.
func TestTwoPatients(t *testing.T) {
	e := engine(usual(), &source{consents: []string{wrap(`,"provision":{"type":"permit"}`)}})
	if got := decide(t, e, Actor{}, "read", &fhir.Facts{Type: "Encounter", Patients: []string{"Patient/1", "Patient/2"}}, ""); !got.Refused {
		t.Errorf("got %+v, want refused", got)
	}
}

// A resource of somebody who cannot be named has consents that nobody can find.
func TestUnnamedPatient(t *testing.T) {
	if got := decide(t, engine(usual(), &source{}), Actor{}, "read", &fhir.Facts{Type: "Observation", Unnamed: true}, ""); !got.Refused {
		t.Errorf("got %+v, want refused", got)
	}
}

// CONS-13, C-09: what is remembered is used no longer than configured, an
// error never, and a written Consent acts at once.
func TestLoad(t *testing.T) {
	now := noon
	s := &source{consents: []string{wrap(`,"provision":{"type":"permit"}`)}}
	e := engine(usual(), s)
	e.now = func() time.Time { return now }
	load := func() (Set, error) {
		return e.Load(context.Background(), &Actor{}, []string{"Patient/1", "Patient/1"})
	}
	for step, c := range []struct {
		pass  time.Duration
		do    func()
		calls int
		fails bool
	}{
		{0, func() {}, 1, false},
		{4 * time.Second, func() {}, 1, false},
		{time.Second, func() {}, 2, false},
		{0, func() { e.Forget("Patient/1") }, 3, false},
		{6 * time.Second, func() { s.err = errors.New("down") }, 4, true},
		{0, func() {}, 5, true},
		{0, func() { s.err = nil }, 6, false},
	} {
		now = now.Add(c.pass)
		c.do()
		if _, err := load(); (err != nil) != c.fails || s.calls != c.calls {
			t.Errorf("step %d: got %d calls, error %v; want %d, error %v", step, s.calls, err, c.calls, c.fails)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(wrap(`,"provision":{"type":"deny","provision":[{"type":"permit","period":{"start":"2020"}}]}`)))
	f.Add([]byte(`{"resourceType":"Consent","id":"c","status":"active","subject":{"reference":"Patient/1"},"decision":"deny","provision":[{"actor":[{"reference":{"identifier":{"system":"s","value":"v"},"type":"Group"}}],"provision":[{"data":[{"meaning":"related","reference":{"reference":"Encounter/1"}}]}]}]}`))
	e := engine(usual(), &source{})
	f.Fuzz(func(t *testing.T, b []byte) {
		c := e.reader.one(b)
		for _, action := range []string{"read", "update"} {
			v, path := c.decide(&query{facts: &fhir.Facts{Type: "Patient", Patients: []string{"Patient/1"}}, content: b, now: noon, action: action, engine: e})
			if v == permit && c.void {
				t.Errorf("a void Consent permits")
			}
			if v != silent && path == "" {
				t.Errorf("verdict %d without a path", v)
			}
		}
		e.reader.whose(b, []string{"Patient/1"})
	})
}
