package auth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// keySource keeps an issuer's metadata and keys fresh. Good keys are used until
// maxAge after their fetch, whatever fails meanwhile; then there are none.
type keySource struct {
	issuer     *url.URL
	name       string // the issuer as configured: what iss must be
	insecure   bool   // plain http allowed
	algorithms []string
	maxAge     time.Duration
	cooldown   time.Duration
	client     *http.Client
	now        func() time.Time
	log        *zap.Logger

	meta  atomic.Pointer[metadata]
	set   atomic.Pointer[keySet]
	until atomic.Int64 // Unix nanoseconds: the keys' last moment

	mu      sync.Mutex
	flight  chan struct{}   // closed when the running fetch is over; nil: none
	failing error           // of the last fetch
	period  time.Duration   // until the next fetch in the background
	asked   time.Time       // when an unknown key id last caused a fetch
	unknown map[string]bool // ids that a fetch did not bring: asked for once
}

// keys gives the current set, or false where none is fresh enough.
func (s *keySource) keys(now time.Time) (keySet, bool) {
	set := s.set.Load()
	if set == nil || now.UnixNano() >= s.until.Load() {
		return nil, false
	}
	return *set, true
}

// find gives the key for a token's header, fetching once for an id that is not
// known yet.
func (s *keySource) find(ctx context.Context, id, alg string) (*key, *failure) {
	set, ok := s.keys(s.now())
	if !ok {
		return nil, fail(CodeUnavailable, "no keys of issuer %s", s.name)
	}
	if id != "" && !set.knows(id) {
		if err := s.ask(ctx, id); err != nil {
			return nil, fail(CodeUnavailable, "unknown key id, and the keys of issuer %s cannot be fetched: %v", s.name, err)
		}
		set, _ = s.keys(s.now())
	}
	if k := set.find(id, alg); k != nil {
		return k, nil
	}
	return nil, fail(CodeInvalid, "no single key of issuer %s fits the header's kid and alg", s.name)
}

// maxUnknown bounds the memory for unknown key ids.
const maxUnknown = 256

// ask fetches the keys on behalf of an unknown key id: once for an id, and once
// per cooldown for all of them, so that a flood of invented ids is no flood of
// fetches (J-10). Those who come meanwhile wait for the same fetch.
func (s *keySource) ask(ctx context.Context, id string) error {
	s.mu.Lock()
	now, done := s.now(), s.flight
	if done == nil {
		if s.unknown[id] || !s.asked.IsZero() && now.Sub(s.asked) < s.cooldown {
			defer s.mu.Unlock()
			return s.failing
		}
		s.asked = now
		if s.unknown == nil || len(s.unknown) >= maxUnknown {
			s.unknown = make(map[string]bool)
		}
		s.unknown[id] = true
		done = s.launch()
	}
	s.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing != nil {
		delete(s.unknown, id) // nothing was learnt about it
	}
	return s.failing
}

// why says what keeps the keys from being there.
func (s *keySource) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing == nil {
		return errors.New("not fetched yet")
	}
	return s.failing
}

// refresh fetches now, or waits for the fetch that is running.
func (s *keySource) refresh() (next time.Duration, err error) {
	s.mu.Lock()
	done := s.flight
	if done == nil {
		done = s.launch()
	}
	s.mu.Unlock()
	<-done
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.period, s.failing
}

// run keeps the keys fresh until ctx ends.
func (s *keySource) run(ctx context.Context) {
	const soon = 250 * time.Millisecond
	wait := soon
	for {
		next, err := s.refresh()
		if err == nil {
			wait = soon
		} else {
			s.log.Warn("keys of an issuer cannot be fetched", zap.String("issuer", s.name), zap.Error(err))
			wait = min(2*wait, 30*time.Second)
			next = wait
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
		}
	}
}

// launch starts a fetch of its own life: who asked may leave. s.mu is held.
func (s *keySource) launch() chan struct{} {
	done := make(chan struct{})
	s.flight = done
	go func() {
		err := s.fetch()
		s.mu.Lock()
		s.flight, s.failing = nil, err
		s.mu.Unlock()
		close(done)
	}()
	return done
}
