package audit

import (
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// A disk may hang instead of failing: a write or a flush then never returns, and
// whoever waits for it would wait as long. Such a disk is given up after a while: the
// log takes no records, as one whose disk has failed, and the records that wait are
// refused. When the disk answers after all, what it was given late is cut off, since
// nobody was told that it is there, and the log goes on in a new segment.

// flushTimeout is how long a disk may take over one write or flush; a healthy one
// needs milliseconds, a loaded one may need a second.
const flushTimeout = 5 * time.Second

var errHangs = errors.New("the disk of the audit log hangs")

// work tells since when a goroutine is at one call to the disk.
type work struct{ began atomic.Int64 } // since epoch; 0: it is at none

var epoch = time.Now() // with a monotonic clock: a step of the clock is no hang

// at is called before each call to the disk, idle when there is none to come.
func (w *work) at()   { w.began.Store(max(1, int64(time.Since(epoch)))) }
func (w *work) idle() { w.began.Store(0) }

// hangs tells whether one call has taken longer than a timeout, and which.
func (w *work) hangs(timeout int64) (call int64, hangs bool) {
	call = w.began.Load()
	return call, call != 0 && int64(time.Since(epoch))-call > timeout
}

// hangLook is how often it is looked whether the disk hangs, at least.
const hangLook = 100 * time.Millisecond

func (l *Log) hangTick() *time.Ticker {
	return time.NewTicker(min(hangLook, max(time.Millisecond, l.o.FlushTimeout/8)))
}

// watchDisk gives the disk up where it hangs, until the log is closed.
func (l *Log) watchDisk() {
	tick := l.hangTick()
	defer tick.Stop()
	var written, published int64 // calls that were given up
	for {
		select {
		case <-l.ended:
			return
		case <-tick.C:
		}
		if call, hangs := l.writing.hangs(l.timeout.Load()); hangs && call != written {
			written = call
			l.giveUp()
		}
		if call, hangs := l.publishing.hangs(l.timeout.Load()); hangs && call != published {
			published = call
			l.mu.Lock()
			l.behind = errHangs
			l.mu.Unlock()
			l.toldHang("tree")
		}
	}
}

func (l *Log) toldHang(what string) {
	l.o.Log.Error("the disk of the audit log hangs: it takes no records", zap.String("at", what), zap.Duration("after", time.Duration(l.timeout.Load())))
	if l.o.Hangs != nil {
		l.o.Hangs()
	}
}

// giveUp refuses what waits for the disk, and what comes.
func (l *Log) giveUp() {
	l.mu.Lock()
	known := l.failed != nil // the writer tries to get it back
	l.failed = errHangs
	if l.atDisk != nil {
		l.atDisk.finish(errHangs)
		l.atDisk = nil
	}
	l.refuseFilling(errHangs)
	l.mu.Unlock()
	if !known {
		l.toldHang("records")
	}
	l.nudge() // should it have come back in this very moment
}

// refuseFilling refuses the batch being filled; l.mu is held.
func (l *Log) refuseFilling(err error) {
	if b := l.filling; len(b.leaves) > 0 {
		b.finish(err)
		l.filling = &pendingBatch{}
		l.filling.reset()
	}
}

// landed tells whether a batch that is on disk is still waited for; else its place
// is taken by what comes next.
func (l *Log) landed(p *Pending) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	still := l.atDisk == p
	l.atDisk = nil
	return still
}

// await waits for a goroutine to end; not for one that waits for a disk that hangs.
func (l *Log) await(ended chan struct{}, at ...*work) error {
	tick := l.hangTick()
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return nil
		case <-tick.C:
		}
		for _, w := range at {
			if _, hangs := w.hangs(l.timeout.Load()); hangs {
				return errHangs
			}
		}
	}
}
