package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/audit"

	"github.com/prometheus/client_golang/prometheus"
)

// This file is what becomes of a record that the audit log cannot take (U-02): the
// request is refused, or its record waits in a spool on another disk, as
// audit.on_failure says for its class.

// openSpool opens the spool where the configuration has one, used now or before.
func (p *Process) openSpool(cfg *config.Config) (err error) {
	c := cfg.Audit.Spool
	if c == nil {
		return nil
	}
	if p.spool, err = p.audit.OpenSpool(c.Dir, int64(c.Max)); err != nil {
		return err
	}
	p.metrics.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_audit_spool_records", Help: "Audit records that wait in the spool for the log."},
			func() float64 { return float64(p.spool.Waiting()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_audit_spool_bytes", Help: "Bytes of records in the audit spool."},
			func() float64 { n, _ := p.spool.Bytes(); return float64(n) }))
	return nil
}

// keep makes a record durable, in the log or in the spool. A request that has a
// record in the spool keeps to it: its records stay in their order.
func (g *Gateway) keep(ctx context.Context, r *audit.Record, onFailure string, spooled *bool) error {
	if !*spooled {
		err := g.audit.Append(r).Wait(ctx)
		if err == nil || ctx.Err() != nil || onFailure != "spool" || g.spool == nil {
			return err
		}
	}
	if err := g.spool.Append(r).Wait(ctx); err != nil {
		return err
	}
	*spooled = true
	g.metrics.alarm("audit.spooled")
	return nil
}

// onFailure is what audit.on_failure says of a request; until it is known what
// it asks for, its method tells.
func onFailure(f *config.OnFailure, method string, a *fhir.Access) string {
	if a == nil {
		if method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions {
			return f.Read
		}
		return f.Write
	}
	switch a.Interaction {
	case fhir.Read, fhir.VRead, fhir.Capabilities:
		return f.Read
	case fhir.SearchType, fhir.SearchSystem, fhir.SearchCompartment, fhir.HistoryInstance, fhir.HistoryType, fhir.HistorySystem:
		return f.Search
	case fhir.Operation:
		return f.Operation
	}
	return f.Write
}

// auditTrouble says why records are not kept, which is a problem, or where they
// wait, which is a warning.
func (p *Process) auditTrouble(f config.OnFailure) (warning string, problem error) {
	err := p.audit.Healthy()
	if p.spool == nil {
		return "", err
	}
	waiting := p.spool.Waiting()
	now, most := p.spool.Bytes()
	switch full := p.spool.Healthy(); {
	case err != nil && !f.Spools():
		return "", err
	case err != nil && full != nil:
		return "", fmt.Errorf("%w; and the spool takes none: %w", err, full)
	case err != nil:
		return fmt.Sprintf("%v; %d records wait in the spool, %d of %d bytes; what may not spool is refused", err, waiting, now, most), nil
	case waiting > 0:
		return fmt.Sprintf("%d records in the spool are on their way into the log", waiting), nil
	case full != nil:
		return full.Error(), nil
	}
	return "", nil
}

// emptySpool brings what waits in the spool into a log that a command has opened.
func emptySpool(ctx context.Context, cfg *config.Config, log *audit.Log) error {
	if cfg.Audit.Spool == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, eraseWait)
	defer cancel()
	s, err := log.OpenSpool(cfg.Audit.Spool.Dir, int64(cfg.Audit.Spool.Max))
	if err != nil {
		return err
	}
	for s.Waiting() > 0 && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	return errors.Join(ctx.Err(), s.Close())
}
