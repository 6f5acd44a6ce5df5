package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/auth"
)

func facts() fhir.Facts {
	return fhir.Facts{Type: "Observation", ID: "1", Patients: []string{"Patient/1"}, Status: "final", Date: "2026-05-05"}
}

// TestErrorsDeny: an error in any of the three sets denies, whatever the others
// say (C-01, C-04, SEC-06).
func TestErrorsDeny(t *testing.T) {
	always := "package gatehouse\npermit contains \"p\" if input.action == \"read\"\n"
	for name, rule := range map[string]string{
		"permit":          `permit contains "x" if to_number(input.resource.date) > 1`,
		"forbid":          `forbid contains "x" if to_number(input.resource.date) > 1`,
		"oblige":          `oblige contains {"view": "x"} if to_number(input.resource.date) > 1`,
		"helper":          "forbid contains \"x\" if bad\nbad if to_number(input.resource.date) > 1",
		"negated":         `forbid contains "x" if not to_number(input.resource.date) > 1`,
		"expired (C-01)":  `forbid contains "x" if time.parse_rfc3339_ns(input.resource.date) > 5`,
		"conflict (C-04)": "forbid contains \"x\" if level == \"a\"\nlevel := \"a\" if input.resource.status == \"final\"\nlevel := \"b\" if input.resource.id == \"1\"",
		"division":        `forbid contains "x" if 1 / count(input.resource.labels) == 1`,
		"reason a number": `forbid contains count(input.resource.patients)`,
		"reason empty":    `forbid contains input.resource.author`,
		"two domains":     "oblige contains {\"domain\": \"a\"} if input.resource.id == \"1\"\noblige contains {\"domain\": \"b\"} if input.resource.status == \"final\"",
		"two acr":         "oblige contains {\"step_up\": {\"acr\": \"a\"}} if input.resource.id == \"1\"\noblige contains {\"step_up\": {\"acr\": \"b\"}} if input.resource.status == \"final\"",
		"computed kind":   `oblige contains {input.resource.status: "x"}`,
		"computed shape":  `oblige contains {"view": input.resource.labels}`,
		"empty view":      `oblige contains {"view": input.resource.author}`,
		"computed cost":   `oblige contains {"cost": count(input.resource.labels)}`,
	} {
		e, err := loadText(t, map[string]string{"a.rego": always + rule})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v := e.For(background, reading("Observation", clinician()))
		if ok, d := v.Possible(); !ok {
			t.Errorf("%s: impossible: %+v", name, d)
		}
		d := v.Decide(background, resource(facts()))
		if d.Allow || d.Err == nil {
			t.Errorf("%s: got %+v, want an error", name, d)
		}
	}
}

// TestCertainErrorsRefuseBeforeTheUpstream: what fails whatever the resource is
// known to fail before one is fetched (DESIGN §10.3).
func TestCertainErrorsRefuseBeforeTheUpstream(t *testing.T) {
	for name, rule := range map[string]string{
		"number":      `forbid contains "x" if to_number(input.subject.issuer) > 1`,
		"two domains": "oblige contains {\"domain\": \"a\"} if input.action == \"read\"\noblige contains {\"domain\": \"b\"} if input.request.type != \"\"",
		"no shape":    `oblige contains {"view": input.subject.roles}`,
	} {
		e := mustLoad(t, map[string]string{"a.rego": permitAll + rule})
		v := e.For(background, reading("Observation", clinician()))
		ok, d := v.Possible()
		if ok || d.Err == nil {
			t.Errorf("%s: got %v %+v, want an error", name, ok, d)
		}
		if _, err := v.Permit("Observation/1"); err == nil {
			t.Errorf("%s: a permit was given", name)
		}
	}
}

// TestSettledRulesDoNotErr: a rule that caller and request alone rule out
// cannot hold whatever else it says, and is not asked.
func TestSettledRulesDoNotErr(t *testing.T) {
	e := mustLoad(t, map[string]string{"a.rego": permitAll + `forbid contains "x" if { to_number(input.resource.date) > 1; count(input.subject.roles) > 5 }`})
	if d := e.For(background, reading("Observation", clinician())).Decide(background, resource(facts())); !d.Allow {
		t.Errorf("got %+v", d)
	}
}

// endless is a rule that would take minutes.
func endless(t *testing.T) *Engine {
	t.Helper()
	var n strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&n, "%d,", i+1)
	}
	return mustLoad(t, map[string]string{"t.yaml": "n: [" + n.String() + "]", "a.rego": permitAll +
		`forbid contains "slow" if { count([1 | some i in data.n; some j in data.n; some k in data.n; i * j * k == input.request.parameters.n[0]]) > 0 }` + "\n"})
}

// A rule that walks everything against everything is ended by its steps, on a
// fast machine as on a slow one, and denies.
func TestStepsDeny(t *testing.T) {
	e := endless(t)
	e.timeout, e.steps = time.Hour, 100_000
	v := e.For(background, reading("Observation", clinician()))
	_, outlook := v.Possible()
	d := v.Decide(background, resource(facts()))
	if d.Allow || !errors.Is(errors.Join(d.Err, outlook.Err), errSteps) {
		t.Errorf("got %+v, outlook %+v", d, outlook)
	}
}

func TestDeadlineDenies(t *testing.T) {
	e := endless(t)
	e.timeout = 50 * time.Millisecond
	start := time.Now()
	v := e.For(background, reading("Observation", clinician()))
	_, outlook := v.Possible()
	d := v.Decide(background, resource(facts()))
	if d.Allow || !errors.Is(errors.Join(d.Err, outlook.Err), errTimeout) {
		t.Errorf("got %+v, outlook %+v", d, outlook)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	gone, cancel := context.WithCancel(background)
	cancel()
	if d := e.For(gone, reading("Observation", clinician())).Decide(gone, resource(facts())); d.Allow || d.Err == nil {
		t.Errorf("after the request is gone: %+v", d)
	}
}

func TestPossible(t *testing.T) {
	e := mustLoad(t, map[string]string{"a.rego": `package gatehouse
permit contains "clinicians read observations" if {
	"clinician" in input.subject.roles
	input.action == "read"
	input.resource.type == "Observation"
	input.resource.status == "final"
}
forbid contains "not on Sundays" if input.context.now >= "2026-11-22"
oblige contains {"view": "v"} if input.subject.organization == "Organization/2"
oblige contains {"cost": 3} if input.resource.status == "final"
oblige contains {"step_up": {"acr": "a", "max_age": 300}} if input.action == "read"
oblige contains {"step_up": {"max_age": 60}} if input.action == "read"
`})
	nobody := &auth.Subject{Issuer: "i", ID: "x"}
	sunday := reading("Observation", clinician())
	sunday.Now = sunday.Now.Add(24 * time.Hour)
	everything := reading("Patient", clinician())
	everything.Operation = "$everything"
	for name, c := range map[string]struct {
		request *Request
		want    bool
		forbids []string
	}{
		"right type":                 {reading("Observation", clinician()), true, nil},
		"other type":                 {reading("Patient", clinician()), false, nil},
		"all types":                  {reading("", clinician()), true, nil},
		"operation returns any type": {everything, true, nil},
		"no role":                    {reading("Observation", nobody), false, nil},
		"forbidden by the hour":      {sunday, false, []string{"not on Sundays"}},
	} {
		v := e.For(background, c.request)
		ok, d := v.Possible()
		if ok != c.want || d.Allow || d.Err != nil || !slices.Equal(d.Forbids, c.forbids) {
			t.Errorf("%s: got %v %+v, want %v %v", name, ok, d, c.want, c.forbids)
		}
		if _, err := v.Permit("x"); (err == nil) != c.want {
			t.Errorf("%s: permit: %v", name, err)
		}
	}
	v := e.For(background, reading("Observation", clinician()))
	_, outlook := v.Possible()
	if o := outlook.Obligations; !slices.Equal(o.Views, []string{"v"}) || o.Cost != 0 || o.StepUp == nil || *o.StepUp != (StepUp{"a", 60}) {
		t.Errorf("obligations known before: %+v", o)
	}
	if d := v.Decide(background, resource(facts())); !d.Allow || d.Obligations.Cost != 3 || *d.Obligations.StepUp != (StepUp{"a", 60}) {
		t.Errorf("got %+v", d)
	}
}

// TestZeroValuesDeny: what was not filled in allows nothing.
func TestZeroValuesDeny(t *testing.T) {
	e := mustLoad(t, map[string]string{"a.rego": "package gatehouse\npermit contains \"p\" if input.action != \"\"\n"})
	full := reading("Observation", clinician())
	noSubject, noAction, noTime := *full, *full, *full
	noSubject.Subject, noAction.Action, noTime.Now = nil, "", time.Time{}
	for _, r := range []*Request{nil, {}, &noSubject, &noAction, &noTime} {
		v := e.For(background, r)
		if ok, d := v.Possible(); ok || d.Err == nil {
			t.Errorf("%+v: possible", r)
		}
		if d := v.Decide(background, resource(facts())); d.Allow || d.Err == nil {
			t.Errorf("%+v: got %+v", r, d)
		}
	}
	v := e.For(background, full)
	f := facts()
	for _, res := range []*Resource{nil, {}, {Facts: &fhir.Facts{}}, {Facts: &f}, {Facts: &f, Consent: ConsentResult{Decision: "allow"}}} {
		if d := v.Decide(background, res); d.Allow || d.Err == nil {
			t.Errorf("%+v: got %+v", res, d)
		}
	}
	if (Decision{}).Allow {
		t.Error("the zero decision allows")
	}
}

func TestPermitIsForItsTarget(t *testing.T) {
	e := mustLoad(t, map[string]string{"a.rego": permitAll})
	p, err := e.For(background, reading("Observation", clinician())).Permit("Observation/1")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Allows("Observation/1"); err != nil || p.Revision() != e.Revision() {
		t.Errorf("permit of its own request: %v, revision %s", err, p.Revision())
	}
	if p.Allows("Observation/2") == nil || (Permit{}).Allows("Observation/1") == nil || (Permit{}).Allows("") == nil {
		t.Error("a permit allows what it was not given for")
	}
}

func TestUnjudgedOpensUnderAnEvaluationAlone(t *testing.T) {
	e := mustLoad(t, map[string]string{"a.rego": permitAll})
	possible := e.For(background, reading("Observation", clinician()))
	writing := reading("Observation", clinician())
	writing.Action = "delete"
	body := func() Unjudged { return Hold(io.NopCloser(strings.NewReader("x"))) }
	if _, err := body().Open(possible); err != nil {
		t.Error(err)
	}
	if _, err := body().Open(nil); err == nil {
		t.Error("opened without an evaluation")
	}
	if _, err := body().Open(e.For(background, writing)); err == nil {
		t.Error("opened under an evaluation that refuses")
	}
	if _, err := (Unjudged{}).Open(possible); err == nil {
		t.Error("the zero value opened")
	}
	if err := errors.Join(body().Discard(), (Unjudged{}).Discard()); err != nil {
		t.Error(err)
	}
}

// TestConsentDenies whatever Rego says, but for the patient and an emergency
// grant (DESIGN §6, C-13).
func TestConsentDenies(t *testing.T) {
	e := mustLoad(t, map[string]string{"a.rego": permitAll})
	patient := &auth.Subject{Issuer: "i", ID: "p", Patient: "Patient/1", FHIRUser: "Patient/1"}
	launched := &auth.Subject{Issuer: "i", ID: "c", Patient: "Patient/1", FHIRUser: "Practitioner/7"}
	anonymous := &auth.Subject{Issuer: "i", ID: "c", Patient: "Patient/1"}
	grant := func(patient string, d time.Duration) func(*Request) {
		return func(r *Request) { r.Emergency = &Emergency{Patient: patient, Reason: "x", Until: r.Now.Add(d)} }
	}
	none := func(*Request) {}
	for name, c := range map[string]struct {
		subject *auth.Subject
		change  func(*Request)
		want    bool
	}{
		"clinician":               {clinician(), none, false},
		"the patient":             {patient, none, true},
		"a clinician's launch":    {launched, none, false},
		"an app without its user": {anonymous, none, false},
		"grant":                   {clinician(), grant("Patient/1", time.Minute), true},
		"grant that is over":      {clinician(), grant("Patient/1", 0), false},
		"grant for another":       {clinician(), grant("Patient/2", time.Minute), false},
	} {
		r := reading("Observation", c.subject)
		c.change(r)
		res := resource(facts())
		res.Consent.Decision = "deny"
		d := e.For(background, r).Decide(background, res)
		if d.Allow != c.want || d.Err != nil || !c.want && len(d.Forbids) == 0 {
			t.Errorf("%s: got %+v, want %v", name, d, c.want)
		}
		unnamed := facts()
		unnamed.Unnamed = true
		shared := facts()
		shared.Patients = []string{"Patient/1", "Patient/2"}
		for _, f := range []fhir.Facts{unnamed, shared, {Type: "Observation"}} {
			res := resource(f)
			res.Consent.Decision = "deny"
			if d := e.For(background, r).Decide(background, res); d.Allow {
				t.Errorf("%s: %+v: allowed", name, f)
			}
		}
	}
}

// TestCallersAreKeptApart: what one caller may do never answers for another,
// whatever the names are made of.
func TestCallersAreKeptApart(t *testing.T) {
	e := mustLoad(t, map[string]string{"a.rego": `package gatehouse
permit contains "a" if {
	input.subject.roles == ["ab", "c"]
	input.subject.purpose == ["d"]
	input.client.view == "v"
	input.subject.acr == "2"
	input.request.parameters.code == ["x"]
	input.subject.id == "ann"
	input.client.id == "app"
	input.context.emergency.patient == "Patient/1"
}`})
	good := func() *Request {
		s := &auth.Subject{Issuer: "i", ID: "ann", Roles: []string{"ab", "c"}, Purpose: []string{"d"}, ACR: "2"}
		r := reading("Observation", s)
		r.Client = ClientInfo{ID: "app", Config: map[string]any{"view": "v"}}
		r.Parameters = map[string][]string{"code": {"x"}}
		r.Emergency = &Emergency{Patient: "Patient/1", Until: r.Now}
		return r
	}
	bad := []func(*Request){
		func(r *Request) { r.Subject.Roles = []string{"a", "bc"} },
		func(r *Request) { r.Subject.Roles = []string{"ab", "c", "d"}; r.Subject.Purpose = nil },
		func(r *Request) { r.Subject.Roles = []string{"abc"} },
		func(r *Request) { r.Subject.Purpose = nil },
		func(r *Request) { r.Client.Config = nil },
		func(r *Request) { r.Client.Config = map[string]any{"view": "w"} },
		func(r *Request) { r.Subject.ACR = "" },
		func(r *Request) { r.Parameters = nil },
		func(r *Request) { r.Parameters = map[string][]string{"code": {"x", "y"}} },
		func(r *Request) { r.Subject.ID = "bob" },
		func(r *Request) { r.Client.ID = "app2" },
		func(r *Request) { r.Emergency = nil },
		func(r *Request) { r.Emergency.Patient = "Patient/2" },
	}
	for round := range 2 {
		if d := e.For(background, good()).Decide(background, resource(facts())); !d.Allow {
			t.Fatalf("round %d: %+v", round, d)
		}
		for i, change := range bad {
			r := good()
			change(r)
			if d := e.For(background, r).Decide(background, resource(facts())); d.Allow || d.Err != nil {
				t.Errorf("round %d, change %d: %+v", round, i, d)
			}
		}
	}
}

// TestCachesAreBounded under a flood of callers and of types that an upstream
// invents.
func TestCachesAreBounded(t *testing.T) {
	e := mustLoad(t, map[string]string{"a.rego": "package gatehouse\npermit contains \"p\" if { input.client.id != \"\"; input.resource.type != \"x\" }"})
	for i := range 3*maxCallers + 10 {
		r := reading("Observation", clinician())
		r.Client.ID = fmt.Sprint("client-", i)
		if d := e.For(background, r).Decide(background, resource(facts())); !d.Allow {
			t.Fatal(d)
		}
	}
	if n := len(e.callers.young) + len(e.callers.old); n > 2*maxCallers {
		t.Errorf("%d callers are kept", n)
	}
	v := e.For(background, reading("Observation", clinician()))
	for i := range 3 * maxTypes {
		f := facts()
		f.Type = fmt.Sprint("Type", i)
		if d := v.Decide(background, resource(f)); !d.Allow {
			t.Fatal(d)
		}
	}
	if n := len(v.caller.types); n > maxTypes+1 {
		t.Errorf("%d types are kept", n)
	}
}

// TestContent: a policy that names the content gets it whole, with its digits,
// and refuses what could be read in two ways.
func TestContent(t *testing.T) {
	e := mustLoad(t, map[string]string{"a.rego": "package gatehouse\npermit contains \"p\" if { input.resource.content.valueQuantity.value == 1.10; input.resource.content.text != null }"})
	v := e.For(background, reading("Observation", clinician()))
	for content, want := range map[string]bool{
		`{"valueQuantity":{"value":1.10},"text":true}`:               true,
		`{"valueQuantity":{"value":1.2},"text":true}`:                false,
		`{"valueQuantity":{"value":1.10},"text":null}`:               false,
		`{"valueQuantity":{"value":2,"value":1.10},"text":["a",{}]}`: false,
		`{"valueQuantity":{"value":1.10},"text":""} {}`:              false,
		`[]`: false,
		``:   false,
	} {
		res := resource(facts())
		res.Content = []byte(content)
		if d := v.Decide(background, res); d.Allow != want {
			t.Errorf("%s: got %+v, want %v", content, d, want)
		}
	}
}

// TestConcurrentCallers runs one engine from many goroutines (with -race).
func TestConcurrentCallers(t *testing.T) {
	e, err := Load(Options{Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 50 {
				s := clinician()
				s.Roles = [][]string{{"clinician"}, {"nurse"}, {"billing"}}[(i+k)%3]
				v := e.For(background, reading([]string{"Observation", "Patient"}[k%2], s))
				f := facts()
				f.Organization = "Organization/2"
				if d := v.Decide(background, resource(f)); d.Err != nil || d.Allow != (s.Roles[0] == "clinician") {
					t.Errorf("%v: %+v", s.Roles, d)
				}
			}
		})
	}
	wg.Wait()
}
