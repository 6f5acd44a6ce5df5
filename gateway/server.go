package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/audit/sink"
	"gatehouse/gateway/emergency"
	"gatehouse/gateway/limit"
	"gatehouse/gateway/notify"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// drainTime is how long requests in flight may take to end at shutdown.
const drainTime = 20 * time.Second

// Process is a gateway with its listeners.
type Process struct {
	*Gateway
	front
	path       string                         // of the configuration
	reread     func() (*config.Config, error) // of path; a tenant's holds what its process says too
	stores     stores
	leaving    atomic.Bool   // see leave
	trail      audit.Options // under which the log was opened
	place      string        // of the log: see TrailPlace
	reloading  sync.Mutex
	seen       [sha256.Size]byte // fingerprint of what was last read; reloading guards it
	lastReload atomic.Pointer[reloadResult]
	heard      heard
	sinks      []*sink.Sink
	publisher  *sink.Publisher // of checkpoints
	expiring   sync.Mutex
	asked      map[string]bool // commands to expire that were heard; the listener alone uses it
	erasing    sync.Map        // erasures at work, by id
	began      int64           // records of the log when this process opened it
}

// Open loads the configuration, opens the audit log and the listeners, and
// builds the first snapshot. Nothing is served before Run.
func Open(path string, log *zap.Logger) (*Process, error) {
	cfg, problems := config.Load(path)
	if len(problems) > 0 {
		return nil, problems.Err()
	}
	if cfg.Tenant != "" {
		return nil, fmt.Errorf("%s: tenant: is one of several gateways of a process; serve the file that has it among its tenants", path)
	}
	p, err := newProcess(cfg, log)
	if err != nil {
		return nil, err
	}
	p.path, p.reread = path, rereader(path)
	p.metrics.ofProcess()
	if err := p.open(cfg, log); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func newProcess(cfg *config.Config, log *zap.Logger) (*Process, error) {
	o, err := AuditOptions(cfg)
	if err != nil {
		return nil, err
	}
	o.Log = log
	publisher := &sink.Publisher{}
	o.Publish = publisher.Take
	m := newMetrics()
	o.Hangs = func() { m.alarm("audit.hangs") }
	trail, err := audit.Open(o)
	if err != nil {
		return nil, fmt.Errorf("open the audit log in %s: %w", cfg.Audit.Dir, err)
	}
	kept := &troubles{}
	log = log.WithOptions(zap.WrapCore(kept.beside))
	g := &Gateway{audit: trail, metrics: m, log: usual(log), verbose: log, troubles: kept, bodies: semaphore.NewWeighted(bodyBytes), reports: semaphore.NewWeighted(2),
		glass: emergency.NewBook(), kin: newKinship()}
	g.binaries, _ = lru.New[string, made](madeKept)
	g.logins, _ = lru.New[string, *atomic.Int64](loginsKept) // fails for a size of zero alone
	g.notify = notify.New(log, g.metrics.alarm)
	g.metrics.reviews(g.glass.Waiting)
	p := &Process{Gateway: g, trail: o, place: TrailPlace(cfg), publisher: publisher}
	if p.began, err = audit.SignedIn(o.Dir); err != nil {
		return nil, errors.Join(err, trail.Close())
	}
	p.stores.listen(emergencyKind, p.learnGrant)
	p.stores.listen(blockKind, p.learnBlock)
	p.stores.listen(holdEventKind, p.learnHold)
	p.stores.listen(expireKind, p.learnExpire)
	p.stores.listen(blockEventKind, p.learnBlockEvent)
	p.stores.listen(resolveKind, p.learnResolve)
	p.stores.listen(erasedKind, p.stores.learnErased)
	p.stores.listen(readingKind, p.learnReading)
	p.stores.changes.wake = make(chan struct{}, 1)
	p.stores.listen(changeKind, p.learnChange)
	p.stores.listen(lineKind, p.learnLine)
	p.stores.listen(eraseKind, p.learnErase)
	p.stores.listen(tightKind, p.learnTightening)
	p.stores.listen(levelKind, p.learnLevel)
	p.stores.listen(levelEventKind, p.learnLevelEvent)
	return p, nil
}

func (p *Process) open(cfg *config.Config, log *zap.Logger) error {
	if err := p.load(cfg, log); err != nil {
		return err
	}
	if err := p.listen(cfg); err != nil {
		return err
	}
	p.listening()
	return nil
}

// listening is what is left to do when the listeners are there.
func (p *Process) listening() {
	s := p.live.Load()
	for _, option := range weakened(s.cfg) {
		p.log.Warn("an option weakens security", zap.String("option", option))
	}
	s.hosts.add(p.PublicAddr())
	p.seen = p.fingerprint()
}

func rereader(path string) func() (*config.Config, error) {
	return func() (*config.Config, error) {
		cfg, problems := config.Load(path)
		return cfg, problems.Err()
	}
}

// load builds the first snapshot and the stores that it needs.
func (p *Process) load(cfg *config.Config, log *zap.Logger) error {
	key, err := derived(cfg, "limits")
	if err != nil {
		return fmt.Errorf("sealing key: %w", err)
	}
	if p.limit, err = limit.New(cfg.Limits, limit.Options{Key: key, Alarm: p.metrics.alarm, Log: log}); err != nil {
		return err
	}
	p.stores.metrics, p.stores.once = p.metrics, p.once
	if err := p.stores.open(cfg); err != nil {
		return err
	}
	s, err := build(cfg, nil, &p.stores, log)
	if err != nil {
		return err
	}
	if err := s.selfTest(context.Background()); err != nil {
		return err
	}
	s.start()
	if err := errors.Join(p.openSpool(cfg), p.openSinks(cfg), p.openPublisher(cfg)); err != nil {
		s.stop()
		return err
	}
	p.live.Store(s) // nothing is served yet
	p.inForce(s)
	return p.stores.poll(context.Background())
}

// Run serves until ctx ends, then drains.
func (p *Process) Run(ctx context.Context) error {
	p.tellServing()
	return errors.Join(p.run(ctx, p.live.Load().cfg, served{public: p.closing(p.Gateway), admin: p.adminHandler(), staff: []*Process{p}}), p.Close())
}

// tellServing logs what is served.
func (p *Process) tellServing() {
	s := p.live.Load()
	p.log.Info("serving", zap.String("public", p.PublicAddr()), zap.String("admin", p.AdminAddr()),
		zap.String("config", s.cfg.Hash), zap.String("policy", s.policy.Revision()))
}

// work has group do what a gateway does beside serving, until ctx ends.
func (p *Process) work(ctx context.Context, group *errgroup.Group) {
	for _, f := range []func(context.Context) error{p.watch, p.copyTrail, p.keepRetention, p.keepShadow, p.pollBundle, p.follow, p.keepIndex,
		p.followChanges, p.repeatAlerts, p.keepGranted, p.keepWatch} {
		group.Go(func() error { return f(ctx) })
	}
}

// Close ends what Open began.
func (p *Process) Close() error {
	p.front.close()
	if s := p.live.Load(); s != nil {
		s.stop()
	}
	p.notify.Close()
	var unspooled error
	if p.spool != nil {
		unspooled = p.spool.Close()
	}
	return errors.Join(p.limit.Close(), p.stores.close(), unspooled, p.audit.Close())
}

// Serve runs the gateway of a configuration file, or those of its tenants, until ctx
// ends.
func Serve(ctx context.Context, path string, log *zap.Logger) error {
	if config.HasTenants(path) {
		t, err := OpenTenants(path, log)
		if err != nil {
			return err
		}
		return t.Run(ctx)
	}
	p, err := Open(path, log)
	if err != nil {
		return err
	}
	return p.Run(ctx)
}
