package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gatehouse/gateway/notify"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
)

// The alert of an emergency is stored before the glass breaks, and is gone from the
// store once it was delivered: a crash or a webhook that is down loses none (BTG-02).
// It may be delivered twice.

const (
	alertKind  = "alert"
	alertLife  = 7 * 24 * time.Hour // then the metric alone tells that nobody heard
	alertAgain = time.Minute        // after the last tries
)

// keptAlert is a row of alertKind.
type keptAlert struct {
	Channel string       `json:"channel"`
	Alert   notify.Alert `json:"alert"`
	Tried   time.Time    `json:"tried"`
}

var errTaken = errors.New("another replica tries it")

// keepAlerts stores an alert for each channel, and gives the ids of the rows.
func (x *exchange) keepAlerts(ctx context.Context, a notify.Alert, channels []string) ([]string, error) {
	var ids []string
	for _, name := range channels {
		value, err := json.Marshal(keptAlert{name, a, x.start})
		if err != nil {
			return nil, internal(err)
		}
		id := requestID()
		if err := x.s.stores.shared.Put(ctx, alertKind, id, value, x.start.Add(alertLife)); err != nil {
			return nil, stateDown(err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// told takes an alert that was delivered out of the store.
func (s *stores) told(id string) func() {
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), stale)
		defer cancel()
		_ = s.shared.Delete(ctx, alertKind, id) // else it is delivered twice
	}
}

// repeatAlerts sends what is stored and was not delivered: at the start all of it,
// then what waits for longer than its tries take.
func (p *Process) repeatAlerts(ctx context.Context) error {
	tick := time.NewTicker(alertAgain)
	defer tick.Stop()
	for before := p.now(); ; before = p.now().Add(-alertAgain) {
		if err := p.sendKept(ctx, before); err != nil && ctx.Err() == nil {
			p.log.Error("alerts that wait cannot be read", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (p *Process) sendKept(ctx context.Context, before time.Time) error {
	waiting := map[string]keptAlert{}
	err := p.stores.shared.List(ctx, alertKind, func(r state.Row) error {
		var k keptAlert
		if err := json.Unmarshal(r.Value, &k); err != nil {
			return fmt.Errorf("read alert: %w", err)
		}
		if k.Tried.Before(before) {
			waiting[r.ID] = k
		}
		return nil
	})
	for id, k := range waiting {
		c, there := p.live.Load().cfg.Notify[k.Channel]
		if !there || !p.take(ctx, id, k) {
			continue
		}
		p.notify.Send(k.Channel, c, k.Alert, p.stores.told(id))
	}
	return err
}

// take has this replica try an alert, and no other for a while.
func (p *Process) take(ctx context.Context, id string, k keptAlert) bool {
	return p.stores.shared.Update(ctx, alertKind, id, func(old []byte) ([]byte, error) {
		var now keptAlert
		if err := json.Unmarshal(old, &now); err != nil {
			return nil, fmt.Errorf("read alert: %w", err)
		}
		if !now.Tried.Equal(k.Tried) {
			return nil, errTaken
		}
		now.Tried = p.now()
		return json.Marshal(now)
	}) == nil
}
