// Package sink copies the audit trail, as AuditEvents, to where others keep or
// watch it: at least once, in the order of the log, from where it stopped.
//
// A sink reads the log behind the requests, and never holds one up: while its
// receiver is away the log itself is the queue, and what waits there is shown.
package sink

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"

	"go.uber.org/zap"
)

// Source is the log that is copied.
type Source interface {
	Durable() int64        // how many records are on disk
	Reader() *audit.Reader // reads them
	Origin() string        // names the log
}

// Options say what all sinks of a process share.
type Options struct {
	Source Source
	Dir    string                                           // where each keeps how far it is
	Hash   func(string) string                              // keyed; stands for ids at pseudonymous sinks
	HTTP   func(config.Upstream, *zap.Logger) (Doer, error) // makes clients with credentials
	Log    *zap.Logger
	Failed func(sink string) // counts failed deliveries
}

// target is one receiver. deliver returns once all the events are the
// receiver's; after an error they are delivered again, perhaps all of them.
type target interface {
	deliver(ctx context.Context, events []audit.Event) error
	close()
}

// Sink is one copy of the trail.
type Sink struct {
	Name   string
	o      Options
	target target
	batch  int
	stream *audit.Stream
	tail   *audit.Tail
	place  place
	wait   time.Duration // after a first failure

	mu     sync.Mutex
	failed error     // of the last attempt; nil after success
	oldest time.Time // of the record that is not delivered yet; zero: none is known
	next   atomic.Int64
}

const (
	idle      = 200 * time.Millisecond // between looks at the log
	firstWait = 500 * time.Millisecond
	longest   = 30 * time.Second
	timeout   = 30 * time.Second // for one delivery
)

// Open prepares the sinks of a configuration; none is connected yet.
func Open(c []config.Sink, o Options) ([]*Sink, error) {
	var all []*Sink
	for i := range c {
		s, err := open(&c[i], o)
		if err != nil {
			return nil, fmt.Errorf("audit sink %s: %w", c[i].ID(), err)
		}
		all = append(all, s)
	}
	return all, nil
}

func open(c *config.Sink, o Options) (*Sink, error) {
	t, err := newTarget(c, o)
	if err != nil {
		return nil, err
	}
	s := &Sink{Name: c.ID(), o: o, target: t, batch: c.Batch, wait: firstWait}
	if s.place, err = openPlace(o.Dir, s.Name); err != nil {
		return nil, err
	}
	var scrub func(*audit.Record) *audit.Record
	if c.Fields != "full" {
		scrub = audit.Scrubber{Hash: o.Hash}.Scrub
	}
	s.stream = audit.NewStream(o.Source.Origin(), scrub)
	s.tail = o.Source.Reader().Tail(s.place.From)
	s.next.Store(s.place.Next)
	return s, nil
}

func newTarget(c *config.Sink, o Options) (target, error) {
	switch c.Type {
	case "fhir":
		return newFHIR(c, o)
	case "syslog":
		return newSyslog(c, o)
	case "file", "jsonl":
		return jsonl{c.Path}, nil
	case "otlp":
		return newOTLP(c, o)
	case "nats":
		return newNATS(c, o)
	}
	return nil, fmt.Errorf("there is no sink of type %q", c.Type)
}

// Next is the index of the first record that is not delivered.
func (s *Sink) Next() int64 { return s.next.Load() }

// Lag is how many records wait, and since when the first of them does.
func (s *Sink) Lag(now time.Time) (records int64, behind time.Duration) {
	records = max(0, s.o.Source.Durable()-s.next.Load())
	s.mu.Lock()
	defer s.mu.Unlock()
	if records > 0 && !s.oldest.IsZero() {
		behind = max(0, now.Sub(s.oldest))
	}
	return records, behind
}

// Trouble says why nothing is delivered, nil while it is.
func (s *Sink) Trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Run delivers until ctx ends, and notes how far it came.
func (s *Sink) Run(ctx context.Context) {
	defer s.target.close()
	defer s.tail.Close()
	for ctx.Err() == nil {
		events, err := s.read()
		if err == nil && len(events) > 0 {
			err = s.deliver(ctx, events)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil: // the log itself cannot be read
			s.fail(err)
			pause(ctx, longest)
		default:
			s.arrived(s.tail.Next())
			if s.tail.Next() >= s.o.Source.Durable() {
				pause(ctx, idle)
			}
		}
	}
	if err := s.place.save(); err != nil {
		s.o.Log.Error("an audit sink cannot note how far it is", zap.String("sink", s.Name), zap.Error(err))
	}
}

// read gives the events of the next records. Those before place.Next were
// delivered: only their intents are still wanted.
func (s *Sink) read() ([]audit.Event, error) {
	var events []audit.Event
	err := s.tail.Read(s.o.Source.Durable(), s.batch, func(r *audit.Record) error {
		made, err := s.stream.Add(r)
		if err == nil && r.Index >= s.place.Next {
			if len(events) == 0 {
				s.since(r.Time)
			}
			events = append(events, made...)
		}
		return err
	})
	if len(events) > 0 {
		return events, nil // what stands behind an error comes to it again
	}
	return nil, err
}

func (s *Sink) since(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldest = t
}

// deliver delivers the events, a batch at a time.
func (s *Sink) deliver(ctx context.Context, events []audit.Event) error {
	for len(events) > 0 {
		n := min(s.batch, len(events))
		if err := s.untilDelivered(ctx, events[:n]); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

// untilDelivered tries until it succeeds, each time waiting longer.
func (s *Sink) untilDelivered(ctx context.Context, events []audit.Event) error {
	for wait := s.wait; ; wait = min(2*wait, longest) {
		within, cancel := context.WithTimeout(ctx, timeout)
		err := s.target.deliver(within, events)
		cancel()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		s.fail(err)
		pause(ctx, wait)
	}
}

func (s *Sink) fail(err error) {
	s.mu.Lock()
	first := s.failed == nil
	s.failed = err
	s.mu.Unlock()
	s.o.Failed(s.Name)
	if first {
		s.o.Log.Error("an audit sink takes nothing; the log keeps it", zap.String("sink", s.Name), zap.Error(err))
	}
}

// arrived notes that all before next is delivered.
func (s *Sink) arrived(next int64) {
	s.mu.Lock()
	back := s.failed != nil
	s.failed, s.oldest = nil, time.Time{}
	s.mu.Unlock()
	if back {
		s.o.Log.Info("an audit sink takes records again", zap.String("sink", s.Name))
	}
	if next = max(next, s.place.Next); next == s.place.Next {
		return
	}
	s.next.Store(next)
	s.place.Next, s.place.From = next, s.stream.Oldest(next)
	if err := s.place.saveNow(time.Now()); err != nil {
		s.o.Log.Error("an audit sink cannot note how far it is", zap.String("sink", s.Name), zap.Error(err))
	}
}

// pause waits, or returns when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
