package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// Issue 8 point 1: a caller sees what is left of its own limits, and nothing of
// its organization's (DESIGN §10.9).
func TestQuotaHeaders(t *testing.T) {
	h := openHouse(t, `clients:
  ward: {limits: {rate: 1/m, burst: 10, patients: [5/h, 20/d]}, user_limits: {rate: 1/m, burst: 3}}
organizations: {Organization/2: {limits: {rate: 1/m, burst: 100}}}`)
	h.ehr.on("GET /Observation/a", 200, obsA)
	of := func(user string) string {
		return h.token(map[string]any{"roles": []string{"staff"}, "client_id": "ward", "sub": user, "organization": "Organization/2"})
	}
	got := h.get("/Observation/a", of("ann"))
	if got.header.Get("RateLimit-Policy") != `"requests";q=10;w=600, "patients";q=5;qu="patients";w=3600, "patients-86400";q=20;qu="patients";w=86400, "user-requests";q=3;w=180` {
		t.Errorf("policy: %s", got.header.Get("RateLimit-Policy"))
	}
	if got.header.Get("RateLimit") != `"requests";r=9;t=60, "patients";r=5;t=0, "patients-86400";r=20;t=0, "user-requests";r=2;t=60` {
		t.Errorf("left: %s", got.header.Get("RateLimit"))
	}
	h.get("/Observation/a", of("ann"))
	h.get("/Observation/a", of("ann"))
	if got := h.get("/Observation/a", of("ann")); got.status != 429 || got.code() != "limit.user" || got.header.Get("RateLimit") == "" {
		t.Errorf("a user over the limit: %d %s", got.status, got.body)
	}
	if got := h.get("/Observation/a", of("bob")); got.status != 200 || !strings.Contains(got.header.Get("RateLimit"), `"requests";r=6`) || !strings.Contains(got.header.Get("RateLimit"), `"user-requests";r=2`) {
		t.Errorf("another user: %d %s", got.status, got.header.Get("RateLimit"))
	}
	if got := h.get("/Observation/a", h.staff()); got.header.Get("RateLimit") != "" {
		t.Errorf("a client without limits is told of %s", got.header.Get("RateLimit"))
	}
}

// B-01: the answer to what is hidden does not count, so that it is that to what
// is absent, to the byte (DESIGN §10.1).
func TestQuotasOfWhatIsHidden(t *testing.T) {
	h := openHouse(t, `clients: {"*": {limits: {rate: 1/m, burst: 10}}}`)
	h.ehr.on("GET /Observation/a", 200, obsA)
	app := h.token(map[string]any{"patient": "Patient/9", "scope": "patient/*.rs"})
	for _, path := range []string{"/Observation/a", "/Observation/none"} {
		got := h.get(path, app)
		if got.status != 404 || got.header.Get("RateLimit")+got.header.Get("RateLimit-Policy") != "" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
}

// Issue 8 point 1: an organization's users share its limit, over all clients.
func TestOrganizationLimit(t *testing.T) {
	h := openHouse(t, `organizations: {Organization/2: {limits: {rate: 1/m, burst: 3}}}`)
	h.ehr.on("GET /Observation/a", 200, obsA)
	last := answer{}
	for i := range 4 {
		last = h.get("/Observation/a", h.token(map[string]any{"roles": []string{"staff"}, "client_id": fmt.Sprint("app", i), "sub": fmt.Sprint("u", i), "organization": "Organization/2"}))
	}
	if last.status != 429 || last.code() != "limit.organization" {
		t.Errorf("got %d %s", last.status, last.body)
	}
	if got := h.get("/Observation/a", h.token(map[string]any{"roles": []string{"staff"}, "organization": "Organization/3"})); got.status != 200 {
		t.Errorf("another organization: %d", got.status)
	}
}

// L-02: who fails is locked out, and nobody behind the same address with a token
// that was good before.
func TestLockoutOfFailures(t *testing.T) {
	h := openHouse(t, "limits: {address: {failures: 3/h}}")
	h.ehr.on("GET /Observation/a", 200, obsA)
	victim := h.staff()
	if got := h.get("/Observation/a", victim); got.status != 200 {
		t.Fatal(got.status)
	}
	for i, want := range []int{401, 401, 401, 429, 429} {
		if got := h.get("/Observation/a", "not.a.token"); got.status != want {
			t.Errorf("attempt %d: got %d %s", i, got.status, got.body)
		}
	}
	if got := h.get("/Observation/a", "not.a.token"); got.code() != "limit.failures" {
		t.Errorf("got %s", got.body)
	}
	if got := h.get("/Observation/a", victim); got.status != 200 {
		t.Errorf("a known token is locked out with the others: %d", got.status)
	}
}

// Issue 8 point 1: probing for what one may not have ends, and a hidden record
// counts as one that is not there.
func TestLockoutOfDenials(t *testing.T) {
	h := openHouse(t, `clients: {"*": {user_limits: {denials: 4/h}}}`)
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Observation/r", 200, obsR)
	mallory := h.token(map[string]any{"roles": []string{"staff"}, "sub": "mallory"})
	for i, target := range []string{"/Observation/r", "/Observation/none", "/Observation/r", "/Observation/none"} {
		if got := h.get(target, mallory); got.status != 404 {
			t.Errorf("attempt %d: %d", i, got.status)
		}
	}
	if got := h.get("/Observation/a", mallory); got.status != 429 || got.code() != "limit.denials" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := h.get("/Observation/a", h.token(map[string]any{"roles": []string{"staff"}, "sub": "ann"})); got.status != 200 {
		t.Errorf("another user of the client: %d", got.status)
	}
}

// Issue 8 point 1: requests under way at once, includes and pages have their cost.
func TestConcurrentAndWeights(t *testing.T) {
	h := openHouse(t, `limits: {weights: {include: 4}}
clients: {busy: {limits: {concurrent: 2}}, wide: {limits: {rate: 1/h, burst: 10}}, slow: {limits: {upstream_seconds: 1/h}}}`)
	arrived, leave := make(chan bool, 2), make(chan bool)
	h.ehr.handle("GET /Observation/a", func(w http.ResponseWriter, _ *http.Request) {
		arrived <- true
		<-leave
		w.Header().Set("Content-Type", "application/fhir+json")
		fmt.Fprint(w, obsA)
	})
	h.ehr.on("GET /Observation/b", 200, obsB)
	h.ehr.on("GET /Observation", 200, searchset("", obsA))
	of := func(client string) string {
		return h.token(map[string]any{"roles": []string{"staff"}, "client_id": client})
	}
	busy := of("busy")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { h.get("/Observation/a", busy) })
		<-arrived
	}
	if got := h.get("/Observation/b", busy); got.status != 429 {
		t.Errorf("a third request at once: %d", got.status)
	}
	close(leave)
	wg.Wait()
	if got := h.get("/Observation/b", busy); got.status != 200 {
		t.Errorf("when the others have ended: %d %s", got.status, got.body)
	}
	if got := h.get("/Observation?_include=Observation:subject&_include=Observation:encounter", of("wide")); got.status != 200 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := h.get("/Observation/b", of("wide")); !strings.Contains(got.header.Get("RateLimit"), `"requests";r=0`) {
		t.Errorf("two includes cost nothing: %s", got.header.Get("RateLimit"))
	}
}

// Issue 8 point 1: operators see quotas, and nobody else.
func TestQuotasOnAdminAPI(t *testing.T) {
	h := openHouse(t, adminAuth, `clients: {ward: {limits: {rate: 1/m, burst: 10}, user_limits: {entries: 5/h}}}`)
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.get("/Observation/a", h.token(map[string]any{"roles": []string{"staff"}, "client_id": "ward", "sub": "ann"}))
	h.get("/Observation/a", h.staff())
	if got := h.call("GET", "/quotas", h.officer(), ""); got.status != 403 {
		t.Errorf("an officer: %d", got.status)
	}
	got := h.call("GET", "/quotas", h.operator(), "")
	if got.status != 200 || !strings.Contains(got.body, `"client":"ward","quotas":[{"name":"requests","limit":10,"window_seconds":600,"left":9,`) || strings.Contains(got.body, "ann") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := h.call("GET", "/quotas?client=ward", h.operator(), ""); !strings.Contains(got.body, `"user":"ann","quotas":[{"name":"entries","limit":5,"window_seconds":3600,"left":4,`) {
		t.Errorf("got %s", got.body)
	}
}

// L-05: two gateways on one Redis hold a client, and a proof, together; when it
// goes away each allows its half, and says so.
func TestLimitsOnRedis(t *testing.T) {
	r := miniredis.RunT(t)
	limits := fmt.Sprintf("limits: {state: \"redis://%s/0\", replicas: 2}\nclients: {app: {limits: {rate: 1/h, burst: 6}}}", r.Addr())
	a := openHouse(t, limits)
	b := &house{t: t, dir: t.TempDir(), issuer: a.issuer, ehr: a.ehr, log: &logBook{}, release: "R4"}
	b.write("policy/policy.rego", usualPolicy)
	b.copyKeys(a)
	b.write("gatehouse.yaml", b.config(limits))
	b.start()
	a.ehr.on("GET /Observation/a", 200, obsA)
	token := a.token(map[string]any{"roles": []string{"staff"}, "client_id": "app"})
	passed := 0
	for i := range 20 {
		if []*house{a, b}[i%2].get("/Observation/a", token).status == 200 {
			passed++
		}
	}
	if passed != 6 {
		t.Errorf("two gateways let %d through, want 6", passed)
	}
	other := a.token(map[string]any{"roles": []string{"staff"}, "client_id": "app", "iss": a.issuer.URL})
	r.Close()
	if got := a.get("/Observation/a", other); got.status != 429 {
		t.Errorf("an outage is a fresh quota: %d", got.status)
	}
	ready := a.readyz(t)
	if !strings.Contains(ready, `"ready":true`) || !strings.Contains(ready, `"degraded":{"limits":`) {
		t.Errorf("readyz: %s", ready)
	}
	a.write("gatehouse.yaml", a.config(strings.Replace(limits, "/0\"", "/1\"", 1)))
	if err := a.process.Reload(); err == nil || !strings.Contains(err.Error(), "limits.state cannot change while running") {
		t.Errorf("a reload moves the counts: %v", err)
	}
}

// copyKeys gives a house the keys of another, as replicas have them.
func (h *house) copyKeys(from *house) {
	h.t.Helper()
	for _, k := range []string{"sealing.key", "audit.key", "pseudonyms.key"} {
		b, err := os.ReadFile(filepath.Join(from.dir, k))
		if err != nil {
			h.t.Fatal(err)
		}
		h.write(k, string(b))
	}
}
