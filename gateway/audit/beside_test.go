package audit

import (
	"strings"
	"testing"
)

// Issue 7.6: a report tells officers' own calls in words, and why.
func TestOfficersDeedsInWords(t *testing.T) {
	for _, test := range []struct{ method, path, want string }{
		{"GET", "/api/v1/accesses", "read who used a record, as an officer"},
		{"POST", "/api/v1/erasures", "asked to erase a patient, as an officer"},
		{"POST", "/api/v1/erasures/01a2/approve", "approved an erasure, as an officer"},
		{"DELETE", "/api/v1/blocks", "lifted a block, as an officer"},
		{"GET", "/api/v1/nothing", "acted as an officer of the gateway"},
		{"GET", "", "acted as an officer of the gateway"}, // erased
	} {
		r := &Record{Kind: Outcome, Method: test.method, Interaction: AdminInteraction, Query: []byte(test.path), Status: 200, Code: "ok",
			Decision: Decision{Allow: true, Permits: []string{"The token has the admin role privacy."}}, Notes: []Note{{"about", "since 1 May"}, {"other", "not told"}}}
		l := lineOf(r, "")
		if l.did != test.want || l.why != "The token has the admin role privacy.; since 1 May" {
			t.Errorf("%s %s: %q, %q", test.method, test.path, l.did, l.why)
		}
	}
	for what, words := range officers {
		if !strings.HasSuffix(words, ", as an officer") {
			t.Errorf("%s: %q", what, words)
		}
	}
	if got := deedOf(&Record{Interaction: "read"}); got != "read" {
		t.Errorf("FHIR's own is %q", got)
	}
}
