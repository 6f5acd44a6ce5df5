package gateway

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/gorilla/mux"
)

// adminHandler serves the admin listener: health, metrics, reload and the admin
// API.
func (p *Process) adminHandler() http.Handler {
	r := mux.NewRouter()
	r.HandleFunc("/livez", alive).Methods(http.MethodGet)
	r.HandleFunc("/readyz", p.readyz).Methods(http.MethodGet)
	r.Handle("/metrics", p.metrics.handler()).Methods(http.MethodGet)
	r.HandleFunc("/-/reload", p.reloadNow).Methods(http.MethodPost)
	p.api(r)
	return r
}

// readiness is what /readyz tells.
type readiness struct {
	Ready    bool              `json:"ready"`
	Problems map[string]string `json:"problems,omitempty"`
	Warnings map[string]string `json:"warnings,omitempty"` // what needs somebody, and keeps no request away
	Degraded map[string]string `json:"degraded,omitempty"` // what the process serves without
	Config   string            `json:"config"`
	Policy   string            `json:"policy"`
	Insecure []string          `json:"insecure,omitempty"`
	FIPS     string            `json:"fips140"` // off, on or only
	Reload   string            `json:"last_reload_refused,omitempty"`
	Shadow   string            `json:"shadow_policy,omitempty"` // its revision, or why it did not load
	Bundle   string            `json:"policy_bundle_problem,omitempty"`
	Change   string            `json:"policy_change,omitempty"` // in force, under change control
	Behind   string            `json:"policy_change_problem,omitempty"`
	Drift    string            `json:"policy_unapproved,omitempty"`
	Levels   []routeLevel      `json:"log_levels,omitempty"` // of routes that have one for now
}

// routeLevel is what everybody may know of a LogLevel: who set it and why is for operators.
type routeLevel struct {
	Route string    `json:"route"`
	Level string    `json:"level"`
	Until time.Time `json:"until"`
}

func (p *Process) readyz(w http.ResponseWriter, _ *http.Request) {
	r := p.readiness()
	status := http.StatusOK
	if !r.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, r)
}

func (p *Process) readiness() *readiness {
	s := p.live.Load()
	r := &readiness{Ready: true, Config: s.cfg.Hash, Policy: s.policy.Revision(), Insecure: weakened(s.cfg), FIPS: FIPS(), Problems: map[string]string{}}
	waiting, unkept := p.auditTrouble(s.cfg.Audit.OnFailure)
	for name, err := range map[string]error{"issuers": s.auth.Ready(), "audit": unkept, "state": p.stores.hearing(time.Now()), "policy": s.stale(time.Now()), "leaving": p.staying()} {
		if err != nil {
			r.Ready, r.Problems[name] = false, err.Error()
		}
	}
	r.Warnings = p.sinkTroubles(time.Now())
	if waiting != "" {
		r.Warnings["audit"] = waiting
	}
	r.Degraded = p.degraded(s)
	for _, l := range p.levels.now(p.now()) {
		r.Levels = append(r.Levels, routeLevel{l.Route, l.Level, l.Until})
	}
	r.Bundle = p.stores.bundles.trouble(s.cfg.Policy.Bundle, time.Now())
	if s.approved != nil {
		r.Change, r.Drift, r.Behind = s.approved.step.Change, s.drift, p.stores.changes.trouble()
	}
	if w := s.shadow; w.loads() {
		r.Shadow = w.revision
	} else if w != nil {
		r.Shadow = "does not load: " + w.problem.Error()
	}
	if last := p.lastReload.Load(); last != nil && last.err != nil {
		r.Reload = last.err.Error()
	}
	return r
}

// reloadNow is open from loopback alone, and to no browser: a page could post
// there on an operator's machine.
func (p *Process) reloadNow(w http.ResponseWriter, r *http.Request) {
	if !mayReload(w, r) {
		return
	}
	if err := p.Reload(); err != nil {
		writeJSON(w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
		return
	}
	s := p.live.Load()
	writeJSON(w, http.StatusOK, map[string]string{"config": s.cfg.Hash, "policy": s.policy.Revision()})
}

// mayReload answers who may not.
func mayReload(w http.ResponseWriter, r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	addr, perr := netip.ParseAddr(host)
	if err != nil || perr != nil || !addr.Unmap().IsLoopback() || browser(r) {
		writeJSON(w, http.StatusForbidden, map[string]string{"error": "reload is open from loopback alone"})
		return false
	}
	return true
}

func alive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

// browser tells whether a browser sent the request.
func browser(r *http.Request) bool {
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "the answer could not be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the reader may be gone
}
