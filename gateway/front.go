package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"gatehouse/config"

	"golang.org/x/sync/errgroup"
)

// front is the two listeners of a process. Several gateways may share one.
type front struct {
	public, admin net.Listener
}

// served is what a process serves on its listeners.
type served struct {
	public, admin http.Handler
	staff         []*Process
	watch         func(context.Context) error // nil: nothing beside what each of staff watches
}

func (f *front) listen(cfg *config.Config) (err error) {
	if f.public, err = net.Listen("tcp", cfg.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if f.admin, err = net.Listen("tcp", cfg.Admin); err != nil {
		return fmt.Errorf("listen for admin: %w", err)
	}
	return nil
}

// PublicAddr is where the public listener is.
func (f *front) PublicAddr() string { return f.public.Addr().String() }

// AdminAddr is where the admin listener is.
func (f *front) AdminAddr() string { return f.admin.Addr().String() }

func (f *front) close() {
	for _, l := range []net.Listener{f.public, f.admin} {
		if l != nil {
			_ = l.Close() // closed by its server already, as a rule
		}
	}
}

// run serves until ctx ends, then drains.
func (f *front) run(ctx context.Context, cfg *config.Config, what served) error {
	// net/http writes bytes of answers that it did not expect to the standard
	// log: those of a record, perhaps (law 12). What matters is logged by zap.
	log.SetOutput(io.Discard)
	secure, err := tlsConfig(cfg)
	if err != nil {
		return err
	}
	public, admin := newServer(what.public), newServer(what.admin)
	public.TLSConfig, admin.TLSConfig = secure, secure

	told := ctx
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	group, ctx := errgroup.WithContext(serving)
	keepRoom(ctx)
	group.Go(func() error { return leave(told, ctx, cancel, what.staff) })
	group.Go(func() error { return serveOn(public, f.public, secure != nil) })
	group.Go(func() error { return serveOn(admin, f.admin, cfg.AdminTLS()) })
	for _, p := range what.staff {
		p.work(ctx, group)
	}
	if what.watch != nil {
		group.Go(func() error { return what.watch(ctx) })
	}
	group.Go(func() error { <-ctx.Done(); return drain(public, admin) })
	return group.Wait()
}

func drain(servers ...*http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.Shutdown(ctx))
	}
	return errors.Join(errs...)
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
