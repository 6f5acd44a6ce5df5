package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
)

// OpenState opens the store of grants, reviews and blocks of a configuration;
// the gateway may be running on it.
func OpenState(cfg *config.Config) (*state.Store, error) {
	o := state.Options{Dir: cfg.State.Dir, URL: cfg.State.URL}
	if !cfg.State.Key().Named() {
		key, err := derived(cfg, "state")
		if err != nil {
			return nil, fmt.Errorf("state key: %w", err)
		}
		o.Key = key
		return state.Open(o)
	}
	keys, err := cfg.State.Key().Read()
	if err != nil {
		return nil, fmt.Errorf("state key: %w", err)
	}
	o.Key, o.Newer, o.Next = keys.Epochs[0], keys.Epochs[1:keys.Writes+1], keys.Epochs[keys.Writes+1:]
	return state.Open(o)
}

// open opens the state store. What is in it is read by the first poll: who is
// blocked is refused from the first request on.
func (s *stores) open(cfg *config.Config) (err error) {
	s.shared, err = OpenState(cfg)
	return err
}

// listen has f called with every row of a kind, those there already included,
// and with each change of one; its Value is nil when it is gone. Calls come one
// after another. To be called before open.
func (s *stores) listen(kind string, f func(state.Row)) {
	if s.listeners == nil {
		s.listeners = map[string][]func(state.Row){}
	}
	s.listeners[kind] = append(s.listeners[kind], f)
}

// poll hands what has changed since the last poll to the listeners. Whoever
// writes calls it, so that this process acts on its own word at once.
func (s *stores) poll(ctx context.Context) error {
	s.polling.Lock() // or changes could be handed on in the wrong order
	defer s.polling.Unlock()
	s.settle()
	version, err := s.shared.Since(ctx, s.version, func(kind string, r state.Row) error {
		s.hand(kind, r)
		return nil
	})
	if err != nil {
		return err
	}
	s.version = version
	s.polled.Store(time.Now().UnixNano())
	return nil
}

// hand gives a row to the listeners of its kind, behind those that they are owed.
func (s *stores) hand(kind string, r state.Row) {
	if waiting := s.owed[kind]; len(waiting) > 0 {
		s.owed[kind] = append(waiting, r)
		return
	}
	for _, f := range s.listeners[kind] {
		f(r)
	}
}

// again is for listeners who could not do what a row asks for, as a rule since the
// audit log takes no records: they get it again at the next poll, and those of its
// kind that follow after it.
func (s *stores) again(kind string, r state.Row) {
	if s.owed == nil {
		s.owed = map[string][]state.Row{}
	}
	s.owed[kind] = append(s.owed[kind], r)
}

// owe has a row come again where it is the audit log that could not take what it is
// about.
func (p *Process) owe(kind string, r state.Row, err error) {
	if f := (*failure)(nil); errors.As(err, &f) && f.code == "audit.unavailable" {
		p.stores.again(kind, r)
	}
}

// settle hands on what is owed.
func (s *stores) settle() {
	owed := s.owed
	s.owed = nil
	for kind, rows := range owed {
		for _, r := range rows {
			s.hand(kind, r)
		}
	}
}

// pollEvery is how often a replica looks for what others have decided: it acts
// within two seconds (issue 7 point 9).
const pollEvery = time.Second

// stale is how long a replica may have heard nothing before it is not ready.
const stale = 5 * time.Second

var errStale = errors.New("the state store cannot be read: blocks and grants made elsewhere are not heard of")

// hearing is nil while the state store is read.
func (s *stores) hearing(now time.Time) error {
	if now.Sub(time.Unix(0, s.polled.Load())) > stale {
		return errStale
	}
	return nil
}

// follow polls until ctx ends.
func (p *Process) follow(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	well := true
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		within, cancel := context.WithTimeout(ctx, stale)
		err := p.stores.poll(within)
		cancel()
		if err != nil && ctx.Err() == nil {
			p.metrics.alarm("state.unavailable")
			if well {
				p.log.Error("the state store cannot be read", zap.Error(err))
			}
		}
		well = err == nil
	}
}
