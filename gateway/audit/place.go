package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// Place is where a batch of records begins; zero is the log's beginning. Whoever
// remembers places need not read from the beginning again.
type Place struct {
	Segment uint64
	Offset  int64 // in the segment's file
	Index   int64 // of the first record there
}

// Batch is what one flush wrote, as a reader gets it.
type Batch struct {
	At      Place
	Next    Place // where the batch after it begins, or will
	Records []*Record
	Sum     [sha256.Size]byte // of the stored bytes
}

// After gives f every batch from a place on that is on disk, in order, until f
// fails. What does not open is an error, and so is a place that is none.
func (r *Reader) After(p Place, f func(Batch) error) error {
	for {
		numbers, err := r.from(p.Segment) // before its last batch is read: what follows a segment is there once it has ended
		if err != nil || len(numbers) == 0 {
			return err
		}
		if p.Segment != numbers[0] {
			p = Place{Segment: numbers[0], Offset: headLen, Index: p.Index}
		}
		if p, err = r.rest(p, len(numbers) == 1, f); err != nil || len(numbers) == 1 {
			return err
		}
		p = Place{Segment: numbers[1], Offset: headLen, Index: p.Index}
	}
}

// from lists the segments from a number on.
func (r *Reader) from(number uint64) ([]uint64, error) {
	numbers, err := numbered(filepath.Join(r.dir, "segments"), ".log")
	if err != nil {
		return nil, err
	}
	for len(numbers) > 0 && numbers[0] < number {
		numbers = numbers[1:]
	}
	return numbers, nil
}

// rest gives f the batches of one segment from a place on.
func (r *Reader) rest(p Place, last bool, f func(Batch) error) (Place, error) {
	s, keys, err := r.at(p)
	if err != nil {
		if last && errors.Is(err, errTorn) {
			return p, nil // just being made
		}
		return p, err
	}
	defer s.close()
	if p.Offset == headLen {
		p.Index = s.First
	}
	for {
		b, err := s.next()
		if errors.Is(err, io.EOF) || last && errors.Is(err, errTorn) {
			return p, nil
		}
		if err == nil && b.First != p.Index {
			err = fmt.Errorf("record %d comes in the place of %d", b.First, p.Index)
		}
		if err != nil {
			return p, fmt.Errorf("segment %s after byte %d: %w", s.path, s.offset, err)
		}
		next := Place{p.Segment, s.offset, p.Index + int64(b.Records)}
		out := Batch{At: p, Next: next, Records: make([]*Record, 0, b.Records), Sum: sha256.Sum256(b.body)}
		if err := b.each(func(index int64, stored []byte) error {
			rec, err := opened(keys, index, stored)
			out.Records = append(out.Records, rec)
			return err
		}); err != nil {
			return p, err
		}
		if err := f(out); err != nil {
			return p, err
		}
		p = next
	}
}

func opened(keys *keyring, index int64, stored []byte) (*Record, error) {
	rec, err := open(keys, stored)
	if err != nil {
		return nil, fmt.Errorf("record %d: %w", index, err)
	}
	rec.Index = index
	return rec, nil
}

// at opens a segment at a place.
func (r *Reader) at(p Place) (*segment, *keyring, error) {
	s, err := openSegment(segmentPath(r.dir, p.Segment))
	if err != nil {
		return nil, nil, err
	}
	secrets, err := loadSecrets(r.dir, r.key, p.Segment)
	if err == nil {
		err = s.seek(p.Offset)
	}
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, newKeyring(secrets), nil
}

func (s *segment) seek(offset int64) error {
	if _, err := s.f.Seek(offset, io.SeekStart); err != nil {
		return fmt.Errorf("read segment %s: %w", s.path, err)
	}
	s.r.Reset(s.f)
	s.offset = offset
	return nil
}

// Picker reads single records, best in their order.
type Picker struct {
	r       *Reader
	segment *segment
	keys    *keyring
	place   Place
	batch   batch
}

// ErrGone is what Pick gives for a record whose segment is gone: see Expired for
// whether its time was over.
var ErrGone = errors.New("the record's segment is no longer there")

// Picker gives one; it is to be closed.
func (r *Reader) Picker() *Picker { return &Picker{r: r} }

// Pick gives the record of an index, which lies in a batch at the place or after
// it in the same segment.
func (p *Picker) Pick(at Place, index int64) (*Record, error) {
	if err := p.move(at, index); err != nil {
		return nil, err
	}
	for p.batch.First+int64(p.batch.Records) <= index {
		b, err := p.segment.next()
		if err != nil {
			return nil, fmt.Errorf("record %d is not where the index has it: %w", index, err)
		}
		p.batch = b
	}
	var found *Record
	err := p.batch.each(func(i int64, stored []byte) (err error) {
		if i == index {
			found, err = opened(p.keys, i, stored)
		}
		return err
	})
	if err == nil && found == nil {
		err = fmt.Errorf("record %d is not where the index has it", index)
	}
	return found, err
}

// move goes to the place, unless what was read last lies nearer before index.
func (p *Picker) move(at Place, index int64) error {
	if p.segment != nil && p.place.Segment == at.Segment {
		if p.batch.Records > 0 && p.batch.First <= index && (p.batch.First >= at.Index || p.batch.First+int64(p.batch.Records) > index) {
			return nil
		}
		p.batch = batch{}
		return p.segment.seek(at.Offset)
	}
	p.Close()
	var err error
	p.segment, p.keys, err = p.r.at(at)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrGone
	}
	p.place, p.batch = at, batch{}
	return err
}

// Close lets go of what was opened.
func (p *Picker) Close() {
	if p.segment != nil {
		p.segment.close()
		p.segment = nil
	}
}

// PlaceOf is a place before all records of a time on, to the segment, as far as
// the clock did not step back further than that.
func (r *Reader) PlaceOf(t time.Time) (Place, error) {
	numbers, err := r.from(0)
	if err != nil {
		return Place{}, err
	}
	for _, n := range slices.Backward(numbers) {
		at, early := Place{Segment: n, Offset: headLen}, false
		err := r.After(at, func(b Batch) error {
			early = b.Records[0].Time.Before(t)
			return errStop
		})
		if early {
			return at, nil
		}
		if err != nil && !errors.Is(err, errStop) {
			return Place{}, err
		}
	}
	return Place{}, nil
}
