package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/fips140"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/seal"
	"gatehouse/gateway/state"
	"gatehouse/gateway/view"
)

// AuditOptions says where the audit log of a configuration is and under which
// keys; the signing key, where none is named, is derived from the sealing key.
func AuditOptions(cfg *config.Config) (audit.Options, error) {
	o := audit.Options{Dir: cfg.Audit.Dir, Origin: audit.ReplicaOrigin(origin(cfg.Base), cfg.Audit.Replica), FlushTimeout: time.Duration(cfg.Audit.FlushTimeout)}
	if fips140.Enforced() {
		return o, errors.New("the audit log seals its records by AES-GCM with nonces of its own making, which GODEBUG=fips140=only refuses; use GODEBUG=fips140=on")
	}
	var err error
	if o.Key, err = auditKey(cfg); err != nil {
		return o, fmt.Errorf("audit key: %w", err)
	}
	if cfg.Audit.Signing().Named() {
		o.Seed, err = cfg.Audit.Signing().One()
	} else {
		o.Seed, err = derived(cfg, "audit-signing")
	}
	if err != nil {
		return o, fmt.Errorf("audit signing key: %w", err)
	}
	return o, nil
}

// TrailPlace is what a gateway's audit log is called in the state store: its
// directory, and the replica's name where it has one. Replicas share the store, and
// have the same directory each on a disk of its own: by the directory alone one would
// take what another has recorded, or erased, for done.
func TrailPlace(cfg *config.Config) string {
	if cfg.Audit.Replica == "" {
		return cfg.Audit.Dir
	}
	return cfg.Audit.Dir + "@" + cfg.Audit.Replica
}

// auditKey is the key that wraps the keys of records, and after it those that
// wrapped them before.
func auditKey(cfg *config.Config) ([]byte, error) {
	keys, err := cfg.Audit.Key().Read()
	if err != nil {
		return nil, err
	}
	all := slices.Clone(keys.Current())
	for i, key := range slices.Backward(keys.Epochs) {
		if i != keys.Writes {
			all = append(all, key...)
		}
	}
	return all, nil
}

// derived is a key made from the sealing key, for what has none of its own.
func derived(cfg *config.Config, label string) ([]byte, error) {
	sealer, err := sealerOf(cfg)
	if err != nil {
		return nil, err
	}
	return sealer.Derive(label, ed25519.SeedSize), nil
}

// sealerOf seals with the newest sealing key; what the others sealed opens.
func sealerOf(cfg *config.Config) (*seal.Sealer, error) {
	keys, err := cfg.Sealing.Read()
	if err != nil {
		return nil, err
	}
	sealer, err := seal.New(keys.Epochs[0], keys.Epochs[1:keys.Writes+1]...)
	if err != nil {
		return nil, err
	}
	return sealer, sealer.Await(keys.Epochs[keys.Writes+1:]...)
}

// origin names the gateway: its only log in the checkpoints, and for all replicas
// the changes of policy that they share.
func origin(base *url.URL) string { return "gatehouse/" + base.Host + base.Path }

// stores are the files that outlive a snapshot: one process holds each of them
// open once.
type stores struct {
	trial *Trial // nil: the gateway serves

	mu     sync.Mutex
	opened view.Vault
	done   func() error
	erased view.Erased // whose pseudonyms lead nowhere

	shared    *state.Store
	listeners map[string][]func(state.Row) // by kind
	polling   sync.Mutex
	version   int64                  // of shared, up to which the listeners know; polling guards it
	owed      map[string][]state.Row // what listeners could not do yet, by kind; polling guards it
	polled    atomic.Int64           // Unix nanoseconds

	offline bool // commands: nothing is asked of the network
	bundles bundles
	changes changes
	granted granted

	metrics *metrics  // nil: nothing is counted
	once    auth.Once // nil: this process is alone
}

// vault is the store of pseudonyms that cannot be computed, opened when the
// first view needs it.
func (s *stores) vault(cfg *config.Config) (view.Vault, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened == nil && cfg.State.URL != "" {
		v, err := s.shared.Vault(context.Background())
		if err != nil {
			return nil, err
		}
		s.opened = v
	}
	if s.opened == nil {
		v, done, err := view.OpenVault(cfg.State.Dir)
		if err != nil {
			return nil, err
		}
		s.opened, s.done = v, done
	}
	return s.opened, nil
}

func (s *stores) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := []error{s.closeVaultFile()}
	if s.shared != nil {
		errs = append(errs, s.shared.Close())
	}
	return errors.Join(errs...)
}

func (s *stores) closeVault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeVaultFile()
}

func (s *stores) closeVaultFile() error {
	if s.done == nil {
		return nil
	}
	return s.done()
}

// trusteeFailed counts what a pseudonym service did not give; what needed it is
// withheld.
func (s *stores) trusteeFailed(error) {
	if s.metrics != nil {
		s.metrics.alarm("pseudonyms.service")
	}
}
