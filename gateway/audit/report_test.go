package audit

import (
	"bytes"
	"strings"
	"testing"
)

// reported appends the records and gives the lines of the report on Patient/p1,
// less head and footer.
func reported(t *testing.T, records ...*Record) []string {
	t.Helper()
	o := testOptions(t.TempDir())
	l := mustOpen(t, o)
	for _, r := range records {
		mustAppend(t, l, r)
	}
	mustClose(t, l)
	var b bytes.Buffer
	if err := ReportPatient(o.Dir, testKey, "Patient/p1", &b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) < 4 || !strings.HasPrefix(lines[0], "WHEN (UTC)") || !strings.HasPrefix(lines[len(lines)-1], "Made from ") {
		t.Fatalf("report:\n%s", b.String())
	}
	return lines[1 : len(lines)-2]
}

func TestReportPatient(t *testing.T) {
	withheld := func(status int, code, reason string) *Record {
		r := smallRead(2)
		r.Status, r.Code, r.Entries[0].Effect, r.Entries[0].Reason = status, code, Withheld, reason
		return r
	}
	viewed, refused, other := smallRead(3), smallRead(4), withheld(200, "ok", "scope.other")
	viewed.View = "research"
	refused.Status, refused.Code, refused.Entries, refused.Consents = 403, "policy.denied", nil, nil
	refused.Patients, refused.Decision = []string{"Patient/p1"}, Decision{Forbids: []string{"leavers see nothing"}}
	failed := smallRead(5)
	failed.Status, failed.Code, failed.Entries = 502, "upstream.invalid", nil
	tests := []struct {
		name   string
		record *Record
		want   []string
	}{
		{"read", smallRead(1), []string{"2023-11-14 22:13:20", "Practitioner/7 with ward-app", "read  Observation", "TREAT: clinician reads own ward", "permit Consent/c1", "-000000000001"}},
		{"through a view", viewed, []string{"Observation  research  TREAT"}},
		{"policy", withheld(404, "resource.not-found", "policy.denied"), []string{"read, refused (resource.not-found)", "none", "TREAT: withheld by policy"}},
		{"consent", withheld(404, "resource.not-found", "consent.denied"), []string{"TREAT: no consent"}},
		{"of a page", withheld(200, "ok", "consent.denied"), []string{"refused (withheld consent.denied)", "TREAT: no consent"}},
		{"other code", other, []string{"the application's token does not cover it (scope.other)"}},
		{"before the upstream", refused, []string{"refused (policy.denied)", "TREAT: withheld by policy; leavers see nothing"}},
		{"failed", failed, []string{"failed (upstream.invalid)", "the FHIR server failed (upstream.invalid)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines := reported(t, tt.record, searchPage(3)) // a page of others
			if len(lines) != 1 {
				t.Fatalf("report:\n%s", strings.Join(lines, "\n"))
			}
			for _, want := range tt.want {
				if !strings.Contains(lines[0], want) {
					t.Errorf("%q lacks %q", lines[0], want)
				}
			}
			if tt.record.Status >= 400 && strings.Contains(lines[0], "clinician reads own ward") {
				t.Errorf("a refusal with a reason to permit: %q", lines[0])
			}
		})
	}
}

func write(request string, kind Kind, status int, code string) *Record {
	r := smallRead(1)
	r.Request, r.Kind, r.Status, r.Code, r.Interaction = request, kind, status, code, "update"
	r.Entries[0].Effect = Changed
	if kind == Outcome && status >= 400 {
		r.Entries, r.Consents = nil, nil // as the gateway leaves it after a write that failed
	}
	return r
}

// A-RPT-2: a change that was begun and of whose end nothing is known is in the
// report: it may have been made.
func TestReportTellsOfUnknownOutcomes(t *testing.T) {
	const maybe = "update, outcome unknown: may have been made"
	opened := &Record{Kind: Notice, Code: "audit.opened"}
	tests := []struct {
		name    string
		records []*Record
		want    []string
	}{
		{"made", []*Record{write("r1", Intent, 0, ""), write("r1", Outcome, 200, "ok")}, []string{"update  Observation"}},
		{"killed", []*Record{write("r1", Intent, 0, "")}, []string{maybe}},
		{"killed and started again", []*Record{write("r1", Intent, 0, ""), opened, smallRead(9)}, []string{maybe, "  read  "}},
		{"no readable answer", []*Record{write("r1", Intent, 0, ""), write("r1", Outcome, 500, "upstream.unknown")}, []string{maybe}},
		{"refused by the server", []*Record{write("r1", Intent, 0, ""), write("r1", Outcome, 409, "write.conflict")}, []string{"update, refused (write.conflict)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines := reported(t, tt.records...)
			if len(lines) != len(tt.want) {
				t.Fatalf("report:\n%s", strings.Join(lines, "\n"))
			}
			for i, want := range tt.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("line %q lacks %q", lines[i], want)
				}
			}
		})
	}
}

// A-RPT-3: a slip in the name must not read like an innocent record.
func TestReportOfNobody(t *testing.T) {
	o := testOptions(t.TempDir())
	l := mustOpen(t, o)
	mustAppend(t, l, smallRead(1))
	mustClose(t, l)
	for _, name := range []string{"", "p1", "Patient", "Patient/", "patient/p1", "Patient/p1/", "Patient/p1 ", "Patient/a/b", "Observation/o-1", "https://x/Patient/p1", "Patient/p_1"} {
		var b bytes.Buffer
		if err := ReportPatient(o.Dir, testKey, name, &b); err == nil || !strings.Contains(err.Error(), "write Patient/p012") || b.Len() > 0 {
			t.Errorf("%q: %v, %q", name, err, b.String())
		}
	}
	var b bytes.Buffer
	if err := ReportPatient(o.Dir, testKey, "Patient/p2", &b); err != nil {
		t.Fatal(err)
	}
	if want := "no record names Patient/p2 among 2 records from 2023-11-14 22:13:20 to "; !strings.HasPrefix(b.String(), want) {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
