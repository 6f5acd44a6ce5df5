package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/proposal"

	"go.uber.org/zap"
)

// This file is how a running gateway follows the change that is in force.

// changes is what a process knows of it beside its snapshot.
type changes struct {
	wake chan struct{} // something was activated or rolled back

	mu      sync.Mutex
	problem error // why the snapshot is not by the change in force
}

func (c *changes) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problem = err
}

// trouble is what an operator should know, "" if nothing.
func (c *changes) trouble() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.problem == nil {
		return ""
	}
	return c.problem.Error()
}

// approved reads the change in force.
func (s *stores) approved(cfg *config.Config) (*approved, error) {
	if s.shared == nil {
		return nil, errNoneActivated
	}
	stamp, err := stampOf(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), stale)
	defer cancel()
	return approvedPolicy(ctx, cfg, s.shared, stamp)
}

// What somebody who writes to the database without the key can still do to a line
// of changes: take it away, or put an older one back.
var (
	errLineGone  = errors.New("which change of policy is in force is no longer in the state store")
	errLineOlder = errors.New("which change of policy is in force was put back in the state store to what it was before")
)

// changeInForce reads the change in force as one that follows that of the snapshot:
// a line only grows, by a rollback too.
func (s *snapshot) changeInForce() (*approved, error) {
	a, err := s.stores.approved(s.cfg)
	switch known := s.approved; {
	case known == nil:
		return a, err
	case errors.Is(err, errNoneActivated):
		return nil, errLineGone
	case err != nil:
		return nil, err
	case a.step.N < known.step.N, a.step.N == known.step.N && a.step.Change != known.step.Change:
		return nil, errLineOlder
	}
	return a, nil
}

// policyOptions say what the snapshot decides by. Where the change in force cannot
// be read, or is not what was signed, the last good one stays; a start has none
// and fails.
func (s *snapshot) policyOptions() (policy.Options, error) {
	if s.cfg.Policy.ChangeControl != "required" {
		s.approved = nil
		return s.stores.policy(s.cfg)
	}
	a, err := s.changeInForce()
	switch s.behind = err; {
	case err == nil:
		s.approved = a
	case s.approved == nil:
		return policy.Options{}, err
	default:
		s.stores.alarm("policy.change")
	}
	if s.drift = driftOf(s.cfg, s.approved); s.drift != "" {
		s.stores.alarm("policy.unapproved")
	}
	o := s.approved.options
	o.ACROrder = s.cfg.ACROrder
	return o, nil
}

func (s *stores) alarm(reason string) {
	if s.metrics != nil {
		s.metrics.alarm(reason)
	}
}

// driftOf tells that the files which the configuration names are not those in
// force: somebody edits them, or has edited them by hand.
func driftOf(cfg *config.Config, a *approved) string {
	if cfg.Policy.Dir == "" && len(cfg.Policy.Data) == 0 {
		return ""
	}
	files, err := policy.Collect(directoryOf(cfg))
	switch {
	case err != nil:
		return "policy.dir and policy.data are not what is in force, and cannot be read: " + err.Error()
	case proposal.DigestOf(proposal.Sums(files)) != a.step.Digest:
		return "policy.dir and policy.data are not what is in force; they decide nothing until they are proposed, approved and activated"
	}
	return ""
}

// checkChange is how often the change in force is read again, though nobody has
// told of a new one: what was altered in the database without the key, and what
// could not be put in force, shows so.
const checkChange = 10 * time.Second

// followChanges puts in force what was activated or rolled back, wherever that
// was done, until ctx ends.
func (p *Process) followChanges(ctx context.Context) error {
	tick := time.NewTicker(checkChange)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.stores.changes.wake:
		case <-tick.C:
		}
		if s := p.live.Load(); s.approved != nil {
			p.takeChange(s)
		}
	}
}

func (p *Process) takeChange(s *snapshot) {
	a, err := s.changeInForce()
	if err == nil && a.step.N == s.approved.step.N {
		p.stores.changes.note(nil)
		return
	}
	if err == nil {
		if err = p.Reload(); err == nil { // which reports it too; the last good one stays
			return
		}
		err = fmt.Errorf("change of policy %s cannot be put in force: %w", a.step.Change, err)
	}
	if known := p.stores.changes.trouble(); known != err.Error() {
		p.log.Error("the change of policy in force is not followed; the last good one stays", zap.Error(err))
	}
	p.metrics.alarm("policy.change")
	p.stores.changes.note(err)
}
