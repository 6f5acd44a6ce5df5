package gateway

import (
	"context"
	"encoding/json"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
)

// The report of a shadow policy stands in the state store, one row for each
// time that a replica loaded the candidate: commands read it, and a restart
// loses little.
const (
	shadowKind  = "policy-shadow"
	shadowEvery = 10 * time.Second
	shadowKept  = 90 * 24 * time.Hour
)

// keepShadow writes the live shadow's report to the store until ctx ends.
func (p *Process) keepShadow(ctx context.Context) error {
	tick := time.NewTicker(shadowEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			p.live.Load().shadow.save(context.WithoutCancel(ctx), p.stores.shared, p.log)
			return nil
		case <-tick.C:
			p.live.Load().shadow.save(ctx, p.stores.shared, p.log)
		}
	}
}

func (w *shadow) save(ctx context.Context, to *state.Store, log *zap.Logger) {
	if !w.loads() {
		return
	}
	w.mu.Lock()
	changed := w.changed
	w.changed = false
	w.mu.Unlock()
	if !changed {
		return
	}
	text, err := json.Marshal(w.report())
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, stale)
		defer cancel()
		err = to.Put(ctx, shadowKind, w.row, text, time.Now().Add(shadowKept))
	}
	if err != nil {
		log.Error("the report of the shadow policy could not be kept", zap.Error(err))
	}
}

// ReadShadow gives what the candidate of a configuration would have decided
// otherwise, on all replicas together.
func ReadShadow(ctx context.Context, cfg *config.Config) (*ShadowReport, error) {
	if cfg.Policy.Shadow == "" {
		return nil, errNoShadow
	}
	o, err := policy.Named(cfg.Policy.Shadow)
	if err != nil {
		return nil, err
	}
	e, err := policy.Load(o)
	if err != nil {
		return nil, err
	}
	s, err := OpenState(cfg)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return shadowOf(ctx, s, e.Revision())
}

// shadowOf adds up the rows of one candidate.
func shadowOf(ctx context.Context, s *state.Store, revision string) (*ShadowReport, error) {
	var sum *ShadowReport
	err := s.List(ctx, shadowKind, func(row state.Row) error {
		var r ShadowReport
		if err := json.Unmarshal(row.Value, &r); err != nil || r.Candidate != revision {
			return err
		}
		if sum == nil {
			sum = &r
		} else {
			sum.add(&r)
		}
		return nil
	})
	if err == nil && sum == nil {
		sum = &ShadowReport{Replay: Replay{Candidate: revision, Changes: []ReplayChange{}, Unknown: []ReplayGap{}}}
	}
	return sum, err
}
