package policy

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/auth"
)

var background = context.Background()

// loadText writes files into a directory and loads it as a policy.
func loadText(t testing.TB, files map[string]string) (*Engine, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, err := Load(Options{Dir: dir, Timeout: 5 * time.Second})
	if err != nil {
		return nil, shorten(err, dir+"/")
	}
	return e, nil
}

type shortened string

func (s shortened) Error() string { return string(s) }

func shorten(err error, prefix string) error {
	return shortened(strings.ReplaceAll(err.Error(), prefix, ""))
}

func mustLoad(t testing.TB, files map[string]string) *Engine {
	t.Helper()
	e, err := loadText(t, files)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func clinician() *auth.Subject {
	return &auth.Subject{Issuer: "https://idp.test", ID: "ann", Client: "ward-app", Roles: []string{"clinician"},
		Organization: "Organization/2", FHIRUser: "Practitioner/7", Purpose: []string{"TREAT"}}
}

func reading(typ string, s *auth.Subject) *Request {
	return &Request{Action: "read", Interaction: "read", Subject: s, Client: ClientInfo{ID: s.Client}, Type: typ, ID: "1",
		Now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), Address: "192.0.2.1"}
}

func resource(f fhir.Facts) *Resource {
	return &Resource{Facts: &f, Consent: ConsentResult{Decision: "none"}}
}

// design is the example of DESIGN §6.
const design = `package gatehouse

permit contains "clinician reads own ward" if {
	"clinician" in input.subject.roles
	input.action in {"read", "search"}
	input.resource.type in data.roles.clinician.types
	input.resource.organization == input.subject.organization
}
forbid contains "restricted needs treatment purpose" if {
	"R" in input.resource.labels
	not "TREAT" in input.subject.purpose
}
oblige contains {"view": "billing-minimal"} if "billing" in input.subject.roles
`

func TestDesignExample(t *testing.T) {
	e := mustLoad(t, map[string]string{"a.rego": design, "t.yaml": "roles: {clinician: {types: [Observation]}}"})
	own := fhir.Facts{Type: "Observation", ID: "1", Organization: "Organization/2", Patients: []string{"Patient/1"}}
	restricted := own
	restricted.Labels = []string{"R"}
	other := own
	other.Organization = "Organization/3"
	unlisted := own
	unlisted.Type = "Condition"
	research := clinician()
	research.Purpose = []string{"HRESCH"}
	billing := clinician()
	billing.Roles = []string{"clinician", "billing"}
	homeless := clinician()
	homeless.Organization = ""
	none := own
	none.Organization = ""
	for name, c := range map[string]struct {
		subject *auth.Subject
		facts   fhir.Facts
		allow   bool
		views   []string
	}{
		"own":                            {clinician(), own, true, nil},
		"restricted for treatment":       {clinician(), restricted, true, nil},
		"restricted for research":        {research, restricted, false, nil},
		"other organization":             {clinician(), other, false, nil},
		"unlisted type":                  {clinician(), unlisted, false, nil},
		"obliged view":                   {billing, own, true, []string{"billing-minimal"}},
		"two absent organizations":       {homeless, none, false, nil},
		"resource without organization":  {clinician(), none, false, nil},
		"caller without an organization": {homeless, own, false, nil},
	} {
		v := e.For(background, reading("Observation", c.subject))
		d := v.Decide(background, resource(c.facts))
		if d.Err != nil || d.Allow != c.allow || !slices.Equal(d.Obligations.Views, c.views) {
			t.Errorf("%s: got %+v, want allow %v, views %v", name, d, c.allow, c.views)
		}
	}
}

func TestShippedPolicyLoads(t *testing.T) {
	if _, err := Load(Options{}); err != nil {
		t.Fatal(err)
	}
}
