package test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway"
)

// Issue 8 point 4: several upstreams by path (tenants) with complete separation.

// tenants are gateways of one process, each a house of its own below dir.
type tenants struct {
	t       *testing.T
	dir     string
	north   *house
	south   *house
	process *gateway.Tenants
}

// newTenants writes the files of two tenants that believe the same issuer and have
// clients of the same names; north's configuration has changes laid over it.
func newTenants(t *testing.T, changes ...string) *tenants {
	t.Helper()
	s := &tenants{t: t, dir: t.TempDir()}
	s.north, s.south = newHouse(t, "R4"), newHouse(t, "R4")
	s.south.issuer = s.north.issuer
	s.writeOuter("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ninsecure_http: true\n")
	s.south.write("gatehouse.yaml", s.config("south", s.south))
	s.north.write("gatehouse.yaml", s.config("north", s.north, changes...))
	return s
}

func (s *tenants) writeOuter(text string) {
	s.t.Helper()
	text += fmt.Sprintf("tenants: {north: %s/gatehouse.yaml, south: %s/gatehouse.yaml}\n", s.north.dir, s.south.dir)
	if err := os.WriteFile(s.file(), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *tenants) file() string { return filepath.Join(s.dir, "gatehouse.yaml") }

// config is the usual one of a house, as the file of a tenant.
func (s *tenants) config(name string, h *house, changes ...string) string {
	text := h.config(append(changes, adminAuth, "clients:\n  study: {view: research, domain: d, limits: {rate: 3/h}}")...)
	for _, line := range []string{"listen: 127.0.0.1:0\n", "admin: 127.0.0.1:0\n", "insecure_http: true\n"} {
		text = strings.Replace(text, line, "", 1)
	}
	return "tenant: " + name + "\n" + strings.ReplaceAll(text, "http://gw.example.org/fhir", "http://gw.example.org/"+name+"/fhir")
}

func (s *tenants) open() *tenants {
	s.t.Helper()
	var err error
	if s.process, err = gateway.OpenTenants(s.file(), s.north.log.logger()); err != nil {
		s.t.Fatal(err)
	}
	for name, h := range map[string]*house{"north": s.north, "south": s.south} {
		h.process, h.base = s.process.Tenant(name), "http://"+s.process.PublicAddr()+"/"+name+"/fhir"
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.process.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("run: %v", err)
		}
	})
	s.north.within(time.Minute, func() bool {
		return strings.Count(s.admin("GET", "/readyz", "").body, `"ready":true`) == 3
	})
	return s
}

func (s *tenants) admin(method, path, token string) answer {
	s.t.Helper()
	r, err := http.NewRequest(method, "http://"+s.process.AdminAddr()+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return roundTrip(s.t, r)
}

// token is one of the issuer that both believe, for one of them.
func (s *tenants) token(name string, claims map[string]any) string {
	all := map[string]any{"aud": "http://gw.example.org/" + name + "/fhir", "roles": []string{"staff"}, "purpose_of_use": "HRESCH"}
	for k, v := range claims {
		all[k] = v
	}
	return s.north.token(all)
}

// raw sends a request line as it stands.
func (s *tenants) raw(target, token string) answer {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.process.PublicAddr())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: gw.example.org\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", target, token)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatalf("%s: %v", target, err)
	}
	return read(s.t, resp)
}

// What one tenant gives is nothing at the other, whatever path leads there.
func TestTenantsAreApart(t *testing.T) {
	s := newTenants(t).open()
	for _, h := range []*house{s.north, s.south} {
		h.ehr.on("GET /Observation/a", 200, obsA)
		h.ehr.on("GET /Patient", 200, searchset("%BASE%/Patient?page=2", patientSeen))
		h.ehr.on("GET /Patient?page=2", 200, searchset("", patientSeen))
	}
	north, south := s.token("north", nil), s.token("south", nil)
	if got := s.north.get("/Observation/a", north); got.status != 200 {
		t.Fatalf("north: %d %s", got.status, got.body)
	}
	if got := s.south.get("/Observation/a", north); got.status != 401 || got.code() != "token.audience" {
		t.Errorf("north's token at south: %d %s", got.status, got.body)
	}
	seen := s.north.get("/Patient", s.token("north", map[string]any{"client_id": "study"}))
	pseudonym := seen.ids(t)[0]
	if there := s.south.get("/Patient", s.token("south", map[string]any{"client_id": "study"})).ids(t)[0]; there == pseudonym {
		t.Errorf("both give the pseudonym %s to a client of the same name and domain", there)
	}
	page := s.north.get("/Patient?_count=1", north)
	_, handle, _ := strings.Cut(page.body, "/_page/")
	handle, _, _ = strings.Cut(handle, `"`)
	if got := s.north.get("/_page/"+handle, north); handle == "" || got.status != 200 {
		t.Fatalf("the page at north: %q %d %s", handle, got.status, got.body)
	}
	s.south.ehr.requests()
	if got := s.south.get("/_page/"+handle, south); got.status != 404 {
		t.Errorf("north's page at south: %d %s", got.status, got.body)
	}
	if got := s.south.get("/"+pseudonym, s.token("south", map[string]any{"client_id": "study"})); got.status != 404 {
		t.Errorf("north's pseudonym at south: %d %s", got.status, got.body)
	}
	for _, target := range []string{"/north/fhir/../../south/fhir/Observation/a", "/north/fhir/..%2f..%2fsouth/fhir/Observation/a", "/north/fhir/%2e%2e/%2e%2e/south/fhir/Observation/a",
		"/North/fhir/../../south/fhir/Observation/a", "/SOUTH/fhir/Observation/a", "/south%2ffhir/Observation/a", "/%73outh/fhir/Observation/a", "//south/fhir/Observation/a",
		"/./south/fhir/Observation/a", "/southfhir/Observation/a", "/south/fhirs/Observation/a", "/.well-known/x/../../south/fhir/Observation/a", "http://gw.example.org/south/fhir/Observation/a",
		"/north/fhir;/../south/fhir/Observation/a", `/north/fhir\..\..\south\fhir/Observation/a`, "/", "/south"} {
		for _, token := range []string{north, south} {
			if got := s.raw(target, token); got.status < 400 || strings.Contains(got.body, "valueQuantity") {
				t.Errorf("%s: %d %s", target, got.status, got.body)
			}
		}
	}
	if got := s.south.ehr.requests(); len(got) != 0 {
		t.Errorf("south's server was asked: %v", got)
	}
	if strings.Contains(s.south.log.String(), "north") || !strings.Contains(s.north.log.String(), `"tenant":"south"`) {
		t.Error("lines of the log do not tell whose they are")
	}
}

// A block and a limit of one tenant are nobody's at the other; each has its own
// admin API, metrics and trail.
func TestTenantsHaveTheirOwn(t *testing.T) {
	s := newTenants(t).open()
	for _, h := range []*house{s.north, s.south} {
		h.ehr.on("GET /Observation/a", 200, obsA)
		h.ehr.on("GET /Patient", 200, searchset("", patientSeen))
	}
	b := gateway.Block{What: "client", Value: "ward-app", By: "test", Reason: "stolen"}
	if err := gateway.SetBlock(t.Context(), s.north.cfg(), &b); err != nil {
		t.Fatal(err)
	}
	ward := map[string]any{"client_id": "ward-app"}
	s.north.within(time.Minute, func() bool { return s.north.get("/Observation/a", s.token("north", ward)).code() == "token.revoked" })
	if got := s.south.get("/Observation/a", s.token("south", ward)); got.status != 200 {
		t.Errorf("south refuses whom north has blocked: %d %s", got.status, got.body)
	}
	study := map[string]any{"client_id": "study"}
	for s.north.get("/Patient", s.token("north", study)).status == 200 {
	}
	if got := s.south.get("/Patient", s.token("south", study)); got.status != 200 {
		t.Errorf("south counts what north was asked: %d %s", got.status, got.body)
	}
	operator := map[string]any{"roles": []string{"gw-ops"}, "sub": "olga"}
	for path, want := range map[string]int{"/tenants/north/api/v1/quotas": 200, "/tenants/south/api/v1/quotas": 401, "/api/v1/blocks": 404, "/tenants/west/readyz": 404} {
		if got := s.admin("GET", path, s.token("north", operator)); got.status != want {
			t.Errorf("%s: %d %s, want %d", path, got.status, got.body, want)
		}
	}
	page := s.admin("GET", "/metrics", "").body
	for _, line := range []string{`gatehouse_requests_total{code="token.revoked",interaction="none",status="401",tenant="north"}`, `gatehouse_requests_total{code="ok",interaction="read",status="200",tenant="south"}`,
		"\ngo_goroutines ", "\ngatehouse_astray_total 0"} {
		if !strings.Contains(page, line) {
			t.Errorf("/metrics lacks %s", line)
		}
	}
	if strings.Contains(page, `code="token.revoked",interaction="none",status="401",tenant="south"`) {
		t.Error("south counts what north has refused")
	}
	for _, r := range s.south.trail(t) {
		if r.Code == "token.revoked" || strings.HasPrefix(r.Code, "limit.") || r.Code == "block.set" {
			t.Errorf("south's trail tells of what happened at north: %s", r.Code)
		}
	}
}

// RFC 9728 §3.1 and SMART: what is published of a tenant stands at the host and below
// its base, and at no place that could be another's.
func TestTenantsArePublished(t *testing.T) {
	s := newTenants(t).open()
	for _, name := range []string{"north", "south"} {
		for _, path := range []string{"/.well-known/oauth-protected-resource/" + name + "/fhir", "/" + name + "/fhir/.well-known/oauth-protected-resource"} {
			if got := s.raw(path, ""); got.status != 200 || !strings.Contains(got.body, `"resource":"http://gw.example.org/`+name+`/fhir"`) {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
		}
		if got := s.raw("/"+name+"/fhir/.well-known/smart-configuration", ""); got.status != 200 {
			t.Errorf("smart-configuration of %s: %d", name, got.status)
		}
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/smart-configuration", "/.well-known/oauth-protected-resource/west/fhir"} {
		if got := s.raw(path, ""); got.status != 404 || got.code() != "request.base" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

// A reload of one tenant is its own matter: a bad file changes nothing, at either; a
// good one is no way to what is the other's.
func TestTenantsReload(t *testing.T) {
	s := newTenants(t).open()
	s.north.ehr.on("GET /Observation/a", 200, obsA)
	good := s.config("north", s.north)
	inForce := regexp.MustCompile(`"config":"[0-9a-f]+","policy":"[0-9a-f]+"`)
	south := inForce.FindString(s.admin("GET", "/tenants/south/readyz", "").body)
	key, err := os.ReadFile(filepath.Join(s.south.dir, "pseudonyms.key"))
	if err != nil {
		t.Fatal(err)
	}
	s.north.write("stolen.key", string(key))
	for _, tt := range []struct{ name, text, want string }{
		{"broken", "tenant: north\nnonsense: 1\n", "nonsense: is not a known key"},
		{"another name", strings.Replace(good, "tenant: north", "tenant: south", 1), "write tenant: north"},
		{"a listener", good + "listen: 127.0.0.1:1\n", "belongs to the process"},
		{"the other's key", strings.Replace(good, "pseudonyms.key", "stolen.key", 1), "hold the same key"},
		{"the other's audience", strings.Replace(good, "audiences: [", "audiences: [http://gw.example.org/south/fhir, ", 1), "would be good at both"},
	} {
		s.north.write("gatehouse.yaml", tt.text)
		got := s.admin("POST", "/-/reload", "")
		if got.status != 422 || !strings.Contains(got.body, tt.want) || !strings.Contains(got.body, `"south":{"config"`) {
			t.Errorf("%s: %d %s", tt.name, got.status, got.body)
		}
		if got := s.north.get("/Observation/a", s.token("north", nil)); got.status != 200 {
			t.Errorf("%s: north serves no longer: %d", tt.name, got.status)
		}
	}
	s.north.write("gatehouse.yaml", good+"acr_order: [low, high]\n")
	if got := s.admin("POST", "/tenants/north/-/reload", ""); got.status != 200 {
		t.Errorf("good: %d %s", got.status, got.body)
	}
	if got := s.admin("GET", "/tenants/south/readyz", "").body; south == "" || inForce.FindString(got) != south || strings.Contains(got, "last_reload_refused") {
		t.Errorf("south is otherwise: %s, before %s", got, south)
	}
	s.writeOuter("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ninsecure_http: true\ndrain_delay: 1s\n")
	s.north.within(time.Minute, func() bool { return strings.Contains(s.admin("GET", "/readyz", "").body, "restart") })
}

// What two tenants may not have in common is refused before anything is served.
func TestTenantsThatShare(t *testing.T) {
	s := newTenants(t)
	base := s.config("north", s.north)
	link := filepath.Join(s.dir, "link")
	if err := os.Symlink(s.south.dir, link); err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct{ from, to, want string }{
		{"audit: {dir: audit", "audit: {dir: " + s.south.dir + "/audit", "audit.dir of one and audit.dir of the other are one directory"},
		{"audit: {dir: audit", "audit: {dir: " + s.south.dir + "/state/x", "one is inside the other"},
		{"audit: {dir: audit", "audit: {dir: " + link + "/audit", "one is inside the other"},
		{"state: {dir: state", "state: {dir: " + s.south.dir + "/state", "state.dir of one and state.dir of the other"},
		{"sealing.key", s.south.dir + "/sealing.key", "sealing.key_file of one and sealing.key_file of the other hold the same key"},
		{"sealing.key", s.south.dir + "/audit.key", "sealing.key_file of one and audit.key_file of the other hold the same key"},
		{"pseudonyms.key", s.south.dir + "/pseudonyms.key", "hold the same key"},
		{"public_url: http://gw.example.org/north/fhir", "public_url: http://gw.example.org/south/fhir/x", "or below it"},
		{"public_url: http://gw.example.org/north/fhir", "public_url: http://gw.example.org/South", "or below it"},
		{"public_url: http://gw.example.org/north/fhir", "public_url: http://other.example.org", "or below it"},
		{"audiences: [", "audiences: [http://gw.example.org/south/fhir, ", "would be good at both"},
		{"tenant: north", "tenant: west", "write tenant: north"},
		{"tenant: north", "listen: 127.0.0.1:0", "write tenant: north"},
	} {
		s.north.write("gatehouse.yaml", strings.Replace(base, tt.from, tt.to, 1))
		p, err := gateway.OpenTenants(s.file(), s.north.log.logger())
		if err == nil {
			p.Close()
			t.Errorf("%s: it opens", tt.to)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.to, err, tt.want)
		}
		if i%6 != 0 {
			continue // check reads policies and views too, which takes its time
		}
		if err := gateway.Check(s.file(), io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: check says %v, want %s", tt.to, err, tt.want)
		}
	}
	s.north.write("gatehouse.yaml", base)
	for _, file := range []string{s.file(), s.north.dir + "/gatehouse.yaml"} {
		if err := gateway.Check(file, io.Discard); err != nil {
			t.Errorf("check %s: %v", file, err)
		}
	}
	if _, err := gateway.Open(s.north.dir+"/gatehouse.yaml", s.north.log.logger()); err == nil || !strings.Contains(err.Error(), "serve the file that has it among its tenants") {
		t.Errorf("a tenant alone: %v", err)
	}
	if _, problems := config.Load(s.file()); !strings.Contains(problems.String(), "name its file") {
		t.Errorf("a command for one gateway: %v", problems)
	}
}

// What one tenant's clients and server can keep busy is not what serves the other's.
func TestTenantsBusy(t *testing.T) {
	s := newTenants(t).open()
	release := make(chan struct{})
	s.north.ehr.handle("GET /Observation/slow", func(w http.ResponseWriter, r *http.Request) { <-release })
	s.south.ehr.on("GET /Observation/a", 200, obsA)
	ended := make(chan bool)
	const many = 80 // more than upstream.max_connections
	token := s.token("north", nil)
	for range many {
		go func() {
			defer func() { ended <- true }()
			r, _ := http.NewRequest("GET", s.north.base+"/Observation/slow", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
				resp.Body.Close()
			}
		}()
	}
	for range 20 {
		if got := s.south.get("/Observation/a", s.token("south", nil)); got.status != 200 {
			t.Errorf("south: %d %s", got.status, got.body)
		}
	}
	close(release)
	for range many {
		<-ended
	}
}
