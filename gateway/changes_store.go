package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/proposal"
	"gatehouse/gateway/state"
)

// The kinds of rows in the state store: changes, their files and evidence, what
// was in force when, and how many steps of each the trail of a gateway tells of.
const (
	changeKind      = "policy-change"
	changeBodyKind  = "policy-change-body"
	lineKind        = "policy-line"
	lineID          = "line"
	changeHeardKind = "policy-change-heard"
)

var errNoneActivated = errors.New("policy.change_control: no change of policy has been activated yet: gatehouse policy propose, then approve and activate by somebody else")

// stampOf signs under the key of the audit log, whose public key verifies the
// changes too.
func stampOf(cfg *config.Config) (*proposal.Stamp, error) {
	o, err := AuditOptions(cfg)
	if err != nil {
		return nil, err
	}
	signer, verifier, err := audit.Signer(origin(cfg.Base), o.Seed)
	if err != nil {
		return nil, err
	}
	return &proposal.Stamp{Signer: signer, Verifier: verifier}, nil
}

func readChange(ctx context.Context, st *state.Store, stamp *proposal.Stamp, id string) (*proposal.Change, error) {
	row, err := st.Get(ctx, changeKind, id)
	if errors.Is(err, state.ErrNone) {
		return nil, ErrNoChange
	}
	if err != nil {
		return nil, err
	}
	c, err := stamp.Change(row.Value)
	if err == nil && c.ID != id {
		err = errors.New("another change stands in its place")
	}
	if err != nil {
		return nil, fmt.Errorf("change of policy %s: %w", id, err)
	}
	return c, nil
}

// readBody reads what a change names, and holds it to the digests that were
// signed.
func readBody(ctx context.Context, st *state.Store, c *proposal.Change) (*changeBody, error) {
	row, err := st.Get(ctx, changeBodyKind, c.ID)
	if err != nil {
		return nil, fmt.Errorf("files of the change of policy %s: %w", c.ID, err)
	}
	b := new(changeBody)
	if err := json.Unmarshal(row.Value, b); err != nil {
		return nil, fmt.Errorf("files of the change of policy %s: they cannot be read", c.ID)
	}
	if proposal.DigestOf(proposal.Sums(b.Files)) != c.Digest() || proposal.Sum(b.Evidence) != c.Evidence {
		return nil, fmt.Errorf("files of the change of policy %s: they are not those that were signed", c.ID)
	}
	return b, nil
}

// optionsOf load the files of a change.
func optionsOf(id string, files map[string][]byte) policy.Options {
	return policy.Options{Files: files, Name: strings.TrimSpace("change " + id)}
}

func bytesOf(ctx context.Context, st *state.Store, c *proposal.Change) (policy.Options, error) {
	b, err := readBody(ctx, st, c)
	if err != nil {
		return policy.Options{}, err
	}
	return optionsOf(c.ID, b.Files), nil
}

func readLine(ctx context.Context, st *state.Store, stamp *proposal.Stamp) (*proposal.Line, error) {
	row, err := st.Get(ctx, lineKind, lineID)
	if errors.Is(err, state.ErrNone) {
		return new(proposal.Line), nil
	}
	if err != nil {
		return nil, err
	}
	l, err := stamp.Line(row.Value)
	if err != nil {
		return nil, fmt.Errorf("which policy is in force: %w", err)
	}
	return l, nil
}

func updateLine(ctx context.Context, st *state.Store, stamp *proposal.Stamp, f func(*proposal.Line) error) error {
	empty, err := stamp.SignLine(new(proposal.Line))
	if err != nil {
		return err
	}
	if _, err := st.Create(ctx, lineKind, lineID, empty, time.Time{}); err != nil {
		return err
	}
	return st.Update(ctx, lineKind, lineID, func(old []byte) ([]byte, error) {
		l, err := stamp.Line(old)
		if err == nil {
			err = f(l)
		}
		if err != nil {
			return nil, err
		}
		return stamp.SignLine(l)
	})
}

// approved is the change in force with the policy that it makes.
type approved struct {
	step    proposal.Step
	options policy.Options
}

// approvedPolicy reads the change in force, verified: signed, approved by another
// person than its author, and byte by byte what they saw.
func approvedPolicy(ctx context.Context, cfg *config.Config, st *state.Store, stamp *proposal.Stamp) (*approved, error) {
	line, err := readLine(ctx, st, stamp)
	if err != nil {
		return nil, err
	}
	step := line.Tip()
	if step.Change == "" {
		return nil, errNoneActivated
	}
	c, err := readChange(ctx, st, stamp, step.Change)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(c.Events, func(e proposal.Event) bool { return e.What == proposal.Approved && !e.By.Same(c.By()) }) || c.Digest() != step.Digest {
		return nil, fmt.Errorf("change of policy %s: it is not what was approved and activated", c.ID)
	}
	o, err := bytesOf(ctx, st, c)
	if err != nil {
		return nil, err
	}
	o.ACROrder = cfg.ACROrder
	return &approved{step, o}, nil
}

// policyOf is the policy that a configuration without a bundle is decided by.
func policyOf(ctx context.Context, cfg *config.Config, st *state.Store, stamp *proposal.Stamp) (policy.Options, error) {
	if cfg.Policy.ChangeControl != "required" {
		return directoryOf(cfg), nil
	}
	a, err := approvedPolicy(ctx, cfg, st, stamp)
	if err != nil {
		return policy.Options{}, err
	}
	return a.options, nil
}

// directoryOf is the policy that dir and data name.
func directoryOf(cfg *config.Config) policy.Options {
	return policy.Options{Dir: cfg.Policy.Dir, Data: cfg.Policy.Data, ACROrder: cfg.ACROrder}
}

// verifierKey is the public key of changes, as signed notes write it.
func verifierKey(cfg *config.Config) (string, error) {
	o, err := AuditOptions(cfg)
	if err != nil {
		return "", err
	}
	return audit.VerifierKey(origin(cfg.Base), o.Seed)
}
