package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse/gateway/audit"

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
	for _, b := range list {
		c.names(b)
	}
	return map[string]any{"blocks": list}, nil
}

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
	return b, p.decideBlock(ctx, c, b)
}

func (p *Process) deleteBlock(ctx context.Context, c *call) (any, error) {
	q := c.r.URL.Query()
	b := &Block{What: q.Get("what"), Value: q.Get("value"), Reason: q.Get("reason"), Lifted: true}
	return b, p.decideBlock(ctx, c, b)
}

// decideBlock stores a decision and acts on it at once.
func (p *Process) decideBlock(ctx context.Context, c *call, b *Block) error {
	b.By = c.who.ID
	if err := b.check(p.now()); err != nil {
		return &failure{status: http.StatusBadRequest, code: "admin.request", text: "This cannot be blocked: " + err.Error() + "."}
	}
	c.names(b)
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
