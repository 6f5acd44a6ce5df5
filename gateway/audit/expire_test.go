package audit

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// oldLog is a log of five days, a segment a day, read by a patient each; the
// clock stands at the end of the last.
func oldLog(t *testing.T) (o Options, l *Log, day func(int) time.Time) {
	t.Helper()
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	day = func(n int) time.Time { return begin.Add(time.Duration(n) * 24 * time.Hour) }
	var clock atomic.Int64 // the log's own goroutines look at it
	o = testOptions(t.TempDir())
	o.Now = func() time.Time { return day(int(clock.Load())) }
	l = mustOpen(t, o)
	for d := range 5 {
		clock.Store(int64(d))
		for i := range 300 {
			r := smallRead(d*300 + i)
			r.Time = day(d).Add(time.Duration(i) * time.Second)
			r.Consents = nil
			r.Entries[0].Patients = []string{fmt.Sprint("Patient/p", d)}
			if p := l.Append(r); i == 299 {
				if err := p.Wait(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := l.newSegment(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(time.Minute); l.publisher.synced.Load() < l.Durable() && time.Now().Before(end); {
		l.publisher.sync.Store(true) // what the segment asked for may have come before its last leaves
		time.Sleep(time.Millisecond)
	}
	return o, l, day
}

func mustExpire(t *testing.T, l *Log, o ExpireOptions) (gone []Expired, held int) {
	t.Helper()
	if o.Keep == 0 {
		o.Keep = math.MaxInt64
	}
	gone, held, err := l.Expire(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return gone, held
}

// Issue 7 point 3: what is older than the retention is gone, its keys too; that it
// went is recorded and signed, and all the rest verifies, opens and reads.
func TestWhatIsOldExpires(t *testing.T) {
	o, l, day := oldLog(t)
	before, _ := readCheckpoint(o.Dir)
	gone, held := mustExpire(t, l, ExpireOptions{Before: day(3)})
	if len(gone) != 3 || held != 0 || gone[0].First != 0 {
		t.Fatalf("gone %+v, %d held", gone, held)
	}
	for _, e := range gone {
		for _, path := range []string{segmentPath(o.Dir, e.Segment), keyPath(o.Dir, e.Segment)} {
			if _, err := os.Stat(path); err == nil {
				t.Errorf("%s is still there", path)
			}
		}
	}
	mustClose(t, l)
	l = mustOpen(t, o)
	mustAppend(t, l, smallRead(9999))
	mustClose(t, l)
	r := checkVerified(t, o.Dir, before)
	if want := gone[2].First + gone[2].Records; r.Expired != want {
		t.Errorf("%d records have expired, want %d", r.Expired, want)
	}
	reader, _ := OpenReader(o.Dir, testKey)
	notices := 0
	span, err := reader.Whole(func(r *Record) error {
		if r.Code == SegmentExpired {
			notices++
		}
		return nil
	})
	if err != nil || span.Expired != r.Expired || notices != 3 || !strings.Contains(span.String(), "have expired") {
		t.Errorf("span %s, %d notices, %v", span, notices, err)
	}
	if _, err := Prove(o.Dir, 5); err == nil || !strings.Contains(err.Error(), "has expired") {
		t.Errorf("proof of an expired record: %v", err)
	}
	tail := reader.Tail(0)
	defer tail.Close()
	if err := tail.Read(tail.Next()+1, 1, func(*Record) error { return nil }); err != nil || tail.Next() != r.Expired {
		t.Errorf("a tail went to %d, %v", tail.Next(), err)
	}
}

// C7: a legal hold keeps every segment that tells of the patient, and those of
// others beside it go.
func TestLegalHoldKeeps(t *testing.T) {
	o, l, day := oldLog(t)
	gone, held := mustExpire(t, l, ExpireOptions{Before: day(4), Held: func(p string) bool { return p == "Patient/p1" }})
	if len(gone) != 3 || held != 1 {
		t.Fatalf("gone %+v, %d held", gone, held)
	}
	mustClose(t, l)
	mustClose(t, mustOpen(t, o))
	checkVerified(t, o.Dir)
	n := 0
	reader, _ := OpenReader(o.Dir, testKey)
	if _, err := reader.Whole(func(r *Record) error {
		if slices.Contains(patientsOf(r), "Patient/p1") {
			n++
		}
		return nil
	}); err != nil || n != 300 {
		t.Errorf("%d records of the patient, %v", n, err)
	}
	l = mustOpen(t, o)
	if gone, held := mustExpire(t, l, ExpireOptions{Before: day(4), Held: func(string) bool { return true }}); len(gone) != 0 || held == 0 {
		t.Errorf("all is held, and %+v went", gone)
	}
	if gone, _ := mustExpire(t, l, ExpireOptions{Before: day(4)}); len(gone) != 1 {
		t.Errorf("released, and gone is %+v", gone)
	}
}

// What a sink has not got yet does not expire.
func TestExpiryWaitsForSinks(t *testing.T) {
	_, l, day := oldLog(t)
	if gone, _ := mustExpire(t, l, ExpireOptions{Before: day(4), Keep: 310}); len(gone) != 1 {
		t.Errorf("gone %+v", gone)
	}
}

// U-07: a segment that somebody took away is missing, whatever note lies in its
// place; a note that was changed is said.
func TestExpiryIsNotForged(t *testing.T) {
	o, l, day := oldLog(t)
	gone, _ := mustExpire(t, l, ExpireOptions{Before: day(1)})
	mustClose(t, l)
	if err := os.Remove(segmentPath(o.Dir, 2)); err != nil {
		t.Fatal(err)
	}
	if r := mustVerify(t, o.Dir); r.Completeness == nil || r.FirstBad != gone[0].First+gone[0].Records {
		t.Errorf("a missing segment passes: %+v", r)
	}
	b, _ := os.ReadFile(expiredPath(o.Dir, 1))
	forged := strings.Replace(string(b), "\n1 0 ", "\n2 "+fmt.Sprint(gone[0].Records)+" ", 1)
	if err := os.WriteFile(expiredPath(o.Dir, 2), []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := mustVerify(t, o.Dir); r.OK() {
		t.Errorf("a forged note passes: %+v", r)
	}
	reader, _ := OpenReader(o.Dir, testKey)
	if _, err := reader.Whole(func(*Record) error { return nil }); err == nil {
		t.Error("a reader takes a forged note")
	}
}

// A crash between the note and the removal is made good by the next run.
func TestExpiryIsFinishedAfterACrash(t *testing.T) {
	o, l, day := oldLog(t)
	key, _ := os.ReadFile(keyPath(o.Dir, 1))
	mustExpire(t, l, ExpireOptions{Before: day(1)})
	if err := os.WriteFile(keyPath(o.Dir, 1), key, 0o600); err != nil {
		t.Fatal(err)
	}
	mustExpire(t, l, ExpireOptions{Before: day(1)})
	if _, err := os.Stat(keyPath(o.Dir, 1)); err == nil {
		t.Error("the key of an expired segment is still there")
	}
	mustClose(t, l)
	// The log opens, whatever became of its tiles' edge.
	mustClose(t, mustOpen(t, o))
	checkVerified(t, o.Dir)
}
