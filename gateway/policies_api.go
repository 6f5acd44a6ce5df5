package gateway

import (
	"context"
	"net/http"

	"github.com/gorilla/mux"
)

// This file is /api/v1/policies: the policy in force, what is known of others, and
// changes of it, which are proposed at the command line.

func (p *Process) policyRoutes(v1 *mux.Router) {
	v1.Handle("/policies", p.forRole("compliance operator", p.policies)).Methods(http.MethodGet)
	v1.Handle("/policies/{id}", p.forRole("compliance operator", p.policyChange)).Methods(http.MethodGet)
	v1.Handle("/policies/{id}/{step:approve|reject|activate}", p.forRole("compliance", p.stepChange)).Methods(http.MethodPost)
}

// policiesAnswer is what GET /api/v1/policies tells.
type policiesAnswer struct {
	Revision string        `json:"revision"`
	Shadow   *ShadowReport `json:"shadow,omitempty"`
	Changes  []ChangeInfo  `json:"changes,omitempty"`
	More     bool          `json:"more_changes,omitempty"`
}

func (p *Process) policies(ctx context.Context, _ *call) (any, error) {
	s := p.live.Load()
	a := policiesAnswer{Revision: s.policy.Revision()}
	if s.cfg.Policy.Bundle == nil {
		all, err := p.policyDesk().List(ctx)
		if err != nil {
			return nil, stateDown(err)
		}
		a.Changes, a.More = all[:min(len(all), listedReviews)], len(all) > listedReviews
	}
	switch w := s.shadow; {
	case w == nil:
	case !w.loads():
		a.Shadow = w.report()
	default:
		w.save(ctx, p.stores.shared, p.log) // what this replica knows is added up with the others'
		var err error
		if a.Shadow, err = shadowOf(ctx, p.stores.shared, w.revision); err != nil {
			return nil, internal(err)
		}
	}
	return a, nil
}
