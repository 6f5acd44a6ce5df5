package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
)

// Tail reads a log in order from some record on, while it grows, and goes on
// where it stopped. It is not safe for concurrent use.
type Tail struct {
	r    *Reader
	next int64
	s    *segment // nil: find the one that holds next
	keys *keyring
}

// Tail begins at the record of index next.
func (r *Reader) Tail(next int64) *Tail { return &Tail{r: r, next: next} }

// Next is the index of the record that comes next.
func (t *Tail) Next() int64 { return t.next }

// Close lets the file go; the Tail can still be read.
func (t *Tail) Close() {
	if t.s != nil {
		t.s.close()
		t.s = nil
	}
}

// errNotYet is a record below the limit that is not there: the log is damaged,
// or the limit is not that of this log.
var errNotYet = errors.New("the record is missing")

// Read gives f the records up to but not including limit (what is durable, see
// Log.Durable), at least one and no more than some thousands: whole batches of
// the log beyond max records. What has expired is passed over; a record that does not open, or is missing, is an error, and Read
// does not get past it.
func (t *Tail) Read(limit int64, max int, f func(*Record) error) error {
	for begun := t.next; t.next < limit && t.next-begun < int64(max); {
		if err := t.batch(limit, f); err != nil {
			t.Close() // it goes on at next, wherever that is by then
			return err
		}
	}
	return nil
}

// batch reads one batch, or moves to the segment where it is.
func (t *Tail) batch(limit int64, f func(*Record) error) error {
	if t.s == nil {
		return t.seek()
	}
	at := t.s.offset
	b, err := t.s.next()
	if errors.Is(err, io.EOF) || errors.Is(err, errTorn) {
		number := t.s.Number
		t.Close()
		if err := t.after(number); err != nil {
			return fmt.Errorf("segment %d after byte %d: %w", number, at, err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if b.First >= limit { // on its way to the disk: not yet there for anyone
		return errNotYet
	}
	return b.each(func(index int64, stored []byte) error {
		if index < t.next {
			return nil
		}
		rec, err := open(t.keys, stored)
		if err != nil {
			return fmt.Errorf("record %d: %w", index, err)
		}
		rec.Index = index
		if err := f(rec); err != nil {
			return err
		}
		t.next = index + 1
		return nil
	})
}

// seek opens the segment that holds the next record.
func (t *Tail) seek() error {
	numbers, err := numbered(filepath.Join(t.r.dir, "segments"), ".log")
	if err != nil {
		return err
	}
	var found *segment
	for _, n := range slices.Backward(numbers) {
		s, err := openSegment(segmentPath(t.r.dir, n))
		if errors.Is(err, errTorn) || errors.Is(err, fs.ErrNotExist) {
			continue // being made, or just expired
		}
		if err != nil {
			return err
		}
		if found != nil {
			found.close()
		}
		if found = s; s.First <= t.next {
			break
		}
	}
	if found == nil {
		return errNotYet
	}
	return t.enter(found)
}

func (t *Tail) enter(s *segment) error {
	if s.First > t.next {
		gone, err := t.r.Expired()
		if err == nil && gone.past(t.next) < s.First {
			err = fmt.Errorf("record %d: %w", t.next, errNotYet)
		}
		if err != nil {
			s.close()
			return err
		}
		t.next = s.First
	}
	secrets, err := loadSecrets(t.r.dir, t.r.key, s.Number)
	if err != nil {
		s.close()
		return err
	}
	t.s, t.keys = s, newKeyring(secrets)
	return nil
}

// after enters the segment after the one of a number, which has no more.
func (t *Tail) after(number uint64) error {
	numbers, err := numbered(filepath.Join(t.r.dir, "segments"), ".log")
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if n <= number {
			continue
		}
		s, err := openSegment(segmentPath(t.r.dir, n))
		if err != nil {
			return err
		}
		return t.enter(s)
	}
	return errNotYet
}
