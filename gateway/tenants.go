package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/config"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Tenants is several gateways behind one pair of listeners. Each is a Process with
// keys, stores, limits and an audit log of its own; they have the listeners in
// common, and nothing that a request could reach.
type Tenants struct {
	front
	path     string
	outer    *config.Config
	all      map[string]*Process
	log      *zap.Logger
	registry *prometheus.Registry
	astray   prometheus.Counter
	changed  atomic.Pointer[string] // why the outer file is not in force as it is now

	mu      sync.Mutex
	claimed map[string]*config.Config // what each was allowed to load last
}

// OpenTenants opens the gateways of a file with tenants. All of them must be right.
func OpenTenants(path string, log *zap.Logger) (*Tenants, error) {
	outer, configs, problems := config.LoadTenants(path)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if err := apart(configs); err != nil {
		return nil, err
	}
	t := &Tenants{path: path, outer: outer, all: map[string]*Process{}, log: log, registry: prometheus.NewRegistry(), claimed: configs,
		astray: prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_astray_total", Help: "Requests to paths of no tenant."})}
	registerProcess(t.registry)
	t.registry.MustRegister(t.astray)
	for _, name := range t.names() {
		p, err := t.openOne(name, configs[name])
		if p != nil {
			t.all[name] = p
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("tenant %s: %w", name, err), t.Close())
		}
	}
	if err := t.listen(outer); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	for _, p := range t.all {
		p.front = t.front
		p.listening()
	}
	return t, nil
}

func (t *Tenants) names() []string { return slices.Sorted(maps.Keys(t.outer.Tenants)) }

func (t *Tenants) openOne(name string, cfg *config.Config) (*Process, error) {
	log := t.log.With(zap.String("tenant", name))
	p, err := newProcess(cfg, log)
	if err != nil {
		return nil, err
	}
	p.path, p.reread = cfg.Path, func() (*config.Config, error) { return t.reread(name) }
	if err := p.load(cfg, log); err != nil {
		return p, err
	}
	prometheus.WrapRegistererWith(prometheus.Labels{"tenant": name}, t.registry).MustRegister(p.metrics.registry)
	return p, nil
}

// reread loads the file of a tenant again, and refuses it where it would no longer
// be apart from what the others run with, or are about to.
func (t *Tenants) reread(name string) (*config.Config, error) {
	cfg, problems := t.outer.LoadTenant(name)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for other, p := range t.all {
		if other == name {
			continue
		}
		for _, theirs := range []*config.Config{p.live.Load().cfg, t.claimed[other]} {
			if err := apart(map[string]*config.Config{name: cfg, other: theirs}); err != nil {
				return nil, err
			}
		}
	}
	t.claimed[name] = cfg
	return cfg, nil
}

// Run serves until ctx ends, then drains.
func (t *Tenants) Run(ctx context.Context) error {
	staff := slices.Collect(maps.Values(t.all))
	for _, p := range staff {
		p.tellServing()
	}
	return errors.Join(t.run(ctx, t.outer, served{public: t.router(), admin: t.adminHandler(), staff: staff, watch: t.watch}), t.Close())
}

// Close ends what OpenTenants began.
func (t *Tenants) Close() error {
	t.front.close()
	var errs []error
	for _, p := range t.all {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// Tenant is one of the gateways; nil where there is none of that name.
func (t *Tenants) Tenant(name string) *Process { return t.all[name] }

// router hands each request to the tenant below whose base it is. No base is below
// another, and what is compared is the path as it was sent: no two readings of it,
// by escapes, dots or letters, name two tenants. What no tenant has nobody looks at.
func (t *Tenants) router() http.Handler {
	type branch struct {
		base string
		h    http.Handler
	}
	var branches []branch
	for _, p := range t.all {
		branches = append(branches, branch{p.live.Load().basePath, p.closing(p.Gateway)}) // a reload does not change it: see sameProcess
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := published(r.RequestURI)
		for _, b := range branches {
			if below, ok := strings.CutPrefix(path, b.base); ok && (below == "" || below[0] == '/') {
				b.h.ServeHTTP(w, r)
				return
			}
		}
		t.noTenant(w)
	})
}

// published is the path of a request, and of one for what is published about a
// path at the host (RFC 9728 §3.1: /.well-known/oauth-protected-resource/PATH) that.
func published(target string) string {
	path, _, _ := strings.Cut(target, "?")
	if below, ok := strings.CutPrefix(path, "/.well-known/"); ok {
		if _, rest, ok := strings.Cut(below, "/"); ok {
			return "/" + rest
		}
	}
	return path
}

func (t *Tenants) noTenant(w http.ResponseWriter) {
	t.astray.Inc()
	f := &failure{status: http.StatusNotFound, code: "request.base", text: "No FHIR is served at this path."}
	h, id := w.Header(), requestID()
	h["X-Request-Id"], h["Cache-Control"], h["X-Content-Type-Options"], h["X-Intermediary"] = []string{id}, noStore, noSniff, intermediary
	if t.outer.TLS != nil {
		h.Set("Strict-Transport-Security", hstsYear)
	}
	h.Set("Content-Type", fhirJSON)
	w.WriteHeader(f.status)
	_, _ = w.Write(f.outcome(id)) // the client may be gone
}

// adminHandler serves /livez, /readyz, /metrics and /-/reload for all tenants, and
// what the admin listener of each would have below /tenants/NAME.
func (t *Tenants) adminHandler() http.Handler {
	r := mux.NewRouter()
	r.HandleFunc("/livez", alive).Methods(http.MethodGet)
	r.HandleFunc("/readyz", t.readyz).Methods(http.MethodGet)
	r.Handle("/metrics", metricsPage(t.registry)).Methods(http.MethodGet)
	r.HandleFunc("/-/reload", t.reloadNow).Methods(http.MethodPost)
	for name, p := range t.all {
		prefix := "/tenants/" + name
		r.PathPrefix(prefix + "/").Handler(http.StripPrefix(prefix, p.adminHandler()))
	}
	return r
}

// readyz is ready as soon as one tenant is: a balancer that took the process out for
// one would take the others away too. A probe for one asks /tenants/NAME/readyz.
func (t *Tenants) readyz(w http.ResponseWriter, _ *http.Request) {
	told := struct {
		Ready   bool                  `json:"ready"`
		Restart string                `json:"restart_needed,omitempty"`
		Tenants map[string]*readiness `json:"tenants"`
	}{Tenants: map[string]*readiness{}}
	for name, p := range t.all {
		r := p.readiness()
		told.Tenants[name], told.Ready = r, told.Ready || r.Ready
	}
	if why := t.changed.Load(); why != nil {
		told.Restart = *why
	}
	status := http.StatusOK
	if !told.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, told)
}

func (t *Tenants) reloadNow(w http.ResponseWriter, r *http.Request) {
	if !mayReload(w, r) {
		return
	}
	status, told := http.StatusOK, map[string]any{}
	for _, name := range t.names() {
		p := t.all[name]
		if err := p.Reload(); err != nil {
			status, told[name] = http.StatusUnprocessableEntity, map[string]string{"error": err.Error()}
			continue
		}
		s := p.live.Load()
		told[name] = map[string]string{"config": s.cfg.Hash, "policy": s.policy.Revision()}
	}
	writeJSON(w, status, map[string]any{"tenants": told})
}

// watch tells when the outer file asks for what only a restart can do. Each tenant
// watches its own file.
func (t *Tenants) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		why := t.outdated()
		if last := t.changed.Swap(why); why != nil && (last == nil || *last != *why) {
			t.log.Error("the file of the process is not in force as it is now", zap.String("why", *why))
		}
	}
}

func (t *Tenants) outdated() *string {
	why := t.path + ": its listeners or tenants are others than those that run: restart"
	next, problems := config.LoadOuter(t.path)
	if err := problems.Err(); err != nil {
		why = err.Error()
	} else if next.SameProcess(t.outer) {
		return nil
	}
	return &why
}
