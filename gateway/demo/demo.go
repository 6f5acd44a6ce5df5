// Package demo is a FHIR server, an identity provider and synthetic patients
// inside the process, to try Gatehouse with and to test it against: nothing
// here is for production.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"gatehouse/gateway"

	"go.uber.org/zap"
)

// Options say what a demo is made of.
type Options struct {
	Dir      string // for configuration, keys, tables and trail; "": a temporary one, removed at the end
	Patients int    // 0: 300
}

// Demo is a gateway with an identity provider and a FHIR server of synthetic
// patients behind it.
type Demo struct {
	places
	temporary bool
	process   *gateway.Process
	servers   []*http.Server
	log       *zap.Logger
}

// Run starts a demo, prints what to do with it, and serves until ctx ends.
func Run(ctx context.Context, o Options, out io.Writer) (err error) {
	d, err := Open(o)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx) }()
	ready := make(chan error, 1)
	go func() { ready <- d.awaitReady(ctx) }()
	select {
	case err = <-done: // stopped, or failed, before it was ready
		return err
	case err = <-ready:
	}
	switch {
	case err == nil:
		d.Print(out)
	case ctx.Err() != nil:
		err = nil // stopped by hand
	default:
		stop()
	}
	err = errors.Join(err, <-done)
	fmt.Fprintln(out, "\nStopped.")
	return err
}

// Open makes everything and listens; nothing is served before Serve.
func Open(o Options) (*Demo, error) {
	at, err := newPlaces(o.Dir)
	if err != nil {
		return nil, err
	}
	d := &Demo{places: *at, temporary: o.Dir == ""}
	if err := d.open(o); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *Demo) open(o Options) error {
	var err error
	if d.log, err = logTo(d.places.log); err != nil {
		return err
	}
	if d.public, err = freeAddress(); err != nil {
		return err
	}
	if d.admin, err = freeAddress(); err != nil {
		return err
	}
	d.base = "http://" + d.public + "/fhir"
	if o.Patients == 0 {
		o.Patients = 300
	}
	if err := d.openStore(o.Patients); err != nil {
		return err
	}
	if err := d.openProvider(); err != nil {
		return err
	}
	if err := d.furnish(); err != nil {
		return err
	}
	d.process, err = gateway.Open(d.config, d.log)
	return err
}

func (d *Demo) openStore(patients int) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the FHIR server: %w", err)
	}
	d.store = "http://" + l.Addr().String() + "/fhir"
	store, err := NewStore(d.store)
	if err == nil {
		err = store.Load(Patients(patients))
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	d.serve(l, store)
	return nil
}

func (d *Demo) openProvider() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the identity provider: %w", err)
	}
	d.issuer = "http://" + l.Addr().String()
	p := newProvider(d.issuer, d.base)
	d.serve(l, p)
	return d.handOut(p)
}

// handOut writes the tokens that commands of docs/policies.md read.
func (d *Demo) handOut(p *provider) error {
	dir := filepath.Join(d.dir, "tokens")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make directory of tokens: %w", err)
	}
	for _, a := range changing {
		if err := write(filepath.Join(dir, a.name), []byte(p.sign(a.claims))); err != nil {
			return err
		}
	}
	return nil
}

func (d *Demo) serve(l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	d.servers = append(d.servers, s)
	go func() { _ = s.Serve(l) }() // ends by Close
}

// freeAddress is a loopback address that nobody listens on: public_url must
// name the port before the gateway opens it.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// logTo logs into a file: the screen is for the demo's own lines.
func logTo(path string) (*zap.Logger, error) {
	c := zap.NewProductionConfig()
	c.OutputPaths, c.ErrorOutputPaths = []string{path}, []string{path}
	log, err := c.Build(zap.AddStacktrace(zap.DPanicLevel)) // as serve logs
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return log, nil
}

// Serve serves until ctx ends, then takes everything down; a temporary
// directory is removed.
func (d *Demo) Serve(ctx context.Context) error {
	err := d.process.Run(ctx)
	d.process = nil
	return errors.Join(err, d.close())
}

func (d *Demo) close() error {
	var errs []error
	if d.process != nil {
		errs = append(errs, d.process.Close())
	}
	for _, s := range d.servers {
		errs = append(errs, s.Close())
	}
	if d.temporary {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}

const readyWait = 30 * time.Second

func (d *Demo) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.admin+"/readyz", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = answer.Body.Close() // its status is all that matters
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the demo did not become ready; see %s", d.places.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
