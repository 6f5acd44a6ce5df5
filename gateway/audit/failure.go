package audit

import (
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
)

// fail closes the log to records: what waits is refused, and so is what comes,
// until the disk is back.
func (l *Log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.o.Log.Error("audit log takes no records", zap.Error(err))
	}
	l.failed = err
	l.refuseFilling(err)
}

func (l *Log) failedNow() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed != nil
}

// recoverDisk tries until the log can be written again, or is closed.
func (l *Log) recoverDisk() {
	for {
		l.writing.at()
		err := l.reopen()
		l.writing.idle()
		l.mu.Lock()
		if err == nil {
			l.failed = nil
		}
		closed := l.closed
		l.mu.Unlock()
		if err == nil {
			l.o.Log.Info("audit log takes records again")
			l.Append(&Record{Kind: Notice, Code: logRecovered})
		}
		if err == nil || closed {
			return
		}
		select {
		case <-time.After(l.o.retry):
		case <-l.wake: // closed, perhaps
		case done := <-l.rolls:
			done <- l.Healthy()
		}
	}
}

// reopen cuts off what the failed flush may have left and goes on in a new
// segment with new keys: after a failed flush nothing is known of the pages it
// was to write, and a second flush may claim success for pages that are gone.
func (l *Log) reopen() error {
	w := &l.writer
	l.endSegment()
	if err := l.cutSegment(); err != nil {
		return err
	}
	if w.offset > headLen { // else nothing of this segment was acknowledged
		w.number, w.offset = w.number+1, headLen
	}
	ring, err := l.newRing(w.number)
	if err != nil {
		return err
	}
	if err := l.createSegment(); err != nil {
		return err
	}
	l.ring.Store(ring)
	l.current.Store(w.number)
	return nil
}

func (l *Log) cutSegment() error {
	path := segmentPath(l.o.Dir, l.writer.number)
	if l.writer.offset <= headLen {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("remove empty segment: %w", err)
		}
		return nil
	}
	return cut(l.o.open, path, l.writer.offset)
}

// cut ends a segment file at offset.
func cut(open func(string, int) (file, error), path string, offset int64) error {
	f, err := open(path, os.O_RDWR)
	if err != nil {
		return fmt.Errorf("cut segment: %w", err)
	}
	defer f.Close()
	if err := f.Truncate(offset); err != nil {
		return fmt.Errorf("cut segment %s: %w", path, err)
	}
	if err := f.Datasync(); err != nil {
		return fmt.Errorf("cut segment %s: %w", path, err)
	}
	return nil
}
