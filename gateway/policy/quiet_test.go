package policy

import (
	"context"
	"strings"
	"testing"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/auth"
)

// Law 12: an error of a rule is logged, so it must not quote the record.
func TestErrorsQuoteNothing(t *testing.T) {
	e := mustLoad(t, map[string]string{"policy.rego": `package gatehouse

permit contains "x" if time.parse_rfc3339_ns(input.resource.date) > 0
`})
	d := e.For(context.Background(), &Request{Action: "read", Interaction: "read", Subject: &auth.Subject{Issuer: "i", ID: "s", Client: "c"}, Type: "Patient", Now: time.Now()}).Decide(context.Background(), &Resource{
		Facts: &fhir.Facts{Type: "Patient", ID: "1", Date: "1958-Canary"}, Consent: ConsentResult{Decision: "n/a"}})
	if d.Err == nil || d.Allow || strings.Contains(d.Err.Error(), "Canary") {
		t.Errorf("got %+v", d)
	}
}

// What is read of the care relation on the way to a forbid or an obligation
// must be known before anything is decided.
func TestRelationOnlyPermits(t *testing.T) {
	const helper = "cared if input.subject.fhir_user in input.relation.practitioners\n"
	for rules, want := range map[string]bool{
		`permit contains "x" if cared`:                                                                   true,
		`permit contains "x" if input.subject.id == "a"`:                                                 true,
		"permit contains \"x\" if cared\nforbid contains \"y\" if not cared":                             false,
		"permit contains \"x\" if true\nforbid contains \"y\" if count(input.relation.encounters) == 0":  false,
		"permit contains \"x\" if true\noblige contains {\"view\": \"v\"} if cared":                      false,
		"permit contains \"x\" if cared\nforbid contains \"y\" if \"R\" in input.resource.labels":        true,
		"permit contains \"x\" if cared\nother if not cared\nforbid contains \"y\" if { other; 1 == 1 }": false,
	} {
		e := mustLoad(t, map[string]string{"policy.rego": "package gatehouse\n\n" + helper + rules + "\n"})
		if got := e.RelationOnlyPermits(); got != want {
			t.Errorf("%s: got %v, want %v", rules, got, want)
		}
	}
}
