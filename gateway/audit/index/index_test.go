package index

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway/audit"
)

var (
	key  = bytes.Repeat([]byte{7}, 32)
	seed = bytes.Repeat([]byte{9}, 32)
	day0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

type world struct {
	t         testing.TB
	logs, dir string
	log       *audit.Log
	n         int
	dice      *rand.Rand
}

func newWorld(t testing.TB) *world {
	root := t.TempDir()
	w := &world{t: t, logs: filepath.Join(root, "audit"), dir: filepath.Join(root, "state"), dice: rand.New(rand.NewPCG(1, 2))}
	w.open()
	t.Cleanup(func() { _ = w.log.Close() })
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.log, err = audit.Open(audit.Options{Dir: w.logs, Key: key, Seed: seed, Origin: "gatehouse.test/audit", SegmentBytes: 64 << 10, CheckpointEvery: 10 * time.Millisecond}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) close() {
	w.t.Helper()
	if err := w.log.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) append(r *audit.Record) {
	w.t.Helper()
	p := w.log.Append(r)
	if w.n%5 > 0 {
		return
	}
	if err := p.Wait(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

// settle makes durable what was appended.
func (w *world) settle() {
	w.t.Helper()
	w.n = (w.n + 4) / 5 * 5
	w.append(&audit.Record{Kind: audit.Notice, Code: "test.settled"})
}

func (w *world) patient() string { return fmt.Sprint("Patient/p", w.dice.IntN(40)) }

// access is a request as the gateway records it: reads, pages, refusals, writes
// with an intent that fail, and some that never end.
func (w *world) access() {
	w.n++
	r := &audit.Record{Kind: audit.Outcome, Request: fmt.Sprint("r", w.n), Method: "GET", Interaction: "read", Type: "Observation", ID: fmt.Sprint("o", w.n), Status: 200, Code: "ok",
		Time: day0.Add(time.Duration(w.n) * time.Hour), Caller: audit.Caller{Issuer: "i", Subject: fmt.Sprint("u", w.dice.IntN(5)), User: fmt.Sprint("Practitioner/", w.dice.IntN(7)), Client: fmt.Sprint("c", w.dice.IntN(3))}}
	entry := func(e audit.Effect) audit.Entry {
		return audit.Entry{Effect: e, Type: "Observation", ID: r.ID, Patients: []string{w.patient()}}
	}
	switch w.dice.IntN(6) {
	case 0:
		r.Interaction = "search-type"
		for range w.dice.IntN(20) {
			r.Entries = append(r.Entries, entry(audit.Effect(1+w.dice.IntN(2))))
		}
	case 1:
		r.Status, r.Code, r.Entries = 404, "resource.not-found", []audit.Entry{entry(audit.Withheld)}
	case 2:
		r.Status, r.Code, r.Caller = 401, "token.missing", audit.Caller{}
	case 3:
		w.write(r, entry(audit.Changed))
		return
	default:
		r.Entries = []audit.Entry{entry(audit.Released)}
	}
	w.append(r)
}

func (w *world) write(r *audit.Record, e audit.Entry) {
	r.Method, r.Interaction = "PUT", "update"
	intent := *r
	intent.Kind, intent.Status, intent.Code, intent.Entries = audit.Intent, 0, "", []audit.Entry{e}
	w.append(&intent)
	for range w.dice.IntN(3) {
		w.access()
	}
	switch w.dice.IntN(3) {
	case 0:
		r.Entries = intent.Entries
	case 1: // it failed, and names nobody
		r.Status, r.Code = 409, "write.conflict"
	default:
		return // it never ended
	}
	w.append(r)
}

// store is the file store, or the PostgreSQL that test/real has these tests run on.
func (w *world) store() Store { return Store{w.dir, os.Getenv("GATEHOUSE_TEST_POSTGRES")} }

func (w *world) index() *Index {
	w.t.Helper()
	x, err := Open(context.Background(), w.store(), w.logs, key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { x.Close() })
	return x
}

func (w *world) advance(x *Index) {
	w.t.Helper()
	if w.n%5 > 0 {
		w.settle()
	}
	for {
		more, err := x.Advance(context.Background())
		if err != nil {
			w.t.Fatal(err)
		}
		if !more {
			return
		}
	}
}

func (w *world) scan() audit.Source {
	w.t.Helper()
	r, err := audit.OpenReader(w.logs, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// told is a report, less what it was made from.
func (w *world) told(src audit.Source, q audit.Question) string {
	w.t.Helper()
	var b bytes.Buffer
	if err := audit.Tell(src, q, audit.NewCSV(&b)); err != nil {
		w.t.Fatalf("%+v: %v", q, err)
	}
	return b.String()
}

// firstOther is where two reports part.
func firstOther(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d: got %s, want %s", i, g[i], w[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(g), len(w))
}

func questions() []audit.Question {
	since, until := day0.Add(100*time.Hour), day0.Add(300*time.Hour)
	l := []audit.Question{{}, {Denied: true}, {Since: since, Until: until}, {Until: since}, {Since: until, Denied: true}, {Client: "c1"}, {Client: "c1", Until: until},
		{User: "u1"}, {User: "Practitioner/2", Since: since}, {User: "u1", Client: "c2"}, {Patient: "Patient/none"}, {Until: day0}, {Since: day0.AddDate(9, 0, 0)},
		{Patient: "Patient/p1", Until: day0.Add(time.Minute)}}
	for i := range 12 {
		q := audit.Question{Patient: fmt.Sprint("Patient/p", i)}
		if l = append(l, q); i < 5 {
			q.Since = since
			l = append(l, q)
			q.Until = until
			l = append(l, q)
			q.Denied = true
			l = append(l, q)
		}
	}
	return l
}

// Issue 7.6: by the index every report is that of reading every record, however
// far the index came.
func TestIndexTellsWhatTheLogTells(t *testing.T) {
	w := newWorld(t)
	x := w.index()
	for round, indexed := range []bool{false, true, false, true} {
		for range 150 {
			w.access()
		}
		if round == 1 { // and a start of the gateway, which ends what had not
			w.close()
			w.open()
		}
		if indexed {
			w.advance(x)
		}
		w.settle()
		for _, q := range questions() {
			if got, want := w.told(x, q), w.told(w.scan(), q); got != want {
				t.Fatalf("round %d, %+v: %s", round, q, firstOther(got, want))
			}
		}
	}
	if got, want := w.told(x, audit.Question{Patient: "Patient/p1"}), "may have been made"; !strings.Contains(w.told(x, audit.Question{}), want) {
		t.Errorf("the test makes nothing that never ended: %s", got)
	}
	read := 0
	span, how, err := x.Find(audit.Question{Patient: "Patient/p1"}, func(*audit.Record) error { read++; return nil })
	if err != nil || span.Records < 500 || int64(read) > span.Records/4 || how != fmt.Sprintf("by the index: %d of them were read", read) {
		t.Errorf("read %d of %+v, %q, %v", read, span, how, err)
	}
}

// Another copy of the log, or one that was put back from a backup, is not the one
// that the index was made from.
func TestIndexOfAnotherLogIsMadeAnew(t *testing.T) {
	w := newWorld(t)
	for range 100 {
		w.access()
	}
	w.close()
	backup := t.TempDir()
	if err := os.CopyFS(backup, os.DirFS(w.logs)); err != nil {
		t.Fatal(err)
	}
	w.open()
	for range 300 {
		w.access()
	}
	x := w.index()
	w.advance(x)
	x.Close()
	w.close()
	if err := os.RemoveAll(w.logs); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(w.logs, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	w.open()
	w.access() // and it goes its own way
	x = w.index()
	w.advance(x)
	for _, q := range questions() {
		if got, want := w.told(x, q), w.told(w.scan(), q); got != want {
			t.Fatalf("%+v: %s", q, firstOther(got, want))
		}
	}
}

// Issue 7.8: the index holds nothing in the clear, and nothing of who was erased.
func TestIndexForgets(t *testing.T) {
	w := newWorld(t)
	for range 200 {
		w.access()
	}
	x := w.index()
	w.advance(x)
	q := audit.Question{Patient: "Patient/p1"}
	if n := strings.Count(w.told(x, q), "\n"); n < 2 {
		t.Fatal("nobody saw p1")
	}
	ctx := context.Background()
	if err := w.log.Erase(ctx, q.Patient); err != nil {
		t.Fatal(err)
	}
	if err := x.Forget(ctx, q.Patient); err != nil {
		t.Fatal(err)
	}
	w.advance(x)
	if got := w.told(x, q); strings.Count(got, "\n") != 1 {
		t.Errorf("still told: %s", got)
	}
	var n int
	if err := x.db.QueryRow(x.db.sql(`SELECT count(*) FROM {posting} WHERE tag = $1`), x.tag(byPatient, q.Patient)).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
	names, _ := filepath.Glob(filepath.Join(w.dir, "*"))
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"Patient", "Practitioner", "p1", "u1", "c1", "r1"} {
			if len(secret) > 2 && bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds %q", name, secret)
			}
		}
		if info, _ := os.Stat(name); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

// A damaged log is no shorter log by the index either, wherever the damage is.
func TestIndexStopsAtDamage(t *testing.T) {
	for _, at := range []int{0, 1} {
		w := newWorld(t)
		for range 400 {
			w.access()
		}
		w.close()
		segments, _ := filepath.Glob(filepath.Join(w.logs, "segments", "*"))
		if len(segments) < 2 {
			t.Fatal("one segment")
		}
		file := segments[at*(len(segments)-1)]
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		x := w.index()
		for more := true; more && err == nil; {
			more, err = x.Advance(context.Background())
		}
		if err := audit.Tell(x, audit.Question{Patient: "Patient/p1"}, audit.NewCSV(&bytes.Buffer{})); err == nil || !strings.Contains(err.Error(), "run audit verify") {
			t.Errorf("segment %d: a report on a damaged log: %v", at, err)
		}
	}
}
