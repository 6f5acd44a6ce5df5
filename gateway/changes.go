package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/proposal"
	"gatehouse/gateway/state"
	"gatehouse/gateway/view"
)

// This file is change control of policies, for commands and the admin API: who
// proposes what, who approves and activates it, on the state store that they and
// every replica share.

// PolicyDesk takes the steps of changes of policy.
type PolicyDesk struct {
	cfg   *config.Config
	store *state.Store
	stamp *proposal.Stamp
	now   func() time.Time
}

// ErrNoChange is what the desk gives for an id that there is not.
var ErrNoChange = errors.New("there is no such change of policy")

// OnChanges works on the changes of a configuration; the gateway may be running
// on it, and records each step, or else at its next start.
func OnChanges(cfg *config.Config, f func(*PolicyDesk) error) error {
	if cfg.Policy.Bundle != nil {
		return errors.New("policy.bundle is the policy of this configuration: its publisher approves changes")
	}
	stamp, err := stampOf(cfg)
	if err != nil {
		return err
	}
	return withState(cfg, func(st *state.Store) error { return f(&PolicyDesk{cfg, st, stamp, time.Now}) })
}

// Evidence is what was found out about a proposal: what whoever approves it
// reads. It names no patient.
type Evidence struct {
	Diff     *policy.Difference `json:"diff"`
	Tests    TestReport         `json:"tests"`
	Replay   *Replay            `json:"replay,omitempty"`
	NoReplay string             `json:"no_replay,omitempty"` // why there is none
}

// TestReport sums up the tests and scenarios of a policy; all have passed.
type TestReport struct {
	Passed   int            `json:"passed"`
	Foreign  int            `json:"foreign,omitempty"` // of what ships, about rows that the policy has otherwise
	Covered  map[string]int `json:"covered"`           // percent of rules, rows and cells
	Untested []string       `json:"untested,omitempty"`
}

// Draft is a proposal before it is one.
type Draft struct {
	Title, Reason string
	Files         map[string][]byte // as policy.Collect gives them
	Evidence      Evidence
	Summary       []string // of the evidence
}

// changeBody is what a change names by digests.
type changeBody struct {
	Files    map[string][]byte `json:"files"`
	Evidence json.RawMessage   `json:"evidence"`
}

// InForce is the policy that decides, and what a proposal made now is compared
// with. Where change control is required and nothing is activated there is none:
// the proposal is compared with what ships.
func (d *PolicyDesk) InForce(ctx context.Context) (policy.Options, proposal.Base, error) {
	var base proposal.Base
	line, err := readLine(ctx, d.store, d.stamp)
	if err != nil {
		return policy.Options{}, base, err
	}
	base.Change = line.Tip().Change
	o, err := policyOf(ctx, d.cfg, d.store, d.stamp)
	if errors.Is(err, errNoneActivated) {
		return policy.Options{}, base, nil
	}
	if err != nil {
		return o, base, err
	}
	e, err := policy.Load(o)
	if err != nil {
		return o, base, fmt.Errorf("the policy in force: %w", err)
	}
	base.Revision = e.Revision()
	return o, base, nil
}

// Propose stores a change, which waits for somebody else's approval.
func (d *PolicyDesk) Propose(ctx context.Context, by proposal.Person, p Draft) (*proposal.Change, error) {
	if !plainText(p.Title) || !plainText(p.Reason) {
		return nil, fmt.Errorf("%w, and so the reason", proposal.ErrRequest)
	}
	o := optionsOf("", p.Files)
	e, err := policy.Load(o)
	if err == nil {
		err = serves(d.cfg, e)
	}
	if err != nil {
		return nil, err
	}
	_, base, err := d.InForce(ctx)
	if err != nil {
		return nil, err
	}
	if base.Revision != p.Evidence.Diff.From && base.Revision != "" {
		return nil, proposal.ErrMoved
	}
	evidence, err := json.Marshal(p.Evidence)
	if err != nil {
		return nil, fmt.Errorf("write the evidence of a change: %w", err)
	}
	c, err := proposal.New(proposal.Change{ID: requestID(), Title: p.Title, Reason: p.Reason, Base: base, Revision: e.Revision(),
		Files: proposal.Sums(p.Files), Evidence: proposal.Sum(evidence), Summary: p.Summary}, by, d.now())
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(changeBody{p.Files, evidence})
	if err != nil {
		return nil, fmt.Errorf("write the files of a change: %w", err)
	}
	signed, err := d.stamp.SignChange(c)
	if err != nil {
		return nil, err
	}
	if err := d.store.Put(ctx, changeBodyKind, c.ID, body, time.Time{}); err != nil {
		return nil, err
	}
	return c, d.store.Put(ctx, changeKind, c.ID, signed, time.Time{})
}

// Approve says that the change may be put in force.
func (d *PolicyDesk) Approve(ctx context.Context, by proposal.Person, id string) (*proposal.Change, error) {
	if _, err := d.body(ctx, id); err != nil { // what cannot be read cannot have been
		return nil, err
	}
	return d.step(ctx, id, func(c *proposal.Change) error { return c.Approve(by, d.now()) })
}

// Reject ends a change.
func (d *PolicyDesk) Reject(ctx context.Context, by proposal.Person, id, reason string) (*proposal.Change, error) {
	if !plainText(reason) {
		return nil, errors.New("the reason is one line of at most 1000 bytes")
	}
	if line, err := readLine(ctx, d.store, d.stamp); err != nil || line.Tip().Change == id {
		return nil, errors.Join(err, errors.New("a change in force is not rejected but rolled back"))
	}
	return d.step(ctx, id, func(c *proposal.Change) error { return c.Reject(by, reason, d.now()) })
}

// Activate puts an approved change in force, on every replica.
func (d *PolicyDesk) Activate(ctx context.Context, by proposal.Person, id string) (*proposal.Change, error) {
	c, err := d.step(ctx, id, func(c *proposal.Change) error { return c.MayActivate(by, d.now()) })
	if err != nil {
		return nil, err
	}
	if _, base, err := d.InForce(ctx); err != nil || base.Revision != c.Base.Revision {
		return nil, errors.Join(err, moved(c, base))
	}
	return c, d.put(ctx, c, func(l *proposal.Line) error { return l.Activate(c, by, d.now()) })
}

func moved(c *proposal.Change, now proposal.Base) error {
	if now.Revision == c.Base.Revision {
		return nil
	}
	return fmt.Errorf("%w (then %s, now %s)", proposal.ErrMoved, orNone(c.Base.Revision), orNone(now.Revision))
}

func orNone(revision string) string {
	if revision == "" {
		return "none"
	}
	return revision
}

// RollBack puts a change in force again that was before: id, or "" the one before
// the one that is.
func (d *PolicyDesk) RollBack(ctx context.Context, by proposal.Person, id, reason string) (*proposal.Change, error) {
	if !plainText(reason) {
		return nil, errors.New("the reason is one line of at most 1000 bytes")
	}
	if id == "" {
		line, err := readLine(ctx, d.store, d.stamp)
		if err != nil {
			return nil, err
		}
		if id = line.Before(); id == "" {
			return nil, proposal.ErrNever
		}
	}
	c, err := readChange(ctx, d.store, d.stamp, id)
	if err != nil {
		return nil, err
	}
	return c, d.put(ctx, c, func(l *proposal.Line) error { return l.RollBack(c, by, reason, d.now()) })
}

// put changes what is in force, once it is known that the gateway can serve by it.
func (d *PolicyDesk) put(ctx context.Context, c *proposal.Change, f func(*proposal.Line) error) error {
	o, err := bytesOf(ctx, d.store, c)
	if err != nil {
		return err
	}
	e, err := policy.Load(o)
	if err == nil {
		err = serves(d.cfg, e)
	}
	if err != nil {
		return fmt.Errorf("the change cannot be put in force: %w", err)
	}
	return updateLine(ctx, d.store, d.stamp, f)
}

// step changes a change. A refused attempt is stored too, so that the trail tells
// of it.
func (d *PolicyDesk) step(ctx context.Context, id string, f func(*proposal.Change) error) (c *proposal.Change, refused error) {
	err := d.store.Update(ctx, changeKind, id, func(old []byte) (_ []byte, err error) {
		if c, err = d.stamp.Change(old); err != nil {
			return nil, err
		}
		before := len(c.Events)
		if refused = f(c); len(c.Events) == before {
			return old, nil
		}
		return d.stamp.SignChange(c)
	})
	if errors.Is(err, state.ErrNone) {
		return nil, ErrNoChange
	}
	if err != nil {
		return nil, err
	}
	return c, refused
}

func (d *PolicyDesk) body(ctx context.Context, id string) (*changeBody, error) {
	c, err := readChange(ctx, d.store, d.stamp, id)
	if err != nil {
		return nil, err
	}
	return readBody(ctx, d.store, c)
}

// serves tells whether a gateway of the configuration can serve by a policy: the
// views that it obliges are there, and an evaluation ends.
func serves(cfg *config.Config, e *policy.Engine) error {
	s := &snapshot{cfg: cfg, policy: e, now: time.Now, stores: &stores{opened: view.MemoryVault(), offline: true}}
	s.grammar.Version = configured(cfg)
	return errors.Join(s.buildKeys(nil), s.buildPolicy(nil), s.buildViews(nil), s.selfTest(context.Background()))
}

// ChangeFile is one file of a change, for whoever reviews it.
func (d *PolicyDesk) ChangeFile(ctx context.Context, id, name string) ([]byte, error) {
	b, err := d.body(ctx, id)
	if err != nil {
		return nil, err
	}
	text, ok := b.Files[name]
	if !ok {
		return nil, fmt.Errorf("the change has no file %s", name)
	}
	return bytes.Clone(text), nil
}
