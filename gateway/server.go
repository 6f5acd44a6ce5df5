package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
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
	path          string // of the configuration
	public, admin net.Listener
	servers       []*http.Server
	stores        stores
	leaving       atomic.Bool   // see leave
	trail         audit.Options // under which the log was opened
	place         string        // of the log: see TrailPlace
	reloading     sync.Mutex
	seen          [sha256.Size]byte // fingerprint of what was last read; reloading guards it
	lastReload    atomic.Pointer[reloadResult]
	heard         heard
	sinks         []*sink.Sink
	publisher     *sink.Publisher // of checkpoints
	expiring      sync.Mutex
	asked         map[string]bool // commands to expire that were heard; the listener alone uses it
	erasing       sync.Map        // erasures at work, by id
	began         int64           // records of the log when this process opened it
}

// Open loads the configuration, opens the audit log and the listeners, and
// builds the first snapshot. Nothing is served before Run.
func Open(path string, log *zap.Logger) (*Process, error) {
	cfg, problems := config.Load(path)
	if len(problems) > 0 {
		return nil, problems.Err()
	}
	p, err := newProcess(cfg, log)
	if err != nil {
		return nil, err
	}
	p.path = path
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
	trail, err := audit.Open(o)
	if err != nil {
		return nil, fmt.Errorf("open the audit log in %s: %w", cfg.Audit.Dir, err)
	}
	g := &Gateway{audit: trail, metrics: newMetrics(), log: log, bodies: semaphore.NewWeighted(bodyBytes), reports: semaphore.NewWeighted(2),
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
	return p, nil
}

func (p *Process) open(cfg *config.Config, log *zap.Logger) error {
	if err := p.load(cfg, log); err != nil {
		return err
	}
	for _, option := range weakened(cfg) {
		log.Warn("an option weakens security", zap.String("option", option))
	}
	var err error
	if p.public, err = net.Listen("tcp", cfg.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if p.admin, err = net.Listen("tcp", cfg.Admin); err != nil {
		return fmt.Errorf("listen for admin: %w", err)
	}
	p.live.Load().hosts.add(p.public.Addr().String())
	p.seen = p.fingerprint()
	return nil
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

// PublicAddr and AdminAddr are where the listeners are.
func (p *Process) PublicAddr() string { return p.public.Addr().String() }

// AdminAddr is where the admin listener is.
func (p *Process) AdminAddr() string { return p.admin.Addr().String() }

// Run serves until ctx ends, then drains.
func (p *Process) Run(ctx context.Context) error {
	// net/http writes bytes of answers that it did not expect to the standard
	// log: those of a record, perhaps (law 12). What matters is logged by p.log.
	log.SetOutput(io.Discard)
	cfg := p.live.Load().cfg
	secure, err := tlsConfig(cfg)
	if err != nil {
		return err
	}
	public := newServer(p.closing(p.Gateway))
	public.TLSConfig = secure
	admin := newServer(p.adminHandler())
	admin.TLSConfig = secure
	p.servers = []*http.Server{public, admin}
	p.log.Info("serving", zap.String("public", p.PublicAddr()), zap.String("admin", p.AdminAddr()),
		zap.String("config", cfg.Hash), zap.String("policy", p.live.Load().policy.Revision()))

	told := ctx
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	group, ctx := errgroup.WithContext(serving)
	group.Go(func() error { return p.leave(told, ctx, cancel) })
	group.Go(func() error { return serveOn(public, p.public, secure != nil) })
	group.Go(func() error { return serveOn(admin, p.admin, cfg.AdminTLS()) })
	group.Go(func() error { return p.watch(ctx) })
	group.Go(func() error { return p.copyTrail(ctx) })
	group.Go(func() error { return p.keepRetention(ctx) })
	group.Go(func() error { return p.keepShadow(ctx) })
	group.Go(func() error { return p.pollBundle(ctx) })
	group.Go(func() error { return p.follow(ctx) })
	group.Go(func() error { return p.keepIndex(ctx) })
	group.Go(func() error { return p.followChanges(ctx) })
	group.Go(func() error { return p.repeatAlerts(ctx) })
	group.Go(func() error { return p.keepGranted(ctx) })
	group.Go(func() error { return p.keepWatch(ctx) })
	group.Go(func() error { <-ctx.Done(); return p.drain() })
	return errors.Join(group.Wait(), p.Close())
}

func serveOn(s *http.Server, l net.Listener, secure bool) error {
	var err error
	if secure {
		err = s.ServeTLS(l, "", "")
	} else {
		err = s.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", l.Addr(), err)
}

// newServer bounds everything that a slow or greedy client could hold open
// (T-18). Answers have no write deadline of their own: a long export is bounded
// by the upstream's.
func newServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 60 * time.Second,
		WriteTimeout: 15 * time.Minute, IdleTimeout: 90 * time.Second, MaxHeaderBytes: 64 << 10,
		DisableGeneralOptionsHandler: true, ErrorLog: log.New(io.Discard, "", 0)}
}

func tlsConfig(cfg *config.Config) (*tls.Config, error) {
	if cfg.TLS == nil {
		return nil, nil
	}
	pair := &certificate{cert: cfg.TLS.CertFile, key: cfg.TLS.KeyFile}
	base := func() *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: pair.get}
	}
	t := base()
	if cfg.TLS.ClientCAFile == "" {
		return t, nil
	}
	clients := &clientCAs{file: cfg.TLS.ClientCAFile, base: base}
	if _, err := clients.get(nil); err != nil {
		return nil, err
	}
	t.GetConfigForClient = clients.get
	return t, nil
}

func (p *Process) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	var errs []error
	for _, s := range p.servers {
		errs = append(errs, s.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// Close ends what Open began.
func (p *Process) Close() error {
	for _, l := range []net.Listener{p.public, p.admin} {
		if l != nil {
			_ = l.Close() // closed by its server already, as a rule
		}
	}
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

// Serve runs the gateway of a configuration file until ctx ends.
func Serve(ctx context.Context, path string, log *zap.Logger) error {
	p, err := Open(path, log)
	if err != nil {
		return err
	}
	return p.Run(ctx)
}
