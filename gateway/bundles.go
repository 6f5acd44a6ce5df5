package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
)

// This file keeps the signed policy bundle of policy.bundle: the one in force,
// the last good one over restarts, and the order between them.

// bundles is what a process knows of its policy bundle.
type bundles struct {
	mu      sync.Mutex
	next    *signedBundle     // fetched and verified, to be loaded
	good    *signedBundle     // in force
	refused [sha256.Size]byte // hash of the last that was refused, for this reason
	reason  error
	problem error // with the last look at the source
	kept    int64 // when it was written to the state store last, Unix seconds

	heard atomic.Int64 // Unix seconds of the last word from the source
}

// signedBundle is a verified bundle with its bytes.
type signedBundle struct {
	Raw      []byte
	Revision string
	bundle   *policy.Bundle // of Raw, verified
}

const bundleKind = "policy-bundle"

func bundleKey(cfg *config.PolicyBundle) (*policy.BundleKey, error) {
	text, err := os.ReadFile(cfg.PublicKeyFile)
	if err != nil {
		return nil, fmt.Errorf("policy.bundle.public_key_file: %w", err)
	}
	key, err := policy.ParseBundleKey(text, cfg.Algorithm)
	if err != nil {
		return nil, fmt.Errorf("policy.bundle.public_key_file %s: %w", cfg.PublicKeyFile, err)
	}
	return key, nil
}

// verified reads a bundle that came from anywhere.
func verified(cfg *config.PolicyBundle, raw []byte) (*signedBundle, error) {
	key, err := bundleKey(cfg)
	if err != nil {
		return nil, err
	}
	b, err := policy.OpenBundle(raw, key)
	if err != nil {
		return nil, err
	}
	if !policy.Ordered(b.Revision) {
		return nil, fmt.Errorf("the bundle's revision %q has no order: begin it with a number, a date or a version", b.Revision)
	}
	return &signedBundle{raw, b.Revision, b}, nil
}

// source names where a bundle comes from and who signs it: the order of
// revisions is that of one publisher.
func bundleSource(cfg *config.PolicyBundle) string {
	key, _ := os.ReadFile(cfg.PublicKeyFile) // read before
	sum := sha256.Sum256(append([]byte(cfg.URL+"\x00"+cfg.File+"\x00"), key...))
	return hex.EncodeToString(sum[:])
}

// supersedes tells whether a bundle may take the place of another: an older one
// may not, signed as it is (a replay of what was withdrawn), nor one of the same
// name and other content.
func (b *signedBundle) supersedes(old *signedBundle) error {
	if old == nil || bytes.Equal(b.Raw, old.Raw) {
		return nil
	}
	switch c := policy.CompareRevisions(b.Revision, old.Revision); {
	case c < 0:
		return fmt.Errorf("the bundle of revision %s is older than %s, which was in force", b.Revision, old.Revision)
	case c == 0:
		return fmt.Errorf("the bundle of revision %s is another than the one that was in force under it", b.Revision)
	}
	return nil
}

// bundle is the bundle that a new snapshot is built with: the one that was just
// fetched, or the one in force; at start what the source gives, or else the last
// good one.
func (s *stores) bundle(cfg *config.PolicyBundle) (*policy.Bundle, error) {
	b := &s.bundles
	if now := b.standing(); now != nil {
		return now.bundle, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
	defer cancel()
	kept, err := s.keptBundle(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if s.offline {
		return s.offlineBundle(cfg, kept)
	}
	next, err := b.look(ctx, cfg, kept)
	if err != nil {
		if next = kept; kept == nil {
			return nil, fmt.Errorf("policy.bundle: %w, and there is no earlier one", err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next, b.problem = next, err
	return next.bundle, nil
}

// standing is what a snapshot is built with without asking the source.
func (b *bundles) standing() *signedBundle {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		return b.next
	}
	return b.good
}

// keptBundle is the last good one of the state store, verified again; nil where
// there is none.
func (s *stores) keptBundle(ctx context.Context, cfg *config.PolicyBundle) (*signedBundle, error) {
	if s.shared == nil {
		return nil, nil
	}
	row, err := s.shared.Get(ctx, bundleKind, bundleSource(cfg))
	if errors.Is(err, state.ErrNone) {
		return nil, nil
	}
	var kept keptBundle
	if err == nil {
		err = json.Unmarshal(row.Value, &kept)
	}
	if err != nil {
		return nil, fmt.Errorf("policy.bundle: read the last good one: %w", err)
	}
	b, err := verified(cfg, kept.Raw)
	if err != nil {
		return nil, fmt.Errorf("policy.bundle: the last good one: %w", err)
	}
	s.bundles.heard.Store(kept.Heard)
	return b, nil
}

// keptBundle is the row.
type keptBundle struct {
	Raw   []byte `json:"raw"`
	Heard int64  `json:"heard"` // Unix seconds
}

// look asks the source for what may take the place of old.
func (b *bundles) look(ctx context.Context, cfg *config.PolicyBundle, old *signedBundle) (*signedBundle, error) {
	raw, err := fetchBundle(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if old != nil && bytes.Equal(raw, old.Raw) {
		b.heard.Store(time.Now().Unix())
		return old, nil
	}
	if problem := b.refusal(raw); problem != nil {
		return nil, problem
	}
	next, err := verified(cfg, raw)
	if err == nil {
		err = next.supersedes(old)
	}
	if err == nil {
		_, err = policy.Load(next.bundle.Options()) // its own tables; those of policy.data are the reload's matter
	}
	if err != nil {
		b.refuse(raw, err)
		return nil, err
	}
	b.heard.Store(time.Now().Unix())
	return next, nil
}

// refusal is why these bytes were refused before, nil where they were not.
func (b *bundles) refusal(raw []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if sha256.Sum256(raw) == b.refused {
		return b.reason
	}
	return nil
}

func (b *bundles) refuse(raw []byte, reason error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused, b.reason = sha256.Sum256(raw), reason
}

// bundleInForce notes that the snapshot with the new bundle serves.
func (s *stores) bundleInForce(ctx context.Context, cfg *config.Config, log *zap.Logger) {
	b := &s.bundles
	b.mu.Lock()
	if b.next != nil {
		b.good, b.next = b.next, nil
	}
	b.kept = 0
	b.mu.Unlock()
	s.keepBundle(ctx, cfg.Policy.Bundle, log)
}

// keepBundle writes the bundle in force, and when the source was heard, to the
// state store, for restarts while the source is away.
func (s *stores) keepBundle(ctx context.Context, cfg *config.PolicyBundle, log *zap.Logger) {
	b := &s.bundles
	b.mu.Lock()
	good, heard, kept := b.good, b.heard.Load(), b.kept
	b.mu.Unlock()
	if cfg == nil || good == nil || s.shared == nil || heard-kept < int64(time.Duration(cfg.MaxStaleness).Seconds()/10) {
		return
	}
	value, err := json.Marshal(keptBundle{good.Raw, heard})
	if err == nil {
		err = s.shared.Put(ctx, bundleKind, bundleSource(cfg), value, time.Time{})
	}
	if err != nil {
		log.Error("the policy bundle in force could not be kept for a restart", zap.Error(err))
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = heard
}

// leave notes that no snapshot could be built with the new bundle. It is tried
// again at the next poll.
func (b *bundles) leave(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil && b.good != nil {
		b.problem, b.next = err, nil
	}
}

// pollBundle asks the source for a newer bundle until ctx ends.
func (p *Process) pollBundle(ctx context.Context) error {
	for {
		every := time.Minute
		if cfg := p.live.Load().cfg.Policy.Bundle; cfg != nil {
			every = time.Duration(cfg.Poll)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
		if cfg := p.live.Load().cfg; cfg.Policy.Bundle != nil {
			p.lookForBundle(ctx, cfg)
		}
	}
}

func (p *Process) lookForBundle(ctx context.Context, cfg *config.Config) {
	b := &p.stores.bundles
	within, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	good := b.standing()
	next, err := b.look(within, cfg.Policy.Bundle, good)
	if ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	told := fmt.Sprint(err) == fmt.Sprint(b.problem)
	if b.problem = err; next != nil && next != good {
		b.next = next
	}
	b.mu.Unlock()
	switch {
	case err != nil:
		p.metrics.alarm("policy.bundle")
		if b.overdue(cfg.Policy.Bundle, time.Now()) {
			p.metrics.alarm("policy.stale")
		}
		if !told {
			p.log.Error("the policy bundle is not taken; the last good one stays", zap.Error(err))
		}
	case next != good:
		_ = p.Reload() // reported by Reload; the last good one stays
	default:
		p.stores.keepBundle(within, cfg.Policy.Bundle, p.log)
	}
}
