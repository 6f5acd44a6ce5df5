package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/audit/index"
	"gatehouse/gateway/emergency"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
)

// eraser erases a patient from all that one gateway holds.
type eraser struct {
	cfg   *config.Config
	trail audit.Options
	log   *audit.Log
	spool *audit.Spool // may be nil
	store *state.Store
	// forget has the patient's pseudonyms that were given out lead nowhere.
	forget func(ctx context.Context, patient string) error
}

// run erases the patient of an approved request, in an order in which what fails
// is tried again whole: the trail says that it is done only when it is.
func (r *eraser) run(ctx context.Context, e *Erasure) (*Erased, error) {
	if len(e.IDs) != 1 {
		return nil, errors.New("the request names nobody any more")
	}
	patient, done := e.IDs[0], &Erased{At: time.Now().UTC().Truncate(time.Second)}
	if list, err := listHolds(ctx, r.store); err != nil || held(list)(patient) { // since it was approved
		return nil, cmp.Or(err, ErrHeldBack)
	}
	if err := r.forget(ctx, patient); err != nil {
		return nil, fmt.Errorf("erase pseudonyms: %w", err)
	}
	var err error
	if done.Grants, err = r.grants(ctx, patient); err != nil {
		return nil, fmt.Errorf("erase emergency grants: %w", err)
	}
	if r.spool != nil {
		if err := r.spool.EraseKeys(ctx, patient); err != nil {
			return nil, err
		}
	}
	if done.Keys, err = r.log.EraseKeys(ctx, patient); err != nil {
		return nil, err
	}
	if err := r.index(ctx, patient); err != nil { // once the keys are gone, or it would be indexed again
		return nil, err
	}
	notes := append(e.notes(), audit.Note{Name: "keys", Value: fmt.Sprint(done.Keys)}, audit.Note{Name: "grants", Value: fmt.Sprint(done.Grants)})
	return done, r.log.Append(&audit.Record{Kind: audit.Notice, Code: audit.ErasedCode, Request: e.ID, Notes: notes}).Wait(ctx)
}

func (r *eraser) grants(ctx context.Context, patient string) (int, error) {
	var ids []string
	err := r.store.List(ctx, emergencyKind, func(row state.Row) error {
		g, err := emergency.Decode(row.Value)
		if err == nil && g.Patient == patient {
			ids = append(ids, row.ID)
		}
		return err
	})
	for _, id := range ids {
		err = errors.Join(err, r.store.Delete(ctx, emergencyKind, id))
	}
	return len(ids), err
}

func (r *eraser) index(ctx context.Context, patient string) error {
	if !index.Exists(ctx, indexStore(r.cfg), r.trail.Dir) {
		return nil
	}
	x, err := index.Open(ctx, indexStore(r.cfg), r.trail.Dir, r.trail.Key)
	if err != nil {
		return err
	}
	return errors.Join(x.Forget(ctx, patient), x.Close())
}

// finish notes what came of it, and forgets the name where no other gateway has
// yet to erase it too: those that share a PostgreSQL learn of it in a month.
func (r *eraser) finish(ctx context.Context, id string, done *Erased, failed error) error {
	if failed != nil {
		done = &Erased{At: time.Now().UTC().Truncate(time.Second), Failed: "see the gateway's log"}
	}
	return r.store.Update(ctx, eraseKind, id, func(old []byte) ([]byte, error) {
		e, err := decodeErasure(old)
		if err != nil {
			return nil, err
		}
		if e.Done == nil {
			e.Done = map[string]*Erased{}
		}
		e.Done[TrailPlace(r.cfg)] = done
		if failed == nil && r.cfg.State.URL == "" {
			e.IDs = nil
		}
		return e.encode()
	})
}

// learnErase records the steps of an erasure, and does it once it is approved.
func (p *Process) learnErase(row state.Row) {
	if row.Value == nil {
		return
	}
	e, err := decodeErasure(row.Value)
	if err == nil {
		err = p.tell(eraseHeardKind, row, e.ID, e.records())
	}
	if err != nil {
		p.owe(eraseKind, row, err)
		p.metrics.alarm("state.unavailable")
		p.log.Error("a step of an erasure could not be recorded", zap.Error(err))
		return
	}
	if !e.approved() || e.Done[p.place] != nil && e.Done[p.place].Failed == "" || len(e.IDs) == 0 {
		return
	}
	if _, busy := p.erasing.LoadOrStore(e.ID, true); !busy {
		go p.erase(e) // a large log takes its time, and blocks are to be heard of meanwhile
	}
}

// erase does what was approved. Where it fails, the note of that brings the row again
// with the next poll.
func (p *Process) erase(e *Erasure) {
	defer p.erasing.Delete(e.ID)
	ctx, cancel := context.WithTimeout(context.Background(), eraseWait)
	defer cancel()
	cfg := p.live.Load().cfg
	r := &eraser{cfg: cfg, trail: p.trail, log: p.audit, spool: p.spool, store: p.stores.shared,
		forget: func(ctx context.Context, patient string) error { return p.stores.forgetPseudonyms(ctx, cfg, patient) }}
	done, err := r.run(ctx, e)
	if err = errors.Join(err, r.finish(ctx, e.ID, done, err)); err != nil {
		p.metrics.alarm("audit.erase")
		p.log.Error("a patient could not be erased; it is tried again", zap.String("erasure", e.ID), zap.Error(err))
		return
	}
	p.log.Info("a patient was erased", zap.String("erasure", e.ID), zap.Int("keys", done.Keys))
}

// eraseWait bounds one try.
const eraseWait = 10 * time.Minute

// EraseHere does an approved erasure where no gateway is running on the
// configuration; audit.ErrHeld where one is, which then does it.
func EraseHere(ctx context.Context, cfg *config.Config, d *EraseDesk, e *Erasure) error {
	o, err := AuditOptions(cfg)
	if err != nil {
		return err
	}
	log, err := audit.Open(o)
	if err != nil {
		return err
	}
	if err := emptySpool(ctx, cfg, log); err != nil {
		return errors.Join(err, log.Close())
	}
	r := &eraser{cfg: cfg, trail: o, log: log, store: d.store, forget: forgetHere(cfg, d.store)}
	done, err := r.run(ctx, e)
	err = errors.Join(err, r.finish(ctx, e.ID, done, err))
	return errors.Join(err, log.Close())
}
