package gateway

import (
	"context"
	"errors"
	"strconv"

	"gatehouse/gateway/audit"
	"gatehouse/gateway/reidentify"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
)

// learnResolve records the steps of a request, by whomever and wherever they
// were taken, once in the trail of each gateway: how many it tells of already,
// the state store says.
func (p *Process) learnResolve(row state.Row) {
	if row.Value == nil {
		return
	}
	if err := p.recordSteps(row); err != nil {
		p.owe(resolveKind, row, err)
		p.metrics.alarm("state.unavailable")
		p.log.Error("a step of a request to resolve pseudonyms could not be recorded", zap.Error(err))
	}
}

func (p *Process) recordSteps(row state.Row) error {
	r, err := reidentify.Decode(row.Value)
	if err != nil {
		return err
	}
	return p.tell(resolveHeardKind, row, r.ID, recordsOf(r))
}

// tell records those of all steps of a request that this gateway's trail does not
// have yet; rows of the kind say how many it has.
func (p *Process) tell(kind string, row state.Row, request string, all []*audit.Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), recordWait)
	defer cancel()
	id := p.place + "\x00" + request
	heard, err := p.stores.shared.Get(ctx, kind, id)
	if err != nil && !errors.Is(err, state.ErrNone) {
		return err
	}
	told, _ := strconv.Atoi(string(heard.Value)) // 0 where there is none
	if told >= len(all) {
		return nil
	}
	for _, step := range all[told:] {
		if f := p.recorded(step); f != nil {
			return f
		}
	}
	return p.stores.shared.Put(ctx, kind, id, []byte(strconv.Itoa(len(all))), row.Expires)
}
