package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
)

// ExpireOptions say what may leave a log.
type ExpireOptions struct {
	Before time.Time         // a segment leaves whole, once its youngest record is older
	Keep   int64             // nothing from this index on: what a sink has not got yet
	Held   func(string) bool // patients under legal hold, whose segments stay; of "": all are; nil: nobody
}

// Expired is a segment that has left a log. The tree keeps its leaves, so that
// everything else verifies as before.
type Expired struct {
	Segment        uint64
	First, Records int64
	At             time.Time
}

// segmentAge is how long a segment is written to, so that the few records of a
// quiet gateway do not stay for the young ones beside them.
const segmentAge = 24 * time.Hour

// Expire takes out the segments whose time is over. That it does is recorded
// before, and a signed note stays in the place of each. held counts the segments
// that a legal hold alone keeps.
func (l *Log) Expire(ctx context.Context, o ExpireOptions) (gone []Expired, held int, err error) {
	l.keyFiles.Lock()
	defer l.keyFiles.Unlock()
	if err := l.finishExpired(); err != nil {
		return nil, 0, fmt.Errorf("expire records: %w", err)
	}
	if err := l.endOldSegment(ctx, o.Before); err != nil {
		return nil, 0, fmt.Errorf("expire records: %w", err)
	}
	numbers, err := numbered(filepath.Join(l.o.Dir, "segments"), ".log")
	if err != nil {
		return nil, 0, err
	}
	for _, n := range numbers {
		if n >= l.current.Load() || ctx.Err() != nil {
			break
		}
		e, over, stays, err := l.over(n, o)
		if stays {
			held++
		}
		if err == nil && over && !stays {
			if err = l.expire(ctx, e); err == nil {
				gone = append(gone, e)
			}
		}
		if err != nil {
			return gone, held, fmt.Errorf("expire segment %d: %w", n, err)
		}
	}
	return gone, held, ctx.Err()
}

// endOldSegment begins another segment where the one at hand is old, and waits
// until its tiles are on disk: they alone are left of what expires.
func (l *Log) endOldSegment(ctx context.Context, before time.Time) error {
	number := l.current.Load()
	first, err := l.firstTime(number)
	if err != nil || first.IsZero() {
		return err
	}
	if !first.Before(before) && l.o.Now().Sub(first) < segmentAge {
		return nil
	}
	if err := l.newSegment(ctx); err != nil {
		return err
	}
	size := l.Durable()
	for end := time.Now().Add(10 * time.Second); l.publisher.synced.Load() < size && ctx.Err() == nil && time.Now().Before(end); {
		l.publisher.sync.Store(true) // what the segment asked for may have come before its last leaves
		time.Sleep(10 * time.Millisecond)
	}
	return ctx.Err()
}

// firstTime is when the first record of a segment was made; zero where it has
// none.
func (l *Log) firstTime(number uint64) (first time.Time, err error) {
	err = l.eachOf(number, func(r *Record) error { first = r.Time; return errStop })
	if errors.Is(err, errStop) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errTorn) {
		err = nil
	}
	return first, err
}

// eachOf gives f the records of one segment.
func (l *Log) eachOf(number uint64, f func(*Record) error) error {
	s, err := openSegment(segmentPath(l.o.Dir, number))
	if err != nil {
		return err
	}
	defer s.close()
	secrets, err := loadSecrets(l.o.Dir, l.o.Key, number)
	if err != nil {
		return err
	}
	keys := newKeyring(secrets)
	for {
		b, err := s.next()
		if err != nil {
			return ended(err)
		}
		err = b.each(func(index int64, stored []byte) error {
			r, err := open(keys, stored)
			if err != nil {
				return fmt.Errorf("record %d: %w", index, err)
			}
			r.Index = index
			return f(r)
		})
		if err != nil {
			return err
		}
	}
}

// over says whether the time of a segment is over, and whether a hold keeps it.
// A segment that does not read whole stays: someone must look at it.
func (l *Log) over(number uint64, o ExpireOptions) (e Expired, over, held bool, err error) {
	first, err := l.firstTime(number)
	if err != nil || !first.Before(o.Before) {
		return e, false, false, err
	}
	e = Expired{Segment: number, First: -1, At: l.o.Now().UTC().Truncate(time.Second)}
	young := false
	err = l.eachOf(number, func(r *Record) error {
		if e.First < 0 {
			e.First = r.Index
		}
		e.Records++
		young = young || !r.Time.Before(o.Before)
		held = held || o.Held != nil && (o.Held("") || anyHeld(r, o.Held))
		return nil
	})
	end := e.First + e.Records
	over = err == nil && e.Records > 0 && !young && end <= o.Keep && end <= l.publisher.synced.Load()
	return e, over, over && held, err
}

func anyHeld(r *Record, held func(string) bool) bool {
	for _, p := range patientsOf(r) {
		if held(p) {
			return true
		}
	}
	return false
}

// expire records that a segment goes, leaves its note, and takes it away.
func (l *Log) expire(ctx context.Context, e Expired) error {
	notice := &Record{Kind: Notice, Code: SegmentExpired, Notes: []Note{{"segment", fmt.Sprint(e.Segment)},
		{"records", fmt.Sprintf("%d to %d", e.First, e.First+e.Records-1)}}}
	if err := l.Append(notice).Wait(ctx); err != nil {
		return err
	}
	b, err := e.sign(l.o.Origin, l.o.Key, l.signer)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(l.o.Dir, "expired"), 0o700); err != nil {
		return err
	}
	if err := replace(expiredPath(l.o.Dir, e.Segment), b); err != nil {
		return err
	}
	l.o.Log.Info("audit records have expired", zap.Uint64("segment", e.Segment), zap.Int64("records", e.Records))
	return removeSegment(l.o.Dir, e.Segment)
}

// removeSegment takes away the records, and the keys after them: a log without
// the key of a segment does not open.
func removeSegment(dir string, number uint64) error {
	for _, path := range []string{segmentPath(dir, number), keyPath(dir, number)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove: %w", err)
		}
		if err := syncPath(filepath.Dir(path)); err != nil {
			return err
		}
	}
	return nil
}

// finishExpired takes away what a crash left of segments that have their note.
func (l *Log) finishExpired() error {
	all, err := expiredOf(l.o.Dir, l.o.Origin, byMAC(l.o.Key))
	for _, e := range all {
		if _, statErr := os.Stat(keyPath(l.o.Dir, e.Segment)); statErr == nil {
			err = errors.Join(err, removeSegment(l.o.Dir, e.Segment))
		}
	}
	return err
}

// ended is nil at the end of a segment.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
