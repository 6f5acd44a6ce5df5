package audit

import "testing"

// A step on the way back from pseudonyms is one event for each of them, with the
// codes of IHE's de-identification profile and no real id (issue 6 point 9).
func TestExportReidentify(t *testing.T) {
	r := &Record{Kind: Notice, Code: Reidentify + "approved", Request: "req", Domain: "study",
		Caller: Caller{Issuer: "i", Subject: "bob"}, Notes: []Note{{"reason", "why"}, {PseudonymNote, "Patient/A"}, {PseudonymNote, "Patient/B"}}}
	var got []auditEvent
	for _, e := range exported(t, r) {
		if e.Type.Code == "110106" {
			got = append(got, e)
		}
	}
	if len(got) != 2 {
		t.Fatalf("got %d events", len(got))
	}
	for i, want := range []string{"Patient/A", "Patient/B"} {
		e := got[i]
		if e.Subtype[0].Code != "reidentify" || e.Subtype[1].Code != r.Code || e.Agent[0].Who.Identifier.Value != "bob" {
			t.Errorf("got %+v", e)
		}
		if who := e.Entity[1].What; who.Reference != "" || who.Identifier.Value != want || len(e.Entity[0].Detail) != 2 {
			t.Errorf("%s: got %+v, %+v", want, e.Entity[0], who)
		}
	}
	if got[0].ID == got[1].ID {
		t.Error("two events share an id")
	}
}
