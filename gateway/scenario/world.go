package scenario

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/auth/authtest"
)

// world is what surrounds the gateway of each scenario: an identity provider, a
// FHIR server, and a directory for what it writes.
type world struct {
	options Options
	dir     string
	cfg     *config.Config
	smart   *authtest.Issuer // of tokens with scopes
	plain   *authtest.Issuer // of tokens without
	server  *http.Server
	base    string // of the FHIR server
	begun   time.Time
	opened  map[time.Time]*gateway.Process

	mu  sync.Mutex
	now time.Time
	ehr http.Handler
}

const configText = `listen: 127.0.0.1:0
admin: 127.0.0.1:0
public_url: http://gateway.test/fhir
insecure_http: true
upstream: {url: "%[1]s", fhir_version: R4}
issuers:
  - issuer: "%[2]s"
    audiences: ["http://gateway.test/fhir"]
    token_types: [at+jwt]
    insecure_http: true
    claims: {roles: roles, organization: organization, patient: patient, fhir_user: fhirUser, purpose: purpose_of_use}
  - issuer: "%[3]s"
    scopes: none
    audiences: ["http://gateway.test/fhir"]
    token_types: [at+jwt]
    insecure_http: true
    claims: {roles: roles, organization: organization, patient: patient, fhir_user: fhirUser, purpose: purpose_of_use}
consent: {source: upstream, default: permit, max_staleness: 0s}
pseudonyms: {key_file: pseudonyms.key}
sealing: {key_file: sealing.key}
state: {dir: state}
audit: {dir: audit, key_file: audit.key}
`

func openWorld(o Options) (*world, error) {
	w := &world{options: o, begun: time.Now(), opened: map[time.Time]*gateway.Process{}}
	w.now = w.begun
	if err := w.open(); err != nil {
		w.close()
		return nil, fmt.Errorf("set the scene for scenarios: %w", err)
	}
	return w, nil
}

func (w *world) open() (err error) {
	const pattern = "gatehouse-scenarios-"
	if w.dir, err = os.MkdirTemp("/dev/shm", pattern); err != nil { // in memory where there is such: nothing of it need last
		if w.dir, err = os.MkdirTemp("", pattern); err != nil {
			return err
		}
	}
	if w.smart, err = authtest.New(); err != nil {
		return err
	}
	if w.plain, err = authtest.New(); err != nil {
		return err
	}
	w.smart.Now, w.plain.Now = w.clock, w.clock
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.base = "http://" + l.Addr().String() + "/fhir"
	w.server = &http.Server{Handler: http.HandlerFunc(w.upstream), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = w.server.Serve(l) }() // ends by Close
	for _, name := range []string{"pseudonyms", "sealing", "audit"} {
		if err := config.NewKey(filepath.Join(w.dir, name+".key")); err != nil {
			return err
		}
	}
	return w.configure()
}

// configure makes the configuration: that of the options, but for what reaches
// outside the process.
func (w *world) configure() error {
	path := filepath.Join(w.dir, "gatehouse.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, configText, w.base, w.smart.URL, w.plain.URL), 0o600); err != nil {
		return err
	}
	usual, problems := config.Load(path)
	if err := problems.Err(); err != nil {
		return err
	}
	w.cfg = usual
	if w.options.Config == "" {
		return nil
	}
	if w.cfg, problems = config.Load(w.options.Config); len(problems) > 0 {
		return problems.Err()
	}
	w.enclose(usual)
	return nil
}

// enclose replaces what reaches outside the process, or would keep scenarios
// from coming faster than people.
func (w *world) enclose(usual *config.Config) {
	c := w.cfg
	c.Listen, c.Admin, c.PublicURL, c.Base = usual.Listen, usual.Admin, usual.PublicURL, usual.Base
	c.Upstream, c.Issuers, c.DPoP, c.AdminAuth, c.TLS, c.InsecureHTTP = usual.Upstream, usual.Issuers, usual.DPoP, nil, nil, true
	c.State, c.Audit, c.Sealing, c.Pseudonyms = usual.State, usual.Audit, usual.Sealing, usual.Pseudonyms
	c.Organizations, c.Limits, c.Notify, c.Consent.MaxStaleness = nil, usual.Limits, nil, 0
	if c.Emergency != nil {
		c.Emergency.Notify = nil
	}
	for id, client := range c.Clients {
		client.Limits, client.UserLimits = config.ClientLimits{}, config.ClientLimits{}
		c.Clients[id] = client
	}
}

func (w *world) close() {
	for _, p := range w.opened {
		_ = p.Close() // its files go with the directory
	}
	for _, i := range []*authtest.Issuer{w.smart, w.plain} {
		if i != nil {
			i.Close()
		}
	}
	if w.server != nil {
		_ = w.server.Close() // nobody is connected any more
	}
	_ = os.RemoveAll(w.dir) // of a temporary directory the system disposes in the end
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) upstream(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	ehr := w.ehr
	w.mu.Unlock()
	ehr.ServeHTTP(rw, r)
}

// process is the gateway for scenarios of one time: what it remembers of tokens
// and keys does not outlive a leap of its clock.
func (w *world) process(at time.Time) (*gateway.Process, error) {
	if p := w.opened[at]; p != nil {
		return p, nil
	}
	cfg := *w.cfg
	dir, err := os.MkdirTemp(w.dir, "run-")
	if err != nil {
		return nil, err
	}
	cfg.Audit.Dir, cfg.State.Dir = filepath.Join(dir, "audit"), filepath.Join(dir, "state")
	trial := gateway.Trial{Policy: w.options.Coverage.Engine(), Now: func() time.Time { return at }}
	p, err := trial.Start(&cfg)
	if err == nil {
		w.opened[at] = p
	}
	return p, err
}

// play begins with the scenario's records and its time, and makes its request.
func (w *world) play(ctx context.Context, s *scenario) (wrong []Difference, err error) {
	ehr, err := w.options.Serve(w.base)
	if err != nil {
		return nil, err
	}
	if err := ehr.Load(s.records); err != nil {
		return nil, err
	}
	at := s.At
	if at.IsZero() {
		at = w.begun
	}
	w.mu.Lock()
	w.ehr, w.now = ehr, at
	w.mu.Unlock()
	p, err := w.process(at)
	if err != nil {
		return nil, err
	}
	r, err := w.request(ctx, s)
	if err != nil {
		return nil, err
	}
	w.options.Coverage.Obliged() // what was asked before is not the scenario's
	a := &answer{header: http.Header{}, status: http.StatusOK}
	p.ServeHTTP(a, r)
	a.obliged = w.options.Coverage.Obliged()
	if a.decided, err = p.Decided(a.header.Get("X-Request-Id")); err != nil {
		return nil, err
	}
	return s.differences(a)
}

func (w *world) request(ctx context.Context, s *scenario) (*http.Request, error) {
	method, target, _ := strings.Cut(s.Request, " ")
	r, err := http.NewRequestWithContext(ctx, method, "http://gateway.test/fhir"+target, bytes.NewReader(s.send))
	if err != nil {
		return nil, err
	}
	if len(s.send) == 0 {
		r.Body = http.NoBody
	} else {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	for name, value := range s.Headers {
		r.Header.Set(name, value)
	}
	r.RequestURI, r.RemoteAddr = "/fhir"+target, "127.0.0.1:1"
	r.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery} // as a server sees it
	r.Header.Set("Authorization", "Bearer "+w.token(&s.As))
	return r, nil
}

// token is what the identity provider signs for a person.
func (w *world) token(p *person) string {
	claims := map[string]any{"aud": "http://gateway.test/fhir", "sub": "somebody", "roles": p.Roles, "purpose_of_use": p.Purpose}
	for name, value := range map[string]string{"sub": p.ID, "client_id": p.Client, "organization": p.Organization,
		"fhirUser": p.FHIRUser, "patient": strings.TrimPrefix(p.Patient, "Patient/"), "acr": p.ACR} {
		if value != "" {
			claims[name] = value
		}
	}
	if p.AuthTime != nil {
		claims["auth_time"] = p.AuthTime.Unix()
	}
	if p.Scopes == nil {
		return w.plain.Token(claims)
	}
	claims["scope"] = strings.Join(*p.Scopes, " ")
	return w.smart.Token(claims)
}

// answer is what the gateway answered, and what it noted of it.
type answer struct {
	header  http.Header
	status  int
	body    bytes.Buffer
	decided []*gateway.PastDecision
	obliged []string
}

// Header is part of http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader is part of http.ResponseWriter.
func (a *answer) WriteHeader(status int) { a.status = status }

// Write is part of http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

var _ io.Writer = (*answer)(nil)
