// Package audit keeps the durable, tamper-evident and erasable trail of who saw
// or changed what of whom, why and under which rule.
//
// A directory holds one log: numbered segments of sealed records, a key file
// for each, the Merkle tree over them as tiles (C2SP tlog-tiles), and the last
// signed checkpoint (C2SP tlog-checkpoint).
//
//	segments/00000001.log   keys/00000001.key   tile/0/000   checkpoint   lock
//
// The one deviation from tlog-tiles: entries lie in the segments, not in
// tile/entries, since they are sealed, may be large, and leave with their
// segment.
package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/mod/sumdb/note"
)

// Options say where a log lives and what it is sealed and signed with.
type Options struct {
	Dir             string
	Key             []byte                        // 32 bytes; wraps the keys that seal the records. Those that did so before may follow, 32 bytes each
	Seed            []byte                        // 32 bytes; Ed25519 seed that signs the checkpoints
	Origin          string                        // names the log in its checkpoints, "gatehouse.example.org/audit": no spaces, no plus
	SegmentBytes    int64                         // a segment is closed beyond it; 0: 64 MiB
	CheckpointEvery time.Duration                 // while records come; 0: one second
	FlushTimeout    time.Duration                 // a disk that takes longer over one write or flush is given up; 0: five seconds
	Hangs           func()                        // told each time that it is; may be nil
	Publish         func(checkpoint []byte) error // hands each checkpoint to where the operator cannot rewrite it; may be nil
	Now             func() time.Time              // nil: time.Now
	Log             *zap.Logger                   // nil: none

	open  func(path string, flag int) (file, error) // nil: the disk
	retry time.Duration                             // 0: retryEvery
}

const (
	// maxBatch bounds what waits for the disk. A healthy disk never lets a
	// hundred thousand records wait; a stuck one must not fill the memory.
	maxBatch = 64 << 20
	// retryEvery is how often a failed log looks whether its disk is back.
	retryEvery = 500 * time.Millisecond
)

// ErrHeld is what Open fails with where another process has the log.
var ErrHeld = errors.New("another process writes the audit log")

var (
	errClosed = errors.New("audit log is closed")
	errFull   = errors.New("audit log: too much waits for the disk")
)

// Log is an open trail, safe for concurrent use. One process holds it.
//
// Append seals a record on the caller's goroutine and adds it to the batch being
// filled; one writer takes the whole batch, writes and flushes it, and wakes all
// who wait. While a flush runs the next batch fills, so that many requests share
// a flush and none waits for more than the one at work and its own. A publisher
// grows the tree behind the writer, out of what is already on disk: the signed
// tree head is never ahead of the data.
type Log struct {
	o        Options
	signer   note.Signer
	lockFile *os.File

	mu      sync.Mutex // never held across I/O
	ring    atomic.Pointer[keyring]
	filling *pendingBatch
	atDisk  *Pending // of the batch that the writer is at; nil: none, or it was given up
	failed  error    // the segment could not be written; nothing is taken until it can
	behind  error    // the tree could not be written; the same
	closed  bool

	wake    chan struct{} // to the writer: something waits; capacity 1
	rolls   chan chan error
	written chan struct{} // closed when the writer has ended
	quit    chan struct{} // closed to end the publisher
	ended   chan struct{} // closed when the publisher has ended

	writing, publishing work         // what the writer and the publisher are at
	timeout             atomic.Int64 // of that: Options.FlushTimeout

	keyFiles sync.Mutex // who changes or removes them: of two erasures the later file would bring back what the earlier cut. No request waits for it

	current   atomic.Uint64 // number of the segment being written
	durable   atomic.Int64  // records on disk
	stored    atomic.Int64  // bytes taken since Open
	writer    segmentWriter
	publisher publisher
	throttled throttled
}

// Pending is a record on its way to the disk.
type Pending struct {
	done chan struct{}
	err  error // valid once done is closed
}

// Wait returns once the record is durable. An error means that it is not known
// to be, and nothing that depends on it may be released.
func (p *Pending) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	default:
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("wait for audit record: %w", context.Cause(ctx))
	}
}

var always = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func refused(err error) *Pending { return &Pending{done: always, err: err} }

// Open recovers and opens the log in o.Dir, making it where there is none. A log
// that does not match its own last checkpoint is refused.
func Open(o Options) (*Log, error) {
	if err := checkKey(o.Key); err != nil {
		return nil, err
	}
	o.setDefaults()
	signer, verifier, err := newSigner(o.Origin, o.Seed)
	if err != nil {
		return nil, err
	}
	l := &Log{
		o: o, signer: signer,
		wake: make(chan struct{}, 1), rolls: make(chan chan error),
		written: make(chan struct{}), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	l.timeout.Store(int64(o.FlushTimeout))
	if err := l.start(verifier); err != nil {
		if l.lockFile != nil {
			l.lockFile.Close()
		}
		return nil, err
	}
	if err := l.rewrap(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (o *Options) setDefaults() {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.CheckpointEvery <= 0 {
		o.CheckpointEvery = time.Second
	}
	if o.FlushTimeout <= 0 {
		o.FlushTimeout = flushTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.retry <= 0 {
		o.retry = retryEvery
	}
	if o.open == nil {
		o.open = openFile
	}
}

// Append takes a record and returns without waiting for the disk; r is not
// kept. What stands against the record (a failed disk, a full queue, a closed
// log) is told by Wait.
func (l *Log) Append(r *Record) *Pending {
	stored := *r
	if stored.Time.IsZero() {
		stored.Time = l.o.Now()
	}
	if stored.Kind == 0 {
		stored.Kind = Outcome
	}
	s := sealers.Get().(*sealer)
	defer sealers.Put(s)
	for {
		ring := l.ring.Load()
		b, leaf, err := s.seal(ring, &stored)
		if err != nil {
			return refused(fmt.Errorf("seal audit record: %w", err))
		}
		l.mu.Lock()
		if l.ring.Load() != ring {
			l.mu.Unlock() // a new segment began meanwhile; its keys are others
			continue
		}
		p, first := l.enqueue(b, leaf)
		l.mu.Unlock()
		if first {
			l.nudge()
		}
		return p
	}
}

func (l *Log) nudge() {
	select {
	case l.wake <- struct{}{}:
	default: // the writer has been told already
	}
}

// Durable is how many records are on disk: the index of the next.
func (l *Log) Durable() int64 { return l.durable.Load() }

// Reader reads the log that is open.
func (l *Log) Reader() *Reader { return &Reader{dir: l.o.Dir, key: l.o.Key} }

// Origin is the name of the log.
func (l *Log) Origin() string { return l.o.Origin }

// Healthy says why the log takes no records; nil while it does.
func (l *Log) Healthy() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.standing()
}

// standing is what stands against taking a record; l.mu is held.
func (l *Log) standing() error {
	switch {
	case l.closed:
		return errClosed
	case l.failed != nil:
		return l.failed
	}
	return l.behind
}

// Close makes all durable, signs a last checkpoint and lets the log go.
func (l *Log) Close() error {
	l.flushThrottled(l.o.Now().Add(throttleWindow))
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	failed := l.failed
	l.mu.Unlock()
	l.nudge()
	all := make(chan error, 1)
	go func() { // the lock stays while a disk hangs: what it was given may reach it yet
		<-l.written
		close(l.quit)
		<-l.ended
		all <- l.lockFile.Close()
	}()
	if err := l.await(l.ended, &l.writing, &l.publishing); err != nil {
		return err
	}
	return errors.Join(failed, l.publisher.last, <-all)
}
