package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"
	"time"

	"gatehouse/config"

	"go.uber.org/zap"
)

// watchEvery is how often the files of the configuration are looked at.
// Polling their bytes sees what notification misses: mounted secrets that are
// swapped by link, and network file systems.
const watchEvery = 2 * time.Second

// watch reloads on SIGHUP, on the admin endpoint's word, and when the
// configuration or a policy file has changed.
func (p *Process) watch(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
		case <-tick.C:
			if p.unchanged() {
				continue
			}
		}
		_ = p.Reload() // reported by Reload; what is live stays
	}
}

// Reload builds a snapshot of the configuration as it is on disk now, tests
// it, and swaps it in whole. A bad one changes nothing and is reported.
func (p *Process) Reload() error {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	change := p.change()
	err := p.reloadOnce(change)
	p.metrics.reloaded(err == nil)
	if err != nil {
		change.refused(p, err)
		p.stores.bundles.leave(err)
		p.log.Error("reload refused; the old configuration stays", zap.Error(err))
		p.lastReload.Store(&reloadResult{err: err, at: time.Now()})
		return err
	}
	s := p.live.Load()
	p.lastReload.Store(&reloadResult{at: time.Now()})
	p.log.Info("reloaded", zap.String("config", s.cfg.Hash), zap.String("policy", s.policy.Revision()))
	return nil
}

type reloadResult struct {
	err error
	at  time.Time
}

// errNaming keeps a line that was taken out of a key file from changing every
// pseudonym and date while clients are reading.
var errNaming = errors.New("pseudonyms: the first key, or the tenant, is another one: what was given out would lead nowhere and dates would shift anew. " +
	"Put it back (a key file only ever grows: gatehouse keys rotate), or restart to begin anew")

func (p *Process) reloadOnce(c *change) error {
	old := p.live.Load()
	p.seen = p.fingerprint() // before anything is read: what changes meanwhile is seen as changed
	cfg, err := p.reread()
	if err != nil {
		return err
	}
	c.config = cfg.Hash
	if err := p.sameProcess(old.cfg, cfg); err != nil {
		return err
	}
	next, err := build(cfg, old, &p.stores, p.log)
	if err != nil {
		return err
	}
	if old.naming != "" && next.naming != "" && old.naming != next.naming {
		return errNaming
	}
	c.policy = next.policy.Revision()
	if err := next.selfTest(context.Background()); err != nil {
		return err
	}
	next.hosts.add(p.PublicAddr())
	next.start()
	if err := awaitReady(next); err != nil {
		next.stop()
		return fmt.Errorf("issuers of the new configuration: %w", err)
	}
	if err := c.applied(p); err != nil {
		next.stop()
		return err
	}
	p.limit.Configure(cfg.Limits)
	p.live.Store(next)
	p.inForce(next)
	time.AfterFunc(drainTime, func() { p.retire(old) }) // requests of the old snapshot may still be running
	return nil
}

// inForce notes which policy decides from now on.
func (p *Process) inForce(s *snapshot) {
	ctx, cancel := context.WithTimeout(context.Background(), stale)
	defer cancel()
	p.metrics.decidesBy(s.policy.Revision())
	p.stores.bundleInForce(ctx, s.cfg, p.log)
	p.stores.changes.note(s.behind)
}

// retire ends what a snapshot runs, with what its shadow has counted.
func (p *Process) retire(old *snapshot) {
	ctx, cancel := context.WithTimeout(context.Background(), stale)
	defer cancel()
	old.shadow.save(ctx, p.stores.shared, p.log)
	old.stop()
}

// readyWait is how long a reload waits for the issuers' keys.
const readyWait = 10 * time.Second

// sameProcess refuses to change by reload what only a restart can.
func (p *Process) sameProcess(old, next *config.Config) error {
	for _, f := range []struct{ key, old, next string }{
		{"listen", old.Listen, next.Listen}, {"admin", old.Admin, next.Admin},
		{"state.dir", old.State.Dir, next.State.Dir}, {"state.key_file", old.State.Key().Where(), next.State.Key().Where()},
		{"audit.dir", old.Audit.Dir, next.Audit.Dir}, {"audit.key_file", old.Audit.Key().Where(), next.Audit.Key().Where()},
		{"audit.flush_timeout", time.Duration(old.Audit.FlushTimeout).String(), time.Duration(next.Audit.FlushTimeout).String()},
	} {
		if f.old != f.next {
			return fmt.Errorf("%s cannot change while running: restart to move it from %s to %s", f.key, f.old, f.next)
		}
	}
	if old.Limits.State != next.Limits.State || old.Limits.StateCAFile != next.Limits.StateCAFile { // not quoted: it may hold a password
		return errors.New("limits.state cannot change while running: restart to move it")
	}
	if old.State.URL != next.State.URL { // not quoted: it may hold a password
		return errors.New("state.url cannot change while running: restart to move it")
	}
	if !reflect.DeepEqual(old.Audit.Sinks, next.Audit.Sinks) {
		return errors.New("audit.sinks cannot change while running: restart; what a sink has not got meanwhile, it gets then")
	}
	if !reflect.DeepEqual(old.Audit.Spool, next.Audit.Spool) {
		return errors.New("audit.spool cannot change while running: restart; what waits in the old one is in the log before that")
	}
	if !reflect.DeepEqual(old.Audit.Publish, next.Audit.Publish) {
		return errors.New("audit.publish cannot change while running: restart")
	}
	o, err := AuditOptions(next)
	if err != nil {
		return err
	}
	// A key that was added is taken up at the next start; what is written until
	// then opens under the ones that are there.
	if o.Origin != p.trail.Origin || !bytes.Contains(o.Key, p.trail.Key[:config.KeySize]) || !bytes.Equal(o.Seed, p.trail.Seed) {
		return errors.New("the audit log stands under the public_url and the keys that it was begun with: " +
			"public_url, the audit keys and, where audit.signing_key_file is not named, the sealing key cannot change in audit.dir; name a new one")
	}
	return nil
}

// unchanged tells whether the files are as they were when last read.
func (p *Process) unchanged() bool {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	return p.fingerprint() == p.seen
}

// fingerprint is a hash over the bytes of the configuration and policy files.
func (p *Process) fingerprint() [sha256.Size]byte {
	h := sha256.New()
	cfg := p.live.Load().cfg
	paths := []string{p.path}
	for _, pattern := range cfg.Policy.Data {
		found, _ := filepath.Glob(pattern)
		paths = append(paths, found...)
	}
	for _, v := range cfg.Views {
		paths = append(paths, v.File)
	}
	paths = append(paths, cfg.Upstream.CAFile, cfg.Pseudonyms.KeyFile, cfg.Sealing.KeyFile)
	for _, i := range cfg.Issuers {
		paths = append(paths, i.CAFile, i.Introspection.ClientSecretFile)
	}
	paths = slices.DeleteFunc(paths, func(path string) bool { return path == "" })
	for _, dir := range []string{cfg.Policy.Dir, cfg.Policy.Shadow} {
		if dir == "" {
			continue
		}
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				paths = append(paths, path)
			}
			return nil
		})
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d %v\n", path, len(b), err)
		h.Write(b)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// awaitReady waits until the keys of every issuer are there: a snapshot that
// can verify no token would refuse everyone.
func awaitReady(s *snapshot) error {
	var err error
	for deadline := time.Now().Add(readyWait); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = s.auth.Ready(); err == nil {
			return nil
		}
	}
	return err
}
