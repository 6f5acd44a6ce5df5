package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/audit/sink"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
)

// This file keeps audit.retention: what is older leaves the trail, a segment at a
// time, but for what a legal hold keeps or a sink has not got yet.

// Expiry is what one run took out.
type Expiry struct {
	Records  int64  `json:"records"`
	Segments int    `json:"segments"`
	Held     int    `json:"held"` // segments that a hold alone keeps
	Problem  string `json:"problem,omitempty"`
}

// The kinds of rows by which a command asks the gateway that has the log to
// expire, and is told what became of it.
const (
	expireKind  = "audit-expire"
	expiredKind = "audit-expired"
	expiryLife  = 10 * time.Minute
)

// expireEvery is how often the gateway itself looks.
const expireEvery = time.Hour

// Expire takes out of the trail of a configuration what is older than its
// retention. Where the gateway runs, which has the log, it is asked to.
func Expire(ctx context.Context, cfg *config.Config) (Expiry, error) {
	o, err := AuditOptions(cfg)
	if err != nil {
		return Expiry{}, err
	}
	trail, err := audit.Open(o)
	if errors.Is(err, audit.ErrHeld) {
		return askExpire(ctx, cfg)
	}
	if err != nil {
		return Expiry{}, err
	}
	holds, err := Holds(ctx, cfg)
	if err != nil {
		return Expiry{}, errors.Join(err, trail.Close())
	}
	e, err := expireTrail(ctx, trail, cfg, holds, time.Now())
	return e, errors.Join(err, trail.Close())
}

func expireTrail(ctx context.Context, trail *audit.Log, cfg *config.Config, holds []*Hold, now time.Time) (e Expiry, err error) {
	o := audit.ExpireOptions{Before: now.Add(-time.Duration(cfg.Audit.Retention)), Held: held(holds), Keep: math.MaxInt64}
	if len(cfg.Audit.Sinks) > 0 {
		if o.Keep, err = sink.Delivered(cfg.Audit.Sinks, sinksDir(cfg)); err != nil {
			return e, err
		}
	}
	gone, kept, err := trail.Expire(ctx, o)
	e.Segments, e.Held = len(gone), kept
	for _, g := range gone {
		e.Records += g.Records
	}
	return e, err
}

func sinksDir(cfg *config.Config) string { return filepath.Join(cfg.Audit.Dir, "sinks") }

// askExpire asks the gateway that has the log, and waits for what it says.
func askExpire(ctx context.Context, cfg *config.Config) (e Expiry, err error) {
	id := requestID()
	err = withState(cfg, func(st *state.Store) error {
		if err := st.Put(ctx, expireKind, id, []byte(TrailPlace(cfg)), time.Now().Add(expiryLife)); err != nil {
			return err
		}
		for end := time.Now().Add(expiryLife); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
			row, err := st.Get(ctx, expiredKind, id)
			if errors.Is(err, state.ErrNone) {
				continue
			}
			if err == nil {
				err = json.Unmarshal(row.Value, &e)
			}
			return err
		}
		return errors.New("the gateway that has the audit log does not answer; see its log")
	})
	if err == nil && e.Problem != "" {
		err = errors.New(e.Problem)
	}
	return e, err
}

// learnExpire answers a command. It runs beside the listener, which must hear of
// blocks meanwhile.
func (p *Process) learnExpire(r state.Row) {
	if r.Value == nil || string(r.Value) != p.place || p.asked[r.ID] {
		return
	}
	if p.asked == nil {
		p.asked = map[string]bool{}
	}
	p.asked[r.ID] = true
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), expiryLife)
		defer cancel()
		e := p.expireNow(ctx)
		value, err := json.Marshal(e)
		if err == nil {
			err = errors.Join(p.stores.shared.Put(ctx, expiredKind, r.ID, value, time.Now().Add(expiryLife)), p.stores.shared.Delete(ctx, expireKind, r.ID))
		}
		if err != nil {
			p.log.Error("what expired could not be told", zap.Error(err))
		}
	}()
}

// expireNow is one run of the gateway's own; two do not run at once.
func (p *Process) expireNow(ctx context.Context) Expiry {
	p.expiring.Lock()
	defer p.expiring.Unlock()
	holds, err := listHolds(ctx, p.stores.shared)
	var e Expiry
	if err == nil {
		e, err = expireTrail(ctx, p.audit, p.live.Load().cfg, holds, time.Now())
	}
	if err != nil {
		e.Problem = fmt.Sprintf("expire audit records: %v", err)
		p.metrics.alarm("audit.retention")
		p.log.Error("audit records could not be expired", zap.Error(err))
	}
	p.metrics.expired.Add(float64(e.Records))
	return e
}

// keepRetention expires what is due, at start and then each hour.
func (p *Process) keepRetention(ctx context.Context) error {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		if ctx.Err() == nil {
			p.expireNow(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
