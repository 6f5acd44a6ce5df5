package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gatehouse/config"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/state"
)

// This file says which policy a configuration names: a directory, a bundle, or
// the change that was activated last.

// policy is what a snapshot is built with.
func (s *stores) policy(cfg *config.Config) (policy.Options, error) {
	if cfg.Policy.Bundle != nil {
		b, err := s.bundle(cfg.Policy.Bundle)
		if err != nil {
			return policy.Options{}, err
		}
		o := b.Options()
		o.Data, o.ACROrder = cfg.Policy.Data, cfg.ACROrder
		return o, nil
	}
	if cfg.Policy.ChangeControl == "required" {
		a, err := s.approved(cfg)
		if err != nil {
			return policy.Options{}, err
		}
		return a.options, nil
	}
	return directoryOf(cfg), nil
}

// LivePolicy is the policy that the gateway of a configuration decides by,
// without asking the network: of bundles the last good one, under change control
// the change in force. The gateway may be running.
func LivePolicy(cfg *config.Config) (policy.Options, error) {
	if cfg.Policy.Bundle == nil && cfg.Policy.ChangeControl != "required" {
		return (&stores{}).policy(cfg)
	}
	if _, err := os.Stat(filepath.Join(cfg.State.Dir, "state.db")); cfg.State.URL == "" && errors.Is(err, fs.ErrNotExist) {
		return (&stores{offline: true}).policy(cfg) // to look is not to make one
	}
	var o policy.Options
	err := withState(cfg, func(st *state.Store) (err error) {
		o, err = (&stores{shared: st, offline: true}).policy(cfg)
		return err
	})
	return o, err
}

// loadOffline loads it for a snapshot that asks nothing of the network.
func (s *snapshot) loadOffline() error {
	o, err := LivePolicy(s.cfg)
	if err == nil {
		s.policy, err = policy.Load(o)
	}
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
}

var errNoBundle = errors.New("policy.bundle: none has been loaded yet, and nothing is asked of the network here; start the gateway first")

// offlineBundle is the bundle for commands.
func (s *stores) offlineBundle(cfg *config.PolicyBundle, kept *signedBundle) (*policy.Bundle, error) {
	if kept != nil {
		return kept.bundle, nil
	}
	if cfg.File == "" {
		return nil, errNoBundle
	}
	raw, err := readBundle(cfg.File)
	if err != nil {
		return nil, err
	}
	b, err := verified(cfg, raw)
	if err != nil {
		return nil, fmt.Errorf("policy.bundle.file %s: %w", cfg.File, err)
	}
	return b.bundle, nil
}
