package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func testHash(s string) string {
	h := sha256.Sum256([]byte("key" + s))
	return hex.EncodeToString(h[:16])
}

// secretRecord holds "canary" wherever a record can hold what tells of a patient.
func secretRecord() *Record {
	return &Record{Kind: Outcome, Request: "r1", Time: time.Unix(1700000000, 0).UTC(), Address: "203.0.113.77", UserAgent: "canary",
		Caller: Caller{Issuer: "https://idp.example.org", Subject: "canary", Client: "portal", User: "Patient/canary", Name: "canary", Token: "canary", Roles: []string{"patient"}},
		Method: "GET", Interaction: "search-type", Type: "Patient", ID: "canary", Query: []byte("/Patient?name=canary"), Body: []byte("canary"),
		Patients: []string{"Patient/canary"}, Asked: []byte("canary"), Decision: Decision{Allow: true, Permits: []string{"self"}, Revision: "rev"},
		Consents: []Consent{{Patient: "Patient/canary", Decision: "permit", Source: "Consent/canary", Provision: "provision"}},
		Entries:  []Entry{{Effect: Released, Type: "Patient", ID: "canary", Version: "canary", Patients: []string{"Patient/canary"}, Basis: []byte("canary")}},
		Notes:    []Note{{"reason", "canary"}, {PseudonymNote, "canary"}, {"value", "canary"}}, Status: 200}
}

// U-06: nothing that tells of a patient reaches a reader of pseudonymous events;
// equal patients stay equal, and what the SIEM needs is there.
func TestScrubbedEventsTellOfNoPatient(t *testing.T) {
	r := secretRecord()
	events, err := NewStream(testOrigin, Scrubber{testHash}.Scrub).Add(r)
	if err != nil || len(events) < 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	patient := "Patient/" + testHash("Patient/canary")
	for _, e := range events {
		b, err := e.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "canary") || strings.Contains(string(b), "Y2FuYXJ5") || strings.Contains(string(b), "203.0.113.77") {
			t.Errorf("event tells of the patient: %s", b)
		}
		for _, want := range []string{patient, `"portal"`, "203.0.113.0"} {
			if !strings.Contains(string(b), want) {
				t.Errorf("event lacks %s: %s", want, b)
			}
		}
	}
	if r.ID != "canary" || r.Entries[0].ID != "canary" || r.Notes[0].Value != "canary" {
		t.Error("the record itself was changed")
	}
}

// Who is known as staff or as a service stays known.
func TestScrubbedStaffStayKnown(t *testing.T) {
	for _, c := range []Caller{{Subject: "f9b1c3", Client: "ward-app", User: "Practitioner/7"}, {Subject: "etl", Client: "etl"}} {
		got := Scrubber{testHash}.Scrub(&Record{Caller: c, Address: "192.0.2.7"})
		if got.Caller.Subject != c.Subject || got.Caller.User != c.User || got.Address != "192.0.2.7" {
			t.Errorf("%+v became %+v from %s", c, got.Caller, got.Address)
		}
	}
}

// A stream begun anew where Oldest says goes on as the one before it.
func TestStreamGoesOnWhereItStopped(t *testing.T) {
	intent := &Record{Index: 3, Kind: Intent, Request: "w", Interaction: "update", Type: "Patient", ID: "1", Query: []byte("/Patient/1"), Caller: Caller{Client: "app"}}
	other := &Record{Index: 4, Kind: Outcome, Request: "x", Interaction: "read", Type: "Patient", ID: "2", Status: 200}
	outcome := &Record{Index: 5, Kind: Outcome, Request: "w", Status: 200}
	first := NewStream(testOrigin, nil)
	for _, r := range []*Record{intent, other} {
		if _, err := first.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if got := first.Oldest(5); got != 3 {
		t.Fatalf("Oldest = %d, want 3", got)
	}
	again := NewStream(testOrigin, nil)
	for _, r := range []*Record{intent, other} {
		again.Add(r)
	}
	events, err := again.Add(outcome)
	if err != nil || len(events) != 1 || events[0].Record.ID != "1" || events[0].Record.Caller.Client != "app" {
		t.Fatalf("%+v, %v", events, err)
	}
	if got := again.Oldest(6); got != 6 {
		t.Errorf("Oldest = %d, want 6", got)
	}
}
