package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.uber.org/zap"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// start brings the log up; after kill -9 as after Close.
func (l *Log) start(v note.Verifier) error {
	for _, d := range []string{"", "segments", "keys"} {
		if err := os.MkdirAll(filepath.Join(l.o.Dir, d), 0o700); err != nil {
			return fmt.Errorf("make audit directory: %w", err)
		}
	}
	var err error
	if l.lockFile, err = lock(filepath.Join(l.o.Dir, "lock")); err != nil {
		return err
	}
	l.publisher.tiles = tiles{l.o.Dir}
	last, err := l.recover(v)
	if err != nil {
		return err
	}
	// The tiles that recovery made anew are published before anything is added.
	l.publisher.stale = true
	l.publisher.sync.Store(true)
	if err := l.publishTree(); err != nil {
		return err
	}
	l.publishing.idle()
	ring, err := l.newRing(last + 1)
	if err != nil {
		return err
	}
	l.ring.Store(ring)
	l.current.Store(last + 1)
	l.writer = segmentWriter{number: last + 1, offset: headLen, next: l.publisher.tree.size, spare: &pendingBatch{}}
	l.durable.Store(l.writer.next)
	l.filling = &pendingBatch{}
	l.filling.reset()
	go l.write()
	go l.publishLoop()
	go l.watchDisk()
	// The first record proves that the log can be written, and marks the start.
	if err := l.Append(&Record{Kind: Notice, Code: logOpened}).Wait(context.Background()); err != nil {
		l.Close()
		return err
	}
	return nil
}

// recover rebuilds the tree's right edge and gives the highest number in use.
func (l *Log) recover(v note.Verifier) (last uint64, err error) {
	var c checkpoint
	if b, err := readCheckpoint(l.o.Dir); err != nil {
		return 0, err
	} else if b != nil {
		if c, err = openCheckpoint(b, v); err != nil {
			return 0, fmt.Errorf("audit log %s: %w", l.o.Dir, err)
		}
	}
	segments, err := l.usableSegments()
	if err != nil {
		return 0, err
	}
	keys, err := numbered(filepath.Join(l.o.Dir, "keys"), ".key")
	if err != nil {
		return 0, err
	}
	if _, err := KeyFiles(l.o.Dir, nil); err != nil { // someone must look before it is found in an audit
		return 0, fmt.Errorf("audit log %s: %w", l.o.Dir, err)
	}
	if err := l.replay(segments, c); err != nil {
		return 0, fmt.Errorf("audit log %s: %w", l.o.Dir, err)
	}
	for _, n := range append(keys, segments...) {
		last = max(last, n)
	}
	return last, nil
}

// usableSegments lists the segments, less a last one that was being made when
// the process died: it has no head, so it never held a record.
func (l *Log) usableSegments() ([]uint64, error) {
	numbers, err := numbered(filepath.Join(l.o.Dir, "segments"), ".log")
	if err != nil || len(numbers) == 0 {
		return numbers, err
	}
	path := segmentPath(l.o.Dir, numbers[len(numbers)-1])
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("look at segment: %w", err)
	}
	if info.Size() >= headLen {
		return numbers, nil
	}
	if err := os.Remove(path); err != nil {
		return nil, fmt.Errorf("remove empty segment: %w", err)
	}
	return numbers[:len(numbers)-1], nil
}

// replay reads the data from where the tiles are known to be on disk. If the
// result is not what the checkpoint signs, tiles may have been lost with the
// power: then all is read, and if it still is not, the data was changed.
func (l *Log) replay(segments []uint64, c checkpoint) error {
	base := int64(0)
	if len(segments) > 0 {
		s, err := openSegment(segmentPath(l.o.Dir, segments[len(segments)-1]))
		if err != nil {
			return err
		}
		base = s.Synced
		s.close()
	}
	if base > 0 && base <= c.Size {
		err := l.replayFrom(segments, base, c)
		if err == nil || !errors.Is(err, errMismatch) {
			return err
		}
		l.o.Log.Warn("audit tiles are damaged: reading the whole log", zap.Error(err))
	}
	return l.replayFrom(segments, 0, c)
}

var errMismatch = errors.New("does not match its own checkpoint")

func (l *Log) replayFrom(segments []uint64, base int64, c checkpoint) error {
	p := &l.publisher
	p.full, p.dirty = nil, nil
	var err error
	if p.tree, err = p.tiles.load(base); err != nil {
		return fmt.Errorf("%w: %w", errMismatch, err)
	}
	check := func() error {
		if p.tree.size != c.Size || c.Size == 0 {
			return nil
		}
		if root, err := p.tree.root(); err != nil || root != c.Root {
			return fmt.Errorf("the log %w of %d records", errMismatch, c.Size)
		}
		return nil
	}
	if err := check(); err != nil {
		return err
	}
	from, err := l.segmentsFrom(segments, base)
	if err != nil {
		return err
	}
	for i, number := range from {
		if err := l.replaySegment(number, i == len(from)-1, check); err != nil {
			return err
		}
	}
	if p.tree.size < c.Size {
		return fmt.Errorf("the log %w: that signs %d records, and %d are here", errMismatch, c.Size, p.tree.size)
	}
	return nil
}

// segmentsFrom gives the segments that hold records from base on.
func (l *Log) segmentsFrom(segments []uint64, base int64) ([]uint64, error) {
	for i := len(segments) - 1; i >= 0; i-- {
		s, err := openSegment(segmentPath(l.o.Dir, segments[i]))
		if err != nil {
			return nil, err
		}
		s.close()
		if s.First <= base {
			return segments[i:], nil
		}
	}
	return segments, nil // those before them have expired, or bridge says that they are missing
}

// bridge goes on at the first record of a segment where those before it have
// expired: their leaves are in the tiles.
func (l *Log) bridge(first int64, check func() error) error {
	p := &l.publisher
	gone, err := expiredOf(l.o.Dir, l.o.Origin, byMAC(l.o.Key))
	if err != nil {
		return err
	}
	if Gaps(gone).past(p.tree.size) < first {
		return fmt.Errorf("the log %w: its records from %d to %d are missing", errMismatch, p.tree.size, first-1)
	}
	if p.tree, err = p.tiles.load(first); err != nil {
		return fmt.Errorf("%w: %w", errMismatch, err)
	}
	return check()
}

func (l *Log) replaySegment(number uint64, last bool, check func() error) error {
	p := &l.publisher
	path := segmentPath(l.o.Dir, number)
	s, err := openSegment(path)
	if err != nil {
		return err
	}
	defer s.close()
	if s.First > p.tree.size {
		if err := l.bridge(s.First, check); err != nil {
			return err
		}
	}
	next := s.First
	for {
		b, err := s.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errTorn) && last:
			return l.cutTail(s)
		case err != nil:
			return fmt.Errorf("segment %s, record %d: %w", path, next, err)
		case b.First != next || next > p.tree.size:
			return fmt.Errorf("segment %s: record %d follows %d", path, b.First, min(next, p.tree.size))
		}
		err = b.each(func(index int64, stored []byte) error {
			if next++; index < p.tree.size {
				return nil // before base: in the tiles
			}
			p.add(leafHash(stored))
			return check()
		})
		if err != nil {
			return fmt.Errorf("segment %s: %w", path, err)
		}
	}
}

// cutTail cuts off a batch that a crash tore: it was never acknowledged. If a
// whole batch follows, the torn one had been: the disk lost it, and someone must
// look.
func (l *Log) cutTail(s *segment) error {
	later, err := s.batchAfter()
	if err != nil {
		return err
	}
	if later {
		return fmt.Errorf("segment %s is damaged at byte %d, before acknowledged records", s.path, s.offset)
	}
	l.o.Log.Warn("audit log: a batch that was never acknowledged is cut off", zap.String("segment", s.path))
	return cut(l.o.open, s.path, s.offset)
}

// leafHash is the hash of a leaf (RFC 6962), of a record as it is stored.
func leafHash(stored []byte) tlog.Hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(stored)
	var sum tlog.Hash
	h.Sum(sum[:0])
	return sum
}
