package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"gatehouse/gateway/audit"
	"gatehouse/gateway/emergency"
	"gatehouse/gateway/state"

	"github.com/gorilla/mux"
)

// This file is the review of emergency access: /api/v1/grants and
// /api/v1/reviews, for the privacy role.

func (p *Process) reviewRoutes(v1 *mux.Router) {
	v1.Handle("/grants", p.forRole("privacy", p.listGrants)).Methods(http.MethodGet)
	v1.Handle("/grants/{id}", p.forRole("privacy", p.endGrant)).Methods(http.MethodDelete)
	v1.Handle("/reviews", p.forRole("privacy", p.listReviews)).Methods(http.MethodGet)
	v1.Handle("/reviews/{id}", p.forRole("privacy", p.review)).Methods(http.MethodPost)
}

// grantInfo is what a privacy officer sees of a grant; not what it is bound to.
type grantInfo struct {
	ID       string            `json:"id"`
	Patient  string            `json:"patient"`
	Reason   string            `json:"reason"`
	By       emergency.Person  `json:"by"`
	Request  string            `json:"request"`
	Opened   time.Time         `json:"opened"`
	Until    time.Time         `json:"until"`
	Ended    time.Time         `json:"ended,omitzero"`
	Due      time.Time         `json:"due"`
	Overdue  bool              `json:"overdue"`
	Reviewed *emergency.Review `json:"reviewed,omitempty"`
}

func (c *call) info(g *emergency.Grant, now time.Time) grantInfo {
	if !slices.Contains(c.record.Patients, g.Patient) {
		c.record.Patients = append(c.record.Patients, g.Patient)
	}
	return grantInfo{g.ID, g.Patient, g.Reason, g.By, g.Request, g.Opened.UTC(), g.Until.UTC(), g.Ended, g.Due.UTC(), g.Overdue(now), g.Reviewed}
}

func (p *Process) listGrants(_ context.Context, c *call) (any, error) {
	now, list := p.now(), []grantInfo{}
	for _, g := range p.glass.Running(now) {
		list = append(list, c.info(g, now))
	}
	return map[string]any{"grants": list}, nil
}

func (p *Process) endGrant(ctx context.Context, c *call) (any, error) {
	if c.who.Machine {
		return nil, notPerson
	}
	now := p.now()
	g, err := p.changeGrant(ctx, &p.stores, mux.Vars(c.r)["id"], func(g *emergency.Grant) error { g.End(now); return nil })
	if err != nil {
		return nil, err
	}
	return c.info(g, now), nil
}

// listedReviews bounds one answer: the newest are listed.
const listedReviews = 1000

// listReviews lists those that wait; with ?state=overdue, done or all, others.
func (p *Process) listReviews(ctx context.Context, c *call) (any, error) {
	now, want := p.now(), c.r.URL.Query().Get("state")
	keep, ok := map[string]func(*emergency.Grant) bool{
		"": waiting, "open": waiting,
		"overdue": func(g *emergency.Grant) bool { return g.Overdue(now) },
		"done":    func(g *emergency.Grant) bool { return g.Reviewed != nil },
		"all":     func(*emergency.Grant) bool { return true },
	}[want]
	if !ok {
		return nil, &failure{status: http.StatusBadRequest, code: "admin.request", text: "state is open, overdue, done or all."}
	}
	var found []*emergency.Grant
	err := p.stores.shared.List(ctx, emergencyKind, func(r state.Row) error {
		g, err := emergency.Decode(r.Value)
		if err == nil && keep(g) {
			found = append(found, g)
		}
		return err
	})
	if err != nil {
		return nil, stateDown(err)
	}
	slices.SortFunc(found, func(a, b *emergency.Grant) int { return b.Opened.Compare(a.Opened) })
	list := []grantInfo{}
	for _, g := range found[:min(len(found), listedReviews)] {
		list = append(list, c.info(g, now))
	}
	return map[string]any{"reviews": list, "more": len(found) > listedReviews}, nil
}

func waiting(g *emergency.Grant) bool { return g.Reviewed == nil }

// review takes {"verdict": "justified" | "unjustified", "note": "…"}.
func (p *Process) review(ctx context.Context, c *call) (any, error) {
	var said struct {
		Verdict string `json:"verdict"`
		Note    string `json:"note"`
	}
	if err := c.read(&said); err != nil {
		return nil, err
	}
	now := p.now()
	g, err := p.changeGrant(ctx, &p.stores, mux.Vars(c.r)["id"], func(g *emergency.Grant) error {
		return g.Review(emergency.Review{Verdict: said.Verdict, Note: said.Note, By: personOf(c.who), At: now})
	})
	if err != nil {
		return nil, err
	}
	// A grant is kept until it was reviewed, and then as long as the audit trail.
	if err := p.stores.shared.Expire(ctx, emergencyKind, g.ID, now.Add(time.Duration(p.live.Load().cfg.Audit.Retention))); err != nil {
		return nil, stateDown(err)
	}
	c.record.Notes = []audit.Note{{Name: audit.EmergencyNote, Value: g.ID}, {Name: "verdict", Value: said.Verdict}}
	return c.info(g, now), nil
}

// changeGrant changes a stored grant, and this process acts on it at once.
func (g *Gateway) changeGrant(ctx context.Context, st *stores, id string, f func(*emergency.Grant) error) (*emergency.Grant, error) {
	var changed *emergency.Grant
	err := st.shared.Update(ctx, emergencyKind, id, func(old []byte) ([]byte, error) {
		one, err := emergency.Decode(old)
		if err != nil {
			return nil, err
		}
		if err := f(one); err != nil {
			return nil, err
		}
		changed = one
		return one.Encode()
	})
	switch {
	case errors.Is(err, state.ErrNone):
		return nil, &failure{status: http.StatusNotFound, code: "admin.not-found", text: "There is no such grant."}
	case errors.Is(err, emergency.ErrOwn):
		return nil, &failure{status: http.StatusForbidden, code: "review.own", text: "You opened this yourself; somebody else reviews it."}
	case errors.Is(err, emergency.ErrReviewed):
		return nil, &failure{status: http.StatusConflict, code: "review.done", text: "It is reviewed already."}
	case errors.Is(err, emergency.ErrVerdict):
		return nil, &failure{status: http.StatusBadRequest, code: "admin.request", text: `Send {"verdict": "justified" or "unjustified", "note": "why"}.`}
	case err != nil:
		return nil, stateDown(err)
	}
	if err := st.poll(ctx); err != nil {
		return nil, stateDown(err)
	}
	return changed, nil
}
