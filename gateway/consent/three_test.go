package consent

import (
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
)

// CONS-01, CONS-04: STU3 states a base policy with conditions, and exceptions to it.
func TestThree(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	doctor := Actor{User: "Practitioner/7", Organization: "Organization/2", Purpose: []string{"TREAT"}}
	with := func(members string) string {
		return `{"resourceType":"Consent","id":"c","status":"active","patient":{"reference":"Patient/1"},` + members + `}`
	}
	const in, out = `"policyRule":"http://hl7.org/fhir/ConsentPolicy/opt-in"`, `"policyRule":"http://hl7.org/fhir/ConsentPolicy/opt-out"`
	actor := func(ref string) string {
		return `"actor":[{"role":{"coding":[{"code":"IRCP"}]},"reference":{"reference":"` + ref + `"}}]`
	}
	for _, c := range []struct {
		name, consent, fallback, want string
	}{
		{"opt-in", with(in), "deny", "permit"},
		{"opt-out", with(out), "permit", "deny"},
		{"by policy", with(`"policy":[{"uri":"http://x/consent/opt-out"}]`), "permit", "deny"},
		{"another rule leaves it", with(`"policyRule":"http://x/regional"`), "deny", "none"},
		{"except a class", with(in + `,"except":[{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}]}]`), "permit", "deny"},
		{"except another class", with(in + `,"except":[{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Condition"}]}]`), "deny", "permit"},
		{"except somebody", with(out + `,"except":[{"type":"permit",` + actor("Organization/2") + `}]`), "deny", "permit"},
		{"except somebody else", with(out + `,"except":[{"type":"permit",` + actor("Organization/9") + `}]`), "permit", "deny"},
		{"a denial wins", with(out + `,"except":[{"type":"permit"},{"type":"deny"}]`), "permit", "deny"},
		{"a code", with(in + `,"except":[{"type":"deny","code":[{"system":"http://loinc.org","code":"1-8"}]}]`), "permit", "deny"},
		{"another code", with(in + `,"except":[{"type":"deny","code":[{"system":"http://loinc.org","code":"9-9"}]}]`), "deny", "permit"},
		{"STU3's purposes", with(in + `,"except":[{"type":"deny","purpose":[{"system":"http://hl7.org/fhir/v3/ActReason","code":"TREAT"}]}]`), "permit", "deny"},
		{"STU3's labels", with(in + `,"except":[{"type":"deny","securityLabel":[{"system":"http://hl7.org/fhir/v3/Confidentiality","code":"R"}]}]`), "deny", "permit"},
		{"the root is for somebody", with(in + `,` + actor("Organization/9")), "deny", "none"},
		{"the root is over", with(in + `,"period":{"end":"2020-01-01"}`), "deny", "none"},
		{"no type", with(in + `,"except":[{}]`), "permit", "deny"},
		{"an exception in an exception", with(in + `,"except":[{"type":"permit","provision":[{"type":"deny"}]}]`), "deny", "permit"},
		{"an element that it has not", with(in + `,"scope2":"x"`), "permit", "none"},
		{"a modifier", with(in + `,"modifierExtension":[{"url":"x"}]`), "permit", "none"},
		{"except is no list", with(in + `,"except":{"type":"deny"}`), "permit", "none"},
		{"a modifier of a denial", with(out + `,"modifierExtension":[{"url":"x"}]`), "permit", "deny"},
		{"withdrawn", strings.Replace(with(out), "active", "inactive", 1), "permit", "none"},
	} {
		e := New(config.Consent{Default: c.fallback, Zone: time.UTC}, Options{Version: fhir.STU3, Now: func() time.Time { return now }})
		one := e.reader.one([]byte(c.consent))
		f := fhir.Facts{Type: "Observation", ID: "o", Patients: []string{"Patient/1"}, Codes: []string{"http://loinc.org|1-8"}}
		v, _ := one.decide(&query{actor: doctor, action: "read", facts: &f, now: now, engine: e})
		if got := map[verdict]string{permit: "permit", deny: "deny", silent: "none"}[v]; got != c.want {
			t.Errorf("%s: got %s (%s), want %s", c.name, got, one.problem, c.want)
		}
	}
}

// A form means the same as it is written in each release: what it names, and
// nothing of the rest.
func TestFormInEachRelease(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	doctor := Actor{User: "Practitioner/7", Organization: "Organization/2", Purpose: []string{"TREAT"}}
	seal := NewSealer([]byte("k"))
	for _, v := range []fhir.Version{fhir.STU3, fhir.R4, fhir.R4B, fhir.R5} {
		e := New(config.Consent{Default: "deny", Zone: time.UTC, Authors: []string{"Organization/none"}}, Options{Version: v, Seal: seal, Now: func() time.Time { return now }})
		for _, decision := range []string{"permit", "deny"} {
			form, err := e.ReadForm(v, []byte(`{"patient":"Patient/1","decision":"`+decision+`","who":["Organization/2"],"what":{"types":["Observation"],"labels":["HIV"],"codes":["http://loinc.org|1-8"]},"purpose":["TREAT"],"until":"2027-01-31"}`))
			if err != nil {
				t.Fatal(err)
			}
			resource, err := form.Resource(v, seal, "Patient/1", now)
			if err != nil {
				t.Fatal(err)
			}
			one := e.reader.one(resource)
			if one.void || one.problem != "" || !one.sealed || !e.trusts(one) {
				t.Errorf("%s %s: %+v of %s", v, decision, one, resource)
			}
			whole := fhir.Facts{Type: "Observation", ID: "o", Patients: []string{"Patient/1"}, Labels: []string{"HIV"}, Codes: []string{"http://loinc.org|1-8"}}
			other, organization := whole, doctor
			other.Type, organization.Organization = "Condition", "Organization/9"
			for name, c := range map[string]struct {
				actor Actor
				facts fhir.Facts
				at    time.Time
				want  string
			}{
				"what it names": {doctor, whole, now, decision}, "another type": {doctor, other, now, "none"},
				"another organization": {organization, whole, now, "none"}, "later": {doctor, whole, now.AddDate(2, 0, 0), "none"},
			} {
				got, _ := one.decide(&query{actor: c.actor, action: "read", facts: &c.facts, now: c.at, engine: e})
				if word := map[verdict]string{permit: "permit", deny: "deny", silent: "none"}[got]; word != c.want {
					t.Errorf("%s %s: %s: got %s, want %s: %s", v, decision, name, word, c.want, resource)
				}
			}
			said := e.Summaries("Patient/1", [][]byte{resource})
			if may := map[string]string{"permit": "may see", "deny": "may not see"}[decision]; len(said) != 1 || !strings.Contains(said[0].Words, "Organization/2 "+may+" Observation") {
				t.Errorf("%s: %+v", v, said)
			}
			forged := strings.Replace(string(resource), "Organization/2", "Organization/9", 1)
			if one := e.reader.one([]byte(forged)); one.sealed {
				t.Errorf("%s: what was changed bears the mark: %s", v, forged)
			}
		}
	}
	// R5: what another writes in the gateway's words permits nothing.
	e := New(config.Consent{Default: "deny", Zone: time.UTC}, Options{Version: fhir.R5, Seal: seal, Now: func() time.Time { return now }})
	one := e.reader.one([]byte(`{"resourceType":"Consent","id":"x","status":"active","subject":{"reference":"Patient/1"},"policyBasis":{"uri":"` + formPermits + `"},"provision":[{}]}`))
	f := fhir.Facts{Type: "Observation", ID: "o", Patients: []string{"Patient/1"}}
	if got, _ := one.decide(&query{actor: doctor, action: "read", facts: &f, now: now, engine: e}); got != deny {
		t.Errorf("got %v", got)
	}
}
