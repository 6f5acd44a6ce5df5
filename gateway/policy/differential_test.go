package policy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/fhir"
	"gatehouse/gateway/auth"
)

// same tells whether two decisions are the same but for the text of an error.
func same(a, b Decision) bool {
	if a.Err != nil || b.Err != nil {
		return a.Err != nil && b.Err != nil && !a.Allow && !b.Allow
	}
	return a.Allow == b.Allow && reflect.DeepEqual(a.Permits, b.Permits) && reflect.DeepEqual(a.Forbids, b.Forbids) &&
		reflect.DeepEqual(a.Obligations, b.Obligations)
}

func drawSubject(t *rapid.T) *auth.Subject {
	some := func(label string, from ...string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(from), 0, 2).Draw(t, label)
	}
	one := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	return &auth.Subject{Issuer: "https://idp.test", ID: one("id", "ann", "bob"), Client: "c",
		Roles:        some("roles", "clinician", "admin", "researcher", "patient"),
		Organization: one("organization", "", "Organization/2", "Organization/3"),
		FHIRUser:     one("user", "", "Practitioner/7", "Practitioner/8", "Patient/1"),
		Patient:      one("patient", "", "Patient/1", "Patient/2"),
		Purpose:      some("purpose", "TREAT", "HRESCH"),
		ACR:          one("acr", "", "1", "2", "loa"),
	}
}

func drawRequest(t *rapid.T) *Request {
	r := reading(rapid.SampledFrom([]string{"", "Observation", "Device", "Patient"}).Draw(t, "type"), drawSubject(t))
	r.Action = rapid.SampledFrom([]string{"read", "search", "update", "operation"}).Draw(t, "action")
	r.ID = rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "request id")
	r.Now = time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "now"), 0)
	if rapid.Bool().Draw(t, "parameters") {
		r.Parameters = map[string][]string{"code": {"R", "s|1"}}
	}
	if rapid.Bool().Draw(t, "grant") {
		r.Emergency = &Emergency{Patient: "Patient/1", Reason: "collapsed", Until: r.Now.Add(time.Hour)}
	}
	if rapid.Bool().Draw(t, "configured") {
		r.Client.Config = map[string]any{"view": "research", "purposes": []string{"HRESCH"}}
	}
	return r
}

func drawResource(t *rapid.T) *Resource {
	some := func(label string, from ...string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(from), 0, 3).Draw(t, label)
	}
	one := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	res := &Resource{
		Facts: &fhir.Facts{
			Type: one("rtype", "Observation", "Device", "Patient", "Condition"), ID: one("rid", "", "1", "2"),
			Patients:      some("patients", "Patient/1", "Patient/2"),
			Organization:  one("rorg", "", "Organization/2", "Organization/3"),
			Practitioners: some("practitioners", "Practitioner/7", "Practitioner/8"),
			Labels:        some("labels", "R", "V", "HIV", "a"),
			Codes:         some("codes", "R", "s|1", "zz", "V"),
			Categories:    some("categories", "s|lab"),
			Status:        one("status", "", "final", "amended", "fünal", "FINAL", "clinician"),
			Author:        one("author", "", "Practitioner/7", "ann"),
			Date:          one("date", "", "2026", "2026-05-05", "2026-05-05T10:00:00Z", "4"),
			Unnamed:       one("unnamed", "", "", "x") == "x",
		},
		Consent: ConsentResult{Decision: one("consent", "permit", "none", "n/a"), Provision: "p", Source: "Consent/1"},
		Content: []byte(one("content", `{"status":"final","name":"ann"}`, `{"name":5}`, `{}`)),
	}
	if rapid.Bool().Draw(t, "related") {
		res.Relation = &Relation{
			Practitioners: some("related", "Practitioner/7", "Practitioner/9"),
			CareTeams:     some("teams", "CareTeam/1"),
			Encounters:    rapid.SliceOfN(rapid.Custom(drawEncounter), 0, 2).Draw(t, "encounters"),
		}
	}
	return res
}

func drawEncounter(t *rapid.T) Encounter {
	one := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	return Encounter{ID: "1", Status: one("estatus", "in-progress", "finished"), Start: one("start", "", "2026-01-01"),
		End: one("end", "", "2027"), Locations: []string{one("location", "Location/3", "Location/4")},
		Participants: []string{one("participant", "Practitioner/7", "Practitioner/8")}}
}

// differ draws callers and resources and holds the compiled policy to OPA's.
// What Possible says must be true of every resource.
func differ(t *testing.T, name string, e *Engine) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		r, res := drawRequest(t), drawResource(t)
		v := e.For(background, r)
		got, want := v.Decide(background, res), e.ask(background, r, res)
		if !same(got, want) {
			t.Fatalf("%s: compiled %+v, OPA %+v\nrequest %+v %+v\nfacts %+v\n%+v", name, got, want, r, r.Subject, res.Facts, res)
		}
		holdMemo(t, name, v, res)
		possible, outlook := v.Possible()
		typed := r.Action != "operation" && r.Type == res.Facts.Type
		if !possible && want.Allow && (r.Type == "" || typed) {
			t.Fatalf("%s: said impossible (%+v), OPA %+v", name, outlook, want)
		}
	})
}

// holdMemo decides on neighbours, which share most of what rules read, with the
// memory of those before.
func holdMemo(t *rapid.T, name string, v *Evaluation, first *Resource) {
	memo, others := &Memo{}, []*Resource{first, first}
	for range 4 {
		other, like := drawResource(t), *first
		facts := *first.Facts
		like.Facts = &facts
		switch rapid.IntRange(0, 14).Draw(t, "what differs") {
		case 0:
			facts.Type = other.Facts.Type
		case 1:
			facts.ID = other.Facts.ID
		case 2:
			facts.Patients = other.Facts.Patients
		case 3:
			facts.Organization = other.Facts.Organization
		case 4:
			facts.Practitioners = other.Facts.Practitioners
		case 5:
			facts.Labels = other.Facts.Labels
		case 6:
			facts.Codes = other.Facts.Codes
		case 7:
			facts.Categories = other.Facts.Categories
		case 8:
			facts.Status = other.Facts.Status
		case 9:
			facts.Author = other.Facts.Author
		case 10:
			facts.Date = other.Facts.Date
		case 11:
			facts.Unnamed = other.Facts.Unnamed
		case 12:
			like.Consent = other.Consent
		case 13:
			like.Relation = other.Relation
		case 14:
			like.Consent.Source = "Consent/2"
		}
		others = append(others, &like)
	}
	for i, res := range others {
		if i > 0 && res.Consent == others[i-1].Consent && res.Relation == others[i-1].Relation && memo.Covers(res.Facts) {
			if got, want := v.Decide(background, others[i-1]), v.Decide(background, res); !same(got, want) {
				t.Fatalf("%s: said to be decided like the one before, %+v, alone %+v\nfacts %+v\n%+v", name, got, want, res.Facts, res)
			}
		}
		if got, want := v.DecideLike(background, res, memo), v.Decide(background, res); !same(got, want) {
			t.Fatalf("%s: like those before %+v, alone %+v\nfacts %+v\n%+v", name, got, want, res.Facts, res)
		}
	}
}

func TestCompiledDecidesAsOPA(t *testing.T) {
	for i, body := range zoo {
		rule := fmt.Sprintf("permit contains \"p\" if { %s }\nforbid contains \"f\" if { input.resource.type != \"Patient\"; %s }\noblige contains {\"view\": \"v\"} if { %s }", body, body, body)
		e, err := loadText(t, map[string]string{"a.rego": "package gatehouse\npermit contains \"always\" if input.action != \"none\"\n" + rule + zooHelpers, "t.yaml": zooData + manyRowsTable()})
		if err != nil {
			t.Errorf("%d %s: %v", i, body, err)
			continue
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) { differ(t, body, e) })
	}
}

// TestCompiledDecidesAsOPATogether puts all rules of the zoo that cannot err
// into one policy, large enough to be searched by index.
func TestCompiledDecidesAsOPATogether(t *testing.T) {
	rules := "package gatehouse\n"
	n := 0
	for i, body := range zoo {
		if mayErr(body) {
			continue
		}
		n++
		set := []string{"permit", "permit", "forbid", "oblige"}[i%4]
		member := fmt.Sprintf("%q", body)
		if set == "oblige" {
			member = fmt.Sprintf(`{"view": %q}`, body)
		}
		rules += fmt.Sprintf("%s contains %s if { %s }\n", set, member, body)
	}
	for i := range 30 {
		rules += fmt.Sprintf("permit contains \"n%d\" if { input.resource.status == \"s%d\" }\n", i, i)
	}
	e := mustLoad(t, map[string]string{"a.rego": rules + zooHelpers, "t.yaml": zooData + manyRowsTable()})
	differ(t, fmt.Sprint(n, " rules"), e)
}

// TestIndexedDecidesAsOPA is a policy of which nothing stays with OPA.
func TestIndexedDecidesAsOPA(t *testing.T) {
	rules := "package gatehouse\n"
	for i, v := range []string{"final", "amended", "FINAL", "clinician", ""} {
		rules += fmt.Sprintf("permit contains \"s%d\" if { input.resource.status == %q; \"R\" in input.resource.labels }\n", i, v)
		rules += fmt.Sprintf("permit contains \"a%d\" if { %q == input.resource.status; input.resource.organization == input.subject.organization }\n", i, v)
	}
	for i, v := range []string{"R", "V", "HIV", "a", "none"} {
		rules += fmt.Sprintf("forbid contains \"l%d\" if { %q in input.resource.labels; not %q in input.resource.codes }\n", i, v, v)
		rules += fmt.Sprintf("permit contains \"o%d\" if { input.resource.organization == \"Organization/%d\" }\n", i, i)
	}
	e := mustLoad(t, map[string]string{"a.rego": rules})
	v := e.For(background, reading("Observation", clinician()))
	if r, err := v.residual(background, "Observation"); err != nil || r.index == nil {
		t.Fatal("no index", err)
	}
	differ(t, "indexed", e)
}

// mayErr tells that a rule of the zoo can fail. Beside a condition that the
// request alone rules out, OPA may fail where the compiled policy does not ask
// (TestSettledRulesDoNotErr).
func mayErr(body string) bool {
	return slices.ContainsFunc([]string{"to_number", `"("`, "match(input.resource.date", "parse_rfc3339_ns(input.resource", "conflict",
		"picked", "table", "chosen", "-1, 2", "content"}, func(s string) bool { return strings.Contains(body, s) })
}

// TestCompiledDecidesAsOPAComposed joins conditions of the zoo by chance.
func TestCompiledDecidesAsOPAComposed(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for n := 0; n < 20; {
		bodies := map[string]bool{}
		for range 2 + chance.IntN(2) {
			if b := zoo[chance.IntN(len(zoo))]; !mayErr(b) {
				bodies[b] = true
			}
		}
		body := strings.Join(slices.Sorted(maps.Keys(bodies)), "; ")
		rule := fmt.Sprintf("permit contains \"p\" if { %s }\nforbid contains \"f\" if { inner }\ninner if { %s }\npermit contains \"n\" if { not inner }\n", body, body)
		e, err := loadText(t, map[string]string{"a.rego": "package gatehouse\n" + rule + zooHelpers, "t.yaml": zooData + manyRowsTable()})
		if err != nil {
			continue // two conditions name one variable
		}
		n++
		t.Run(fmt.Sprint(n), func(t *testing.T) { differ(t, body, e) })
	}
}
