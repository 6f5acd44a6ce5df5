package gateway

import (
	"errors"
	"net/http"
	"time"

	"gatehouse/config"
)

// overdue tells that nothing was heard of the source for longer than the
// configuration allows.
func (b *bundles) overdue(cfg *config.PolicyBundle, now time.Time) bool {
	return cfg != nil && now.Sub(time.Unix(b.heard.Load(), 0)) > time.Duration(cfg.MaxStaleness)
}

var errPolicyStale = errors.New("the policy bundle's source has been silent for longer than policy.bundle.max_staleness")

// stale is why nothing is decided by the policy any more, nil while it is.
func (s *snapshot) stale(now time.Time) error {
	if c := s.cfg.Policy.Bundle; c != nil && c.OnStale == "deny" && s.stores.bundles.overdue(c, now) {
		return errPolicyStale
	}
	return nil
}

// checkStale refuses everything while the policy is stale.
func (x *exchange) checkStale() error {
	err := x.s.stale(x.start)
	if err == nil {
		return nil
	}
	return &failure{status: http.StatusServiceUnavailable, code: "policy.stale", retry: time.Minute,
		text: "The rules of this organization have not been confirmed for too long. Try again later.", log: err}
}

// trouble is what an operator should know of the bundle, "" if nothing.
func (b *bundles) trouble(cfg *config.PolicyBundle, now time.Time) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case cfg == nil:
		return ""
	case b.problem != nil:
		return b.problem.Error()
	case b.overdue(cfg, now):
		return errPolicyStale.Error()
	}
	return ""
}
