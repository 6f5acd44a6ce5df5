package audit

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

var (
	testKey  = bytes.Repeat([]byte{7}, 32)
	testSeed = bytes.Repeat([]byte{9}, 32)
)

const testOrigin = "gatehouse.test/audit"

func testOptions(dir string) Options {
	return Options{Dir: dir, Key: testKey, Seed: testSeed, Origin: testOrigin, CheckpointEvery: 10 * time.Millisecond}
}

func mustOpen(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func mustAppend(t testing.TB, l *Log, r *Record) {
	t.Helper()
	if err := l.Append(r).Wait(context.Background()); err != nil {
		t.Fatalf("Append: %v", err)
	}
}

// mustRead gives the records but the log's own notices.
func mustRead(t testing.TB, dir string) []*Record {
	t.Helper()
	r, err := OpenReader(dir, testKey)
	if err != nil {
		t.Fatal(err)
	}
	var l []*Record
	for rec, err := range r.All() {
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if rec.Kind != Notice {
			l = append(l, rec)
		}
	}
	return l
}

func testVerifierKey(t testing.TB) string {
	t.Helper()
	k, err := VerifierKey(testOrigin, testSeed)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustVerify(t testing.TB, dir string, kept ...[]byte) Report {
	t.Helper()
	r, err := Verify(dir, testVerifierKey(t), kept...)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return r
}

func checkVerified(t testing.TB, dir string, kept ...[]byte) Report {
	t.Helper()
	r := mustVerify(t, dir, kept...)
	if !r.OK() || r.FirstBad != -1 {
		t.Fatalf("Verify = %+v, want whole", r)
	}
	return r
}

// smallRead is the record of a read of a 1 KB resource.
func smallRead(i int) *Record {
	return &Record{
		Request: fmt.Sprintf("0190163d-8694-739b-aea5-%012d", i), Time: time.Unix(1700000000, int64(i)).UTC(), Took: time.Millisecond,
		Address: "192.0.2.7", UserAgent: "ward-app/1.2",
		Caller: Caller{Issuer: "https://idp.example.org/realms/h", Subject: "f9b1c3", Client: "ward-app", User: "Practitioner/7",
			Organization: "Organization/2", Roles: []string{"clinician"}, Purpose: []string{"TREAT"}, Token: "jti-1"},
		Method: "GET", Interaction: "read", Type: "Observation", ID: "o-1", Query: []byte("/Observation/o-1"),
		Decision: Decision{Allow: true, Permits: []string{"clinician reads own ward"}, Revision: "r1"},
		Consents: []Consent{{Patient: "Patient/p1", Decision: "permit", Source: "Consent/c1", Provision: "provision.provision[0]"}},
		Entries:  []Entry{{Effect: Released, Type: "Observation", ID: "o-1", Version: "3", Patients: []string{"Patient/p1"}, Permits: []string{"clinician reads own ward"}}},
		Kind:     Outcome, Status: 200,
	}
}

func searchPage(n int) *Record {
	r := smallRead(0)
	r.Interaction, r.ID, r.Query, r.Consents, r.Entries = "search-type", "", []byte("/Observation?code=x"), nil, nil
	for i := range n {
		p := fmt.Sprintf("Patient/%04d", i)
		r.Entries = append(r.Entries, Entry{Effect: Released, Type: "Observation", ID: fmt.Sprintf("o-%d", i), Version: "1", Patients: []string{p}, Permits: r.Decision.Permits})
		r.Consents = append(r.Consents, Consent{Patient: p, Decision: "permit", Source: fmt.Sprintf("Consent/%d", i)})
	}
	return r
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	mixed := smallRead(1)
	mixed.Interaction, mixed.ID, mixed.Consents = "search-type", "", nil
	mixed.Patients = []string{"Patient/p3"}
	mixed.Entries = []Entry{
		{Effect: Released, Type: "Group", ID: "g", Patients: []string{"Patient/p1", "Patient/p2"}, Permits: mixed.Decision.Permits},
		{Effect: Withheld, Type: "Observation", ID: "o", Reason: "policy.denied", Patients: []string{"Patient/p2"}, Permits: []string{"b"}, Forbids: []string{"no", "never"}},
		{Effect: Withheld, Type: "Observation", ID: "q", Reason: "policy.denied", Patients: []string{"Patient/p2"}, Permits: []string{"b"}, Forbids: []string{"no", "never"}},
		{Effect: Released, Type: "Organization", ID: "2", Version: "7"},
		{Effect: Released, Type: "Group", ID: "h", Patients: []string{"Patient/p1", "Patient/p2"}},
	}
	nobody := &Record{Kind: Outcome, Request: "x", Time: time.Unix(5, 0).UTC(), Address: "::1", Status: 401, Code: "token.expired",
		Query: []byte("/Patient?name=a"), Body: []byte{0, 1, 0xff}}
	tests := map[string]*Record{"read": smallRead(1), "page": searchPage(100), "mixed": mixed, "bad token": nobody,
		"intent": {Kind: Intent, Request: "i", Time: time.Unix(1, 0).UTC(), Type: "Patient", ID: "p9", Interaction: "delete"}}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := mustOpen(t, testOptions(dir))
			mustAppend(t, l, want)
			got := mustRead(t, dir) // while the log is open
			if len(got) != 1 {
				t.Fatalf("%d records, want 1", len(got))
			}
			got[0].Index = 0
			if !reflect.DeepEqual(got[0], want) {
				t.Errorf("got  %+v\nwant %+v", got[0], want)
			}
			mustClose(t, l)
			checkVerified(t, dir)
		})
	}
}

func TestReopenedLogGoesOn(t *testing.T) {
	o := testOptions(t.TempDir())
	o.SegmentBytes = 20 << 10 // many segments
	var kept [][]byte
	for round := range 5 {
		l := mustOpen(t, o)
		for i := range 300 {
			mustAppend(t, l, smallRead(round*300+i))
		}
		mustClose(t, l)
		b, err := readCheckpoint(o.Dir)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, b)
		checkVerified(t, o.Dir, kept...)
	}
	got := mustRead(t, o.Dir)
	if len(got) != 1500 {
		t.Fatalf("%d records, want 1500", len(got))
	}
	for i, r := range got {
		if r.Request != smallRead(i).Request {
			t.Fatalf("record %d is %s", i, r.Request)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(o.Dir, "segments", "*")); len(files) < 10 {
		t.Errorf("%d segments, want many", len(files))
	}
}

// AUD-12: the order is that of the log, whatever the clock does.
func TestClockStepsBack(t *testing.T) {
	o := testOptions(t.TempDir())
	now := time.Unix(1700000000, 0)
	o.Now = func() time.Time { now = now.Add(-time.Hour); return now }
	l := mustOpen(t, o)
	for i := range 3 {
		mustAppend(t, l, &Record{Request: fmt.Sprint(i)})
	}
	for i, r := range mustRead(t, o.Dir) {
		if r.Request != fmt.Sprint(i) {
			t.Errorf("record %d is of request %s", i, r.Request)
		}
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	o := testOptions(t.TempDir())
	mustOpen(t, o)
	if l, err := Open(o); err == nil {
		l.Close()
		t.Error("two writers of one log")
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := map[string]func(o *Options){
		"short key":       func(o *Options) { o.Key = o.Key[:16] },
		"short seed":      func(o *Options) { o.Seed = nil },
		"no origin":       func(o *Options) { o.Origin = "" },
		"plus in origin":  func(o *Options) { o.Origin = "a+b" },
		"space in origin": func(o *Options) { o.Origin = "a b" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t.TempDir())
			change(&o)
			if l, err := Open(o); err == nil {
				l.Close()
				t.Error("opened")
			}
		})
	}
}

func TestClosedLogTakesNothing(t *testing.T) {
	l := mustOpen(t, testOptions(t.TempDir()))
	mustClose(t, l)
	if err := l.Append(smallRead(1)).Wait(context.Background()); err == nil {
		t.Error("a closed log took a record")
	}
	if l.Healthy() == nil {
		t.Error("a closed log is healthy")
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	p := &Pending{done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Wait(ctx); err == nil {
		t.Error("a record that is not durable was waited for without error")
	}
}
