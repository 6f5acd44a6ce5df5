// Package test holds Gatehouse to its promises from outside: real listeners,
// real tokens, an upstream that is careless or hostile and keeps what it got.
package test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/auth/authtest"
)

// house is a running gateway with its issuer and upstream.
type house struct {
	t       *testing.T
	dir     string
	issuer  *authtest.Issuer
	ehr     *ehr
	process *gateway.Process
	base    string // of the gateway, below which FHIR is served
	log     *logBook
	release string // FHIR release of the upstream
	stop    func() // drains the gateway; at the end of the test in any case
}

// openHouse starts a gateway whose configuration is the usual one with changes
// laid over it; %ISSUER% in them is its issuer.
func openHouse(t *testing.T, changes ...string) *house {
	t.Helper()
	return openRelease(t, "R4", changes...)
}

// openRelease is openHouse before a server of another FHIR release.
func openRelease(t *testing.T, release string, changes ...string) *house {
	t.Helper()
	h := newHouse(t, release)
	h.write("gatehouse.yaml", h.config(changes...))
	h.start()
	return h
}

// newHouse is a house that has not been configured yet.
func newHouse(t *testing.T, release string) *house {
	t.Helper()
	issuer, err := authtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(issuer.Close)
	h := &house{t: t, dir: t.TempDir(), issuer: issuer, ehr: newEHR(t), log: &logBook{}, release: release}
	t.Cleanup(func() { h.events(t) }) // of the gateway when it has stopped
	h.write("policy/policy.rego", usualPolicy)
	for _, k := range []string{"sealing", "audit"} {
		if err := config.NewKey(filepath.Join(h.dir, k+".key")); err != nil {
			t.Fatal(err)
		}
	}
	h.write("pseudonyms.key", pseudonymKey(t))
	return h
}

var (
	housesMu sync.Mutex
	houses   = map[string]int{} // by test
)

// pseudonymKey is a key of the test's own, the same in each run: dates are shifted by
// it, and one in some hundred keys shows a date that another record really has.
func pseudonymKey(t *testing.T) string {
	housesMu.Lock()
	defer housesMu.Unlock()
	houses[t.Name()]++
	key := sha256.Sum256(fmt.Appendf(nil, "%s %d", t.Name(), houses[t.Name()]))
	return "gatehouse-key-v1 " + base64.StdEncoding.EncodeToString(key[:]) + "\n"
}

// open is the error that the gateway refuses to open with.
func (h *house) open() error {
	p, err := gateway.Open(filepath.Join(h.dir, "gatehouse.yaml"), h.log.logger())
	if err == nil {
		p.Close()
	}
	return err
}

const usualPolicy = `package gatehouse

permit contains "staff" if "staff" in input.subject.roles

permit contains "self" if {
	input.subject.patient != ""
	count(input.resource.patients) > 0
	every p in input.resource.patients {
		p == input.subject.patient
	}
}

permit contains "reference data" if {
	input.subject.patient != ""
	count(input.resource.patients) == 0
}

forbid contains "restricted" if {
	"R" in input.resource.labels
	not "trusted" in input.subject.roles
}
`

func (h *house) config(changes ...string) string {
	text := fmt.Sprintf(`listen: 127.0.0.1:0
admin: 127.0.0.1:0
public_url: http://gw.example.org/fhir
insecure_http: true
upstream: {url: %s/r4, fhir_version: %s}
issuers:
  - {issuer: %s, audiences: [http://gw.example.org/fhir], token_types: [at+jwt], insecure_http: true, claims: {roles: roles, patient: patient, fhir_user: fhirUser, purpose: purpose_of_use, organization: organization}}
policy: {dir: policy}
pseudonyms: {key_file: pseudonyms.key}
sealing: {key_file: sealing.key}
state: {dir: state}
audit: {dir: audit, key_file: audit.key}
`, h.ehr.url, h.release, h.issuer.URL)
	if !strings.Contains(strings.Join(changes, "\n"), "consent:") {
		text += "consent: {source: none, default: permit}\n"
	}
	return text + strings.ReplaceAll(strings.Join(changes, "\n"), "%ISSUER%", h.issuer.URL) + "\n"
}

func (h *house) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) start() {
	h.t.Helper()
	p, err := gateway.Open(filepath.Join(h.dir, "gatehouse.yaml"), h.log.logger())
	if err != nil {
		h.t.Fatal(err)
	}
	h.process = p
	h.base = "http://" + p.PublicAddr() + "/fhir"
	h.run()
	for range 500 {
		r, err := http.Get("http://" + p.AdminAddr() + "/readyz")
		if err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.t.Fatal("the gateway did not become ready")
}

// run lets the process serve until stop, or the end of the test.
func (h *house) run() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.process.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			h.t.Errorf("run: %v", err)
		}
	})
	h.t.Cleanup(h.stop)
}

// token signs an access token; claims are laid over those of a usual one.
func (h *house) token(claims map[string]any) string {
	all := map[string]any{"aud": "http://gw.example.org/fhir", "scope": "user/*.cruds"}
	for k, v := range claims {
		all[k] = v
	}
	return h.issuer.Token(all)
}

func (h *house) staff() string { return h.token(map[string]any{"roles": []string{"staff"}}) }

// patient is the app of one patient.
func (h *house) patient(id, scope string) string {
	return h.token(map[string]any{"scope": scope, "patient": id, "fhirUser": "Patient/" + id})
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request; headers are pairs.
func (h *house) do(method, target, token, body string, headers ...string) answer {
	h.t.Helper()
	r, err := http.NewRequest(method, h.base+target, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if body == "" {
		r.Body = http.NoBody
	} else {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, target, err)
	}
	return read(h.t, resp)
}

func read(t *testing.T, resp *http.Response) answer {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (h *house) get(target, token string) answer {
	h.t.Helper()
	return h.do(http.MethodGet, target, token, "")
}

// code is the stable code of an OperationOutcome.
func (a answer) code() string {
	var o struct {
		Issue []struct {
			Details struct{ Coding []struct{ Code string } }
		}
	}
	if json.Unmarshal([]byte(a.body), &o) != nil || len(o.Issue) == 0 || len(o.Issue[0].Details.Coding) == 0 {
		return ""
	}
	return o.Issue[0].Details.Coding[0].Code
}

// ids are the resources of a Bundle, "Type/id".
func (a answer) ids(t *testing.T) []string {
	t.Helper()
	var b struct {
		Entry []struct {
			Resource struct{ ResourceType, ID string }
		}
	}
	if err := json.Unmarshal([]byte(a.body), &b); err != nil {
		t.Fatalf("not a Bundle: %v: %s", err, a.body)
	}
	ids := []string{}
	for _, e := range b.Entry {
		ids = append(ids, e.Resource.ResourceType+"/"+e.Resource.ID)
	}
	return ids
}

// ehr is an upstream that answers what it is told to and keeps what it got. It
// ignores every filter, as a careless server would.
type ehr struct {
	url     string
	mu      sync.Mutex
	answers map[string]http.HandlerFunc // by "METHOD path" or "METHOD path?query"
	others  http.Handler                // what none of them answers; nil: 404
	got     []string
	bodies  []string
	headers []http.Header
}

func newEHR(t *testing.T) *ehr {
	e := &ehr{answers: map[string]http.HandlerFunc{}}
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	e.url = s.URL
	return e
}

func (e *ehr) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path := strings.TrimPrefix(r.URL.Path, "/r4")
	e.mu.Lock()
	e.got = append(e.got, r.Method+" "+strings.TrimPrefix(r.URL.RequestURI(), "/r4"))
	e.bodies = append(e.bodies, string(body))
	e.headers = append(e.headers, r.Header.Clone())
	h := e.answers[r.Method+" "+strings.TrimPrefix(r.URL.RequestURI(), "/r4")]
	if h == nil {
		h = e.answers[r.Method+" "+path]
	}
	others := e.others
	e.mu.Unlock()
	if h == nil && others != nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
		others.ServeHTTP(w, r)
		return
	}
	if h == nil {
		http.Error(w, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found","diagnostics":"Jane Canary is not here"}]}`, http.StatusNotFound)
		return
	}
	h(w, r)
}

// on answers a request with JSON; %BASE% stands for the upstream's own base.
func (e *ehr) on(request string, status int, body string, headers ...string) {
	e.handle(request, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], strings.ReplaceAll(headers[i+1], "%BASE%", e.url+"/r4"))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.ReplaceAll(body, "%BASE%", e.url+"/r4"))
	})
}

func (e *ehr) handle(request string, h http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answers[request] = h
}

// requests returns what came since the last call.
func (e *ehr) requests() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	got := e.got
	e.got, e.bodies, e.headers = nil, nil, nil
	return got
}
