package watch

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
)

var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// read is an access of a user to a patient's data, by whom and when.
func read(user, patient string, at time.Time) *audit.Record {
	return &audit.Record{Kind: audit.Outcome, Request: "r-" + at.Format("02T15:04:05"), Time: at, Method: "GET", Interaction: "read", Type: "Observation", Status: 200,
		Caller:  audit.Caller{Issuer: "i", Subject: user, User: "Practitioner/" + user, Client: "ward", Roles: []string{"clinician"}},
		Entries: []audit.Entry{{Effect: audit.Released, Type: "Observation", Patients: []string{patient}}}}
}

func missing(user string, at time.Time) *audit.Record {
	r := read(user, "", at)
	r.Status, r.Entries = 404, nil
	return r
}

// alerts are what a rule finds in records.
func alerts(t *testing.T, rule string, records ...*audit.Record) []Alert {
	t.Helper()
	w := New([]config.Watch{ruleOf(t, rule)})
	var all []Alert
	for i, r := range records {
		r.Index = int64(i)
		all = append(all, w.See(r)...)
	}
	return all
}

func days(n int, of func(day time.Time) []*audit.Record) (all []*audit.Record) {
	for i := range n {
		all = append(all, of(monday.AddDate(0, 0, i))...)
	}
	return all
}

// many are accesses to so many patients within one day.
func many(user string, n int) func(time.Time) []*audit.Record {
	return func(day time.Time) (all []*audit.Record) {
		for i := range n {
			all = append(all, read(user, fmt.Sprint("Patient/p", i), day.Add(time.Duration(i)*time.Minute)))
		}
		return all
	}
}

// Issue 7.7: each detector fires at what it is for, once a window, and at nothing
// below; its evidence are the counts.
func TestDetectors(t *testing.T) {
	evening, night := monday.Add(11*time.Hour), monday.AddDate(0, 0, 5) // a Saturday
	hospital := days(10, many("ann", 5))
	newcomer := append(days(10, many("bob", 30)), days(1, func(time.Time) []*audit.Record { return many("cat", 29)(monday.AddDate(0, 0, 11)) })...)
	written := read("ann", "Patient/p1", monday.AddDate(0, 0, 20))
	written.Interaction = "delete"
	glass := read("ann", "Patient/p1", monday)
	glass.Entries[0].Permits = []string{audit.EmergencyReason}
	other := func(typ string, minute int) *audit.Record {
		r := read("ann", "Patient/p1", monday.AddDate(0, 0, 20).Add(time.Duration(minute)*time.Minute))
		r.Entries[0].Type, r.Type = typ, typ
		return r
	}
	tests := []struct {
		name, rule string
		records    []*audit.Record
		want       string // of the evidence; "": no alert
	}{
		{"three times as many patients", "{detector: many-patients, least: 10}", slices.Concat(hospital, many("ann", 16)(monday.AddDate(0, 0, 11))), "15 patients within 1d; usual for this caller 5.0, for the role 5.0"},
		{"as many as ever", "{detector: many-patients, least: 5}", slices.Concat(hospital, many("ann", 5)(monday.AddDate(0, 0, 11))), ""},
		{"many, but few at all", "{detector: many-patients, least: 20}", slices.Concat(hospital, many("ann", 16)(monday.AddDate(0, 0, 11))), ""},
		{"new, and as the role is", "{detector: many-patients, least: 5}", newcomer, ""},
		{"nothing is usual yet", "{detector: many-patients, least: 5}", many("ann", 50)(monday), ""},
		{"the same patient again", "{detector: many-patients, least: 2}", slices.Concat(hospital, days(1, func(time.Time) (l []*audit.Record) {
			for i := range 50 {
				l = append(l, read("ann", "Patient/p1", monday.AddDate(0, 0, 12).Add(time.Duration(i)*time.Minute)))
			}
			return l
		})), ""},
		{"ids tried out", "{detector: enumeration, threshold: 3, window: 10m}", []*audit.Record{missing("eve", monday), missing("eve", monday), missing("eve", monday), missing("eve", monday)}, "3 requests within 10m"},
		{"by several", "{detector: enumeration, threshold: 3}", []*audit.Record{missing("eve", monday), missing("bob", monday), missing("ann", monday)}, ""},
		{"over a day", "{detector: enumeration, threshold: 3, window: 10m}", []*audit.Record{missing("eve", monday), missing("eve", monday.Add(time.Hour)), missing("eve", monday.Add(2*time.Hour))}, ""},
		{"another role", "{detector: enumeration, threshold: 1, roles: [clerk]}", []*audit.Record{missing("eve", monday)}, ""},
		{"in the evening", "{detector: off-hours, threshold: 1}", []*audit.Record{read("ann", "Patient/p1", evening)}, "1 accesses within 1d outside 07:00 to 19:00 on weekdays (UTC)"},
		{"on a Saturday", "{detector: off-hours, threshold: 1}", []*audit.Record{read("ann", "Patient/p1", night)}, "outside"},
		{"within hours of a zone", "{detector: off-hours, threshold: 1, hours: {zone: America/New_York}}", []*audit.Record{read("ann", "Patient/p1", evening)}, ""},
		{"a night shift", "{detector: off-hours, threshold: 1, hours: {from: '19:00', to: '07:00'}}", []*audit.Record{read("ann", "Patient/p1", evening)}, ""},
		{"somebody known", "{detector: watched, patients: [Patient/star]}", []*audit.Record{read("ann", "Patient/p1", monday), read("ann", "Patient/star", monday)}, "1 accesses within 1d to 1 patients of the list"},
		{"the glass", "{detector: emergency}", []*audit.Record{glass}, "1 uses of emergency access"},
		{"kinds of data", "{detector: new-types, least: 10, threshold: 2}", slices.Concat(hospital, []*audit.Record{other("Condition", 1), other("Consent", 2)}), "2 kinds of data within 1d that this caller had not read in 30d and 51 accesses before: Condition, Consent"},
		{"one kind", "{detector: new-types, least: 10, threshold: 2}", slices.Concat(hospital, []*audit.Record{other("Condition", 1), other("Condition", 2)}), ""},
		{"a right", "{detector: new-right, least: 10}", slices.Concat(hospital, []*audit.Record{written}), "1 rights within 1d that this client had not used in 30d and 50 accesses before: Observation.d"},
		{"a right of a client that is new", "{detector: new-right, least: 100}", slices.Concat(hospital, []*audit.Record{written}), ""},
	}
	for _, tt := range tests {
		got := alerts(t, tt.rule, tt.records...)
		switch {
		case tt.want == "" && len(got) > 0:
			t.Errorf("%s: fired: %s", tt.name, got[0].Evidence)
		case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0].Evidence, tt.want)):
			t.Errorf("%s: got %+v, want %s", tt.name, got, tt.want)
		}
	}
}

// An alert carries what an officer needs to look it up, and its text names nobody.
func TestEvidence(t *testing.T) {
	got := alerts(t, "{detector: watched, patients: [Patient/star]}", read("ann", "Patient/star", monday))
	if len(got) != 1 {
		t.Fatal(got)
	}
	a := got[0]
	if a.Requests[0] != "r-02T09:00:00" || a.Patients[0] != "Patient/star" || a.Caller.Subject != "ann" || strings.Contains(a.Evidence, "star") {
		t.Errorf("%+v", a)
	}
}

// Who reads the trail is not watched as if it were the record; nor is a refusal an
// access.
func TestWhatIsNoAccess(t *testing.T) {
	officer, refused, parted := read("ann", "Patient/star", monday), read("ann", "Patient/star", monday), read("ann", "Patient/star", monday)
	officer.Interaction, officer.Patients = audit.ReadingInteraction, []string{"Patient/star"}
	refused.Entries[0].Effect = audit.Withheld
	parted.Kind = audit.Intent
	if got := alerts(t, "{detector: watched, patients: [Patient/star]}", officer, refused, parted); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// What is kept is bounded, whoever comes.
func TestBounded(t *testing.T) {
	w := New([]config.Watch{ruleOf(t, "{detector: many-patients}")})
	for i := range valuesKept + 100 {
		w.See(read("ann", fmt.Sprint("Patient/", i), monday))
	}
	c, _ := w.rules[0].callers.Get("i\x00ann")
	if len(c.values) > valuesKept || len(c.requests) > requestsKept || len(c.patients) > patientsKept {
		t.Errorf("%d values, %d requests, %d patients", len(c.values), len(c.requests), len(c.patients))
	}
}
