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
