package audit

import (
	"os"
	"testing"
)

// A tail gives every durable record once and in order, across segments, while
// the log is written, and goes on from any index.
func TestTailFollowsTheLog(t *testing.T) {
	o := testOptions(t.TempDir())
	o.SegmentBytes = 4 << 10
	l := mustOpen(t, o)
	tail := l.Reader().Tail(0)
	defer tail.Close()
	var got []int64
	take := func(r *Record) error { got = append(got, r.Index); return nil }
	for i := range 200 {
		mustAppend(t, l, smallRead(i))
		if i%7 == 0 {
			if err := tail.Read(l.Durable(), 5, take); err != nil {
				t.Fatal(err)
			}
		}
	}
	for tail.Next() < l.Durable() {
		if err := tail.Read(l.Durable(), 5, take); err != nil {
			t.Fatal(err)
		}
	}
	for i, index := range got {
		if index != int64(i) {
			t.Fatalf("record %d came in place %d", index, i)
		}
	}
	if int64(len(got)) != l.Durable() || len(got) != 201 {
		t.Errorf("%d records, want %d", len(got), l.Durable())
	}
	for _, from := range []int64{0, 1, 77, 200} {
		resumed := l.Reader().Tail(from)
		first := int64(-1)
		err := resumed.Read(l.Durable(), 1, func(r *Record) error { first = max(first, min(r.Index, from)); return nil })
		resumed.Close()
		if err != nil || first != from {
			t.Errorf("from %d: began at %d, %v", from, first, err)
		}
	}
}

// What is on the disk and not yet flushed may be cut off again: nobody sees it.
func TestTailEndsAtWhatIsDurable(t *testing.T) {
	o := testOptions(t.TempDir())
	l := mustOpen(t, o)
	mustAppend(t, l, smallRead(1))
	limit := l.Durable()
	mustAppend(t, l, smallRead(2))
	tail := l.Reader().Tail(0)
	defer tail.Close()
	n := 0
	if err := tail.Read(limit, 100, func(*Record) error { n++; return nil }); err != nil || int64(n) != limit {
		t.Errorf("%d records, %v; want %d", n, err, limit)
	}
}

// A tail never passes over a record that is missing.
func TestTailStopsAtAGap(t *testing.T) {
	o := testOptions(t.TempDir())
	o.SegmentBytes = 4 << 10
	l := mustOpen(t, o)
	for i := range 100 {
		mustAppend(t, l, smallRead(i))
	}
	if err := os.Remove(segmentPath(o.Dir, 2)); err != nil {
		t.Fatal(err)
	}
	tail := l.Reader().Tail(0)
	defer tail.Close()
	var err error
	for err == nil && tail.Next() < l.Durable() {
		err = tail.Read(l.Durable(), 10, func(*Record) error { return nil })
	}
	if err == nil {
		t.Error("a missing segment was passed over")
	}
}
