package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse/gateway/audit"
	"gatehouse/gateway/proposal"

	"github.com/gorilla/mux"
)

// policyDesk is that of the running gateway.
func (p *Process) policyDesk() *PolicyDesk {
	cfg := p.live.Load().cfg
	stamp, err := stampOf(cfg)
	if err != nil { // the key was read when the log was opened
		p.log.Error("the signing key of changes of policy cannot be read: " + err.Error())
		stamp = new(proposal.Stamp)
	}
	return &PolicyDesk{cfg, p.stores.shared, stamp, time.Now}
}

func (p *Process) policyChange(ctx context.Context, c *call) (any, error) {
	r, err := p.policyDesk().Show(ctx, mux.Vars(c.r)["id"])
	if err != nil {
		return nil, changeFailure(err)
	}
	return r, nil
}

// stepChange takes {"reason"} to reject, and nothing else. The step is in the
// trail before anything is answered.
func (p *Process) stepChange(ctx context.Context, c *call) (any, error) {
	if c.who.Machine {
		return nil, notPerson
	}
	var said struct {
		Reason string `json:"reason"`
	}
	id, step := mux.Vars(c.r)["id"], mux.Vars(c.r)["step"]
	if step == "reject" && c.r.ContentLength != 0 {
		if err := c.read(&said); err != nil {
			return nil, err
		}
	}
	d, by := p.policyDesk(), resolverOf(c.who)
	c.record.Notes = append(c.record.Notes, audit.Note{Name: "change", Value: id})
	var change *proposal.Change
	var err error
	switch step {
	case "approve":
		change, err = d.Approve(ctx, by, id)
	case "reject":
		change, err = d.Reject(ctx, by, id, said.Reason)
	default:
		change, err = d.Activate(ctx, by, id)
	}
	if told := p.stores.poll(ctx); told != nil && err == nil {
		err = told
	}
	if err != nil {
		return nil, changeFailure(err)
	}
	return change, nil
}

func changeFailure(err error) error {
	switch {
	case errors.Is(err, ErrNoChange):
		return &failure{status: http.StatusNotFound, code: "admin.not-found", text: "There is no such change of policy."}
	case errors.Is(err, proposal.ErrOwn), errors.Is(err, proposal.ErrApprover):
		return &failure{status: http.StatusForbidden, code: "policy.person", text: "Somebody else than who proposed a change approves it, and who approved it activates it."}
	case errors.Is(err, proposal.ErrState), errors.Is(err, proposal.ErrMoved), errors.Is(err, proposal.ErrStands):
		return &failure{status: http.StatusConflict, code: "policy.state",
			text: "The change is not in a state for this, or another policy is in force than the one that it was compared with."}
	}
	return &failure{status: http.StatusServiceUnavailable, code: "policy.change", retry: time.Minute,
		text: "The change could not be read or put in force; the log says why. Nothing has changed.", log: err}
}
