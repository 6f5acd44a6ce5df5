package policy

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/auth"

	"pgregory.net/rapid"
)

// record is what the trail would hold of a decision under e.
func pastOf(e *Engine, all bool, q *Request, res *Resource) *Past {
	k := e.Keeper(all)
	s := *q.Subject
	s.Scopes, s.Patient, s.ACR, s.AuthTime = nil, "", "", time.Time{}
	p := &Past{Subject: s, Client: q.Client, Now: q.Now, Address: q.Address}
	v := &Evaluation{request: q}
	p.Asked = k.AppendAsked(nil, v, false)
	if res != nil {
		p.Type, p.ID, p.Patients = res.Facts.Type, res.Facts.ID, res.Facts.Patients
		p.Basis = k.AppendBasis(nil, v, v, res)
	}
	return p
}

// What a record keeps of a decision decides the same when it is read again.
func TestRejudgeIsTheSameDecision(t *testing.T) {
	ctx := context.Background()
	e, err := Load(Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	q := &Request{Action: "read", Interaction: "read", Type: "Observation", ID: "1", Now: now, Address: "192.0.2.1", Client: ClientInfo{ID: "app"},
		Parameters: map[string][]string{"code": {"a", "b"}, "date": {"x"}}, Emergency: &Emergency{Patient: "Patient/1", Reason: "r", Until: now.Add(time.Hour)},
		Subject: &auth.Subject{Issuer: "i", ID: "ann", Client: "app", Roles: []string{"clinician"}, Organization: "Organization/2", FHIRUser: "Practitioner/7",
			Purpose: []string{"TREAT"}, Scopes: []string{"user/*.rs"}, ACR: "high", AuthTime: now.Add(-time.Minute), Patient: "Patient/1"}}
	for name, res := range map[string]*Resource{
		"own organization": {Facts: &fhir.Facts{Type: "Observation", ID: "1", Patients: []string{"Patient/1"}, Organization: "Organization/2"}, Consent: ConsentResult{Decision: "permit"}},
		"labelled":         {Facts: &fhir.Facts{Type: "Observation", ID: "1", Patients: []string{"Patient/1"}, Organization: "Organization/2", Labels: []string{"V"}}, Consent: ConsentResult{Decision: "none", Source: "Consent/1"}},
		"unnamed patient":  {Facts: &fhir.Facts{Type: "Location", ID: "1", Unnamed: true}, Consent: ConsentResult{Decision: "n/a"}},
		"by care": {Facts: &fhir.Facts{Type: "Observation", ID: "1", Patients: []string{"Patient/1"}, Date: "2026", Codes: []string{"a|b"}}, Consent: ConsentResult{Decision: "deny"},
			Relation: &Relation{Encounters: []Encounter{{ID: "e", Status: "in-progress", Start: "2026", Participants: []string{"Practitioner/7"}, Locations: []string{"Location/1"}}}, CareTeams: []string{"CareTeam/1"}}},
		"no resource": nil,
	} {
		for _, all := range []bool{false, true} {
			past := pastOf(e, all, q, res)
			got, err := e.Rejudge(ctx, past)
			want, possible := Decision{}, false
			if res == nil {
				possible, want = e.For(ctx, q).Possible()
			} else {
				want = e.For(ctx, q).Decide(ctx, res)
			}
			if err != nil || len(got.Missing) > 0 && res != nil && res.Relation != nil || got.Action != "read" {
				t.Fatalf("%s: %+v %v", name, got, err)
			}
			if len(got.Missing) == 0 && (got.Allow != want.Allow || got.Possible != possible || !slices.Equal(got.Permits, want.Permits) && res != nil && res.Relation != nil) {
				t.Errorf("%s: got %+v, want %+v", name, got, want)
			}
		}
	}
}

// A candidate that reads what no record kept is told so, but where the answer
// is the same whatever that was.
func TestRejudgeWithoutWhatWasNotKept(t *testing.T) {
	ctx := context.Background()
	live := mustLoad(t, map[string]string{"a.rego": `package gatehouse
permit contains "staff" if { "staff" in input.subject.roles; input.resource.organization == "Organization/2" }`})
	candidate := mustLoad(t, map[string]string{"a.rego": `package gatehouse
permit contains "staff" if { "staff" in input.subject.roles; input.resource.organization == "Organization/2" }
permit contains "final" if { "staff" in input.subject.roles; input.resource.type == "Observation"; input.resource.status == "final" }
permit contains "care" if { "nurse" in input.subject.roles; "Practitioner/1" in input.relation.practitioners }
forbid contains "body" if { input.resource.type == "Binary"; input.resource.content.data == "x" }
forbid contains "search" if { input.request.parameters.name; input.resource.type == "Basic" }`})
	q := func(role string) *Request {
		return &Request{Action: "read", Interaction: "read", Now: time.Now(), Client: ClientInfo{ID: "c"}, Subject: &auth.Subject{ID: "s", Client: "c", Roles: []string{role}}}
	}
	res := func(typ, org string) *Resource {
		return &Resource{Facts: &fhir.Facts{Type: typ, ID: "1", Organization: org}, Consent: ConsentResult{Decision: "n/a"}}
	}
	for _, c := range []struct {
		role, typ, org string
		allow          bool
		missing        []string
	}{
		{"staff", "Observation", "Organization/2", true, nil}, // permitted whatever its status
		{"staff", "Observation", "Organization/3", false, []string{"resource.status"}},
		{"staff", "Condition", "Organization/3", false, nil},
		{"nurse", "Condition", "Organization/3", false, []string{"relation"}},
		{"staff", "Binary", "Organization/2", false, []string{"resource.content"}},
		{"staff", "Basic", "Organization/2", false, []string{"request.parameters"}},
	} {
		got, err := candidate.Rejudge(ctx, pastOf(live, false, q(c.role), res(c.typ, c.org)))
		if err != nil || got.Allow && !c.allow || c.allow && (!got.Allow || len(got.Missing) > 0) || len(c.missing) > 0 != (len(got.Missing) > 0) {
			t.Errorf("%+v: %+v %v", c, got, err)
		}
		for _, m := range c.missing {
			if !slices.Contains(got.Missing, m) {
				t.Errorf("%+v lacks %s: %+v", c, m, got)
			}
		}
	}
	for _, broken := range []*Past{{}, {Asked: []byte{99}}, {Asked: []byte{1, 200}}, {Asked: []byte{1, 1, 'r'}, Type: "Basic", Basis: []byte{0, 40}}, {Asked: []byte{1, 1, 'r'}, Type: "Basic"}} {
		if got, err := candidate.Rejudge(ctx, broken); err == nil {
			t.Errorf("%+v: %+v", broken, got)
		}
	}
}

// Where the basis of two resources is said to be the same it is, for whatever is kept.
func TestSameBasis(t *testing.T) {
	rules := mustLoad(t, map[string]string{"a.rego": `package gatehouse
permit contains "some" if { input.resource.status == "final"; input.resource.organization == "Organization/2"; input.consent.source == "Consent/1" }
forbid contains "care" if { "R" in input.resource.labels; "Practitioner/7" in input.relation.practitioners }`})
	keepers := []*Keeper{rules.Keeper(true), rules.Keeper(false), mustLoad(t, map[string]string{"a.rego": "package gatehouse\npermit contains \"p\" if input.action == \"read\""}).Keeper(false)}
	v := &Evaluation{request: &Request{Subject: &auth.Subject{}}}
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawResource(t), drawResource(t)
		if rapid.Bool().Draw(t, "like") {
			facts := *a.Facts
			facts.ID, facts.Encounter, facts.Patients = b.Facts.ID, b.Facts.Encounter, b.Facts.Patients
			b = &Resource{Facts: &facts, Consent: a.Consent, Relation: a.Relation}
		}
		for i, k := range keepers {
			same, one, other := k.Same(a, b), k.AppendBasis(nil, v, v, a), k.AppendBasis(nil, v, v, b)
			if same && !bytes.Equal(one, other) {
				t.Fatalf("keeper %d: said to be the same: %q and %q", i, one, other)
			}
			if same {
				found++
			}
		}
	})
	if found < 5 { // of twenty at least, half of them alike
		t.Errorf("%d were the same: too few to tell", found)
	}
}
