package index

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway/audit"
)

// expire lets go of every whole segment before an index.
func (w *world) expire(before int64) int64 {
	w.t.Helper()
	gone, _, err := w.log.Expire(context.Background(), audit.ExpireOptions{Before: time.Now().Add(time.Hour), Keep: before})
	if err != nil || len(gone) == 0 {
		w.t.Fatalf("%d segments gone, %v", len(gone), err)
	}
	n := int64(0)
	for _, e := range gone {
		n += e.Records
	}
	return n
}

// Issue 7 points 3 and 6: of a log whose old segments have expired, before or after
// they were indexed, the index tells what is left, and how much is not.
func TestIndexTellsWhatExpired(t *testing.T) {
	for _, c := range []struct {
		name    string
		indexed bool  // what expires
		keep    int64 // of the log's end what the index had not come to
	}{{"indexed", true, 0}, {"never indexed", false, 0}, {"indexed in part", true, 1}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			for range 600 {
				w.access()
			}
			w.settle()
			x := w.index()
			if c.indexed {
				w.advance(x)
			}
			half := w.log.Durable() / 2
			if c.keep > 0 {
				for range 600 {
					w.access()
				}
				w.settle()
				half = w.log.Durable() - 100 // past what is indexed
			}
			gone := w.expire(half)
			w.settle()
			for range 2 { // as the gateway has it open, and opened anew
				w.agrees(x, gone)
				x = w.index()
			}
			w.advance(x)
			w.agrees(x, gone)
		})
	}
}

// agrees holds the index to what reading everything tells.
func (w *world) agrees(x *Index, gone int64) {
	w.t.Helper()
	want, _, err := w.scan().Find(audit.Question{}, func(*audit.Record) error { return nil })
	if err != nil || want.Expired != gone {
		w.t.Fatalf("the log: %+v, %v; %d are gone", want, err, gone)
	}
	for _, q := range questions() {
		if got, want := w.told(x, q), w.told(w.scan(), q); got != want {
			w.t.Fatalf("%+v: %s", q, firstOther(got, want))
		}
		got, _, err := x.Find(q, func(*audit.Record) error { return nil })
		if err != nil || got.Records != want.Records || got.Expired != want.Expired || got.First.Before(want.First) || !got.Last.Equal(want.Last) {
			w.t.Fatalf("%+v: span %+v, want %+v; %v", q, got, want, err)
		}
	}
}

// U-07: a segment or a key that somebody took away has not expired, by the index
// either.
func TestWhatIsMissingHasNotExpired(t *testing.T) {
	for _, what := range []string{"segments/00000001.log", "keys/00000001.key"} {
		w := newWorld(t)
		for range 600 {
			w.access()
		}
		x := w.index()
		w.advance(x)
		if err := os.Remove(filepath.Join(w.logs, what)); err != nil {
			t.Fatal(err)
		}
		for _, q := range []audit.Question{{Patient: "Patient/p1"}, {}} {
			if _, _, err := x.Find(q, func(*audit.Record) error { return nil }); err == nil || !strings.Contains(err.Error(), "audit verify") {
				t.Errorf("without %s, %+v: %v", what, q, err)
			}
		}
	}
}
