package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"gatehouse/gateway/audit"
	"gatehouse/gateway/state"

	"github.com/gorilla/mux"
)

// This file is /api/v1/blocks: GET lists what is blocked, POST blocks, DELETE
// with ?what=…&value=… lifts.

func (p *Process) blockRoutes(v1 *mux.Router) {
	v1.Handle("/blocks", p.forRole("operator privacy", p.getBlocks)).Methods(http.MethodGet)
	v1.Handle("/blocks", p.forRole("operator privacy", p.postBlock)).Methods(http.MethodPost)
	v1.Handle("/blocks", p.forRole("operator privacy", p.deleteBlock)).Methods(http.MethodDelete)
}

func (p *Process) getBlocks(ctx context.Context, c *call) (any, error) {
	list, err := listBlocks(ctx, p.stores.shared)
	if err != nil {
		return nil, stateDown(err)
	}
	if !p.privacy(c) {
		list = slices.DeleteFunc(list, func(b *Block) bool { return b.What == "patient" })
	}
	for _, b := range list {
		c.names(b)
	}
	return map[string]any{"blocks": list}, nil
}

// privacy tells whether the caller may know of patients' blocks and lift them. An
// operator may set one, as whoever is near may pull a fire alarm.
func (p *Process) privacy(c *call) bool { return holds(p.live.Load().cfg.AdminAuth, c.who, "privacy") }

// names notes the patient whom a block is about.
func (c *call) names(b *Block) {
	if b.What == "patient" {
		c.record.Patients = append(c.record.Patients, b.Value)
	}
}

func (p *Process) postBlock(ctx context.Context, c *call) (any, error) {
	var asked struct {
		What   string    `json:"what"`
		Value  string    `json:"value"`
		Reason string    `json:"reason"`
		Until  time.Time `json:"until"`
	}
	if err := c.read(&asked); err != nil {
		return nil, err
	}
	b := &Block{What: asked.What, Value: asked.Value, Reason: asked.Reason, Until: asked.Until}
	err := p.decideBlock(ctx, c, b)
	b.Until = asked.Until.UTC() // not what there was before
	return b, err
}

func (p *Process) deleteBlock(ctx context.Context, c *call) (any, error) {
	q := c.r.URL.Query()
	b := &Block{What: q.Get("what"), Value: q.Get("value"), Reason: q.Get("reason"), Lifted: true}
	return b, p.decideBlock(ctx, c, b)
}

// keepLonger lets a block that there is end no sooner: to shorten it is to lift it.
func (p *Process) keepLonger(ctx context.Context, b *Block) error {
	row, err := p.stores.shared.Get(ctx, blockKind, b.id())
	if errors.Is(err, state.ErrNone) {
		return nil
	}
	var before Block
	if err == nil {
		err = json.Unmarshal(row.Value, &before)
	}
	if err != nil {
		return stateDown(err)
	}
	if before.Until.IsZero() || !b.Until.IsZero() && b.Until.Before(before.Until) {
		b.Until = before.Until
	}
	return nil
}

// decideBlock stores a decision and acts on it at once.
func (p *Process) decideBlock(ctx context.Context, c *call, b *Block) error {
	b.By = c.who.ID
	if err := b.check(p.now()); err != nil {
		return &failure{status: http.StatusBadRequest, code: "admin.request", text: "This cannot be blocked: " + err.Error() + "."}
	}
	c.names(b)
	if b.What == "patient" && !p.privacy(c) {
		if b.Lifted {
			return &failure{status: http.StatusForbidden, code: "admin.role", text: "A patient's block is lifted by the role privacy."}
		}
		if err := p.keepLonger(ctx, b); err != nil {
			return err
		}
	}
	if b.What != "patient" {
		c.record.Notes = []audit.Note{{Name: "what", Value: b.What}, {Name: "value", Value: b.Value}}
	}
	err := storeBlock(ctx, p.stores.shared, b)
	if errors.Is(err, ErrNoBlock) {
		return &failure{status: http.StatusNotFound, code: "admin.not-found", text: "There is no such block."}
	}
	if err == nil {
		err = p.stores.poll(ctx)
	}
	if err != nil {
		return stateDown(err)
	}
	return nil
}
