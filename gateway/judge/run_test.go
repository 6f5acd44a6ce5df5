package judge

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/consent"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/scope"

	"pgregory.net/rapid"
)

// rulesOnFacts go by many facts, each of some resources alone.
const rulesOnFacts = `package gatehouse

permit contains "ward" if {
	input.resource.organization == "Organization/2"
	input.resource.status in {"final", "amended"}
}
permit contains "own" if input.resource.author == "Practitioner/7"
permit contains "one" if input.resource.id == "1"
permit contains "stay" if { input.resource.encounter == "Encounter/1"; input.consent.source == "Consent/labels" }
permit contains "content" if { input.resource.status == "odd"; input.resource.content.status == "odd" }
forbid contains "old" if input.resource.date == "2020"
forbid contains "coded" if "s|1" in input.resource.codes
forbid contains "marked" if "V" in input.resource.labels
oblige contains {"cost": 3} if input.resource.encounter == "Encounter/2"
`

// rulesOnCaller go by nothing of the resource: what is left is scope, consent and labels.
const rulesOnCaller = `package gatehouse

permit contains "any" if input.action == "search"
`

// agreements is what each patient has agreed to.
type agreements map[string]string

func (a agreements) Consents(_ context.Context, patients []string) (found [][]byte, err error) {
	for _, p := range patients {
		if provision, ok := a[p]; ok {
			found = append(found, fmt.Appendf(nil, `{"resourceType":"Consent","id":%q,"status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"patient":{"reference":%q},"dateTime":"2024-01-01","provision":%s}`,
				strings.ToLower(p[len("Patient/"):]), p, provision))
		}
	}
	return found, nil
}

func (agreements) Named(context.Context, []string) (map[string][][]byte, error) { return nil, nil }

var agreed = agreements{
	"Patient/all":    `{"type":"permit"}`,
	"Patient/none":   `{"type":"deny"}`,
	"Patient/labels": `{"type":"permit","provision":[{"type":"deny","securityLabel":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}]}`,
	"Patient/codes":  `{"type":"permit","provision":[{"type":"deny","code":[{"coding":[{"system":"s","code":"2"}]}]}]}`,
	"Patient/class":  `{"type":"deny","provision":[{"type":"permit","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}]}]}`,
	"Patient/date":   `{"type":"permit","dataPeriod":{"start":"2021-01-01"}}`,
	"Patient/data":   `{"type":"permit","provision":[{"type":"deny","data":[{"meaning":"instance","reference":{"reference":"Observation/1"}}]}]}`,
}

func courtOf(t *testing.T, rules string, scopes []string, residual string) *Court {
	engine, err := policy.Load(policy.Options{Files: map[string][]byte{"rules.rego": []byte(rules)}})
	if err != nil {
		t.Fatal(err)
	}
	subject := &auth.Subject{ID: "u", Scopes: scopes, FHIRUser: "Practitioner/7", Organization: "Organization/2", Patient: "Patient/all", Purpose: []string{"TREAT"}}
	eval := engine.For(context.Background(), &policy.Request{Action: "search", Interaction: "search-type", Subject: subject, Type: "Observation", Now: time.Now(), Address: "127.0.0.1"})
	actor := consent.Actor{User: subject.FHIRUser, Organization: subject.Organization, Purpose: subject.Purpose}
	if residual != "" {
		actor.Residual = consent.ReadResidual([]byte(residual), nil, time.UTC)
	}
	return &Court{Version: fhir.R4, Grants: scope.Parse(fhir.R4, scopes, subject.Patient, nil), Letter: 's', Action: "search", Eval: eval, Actor: actor,
		Consent: consent.New(config.Consent{Source: "upstream", Default: "deny", MaxStaleness: config.Duration(time.Hour)}, consent.Options{Source: agreed, Now: time.Now}),
		Blocked: func(patients []string) bool { return len(patients) == 1 && patients[0] == "Patient/blocked" },
		Assured: func(*policy.StepUp) bool { return true }, Alarm: func(string) {}}
}

func drawItem(t *rapid.T) *Item {
	one := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	some := func(label string, from ...string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(from), 0, 2).Draw(t, label)
	}
	f := fhir.Facts{Type: one("type", "Observation", "Observation", "Condition", "Binary"), ID: one("id", "1", "2", "3"),
		Patients:     some("patients", "Patient/all", "Patient/all", "Patient/none", "Patient/labels", "Patient/codes", "Patient/class", "Patient/date", "Patient/data", "Patient/blocked", "Patient/unknown"),
		Organization: one("organization", "Organization/2", "Organization/2", ""), Labels: some("labels", "R", "V", "HUAPRV", "NOAUTH"), Codes: some("codes", "s|1", "s|2"),
		Categories: some("categories", "s|lab"), Status: one("status", "final", "amended", "odd"), Author: one("author", "", "Practitioner/7"),
		Encounter: one("encounter", "", "Encounter/1", "Encounter/2"), Date: one("date", "", "2020", "2024-05-05"),
		Unnamed: one("unnamed", "", "", "", "x") != "", UnknownLabel: one("strange", "", "", "", "x") != ""}
	return &Item{Mode: one("mode", "match", "match", "include"), Verdict: Verdict{Facts: f}}
}

// changes are what one entry may have of another.
var changes = []func(it, of *Item){
	func(it, of *Item) { it.Verdict.Facts.Type = of.Verdict.Facts.Type },
	func(it, of *Item) { it.Verdict.Facts.ID = of.Verdict.Facts.ID },
	func(it, of *Item) { it.Verdict.Facts.Patients = of.Verdict.Facts.Patients },
	func(it, of *Item) { it.Verdict.Facts.Organization = of.Verdict.Facts.Organization },
	func(it, of *Item) { it.Verdict.Facts.Labels = of.Verdict.Facts.Labels },
	func(it, of *Item) { it.Verdict.Facts.Codes = of.Verdict.Facts.Codes },
	func(it, of *Item) { it.Verdict.Facts.Status = of.Verdict.Facts.Status },
	func(it, of *Item) { it.Verdict.Facts.Author = of.Verdict.Facts.Author },
	func(it, of *Item) { it.Verdict.Facts.Encounter = of.Verdict.Facts.Encounter },
	func(it, of *Item) { it.Verdict.Facts.Date = of.Verdict.Facts.Date },
	func(it, of *Item) { it.Verdict.Facts.Unnamed = of.Verdict.Facts.Unnamed },
	func(it, of *Item) { it.Verdict.Facts.UnknownLabel = of.Verdict.Facts.UnknownLabel },
	func(it, of *Item) { it.Mode = of.Mode },
	func(it, of *Item) { it.Verdict.Reason = "upstream.not-asked-for" },
}

// ordinary is an entry that everything opens, of one of agreed.
func ordinary(patient string) *Item {
	return &Item{Mode: "match", Verdict: Verdict{Facts: fhir.Facts{Type: "Observation", ID: "3", Patients: []string{"Patient/" + patient}, Organization: "Organization/2",
		Status: "final", Date: "2024-05-05"}}}
}

// Entries that stand together are decided as each alone, whatever scope, consent and
// policy go by (issue 3, Speed).
func TestRunsDecideAsAlone(t *testing.T) {
	for _, tt := range []struct {
		name, rules, residual string
		scopes                []string
	}{
		{name: "user", rules: rulesOnFacts, scopes: []string{"user/*.rs"}},
		{name: "caller", rules: rulesOnCaller, scopes: []string{"user/*.rs"}},
		{name: "included", rules: rulesOnCaller, scopes: []string{"user/*.r"}},
		{name: "patient", rules: rulesOnFacts, scopes: []string{"patient/*.rs", "user/Condition.rs"}},
		{name: "granular", rules: rulesOnCaller, scopes: []string{"user/Observation.rs?status=final", "patient/*.r"}},
		{name: "residual", rules: rulesOnCaller, scopes: []string{"user/*.rs"}, residual: `{"residual":[{"type":"forbid","dataPeriod":{"end":"2021-01-01"}}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := courtOf(t, tt.rules, tt.scopes, tt.residual)
			rapid.Check(t, func(t *rapid.T) {
				together := []*Item{ordinary(rapid.SampledFrom([]string{"all", "all", "codes", "date", "data"}).Draw(t, "patient"))}
				for range 12 {
					next := *rapid.SampledFrom([]*Item{together[len(together)-1], together[0]}).Draw(t, "like")
					rapid.SampledFrom(changes).Draw(t, "changed")(&next, drawItem(t))
					together = append(together, &next)
				}
				var alone []*Item
				for _, it := range together {
					it.Resource = fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"status":%q}`, it.Verdict.Facts.Type, it.Verdict.Facts.ID, it.Verdict.Facts.Status)
					one := *it
					alone = append(alone, &one)
					c.Weigh(context.Background(), []*Item{&one})
				}
				c.Weigh(context.Background(), together)
				for i := range together {
					if got, want := together[i].Verdict, alone[i].Verdict; !reflect.DeepEqual(got, want) {
						t.Fatalf("entry %d: together %+v\nalone %+v", i, got, want)
					}
				}
			})
		})
	}
}

// A page of like entries is one run.
func TestRunIsOne(t *testing.T) {
	c := courtOf(t, rulesOnFacts, []string{"user/*.rs"}, "")
	var items []*Item
	for _, id := range []string{"4", "5", "6"} {
		items = append(items, &Item{Mode: "match", Verdict: Verdict{Facts: fhir.Facts{Type: "Observation", ID: id, Patients: []string{"Patient/all"}, Author: "Practitioner/7"}}})
	}
	c.Weigh(context.Background(), items)
	for _, it := range items {
		if it.run != 1 || !it.Verdict.Allow {
			t.Errorf("%s: run %d, %+v", it.Verdict.Facts.ID, it.run, it.Verdict)
		}
	}
}
