package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit/sink"
	"gatehouse/gateway/upstream"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// openSinks prepares the copies of the trail. At those that are not to know of
// whom it tells, a patient has the name that alerts give (see patientHash).
func (p *Process) openSinks(cfg *config.Config) error {
	if len(cfg.Audit.Sinks) == 0 {
		return nil
	}
	key, err := derived(cfg, "alert-patient")
	if err != nil {
		return fmt.Errorf("audit sinks: %w", err)
	}
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_audit_sink_failures_total",
		Help: "Deliveries to an audit sink that failed and are tried again."}, []string{"sink"})
	p.metrics.registry.MustRegister(failures)
	p.sinks, err = sink.Open(cfg.Audit.Sinks, sink.Options{Source: p.audit, Dir: filepath.Join(cfg.Audit.Dir, "sinks"), Log: p.log,
		Hash:   func(id string) string { return keyedHash(key, id) },
		HTTP:   func(c config.Upstream, log *zap.Logger) (sink.Doer, error) { return httpClient(c, log) },
		Failed: func(name string) { failures.WithLabelValues(name).Inc(); p.metrics.alarm("audit.sink") }})
	for _, s := range p.sinks {
		p.metrics.registry.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_audit_sink_lag_records", ConstLabels: prometheus.Labels{"sink": s.Name},
				Help: "Audit records that a sink has not got yet."}, func() float64 { n, _ := s.Lag(time.Now()); return float64(n) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_audit_sink_lag_seconds", ConstLabels: prometheus.Labels{"sink": s.Name},
				Help: "Age of the oldest audit record that a sink has not got yet."}, func() float64 { _, d := s.Lag(time.Now()); return d.Seconds() }))
	}
	return err
}

// openPublisher prepares where checkpoints are published to.
func (p *Process) openPublisher(cfg *config.Config) error {
	return p.publisher.Open(cfg.Audit.Publish, cfg.Audit.Dir, sink.Options{Source: p.audit, Log: p.log,
		HTTP:   func(c config.Upstream, log *zap.Logger) (sink.Doer, error) { return httpClient(c, log) },
		Failed: func(string) { p.metrics.alarm("audit.publish") }})
}

func httpClient(c config.Upstream, log *zap.Logger) (*http.Client, error) {
	return upstream.NewClient(c, log)
}

func keyedHash(key []byte, text string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// copyTrail runs the sinks until ctx ends. What they have not got by then they
// get after the next start.
func (p *Process) copyTrail(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range p.sinks {
		all.Go(func() { s.Run(ctx) })
	}
	all.Go(func() { p.publisher.Run(ctx) })
	all.Wait()
	return nil
}

// sinkTroubles says which sinks take nothing, and how much waits for them.
func (p *Process) sinkTroubles(now time.Time) map[string]string {
	troubles := map[string]string{}
	for _, s := range p.sinks {
		if err := s.Trouble(); err != nil {
			n, behind := s.Lag(now)
			troubles["audit.sinks."+s.Name] = fmt.Sprintf("takes nothing: %v; %d records wait, the oldest for %s", err, n, behind.Round(time.Second))
		}
	}
	for _, a := range p.publisher.Anchors() {
		if err := a.Trouble(); err != nil {
			size, _ := a.Last()
			troubles["audit.publish."+a.Name] = fmt.Sprintf("takes no checkpoint: %v; it has one of %d records", err, size)
		}
	}
	return troubles
}
