package audit

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"go.uber.org/zap"
	"golang.org/x/mod/sumdb/tlog"
)

// pendingBatch is the batch being filled. All its records share one Pending.
type pendingBatch struct {
	*Pending
	buf    []byte // room for the batch's head, then the records
	leaves []tlog.Hash
}

func (b *pendingBatch) reset() {
	b.Pending = &Pending{done: make(chan struct{})}
	b.buf = append(b.buf[:0], make([]byte, batchHeadLen)...)
	b.leaves = b.leaves[:0]
}

func (p *Pending) finish(err error) {
	p.err = err
	close(p.done)
}

// enqueue adds a sealed record to the batch being filled; l.mu is held. first
// says that the writer has to be told.
func (l *Log) enqueue(stored []byte, leaf tlog.Hash) (p *Pending, first bool) {
	if err := l.standing(); err != nil {
		return refused(err), false
	}
	b := l.filling
	if len(b.buf)+4+len(stored) > maxBatch {
		return refused(errFull), false
	}
	b.buf = binary.BigEndian.AppendUint32(b.buf, uint32(len(stored)))
	b.buf = append(b.buf, stored...)
	b.leaves = append(b.leaves, leaf)
	l.stored.Add(int64(4 + len(stored)))
	return b.Pending, len(b.leaves) == 1
}

// segmentWriter is the writer's own state: the open segment and where it ends.
type segmentWriter struct {
	f      file // nil until the segment's first batch, and while failed
	number uint64
	offset int64 // all before it is on disk
	next   int64 // index of the next record
	spare  *pendingBatch
}

// write is the writer's goroutine.
func (l *Log) write() {
	defer close(l.written)
	for {
		select {
		case <-l.wake:
		case done := <-l.rolls:
			done <- l.roll()
		}
		if closed := l.commitAll(); closed {
			l.endWriting()
			return
		}
		l.writing.idle()
		if l.failedNow() {
			l.recoverDisk()
			l.nudge() // perhaps the log was closed meanwhile
		}
	}
}

// commitAll writes batch after batch until none is filled.
func (l *Log) commitAll() (closed bool) {
	for {
		// Requests that are ready to go on have their records in this flush, which
		// costs as much for one as for many; where none is, this takes no time.
		runtime.Gosched()
		b, closed := l.take()
		if b == nil {
			return closed
		}
		l.commit(b)
		if l.failedNow() {
			return closed // what is torn is cut from this segment before there is another
		}
		if l.writer.offset >= l.o.SegmentBytes && !closed {
			if err := l.roll(); err != nil {
				l.fail(err)
			}
		}
	}
}

// take takes the batch being filled and puts an empty one in its place.
func (l *Log) take() (b *pendingBatch, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.filling.leaves) == 0 {
		return nil, l.closed
	}
	b, l.filling = l.filling, l.writer.spare
	l.filling.reset()
	l.atDisk = b.Pending
	return b, l.closed
}

// commit makes a batch durable and tells those who wait for it.
func (l *Log) commit(b *pendingBatch) {
	err := l.writeBatch(b)
	waited := l.landed(b.Pending)
	if err == nil && !waited {
		err = errHangs
	}
	if err != nil {
		l.fail(err)
	} else {
		l.writer.offset += int64(len(b.buf))
		l.writer.next += int64(len(b.leaves))
		l.publisher.push(b.leaves)
		l.durable.Store(l.writer.next)
	}
	if waited {
		b.finish(err)
	}
	l.writer.spare = b
}

func (l *Log) writeBatch(b *pendingBatch) error {
	w := &l.writer
	if w.f == nil {
		if err := l.createSegment(); err != nil {
			return err
		}
	}
	finishBatch(b.buf, w.next, len(b.leaves))
	l.writing.at()
	if _, err := w.f.WriteAt(b.buf, w.offset); err != nil {
		return fmt.Errorf("write audit records: %w", err)
	}
	l.writing.at()
	if err := w.f.Datasync(); err != nil {
		return fmt.Errorf("flush audit records: %w", err)
	}
	return nil
}

// createSegment makes the file of the segment whose keys are in use. It comes
// after the last batch of the segment before, so that a torn batch can only be
// at the very end of the log.
func (l *Log) createSegment() error {
	w := &l.writer
	l.writing.at()
	path := segmentPath(l.o.Dir, w.number)
	f, err := l.o.open(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("make segment: %w", err)
	}
	b := head{Number: w.number, First: w.next, Synced: l.publisher.synced.Load()}.marshal()
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.Datasync()
	}
	if err == nil {
		err = syncPath(filepath.Dir(path))
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("make segment %s: %w", path, err)
	}
	w.f, w.offset = f, headLen
	return nil
}

// roll ends the segment and begins another with keys of its own. Its key file is
// on disk before any record is sealed under it; what was sealed under the old
// keys still goes to the old segment.
func (l *Log) roll() error {
	number := l.writer.number + 1
	l.writing.at()
	ring, err := l.newRing(number)
	if err != nil {
		return err
	}
	l.mu.Lock()
	last := l.filling
	l.filling = l.writer.spare
	l.filling.reset()
	l.ring.Store(ring)
	l.atDisk = last.Pending
	l.mu.Unlock()

	if len(last.leaves) > 0 {
		l.commit(last)
		if err := l.Healthy(); err != nil {
			return err // what is torn is cut from this segment before there is another
		}
	} else {
		if l.landed(last.Pending) {
			last.finish(nil)
		}
		l.writer.spare = last
	}
	l.writing.at()
	l.endSegment()
	l.writer.number, l.writer.offset = number, headLen
	l.current.Store(number)
	l.publisher.sync.Store(true)
	return l.Healthy()
}

// newRing makes the key file of a segment.
func (l *Log) newRing(number uint64) (*keyring, error) {
	s := newSecrets()
	if err := replace(keyPath(l.o.Dir, number), wrap(l.o.Key, number, s)); err != nil {
		return nil, fmt.Errorf("make key file: %w", err)
	}
	return newKeyring(s), nil
}

// endWriting ends the writer; what was refused does not stay, if the disk lets it go.
func (l *Log) endWriting() {
	l.writing.at()
	defer l.writing.idle()
	l.endSegment()
	if l.failedNow() {
		if err := l.cutSegment(); err != nil {
			l.o.Log.Warn("audit log: what was refused may be on the disk", zap.Error(err))
		}
	}
}

func (l *Log) endSegment() {
	if l.writer.f != nil {
		l.writer.f.Close() // flushed already: nothing is lost with the handle
		l.writer.f = nil
	}
}
