package audit

import (
	"fmt"
	"strings"
	"time"
)

// Span is what a report or an export was made from.
type Span struct {
	Records     int64
	Expired     int64     // records that are there no more: their time was over
	First, Last time.Time // earliest and latest time in them, UTC; zero where there are none
}

func (s Span) String() string {
	text := "0 records"
	if s.Records > 0 {
		text = fmt.Sprintf("%d records from %s to %s UTC", s.Records, s.First.Format(time.DateTime), s.Last.Format(time.DateTime))
	}
	if s.Expired > 0 {
		text += fmt.Sprintf(" (%d others have expired)", s.Expired)
	}
	return text
}

// Add counts a record.
func (s *Span) Add(r *Record) {
	if s.Records++; s.Records == 1 || r.Time.Before(s.First) {
		s.First = r.Time
	}
	if r.Time.After(s.Last) {
		s.Last = r.Time
	}
}

// Whole gives f every record in order, and says in an error where the log is
// damaged: the span is then that of the records before. All goes on after
// damage, and ends where a log ends that is being written; whoever answers "who
// saw this patient" from what is left would answer wrongly. So fewer records
// than the checkpoint signs are damage too.
func (r *Reader) Whole(f func(*Record) error) (Span, error) {
	var span Span
	gone, err := r.Expired()
	if err != nil {
		return span, err
	}
	for _, e := range gone {
		span.Expired += e.Records
	}
	signed, err := r.Signed() // before the data is read: it only grows
	if err != nil {
		return span, err
	}
	next := int64(0)
	for rec, err := range r.All() {
		if err == nil && rec.Index != next {
			next = gone.past(next)
		}
		if err == nil && rec.Index != next {
			err = fmt.Errorf("record %d comes in its place", rec.Index)
		}
		if err != nil {
			return span, span.Damaged(err)
		}
		if err := f(rec); err != nil {
			return span, err
		}
		span.Add(rec)
		next++
	}
	return span, span.Reaches(signed)
}

// Reaches fails where the span ends before what the checkpoint signs.
func (s Span) Reaches(signed int64) error {
	if s.Records+s.Expired < signed {
		return s.Damaged(fmt.Errorf("the checkpoint signs %d records", signed))
	}
	return nil
}

// Signed is how many records the log's own checkpoint signs.
func (r *Reader) Signed() (int64, error) { return signedSize(r.dir) }

// SignedIn is that of the log in a directory.
func SignedIn(dir string) (int64, error) { return signedSize(dir) }

// Damaged is what a reader fails with that came as far as the span.
func (s Span) Damaged(err error) error {
	if s.Records == 0 {
		return fmt.Errorf("the log is damaged, or its key is another one, from its first record on; run audit verify: %w", err)
	}
	return fmt.Errorf("the log is damaged after record %d; what follows is not in this report; run audit verify: %w", s.Records-1, err)
}

// signedSize is the size that the log's own checkpoint tells. Its signature is
// not checked: the audit key, which is all that a reader has, cannot.
func signedSize(dir string) (int64, error) {
	b, err := readCheckpoint(dir)
	if err != nil {
		return 0, err
	}
	if b == nil {
		return 0, fmt.Errorf("%s holds no checkpoint", dir)
	}
	text, _, ok := strings.Cut(string(b), "\n\n")
	if !ok {
		return 0, errCheckpoint
	}
	c, err := parseCheckpoint(text + "\n")
	return c.Size, err
}
