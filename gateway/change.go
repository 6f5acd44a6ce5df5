package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/gateway/audit"

	"go.uber.org/zap"
)

// change is a reload as the audit trail tells it: which rules stood before it,
// and which were to stand after, as far as it came.
type change struct {
	oldConfig, oldPolicy string
	config, policy       string // "" where they could not be read
}

func (p *Process) change() *change {
	s := p.live.Load()
	return &change{oldConfig: s.cfg.Hash, oldPolicy: s.policy.Revision()}
}

func (c *change) record(code, reason string) *audit.Record {
	r := &audit.Record{Kind: audit.Notice, Code: code, Notes: []audit.Note{
		{Name: "config-before", Value: c.oldConfig}, {Name: "policy-before", Value: c.oldPolicy},
		{Name: "config", Value: c.config}, {Name: "policy", Value: c.policy}}}
	if reason != "" {
		r.Notes = append(r.Notes, audit.Note{Name: "reason", Value: reason})
	}
	return r
}

// recordWait bounds how long a reload waits for the disk of the audit trail.
const recordWait = 10 * time.Second

var errUnrecorded = errors.New("the reload could not be recorded")

// applied makes the record of a reload durable, before the new rules stand: no
// request is decided by rules whose coming nobody can look up.
func (c *change) applied(p *Process) error {
	ctx, cancel := context.WithTimeout(context.Background(), recordWait)
	defer cancel()
	if err := p.audit.Append(c.record(audit.ConfigReloaded, "")).Wait(ctx); err != nil {
		p.seen = [len(p.seen)]byte{} // to be tried again, though no file changes
		return fmt.Errorf("%w: %w", errUnrecorded, err)
	}
	return nil
}

// refused records a reload that changed nothing. There is nothing to hold back
// if that fails: an alarm tells.
func (c *change) refused(p *Process, reason error) {
	ctx, cancel := context.WithTimeout(context.Background(), recordWait)
	defer cancel()
	if err := p.audit.Append(c.record(audit.ConfigRefused, reason.Error())).Wait(ctx); err != nil {
		p.metrics.alarm("audit.unavailable")
		p.log.Error("a refused reload could not be recorded", zap.Error(err))
	}
}
