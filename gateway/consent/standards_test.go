package consent

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
)

// The requirements CONS-01 … CONS-10 of STANDARDS §4, beyond what TestDecide
// has of them.

const observation = `{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/1"},"encounter":{"reference":"Encounter/5"},` +
	`"performer":[{"reference":"Practitioner/8"}],"basedOn":[{"reference":"CarePlan/3"}],"code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},` +
	`"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]}}]}`

// rule is what one row of a table says: a configuration, Consents, an access.
type rule struct {
	name     string
	config   func(*config.Consent)
	consents []string
	actor    Actor
	action   string
	labels   []string
	date     string
	want     string
	refused  bool
}

func (r *rule) run(t *testing.T) {
	t.Helper()
	c := usual()
	if r.config != nil {
		r.config(&c)
	}
	if r.date == "" {
		r.date = "2026-03-01"
	}
	if r.action == "" {
		r.action = "read"
	}
	facts := &fhir.Facts{Type: "Observation", ID: "o", Patients: []string{"Patient/1"}, Encounter: "Encounter/5", Practitioners: []string{"Practitioner/8"},
		Codes: []string{"http://loinc.org|85354-9"}, Labels: r.labels, Date: r.date}
	named := map[string]string{
		"CareTeam/1":         `{"resourceType":"CareTeam","id":"1","status":"active","participant":[{"member":{"reference":"Practitioner/7"}},{"member":{"reference":"Practitioner/9"},"period":{"end":"2020"}}]}`,
		"CareTeam/2":         `{"resourceType":"CareTeam","id":"2","status":"inactive","participant":[{"member":{"reference":"Practitioner/7"}}]}`,
		"Group/1":            `{"resourceType":"Group","id":"1","type":"practitioner","actual":true,"member":[{"entity":{"reference":"Practitioner/7"}},{"entity":{"reference":"Practitioner/9"},"inactive":true}]}`,
		"Group/2":            `{"resourceType":"Group","id":"2","type":"practitioner","actual":false,"characteristic":[{"code":{"text":"x"}}]}`,
		"PractitionerRole/4": `{"resourceType":"PractitionerRole","id":"4","practitioner":{"reference":"Practitioner/7"}}`,
		"Encounter/5":        `{"resourceType":"Encounter","id":"5","diagnosis":[{"condition":{"reference":"Condition/1"}}]}`,
		"Encounter/6":        `{"resourceType":"Encounter","id":"6","reasonReference":[{"reference":"Observation/o"}]}`,
		"Encounter/7":        `{"resourceType":"Encounter","id":"7"}`,
		"Practitioner?identifier=urn%3Anpi%7C123": `{"resourceType":"Practitioner","id":"7"}`,
	}
	e := engine(c, &source{consents: r.consents, named: named})
	got := decide(t, e, r.actor, r.action, facts, observation)
	if got.Decision != r.want || got.Refused != r.refused {
		t.Errorf("got %s, refused %v by %s %s; want %s, refused %v", got.Decision, got.Refused, got.Source, got.Provision, r.want, r.refused)
	}
}

func root(typ, rest string) string {
	if rest != "" {
		rest = "," + rest
	}
	return wrap(`,"provision":{"type":"` + typ + `"` + rest + `}`)
}

// five is a Consent of R5.
func five(decision, rest string) string {
	return `{"resourceType":"Consent","id":"c5","status":"active","subject":{"reference":"Patient/1"},"decision":"` + decision + `"` + rest + `}`
}

func person(ref string) string { return `"actor":[{"reference":` + ref + `}]` }

func literal(ref string) string { return `{"reference":"` + ref + `"}` }

var (
	doctor   = Actor{User: "Practitioner/7", Organization: "Organization/2", Client: "app", Roles: []string{"clinician"}, Purpose: []string{"TREAT"}}
	permits  = root("permit", "")
	denyThen = func(conditions string) []string { return []string{permits, root("deny", conditions)} }
)

func TestConsentsByStandard(t *testing.T) {
	as := func(change func(*Actor)) Actor {
		a := doctor
		change(&a)
		return a
	}
	only := func(conditions string) []string { return []string{root("permit", conditions)} }
	policy := func(name string) func(*config.Consent) { return func(c *config.Consent) { c.Default = name } }
	newest := func(c *config.Consent) { c.Conflicts = "newest" }
	dated := func(consent, date string) string {
		return strings.Replace(consent, `"status"`, `"dateTime":"`+date+`","status"`, 1)
	}
	clerk := as(func(a *Actor) { a.Roles = []string{"clerk"} })
	btg := as(func(a *Actor) { a.Purpose = []string{"BTG"} })
	berlin := func(c *config.Consent) { c.Zone, _ = time.LoadLocation("Europe/Berlin") }
	for _, r := range []rule{
		// CONS-01
		{name: "CONS-01 not given yet", consents: []string{dated(permits, "2026-06-01")}, actor: doctor, want: "none", refused: true},
		{name: "CONS-01 a denial of the future denies", consents: []string{permits, dated(root("deny", ""), "2026-06-01")}, actor: doctor, want: "deny", refused: true},
		{name: "CONS-01 somebody else's Consent", consents: []string{strings.Replace(permits, "Patient/1", "Patient/2", 1)}, actor: doctor, want: "none", refused: true},
		{name: "CONS-01 not the patient's though he performs it", consents: []string{strings.Replace(strings.Replace(root("deny", ""), "Patient/1", "Patient/2", 1), `"status"`, `"performer":[{"reference":"Patient/1"}],"status"`, 1), permits}, actor: doctor, want: "permit"},
		{name: "CONS-01 own base", consents: []string{strings.Replace(permits, "Patient/1", "https://ehr.example.org/fhir/Patient/1", 1)}, actor: doctor, want: "permit"},
		{name: "C-10 another server's name for the patient denies and does not permit", consents: []string{strings.Replace(permits, "Patient/1", "https://other.example/Patient/1", 1)}, actor: doctor, want: "none", refused: true},
		{name: "C-10 …", consents: []string{permits, strings.Replace(root("deny", ""), "Patient/1", "https://other.example/Patient/1", 1)}, actor: doctor, want: "deny", refused: true},
		{name: "C-10 a patient by identifier alone", consents: []string{permits, strings.Replace(root("deny", ""), `"reference":"Patient/1"`, `"identifier":{"value":"1"}`, 1)}, actor: doctor, want: "deny", refused: true},
		{name: "CONS-01 rejected", consents: denyThenStatus("rejected"), actor: doctor, want: "permit"},
		{name: "CONS-01 a status that there is not", consents: denyThenStatus("enforced"), actor: doctor, want: "deny", refused: true},
		{name: "CONS-01 no scope", consents: []string{strings.Replace(permits, `"scope"`, `"x-scope"`, 1)}, actor: doctor, want: "none", refused: true},
		{name: "C-10 ends today, here", config: berlin, consents: only(`"period":{"end":"2026-05-01"}`), actor: doctor, want: "permit"},
		{name: "C-10 23:59 local is still in it", consents: only(`"period":{"end":"2026-05-01T13:59:59+02:00"}`), actor: doctor, want: "none", refused: true},
		{name: "C-10 the second that it ends in", consents: only(`"period":{"end":"2026-05-01T14:00:00+02:00"}`), actor: doctor, want: "permit"},
		{name: "C-10 a minute is no FHIR date", consents: only(`"period":{"end":"2026-05-01T14:00+02:00"}`), actor: doctor, want: "none", refused: true},
		{name: "C-10 no zone is no FHIR date", consents: denyThen(`"period":{"start":"2026-06-01T00:00:00"}`), actor: doctor, want: "deny", refused: true},
		{name: "C-10 it ends before it begins", consents: only(`"period":{"start":"2026-06","end":"2026-05"}`), actor: doctor, want: "none", refused: true},
		// CONS-02
		{name: "CONS-02 default deny", actor: doctor, want: "none", refused: true},
		{name: "CONS-02 permit", config: policy("permit"), actor: doctor, want: "none"},
		{name: "CONS-02 basic: a clinician", config: policy("Policy-basic-normal"), actor: doctor, want: "none"},
		{name: "CONS-02 basic: a clerk", config: policy("Policy-basic-normal"), actor: clerk, want: "none", refused: true},
		{name: "CONS-02 basic: not for research", config: policy("Policy-basic-normal"), actor: as(func(a *Actor) { a.Purpose = []string{"HRESCH"} }), want: "none", refused: true},
		{name: "CONS-02 basic: who does not say why", config: policy("Policy-basic-normal"), actor: as(func(a *Actor) { a.Purpose = nil }), want: "none", refused: true},
		{name: "CONS-02 all", config: policy("Policy-all-normal"), actor: clerk, want: "none"},
		{name: "CONS-02 break-glass: treatment", config: policy("Policy-break-glass-only"), actor: doctor, want: "none", refused: true},
		{name: "CONS-02 break-glass", config: policy("Policy-break-glass-only"), actor: btg, want: "none"},
		{name: "CONS-02 break-glass: a clerk", config: policy("Policy-break-glass-only"), actor: as(func(a *Actor) { a.Purpose, a.Roles = []string{"BTG"}, nil }), want: "none", refused: true},
		{name: "CONS-02 Policy-deny", config: policy("Policy-deny"), actor: btg, want: "none", refused: true},
		{name: "CONS-02 no such policy", config: policy("Policy-mine"), actor: doctor, want: "none", refused: true},
		// CONS-03
		{name: "CONS-03 explicit overrides implicit", config: policy("permit"), consents: []string{root("deny", "")}, actor: doctor, want: "deny", refused: true},
		{name: "CONS-03 newest permits", config: newest, consents: []string{dated(permits, "2026-02"), dated(root("deny", ""), "2026-01")}, actor: doctor, want: "permit"},
		{name: "CONS-03 newest, in either order", config: newest, consents: []string{dated(root("deny", ""), "2026-01"), dated(permits, "2026-02")}, actor: doctor, want: "permit"},
		{name: "CONS-03 newest denies", config: newest, consents: []string{dated(permits, "2026-01"), dated(root("deny", ""), "2026-02")}, actor: doctor, want: "deny", refused: true},
		{name: "CONS-03 of one day, a denial", config: newest, consents: []string{dated(permits, "2026-02"), dated(root("deny", ""), "2026-02")}, actor: doctor, want: "deny", refused: true},
		{name: "CONS-03 what cannot be read is not outdated", config: newest, consents: []string{dated(permits, "2026-02"), `{"resourceType":"Consent","patient":{"reference":"Patient/1"},"status":"active","status":"x"}`}, actor: doctor, want: "deny", refused: true},
		// CONS-04, C6
		{name: "C6 policy.uri of PCF", consents: []string{wrap(`,"policy":[{"uri":"https://profiles.ihe.net/ITI/PCF/Policy-basic-normal"}]`)}, actor: doctor, want: "permit"},
		{name: "C6 policy.uri of PCF, a clerk", consents: []string{wrap(`,"policy":[{"uri":"https://profiles.ihe.net/ITI/PCF/Policy-basic-normal"}]`)}, actor: clerk, want: "deny", refused: true},
		{name: "C6 an unknown base policy leaves it to the implicit one", config: policy("permit"), consents: []string{wrap(`,"policy":[{"uri":"urn:x"}],"provision":{"provision":[{"type":"deny","class":[{"code":"Condition"}]}]}`)}, actor: doctor, want: "none"},
		{name: "C6 … but for its exceptions", config: policy("permit"), consents: []string{wrap(`,"policy":[{"uri":"urn:x"}],"provision":{"provision":[{"type":"deny"}]}`)}, actor: doctor, want: "deny", refused: true},
		{name: "C6 opt-out but for one", consents: []string{wrap(`,"policyRule":{"coding":[{"code":"OPTOUT"}]},"provision":{"type":"permit",` + person(literal("Practitioner/7")) + `}`)}, actor: doctor, want: "permit"},
		{name: "C6 opt-out for all others", config: policy("permit"), consents: []string{wrap(`,"policyRule":{"coding":[{"code":"OPTOUT"}]},"provision":{"type":"permit",` + person(literal("Practitioner/9")) + `}`)}, actor: doctor, want: "deny", refused: true},
		{name: "contradictory: opt-out, and a permit of everything", config: policy("permit"), consents: []string{wrap(`,"policyRule":{"coding":[{"code":"OPTOUT"}]},"provision":{"type":"permit"}`)}, actor: doctor, want: "deny", refused: true},
		{name: "C6 a type that there is not", config: policy("permit"), consents: []string{root("maybe", "")}, actor: doctor, want: "deny", refused: true},
		{name: "CONS-04 an exception without a type", consents: []string{wrap(`,"provision":{"type":"permit","provision":[{"class":[{"code":"Observation"}]}]}`)}, actor: doctor, want: "deny", refused: true},
		{name: "CONS-04 an empty list is not none", consents: only(`"actor":[]`), actor: doctor, want: "none", refused: true},
		{name: "CONS-04 an object where there is a list", consents: only(`"actor":{"reference":{"reference":"Practitioner/7"}}`), actor: doctor, want: "none", refused: true},
		{name: "CONS-04 … denies", consents: denyThen(`"actor":{"reference":{"reference":"Practitioner/9"}}`), actor: doctor, want: "deny", refused: true},
		// CONS-05
		{name: "CONS-05 team", consents: only(person(literal("CareTeam/1"))), actor: doctor, want: "permit"},
		{name: "CONS-05 no longer of the team", consents: only(person(literal("CareTeam/1"))), actor: as(func(a *Actor) { a.User = "Practitioner/9" }), want: "none", refused: true},
		{name: "CONS-05 a team that is no more", consents: only(person(literal("CareTeam/2"))), actor: doctor, want: "none", refused: true},
		{name: "CONS-05 a team that is not found denies", consents: denyThen(person(literal("CareTeam/404"))), actor: doctor, want: "deny", refused: true},
		{name: "CONS-05 not of the denied team", consents: denyThen(person(literal("CareTeam/1"))), actor: as(func(a *Actor) { a.User = "Practitioner/9" }), want: "permit"},
		{name: "CONS-05 group", consents: only(person(literal("Group/1"))), actor: doctor, want: "permit"},
		{name: "CONS-05 a group that is described", consents: only(person(literal("Group/2"))), actor: doctor, want: "none", refused: true},
		{name: "CONS-05 … denies", consents: denyThen(person(literal("Group/2"))), actor: doctor, want: "deny", refused: true},
		{name: "CONS-05 role of a practitioner", consents: only(person(literal("PractitionerRole/4"))), actor: doctor, want: "permit"},
		{name: "CONS-05 practitioner known by a role", consents: only(person(literal("Practitioner/7"))), actor: as(func(a *Actor) { a.User = "PractitionerRole/4" }), want: "none", refused: true},
		{name: "CONS-05 practitioner known by a role, and a team", consents: only(`"actor":[{"reference":{"reference":"CareTeam/1"}},{"reference":{"reference":"Practitioner/3"}}]`), actor: as(func(a *Actor) { a.User = "PractitionerRole/4" }), want: "permit"},
		{name: "CONS-05 device: the client", consents: only(person(literal("Device/app"))), actor: doctor, want: "permit"},
		{name: "CONS-05 related person", consents: only(person(literal("RelatedPerson/3"))), actor: as(func(a *Actor) { a.User = "RelatedPerson/3" }), want: "permit"},
		{name: "CONS-05 by identifier", consents: only(person(`{"type":"Practitioner","identifier":{"system":"urn:npi","value":"123"}}`)), actor: doctor, want: "permit"},
		{name: "CONS-05 by another identifier", consents: only(person(`{"type":"Practitioner","identifier":{"system":"urn:npi","value":"666"}}`)), actor: doctor, want: "none", refused: true},
		{name: "CONS-05 another server's practitioner of that id", consents: only(person(literal("https://evil.example/Practitioner/7"))), actor: doctor, want: "none", refused: true},
		{name: "CONS-05 a custodian is not who reads", consents: only(`"actor":[{"role":{"coding":[{"code":"CST"}]},"reference":{"reference":"Organization/2"}}]`), actor: doctor, want: "none", refused: true},
		{name: "CONS-05 who does not say who he is may be the denied one", consents: denyThen(person(literal("Practitioner/9"))), actor: as(func(a *Actor) { a.User = "" }), want: "deny", refused: true},
		{name: "CONS-05 a machine is nobody", consents: denyThen(person(literal("Practitioner/9"))), actor: as(func(a *Actor) { a.User, a.Machine = "", true }), want: "permit"},
		// CONS-06
		{name: "CONS-06 disclose is reading", consents: only(`"action":[{"coding":[{"code":"disclose"}]}]`), actor: doctor, want: "permit"},
		{name: "CONS-06 use alone opens nothing", consents: only(`"action":[{"coding":[{"code":"use"}]}]`), actor: doctor, want: "none", refused: true},
		{name: "CONS-06 no use is no reading", consents: denyThen(`"action":[{"coding":[{"code":"use"}]}]`), actor: doctor, want: "deny", refused: true},
		{name: "CONS-06 correct is writing", consents: only(`"action":[{"coding":[{"code":"correct"}]}]`), actor: doctor, action: "update", want: "permit"},
		{name: "CONS-06 collect is not reading", consents: only(`"action":[{"coding":[{"code":"collect"}]}]`), actor: doctor, want: "none", refused: true},
		{name: "CONS-06 an action in words permits nothing", consents: only(`"action":[{"text":"access"}]`), actor: doctor, want: "none", refused: true},
		// CONS-07
		{name: "CONS-07 COVERAGE is payment", consents: only(`"purpose":[{"code":"HPAYMT"}]`), actor: as(func(a *Actor) { a.Purpose = []string{"COVERAGE"} }), want: "permit"},
		{name: "CONS-07 payment is not COVERAGE", consents: only(`"purpose":[{"code":"COVERAGE"}]`), actor: as(func(a *Actor) { a.Purpose = []string{"HPAYMT"} }), want: "none", refused: true},
		{name: "CONS-07 no treatment does not close the glass", consents: []string{root("permit", `"purpose":[{"code":"BTG"}]`), root("deny", `"purpose":[{"code":"TREAT"}]`)}, actor: btg, want: "permit"},
		{name: "CONS-07 a purpose of another system", consents: only(`"purpose":[{"system":"urn:mine","code":"TREAT"}]`), actor: doctor, want: "none", refused: true},
		{name: "CONS-07 a purpose without a code", consents: denyThen(`"purpose":[{"display":"everything"}]`), actor: doctor, want: "deny", refused: true},
		// CONS-08
		{name: "CONS-08 no ETH is no ETHUD", consents: denyThen(`"securityLabel":[{"code":"ETH"}]`), labels: []string{"ETHUD"}, actor: doctor, want: "deny", refused: true},
		{name: "CONS-08 no SUD is no ETHUD", consents: denyThen(`"securityLabel":[{"code":"SUD"}]`), labels: []string{"ETHUD"}, actor: doctor, want: "deny", refused: true},
		{name: "CONS-08 no SUD is no ETH", consents: denyThen(`"securityLabel":[{"code":"SUD"}]`), labels: []string{"ETH"}, actor: doctor, want: "deny", refused: true},
		{name: "CONS-08 SUD permitted is not ETH", consents: only(`"securityLabel":[{"code":"SUD"}]`), labels: []string{"ETH"}, actor: doctor, want: "none", refused: true},
		{name: "CONS-08 no ETHUD is not no ETH", consents: denyThen(`"securityLabel":[{"code":"ETHUD"}]`), labels: []string{"ETH"}, actor: doctor, want: "permit"},
		{name: "CONS-08 no R is no V", consents: denyThen(`"securityLabel":[{"code":"R"}]`), labels: []string{"V"}, actor: doctor, want: "deny", refused: true},
		{name: "CONS-08 no R leaves N", consents: denyThen(`"securityLabel":[{"code":"R"}]`), labels: []string{"N"}, actor: doctor, want: "permit"},
		{name: "CONS-08 up to R is not V", consents: only(`"securityLabel":[{"code":"R"}]`), labels: []string{"N", "V"}, actor: doctor, want: "none", refused: true},
		{name: "CONS-08 a label of another system", consents: denyThen(`"securityLabel":[{"system":"urn:l","code":"R"}]`), labels: []string{"R"}, actor: doctor, want: "permit"},
		// CONS-09
		{name: "CONS-09 a profile permits nothing", consents: only(`"class":[{"system":"urn:ietf:rfc:3986","code":"http://x/StructureDefinition/y"}]`), actor: doctor, want: "none", refused: true},
		{name: "CONS-09 a code within denies", consents: denyThen(`"code":[{"coding":[{"system":"http://loinc.org","code":"8480-6"}]}]`), actor: doctor, want: "deny", refused: true},
		{name: "CONS-09 a code within permits nothing", consents: only(`"code":[{"coding":[{"system":"http://loinc.org","code":"8480-6"}]}]`), actor: doctor, want: "none", refused: true},
		{name: "CONS-09 a code in words", consents: denyThen(`"code":[{"text":"HIV"}]`), actor: doctor, want: "deny", refused: true},
		{name: "CONS-09 related: of the encounter", consents: only(`"data":[{"meaning":"related","reference":{"reference":"Encounter/5"}}]`), actor: doctor, want: "permit"},
		{name: "CONS-09 related: the encounter names it", consents: only(`"data":[{"meaning":"related","reference":{"reference":"Encounter/6"}}]`), actor: doctor, want: "permit"},
		{name: "CONS-09 related: of another encounter", consents: denyThen(`"data":[{"meaning":"related","reference":{"reference":"Encounter/7"}}]`), actor: doctor, want: "permit"},
		{name: "CONS-09 related to what is gone", consents: denyThen(`"data":[{"meaning":"related","reference":{"reference":"Encounter/404"}}]`), actor: doctor, want: "deny", refused: true},
		{name: "CONS-09 dependents", consents: denyThen(`"data":[{"meaning":"dependents","reference":{"reference":"CarePlan/3"}}]`), actor: doctor, want: "deny", refused: true},
		{name: "CONS-09 no dependent", consents: denyThen(`"data":[{"meaning":"dependents","reference":{"reference":"CarePlan/4"}}]`), actor: doctor, want: "permit"},
		{name: "CONS-09 authored by", consents: denyThen(`"data":[{"meaning":"authoredby","reference":{"reference":"Practitioner/8"}}]`), actor: doctor, want: "deny", refused: true},
		{name: "CONS-09 authored by another", consents: denyThen(`"data":[{"meaning":"authoredby","reference":{"reference":"Practitioner/7"}}]`), actor: doctor, want: "permit"},
		{name: "CONS-09 a meaning that there is not", consents: denyThen(`"data":[{"meaning":"near","reference":{"reference":"Encounter/7"}}]`), actor: doctor, want: "deny", refused: true},
		{name: "dataPeriod: a date partly inside denies", consents: denyThen(`"dataPeriod":{"start":"2026-03-15"}`), date: "2026-03", actor: doctor, want: "deny", refused: true},
		{name: "dataPeriod: a date around it denies", consents: denyThen(`"dataPeriod":{"start":"2026-03-10","end":"2026-03-12"}`), date: "2026-03", actor: doctor, want: "deny", refused: true},
		{name: "dataPeriod: … and permits nothing", consents: only(`"dataPeriod":{"start":"2026-03-10","end":"2026-03-12"}`), date: "2026-03", actor: doctor, want: "none", refused: true},
		// CONS-10
		{name: "CONS-10 permits are void within a denial too", consents: []string{wrap(`,"modifierExtension":[{"url":"x"}],"provision":{"type":"deny","provision":[{"type":"permit"}]}`)}, actor: doctor, want: "deny", refused: true},
		{name: "CONS-10 a member that R4 has not", consents: []string{wrap(`,"except":[{"type":"deny"}],"provision":{"type":"permit"}`)}, actor: doctor, want: "none", refused: true},
		{name: "CONS-10 deeper than is read", consents: []string{wrap(`,"provision":` + strings.Repeat(`{"type":"permit","provision":[`, 20) + `{"type":"deny"}` + strings.Repeat(`]}`, 20))}, actor: doctor, want: "none", refused: true},
		{name: "CONS-10 STU3's form denies", config: policy("permit"), consents: []string{`{"resourceType":"Consent","id":"c3","status":"active","patient":{"reference":"Patient/1"},"policyRule":"http://hl7.org/fhir/ConsentPolicy/opt-out","except":[{"type":"permit"}]}`}, actor: doctor, want: "deny", refused: true},
		{name: "CONS-10 a modifierExtension and no rule", config: policy("permit"), consents: []string{wrap(`,"modifierExtension":[{"url":"x"}]`)}, actor: doctor, want: "deny", refused: true},
		// R5
		{name: "R5 permit", consents: []string{five("permit", "")}, actor: doctor, want: "permit"},
		{name: "R5 provisions turn round", consents: []string{five("permit", `,"provision":[{"resourceType":[{"code":"Observation"}]}]`)}, actor: doctor, want: "deny", refused: true},
		{name: "R5 and again", consents: []string{five("permit", `,"provision":[{"resourceType":[{"code":"Observation"}],"provision":[{`+person(literal("Practitioner/7"))+`}]}]`)}, actor: doctor, want: "permit"},
		{name: "R5 deny, but for one", consents: []string{five("deny", `,"provision":[{`+person(literal("Practitioner/7"))+`}]`)}, actor: doctor, want: "permit"},
		{name: "R5 an expression permits nothing", consents: []string{five("deny", `,"provision":[{"expression":{"language":"text/fhirpath","expression":"true"}}]`)}, actor: doctor, want: "deny", refused: true},
		{name: "R5 an expression denies", consents: []string{five("permit", `,"provision":[{"expression":{"language":"text/fhirpath","expression":"true"}}]`)}, actor: doctor, want: "deny", refused: true},
		{name: "R5 no decision", config: policy("permit"), consents: []string{strings.Replace(five("permit", `,"provision":[{}]`), `"decision":"permit",`, "", 1)}, actor: doctor, want: "deny", refused: true},
		{name: "R5 a decision that there is not", config: policy("permit"), consents: []string{five("perhaps", "")}, actor: doctor, want: "deny", refused: true},
		{name: "R5 over", consents: []string{five("permit", `,"period":{"end":"2025"}`)}, actor: doctor, want: "none", refused: true},
		{name: "R5 for another grantee", consents: []string{five("permit", `,"grantee":[{"reference":"Organization/9"}]`)}, actor: doctor, want: "none", refused: true},
		{name: "R5 for this grantee", consents: []string{five("permit", `,"grantee":[{"reference":"Organization/2"}]`)}, actor: doctor, want: "permit"},
		{name: "R5 by role", consents: []string{five("deny", `,"provision":[{"actor":[{"role":{"coding":[{"code":"clinician"}]}}]}]`)}, actor: doctor, want: "permit"},
		{name: "R5 by another role", consents: []string{five("deny", `,"provision":[{"actor":[{"role":{"coding":[{"code":"midwife"}]}}]}]`)}, actor: doctor, want: "deny", refused: true},
		{name: "R5 with R4's members", consents: []string{strings.Replace(five("permit", ""), `"status"`, `"scope":{},"status"`, 1)}, actor: doctor, want: "none", refused: true},
		{name: "R5 deny with R4's members denies", config: policy("permit"), consents: []string{strings.Replace(five("deny", ""), `"status"`, `"scope":{},"status"`, 1)}, actor: doctor, want: "deny", refused: true},
		// DE-01
		{name: "DE-01 MII: research", consents: []string{mii(".8")}, actor: as(func(a *Actor) { a.Purpose = []string{"HRESCH"} }), want: "permit"},
		{name: "DE-01 MII: a module about contact opens no data", consents: []string{mii(".37")}, actor: as(func(a *Actor) { a.Purpose = []string{"HRESCH"} }), want: "deny", refused: true},
		{name: "DE-01 MII: says nothing of treatment", config: policy("permit"), consents: []string{mii(".8")}, actor: doctor, want: "none"},
		{name: "DE-01 MII: as privacy consent", consents: []string{strings.Replace(mii(".8"), `"code":"research"`, `"code":"patient-privacy"`, 1)}, actor: doctor, want: "deny", refused: true},
	} {
		t.Run(r.name, r.run)
	}
}

func denyThenStatus(status string) []string {
	return []string{permits, strings.Replace(root("deny", ""), `"active"`, `"`+status+`"`, 1)}
}

// mii is a Consent as the German MII writes it: a denial at the root, and
// modules that are permitted.
func mii(module string) string {
	return strings.Replace(wrap(fmt.Sprintf(`,"policy":[{"uri":"urn:oid:2.16.840.1.113883.3.1937.777.24.2.1790"}],"provision":{"type":"deny","period":{"start":"2020-09-01","end":"2050-08-31"},"provision":[`+
		`{"type":"permit","period":{"start":"2020-09-01","end":"2050-08-31"},"code":[{"coding":[{"system":"urn:oid:%[1]s","code":"%[1]s%[2]s"}]}]}]}`, miiPolicies, module)), "patient-privacy", "research", 1)
}

// C-10: only the Consents of trusted authors count, and those of the gateway.
func TestAuthors(t *testing.T) {
	c := usual()
	c.Authors = []string{"Organization/2", "urn:org|77"}
	by := func(rest string) string { return strings.Replace(permits, `"status"`, rest+`,"status"`, 1) }
	sealer := NewSealer(make([]byte, 32))
	for _, r := range []struct {
		name, consent, want string
	}{
		{"nobody", permits, "none"},
		{"a stranger", by(`"performer":[{"reference":"Practitioner/7"}]`), "none"},
		{"the organization", by(`"organization":[{"reference":"Organization/2"}]`), "permit"},
		{"by identifier", by(`"organization":[{"identifier":{"system":"urn:org","value":"77"}}]`), "permit"},
		{"of another server", by(`"organization":[{"reference":"https://evil.example/Organization/2"}]`), "none"},
		{"R5", strings.Replace(five("permit", `,"controller":[{"reference":"Organization/2"}]`), "c5", "c", 1), "permit"},
		{"the gateway", marked(t, sealer, permits), "permit"},
		{"the gateway's mark on another", strings.Replace(marked(t, sealer, root("deny", "")), `"deny"`, `"permit"`, 1), "none"},
		{"another's mark", marked(t, NewSealer([]byte("other")), permits), "none"},
		{"what cannot be read", `{"resourceType":"Consent","patient":{"reference":"Patient/1"},"a":1,"a":2}`, "deny"},
	} {
		e := engine(c, &source{consents: []string{r.consent}})
		e.reader.seal = sealer
		if got := decide(t, e, doctor, "read", &fhir.Facts{Type: "Observation", ID: "o", Patients: []string{"Patient/1"}}, ""); got.Decision != r.want {
			t.Errorf("%s: got %s, want %s", r.name, got.Decision, r.want)
		}
	}
}

// CONS-13: one search for a cold page of 100 patients, none for a warm one, and
// one more where Consents name a team.
func TestOneSearch(t *testing.T) {
	var patients []string
	s := &source{named: map[string]string{"CareTeam/1": `{"resourceType":"CareTeam","id":"1","participant":[{"member":{"reference":"Practitioner/7"}}]}`}}
	for i := range 100 {
		patients = append(patients, fmt.Sprintf("Patient/%d", i))
		s.consents = append(s.consents, strings.Replace(root("permit", person(literal("CareTeam/1"))), "Patient/1", patients[i], 1))
	}
	e := engine(usual(), s)
	for page, want := range [][2]int{{1, 1}, {1, 1}} {
		set, err := e.Load(context.Background(), &doctor, patients)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range patients {
			if got := set.Decide(&doctor, "read", &fhir.Facts{Type: "Observation", Patients: []string{p}}, nil); got.Refused {
				t.Fatalf("%s: %+v", p, got)
			}
		}
		if s.calls != want[0] || s.lookups != want[1] {
			t.Errorf("page %d: got %d searches and %d lookups", page, s.calls, s.lookups)
		}
	}
}

func marked(t *testing.T, s *Sealer, consent string) string {
	t.Helper()
	b, err := s.Mark([]byte(consent))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
