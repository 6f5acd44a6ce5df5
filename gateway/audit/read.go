package audit

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
)

// Reader reads the records of a log, also while it is being written: it then
// ends with what is on disk.
type Reader struct {
	dir string
	key []byte
}

// OpenReader gives a reader of the log in dir; key is the audit key.
func OpenReader(dir string, key []byte) (*Reader, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	return &Reader{dir: dir, key: key}, nil
}

// All yields every record in the order of the log. A record that does not open
// is yielded as an error that names it, and reading goes on; so does a damaged
// batch, after which the rest of its segment is out of reach.
func (r *Reader) All() iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		numbers, err := numbered(filepath.Join(r.dir, "segments"), ".log")
		if err != nil {
			yield(nil, err)
			return
		}
		for i, n := range numbers {
			if !r.segment(n, i == len(numbers)-1, yield) {
				return
			}
		}
	}
}

// ByID gives the records of one request in the order of the log; none is no
// error. It reads back from the end, and no further than the segment before the
// one where it found any.
func (r *Reader) ByID(request string) ([]*Record, error) {
	numbers, err := numbered(filepath.Join(r.dir, "segments"), ".log")
	if err != nil {
		return nil, err
	}
	var found []*Record
	for i, n := range slices.Backward(numbers) {
		had := len(found) > 0
		var here []*Record
		r.segment(n, i == len(numbers)-1, func(rec *Record, e error) bool {
			if e != nil && err == nil {
				err = e
			}
			if e == nil && rec.Request == request {
				here = append(here, rec)
			}
			return true
		})
		found = append(here, found...)
		if had && len(here) == 0 {
			break
		}
	}
	return found, err
}

// segment yields the records of one segment; false to stop.
func (r *Reader) segment(number uint64, last bool, yield func(*Record, error) bool) bool {
	s, err := openSegment(segmentPath(r.dir, number))
	if err != nil {
		// The last may be just being made; it holds nothing yet.
		return last && errors.Is(err, errTorn) || yield(nil, err)
	}
	defer s.close()
	secrets, err := loadSecrets(r.dir, r.key, number)
	if err != nil {
		return yield(nil, err)
	}
	keys := newKeyring(secrets)
	for {
		b, err := s.next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errTorn) && last:
			return true
		case err != nil:
			return yield(nil, fmt.Errorf("segment %s after byte %d: %w", s.path, s.offset, err))
		}
		more := true
		err = b.each(func(index int64, stored []byte) error {
			rec, err := open(keys, stored)
			if err != nil {
				more = yield(nil, fmt.Errorf("record %d: %w", index, err))
			} else {
				rec.Index = index
				more = yield(rec, nil)
			}
			if !more {
				return errStop
			}
			return nil
		})
		if !more {
			return false
		}
		if err != nil && !yield(nil, err) {
			return false
		}
	}
}

var errStop = errors.New("stop")
