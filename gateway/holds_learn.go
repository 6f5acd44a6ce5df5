package gateway

import (
	"context"
	"encoding/json"
	"errors"

	"gatehouse/gateway/state"
)

const holdHeardKind = "audit-hold-heard"

// learnHold records what was decided of a hold, by whomever and wherever, once in
// the trail of each gateway.
func (p *Process) learnHold(r state.Row) {
	h := new(Hold)
	if r.Value == nil || json.Unmarshal(r.Value, h) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), recordWait)
	defer cancel()
	id := p.place + "\x00" + r.ID
	_, err := p.stores.shared.Get(ctx, holdHeardKind, id)
	if err == nil {
		return
	}
	if errors.Is(err, state.ErrNone) {
		if p.recorded(h.record()) != nil {
			p.stores.again(holdEventKind, r)
			return
		}
		err = p.stores.shared.Put(ctx, holdHeardKind, id, []byte("1"), r.Expires)
	}
	if err != nil && !errors.Is(err, state.ErrNone) {
		p.metrics.alarm("state.unavailable")
	}
}
