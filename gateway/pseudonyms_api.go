package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse/gateway/audit"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/reidentify"
	"gatehouse/gateway/view"

	"github.com/gorilla/mux"
)

// This file is /api/v1/pseudonyms, for the privacy role: GET lists requests, POST
// asks, and POST to {id}/approve, {id}/deny and {id}/show takes the other steps.

func (p *Process) pseudonymRoutes(v1 *mux.Router) {
	v1.Handle("/pseudonyms", p.forRole("privacy", p.listResolves)).Methods(http.MethodGet)
	v1.Handle("/pseudonyms", p.forRole("privacy", p.askResolve)).Methods(http.MethodPost)
	v1.Handle("/pseudonyms/{id}/{step:approve|deny|show}", p.forRole("privacy", p.stepResolve)).Methods(http.MethodPost)
}

// resolveInfo is what a privacy officer sees of a request.
type resolveInfo struct {
	*reidentify.Request
	State string     `json:"state"`
	Until time.Time  `json:"until,omitzero"` // of the state
	Found []Resolved `json:"resolved,omitempty"`
}

func infoOf(r *reidentify.Request, now time.Time) resolveInfo {
	state, until := r.State(now)
	return resolveInfo{Request: r, State: state, Until: until}
}

func (p *Process) pseudonymDesk() *PseudonymDesk {
	codec := func(bool) (*view.Codec, error) { return p.live.Load().codec() }
	return &PseudonymDesk{p.stores.shared, codec, p.now, otherForms(p.live.Load().cfg), keptBack(p.live.Load().cfg)}
}

func (p *Process) listResolves(ctx context.Context, _ *call) (any, error) {
	all, err := p.pseudonymDesk().List(ctx)
	if err != nil {
		return nil, stateDown(err)
	}
	list, now := []resolveInfo{}, p.now()
	for _, r := range all[:min(len(all), listedReviews)] {
		list = append(list, infoOf(r, now))
	}
	return map[string]any{"requests": list, "more": len(all) > listedReviews}, nil
}

// askResolve takes {"domain", "reason", "ids", "type"}; type is Patient where ids
// do not say it.
func (p *Process) askResolve(ctx context.Context, c *call) (any, error) {
	asked := struct {
		Domain string   `json:"domain"`
		Reason string   `json:"reason"`
		Type   string   `json:"type"`
		IDs    []string `json:"ids"`
	}{Type: "Patient"}
	if err := c.read(&asked); err != nil {
		return nil, err
	}
	return p.resolving(ctx, c, func(d *PseudonymDesk, by reidentify.Person) (r *reidentify.Request, _ []Resolved, err error) {
		r, err = d.Ask(ctx, by, asked.Domain, asked.Reason, asked.Type, asked.IDs)
		return r, nil, err
	})
}

func (p *Process) stepResolve(ctx context.Context, c *call) (any, error) {
	var said struct {
		Note string `json:"note"`
	}
	id, step := mux.Vars(c.r)["id"], mux.Vars(c.r)["step"]
	if step == "deny" && c.r.ContentLength != 0 {
		if err := c.read(&said); err != nil {
			return nil, err
		}
	}
	return p.resolving(ctx, c, func(d *PseudonymDesk, by reidentify.Person) (r *reidentify.Request, found []Resolved, err error) {
		switch step {
		case "approve":
			r, err = d.Approve(ctx, by, id)
		case "deny":
			r, err = d.Deny(ctx, by, id, said.Note)
		default:
			return d.Show(ctx, by, id)
		}
		return r, nil, err
	})
}

// resolving takes a step. It is in the trail before anything is answered.
func (p *Process) resolving(ctx context.Context, c *call, step func(*PseudonymDesk, reidentify.Person) (*reidentify.Request, []Resolved, error)) (any, error) {
	if !p.live.Load().cfg.Pseudonyms.Key().Named() {
		return nil, &failure{status: http.StatusNotFound, code: "admin.not-found", text: "The gateway makes no pseudonyms."}
	}
	if c.who.Machine {
		return nil, notPerson
	}
	r, found, err := step(p.pseudonymDesk(), resolverOf(c.who))
	if r != nil {
		c.record.Domain = r.Domain
		c.record.Notes = append(c.record.Notes, audit.Note{Name: "resolve", Value: r.ID})
	}
	if told := p.stores.poll(ctx); told != nil && err == nil {
		err = told
	}
	if err != nil {
		return nil, resolveFailure(err)
	}
	info := infoOf(r, p.now())
	info.Found = found
	return info, nil
}

func resolverOf(s *auth.Subject) reidentify.Person {
	return reidentify.Person{Issuer: s.Issuer, Subject: s.ID, User: s.FHIRUser}
}

var notPerson = &failure{status: http.StatusForbidden, code: "pseudonym.person", text: "It takes two people; your token is a program's."}

func resolveFailure(err error) error {
	switch {
	case errors.Is(err, ErrNoRequest):
		return &failure{status: http.StatusNotFound, code: "admin.not-found", text: "There is no such request."}
	case errors.Is(err, ErrTooOften):
		return &failure{status: http.StatusTooManyRequests, code: "pseudonym.rate", retry: reidentify.Every, text: "One person may ask once a minute."}
	case errors.Is(err, reidentify.ErrOwn):
		return &failure{status: http.StatusForbidden, code: "pseudonym.own", text: "You asked for this yourself; somebody else approves it."}
	case errors.Is(err, reidentify.ErrReader):
		return &failure{status: http.StatusForbidden, code: "pseudonym.reader", text: "Only who asked may read it."}
	case errors.Is(err, reidentify.ErrState):
		return &failure{status: http.StatusConflict, code: "pseudonym.state", text: "The request waits, is over, or was answered or read already: list tells."}
	case errors.Is(err, reidentify.ErrRequest):
		return &failure{status: http.StatusBadRequest, code: "admin.request",
			text: `Send {"domain": …, "reason": …, "ids": ["Patient/PSEUDONYM"]}: one line each, 1 to 50 pseudonyms, no real id.`}
	}
	return stateDown(err)
}
