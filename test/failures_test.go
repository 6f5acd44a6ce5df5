package test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/gateway/auth/authtest"

	"github.com/alicebob/miniredis/v2"
)

// This file causes the table of docs/operations.md, "When what it needs fails": each
// dependency is slow, refuses, answers wrongly or is full, and then is back again.

// ways are how a dependency that speaks HTTP fails; until heals it.
func ways(until <-chan struct{}) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"slow": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-until:
			case <-r.Context().Done():
			}
		},
		"refusing": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
		},
		"wrong": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/fhir+json")
			_, _ = io.WriteString(w, `{"resourceType":"Basic","id":"Canary"}`)
		},
		"full": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
	}
}

// failing is one row of the table.
type failing struct {
	open  func(h *house) (fail func(http.HandlerFunc)) // starts the gateway; fail(nil) heals
	probe func(h *house) answer                        // nil: a read of what the caller may see
	want  map[string]string                            // "status code" by way
	ready string                                       // what /readyz says meanwhile; "": nothing
	alarm string
}

func always(want string) map[string]string {
	return map[string]string{"slow": want, "refusing": want, "wrong": want, "full": want}
}

var failures = map[string]failing{
	"issuer's discovery":   {open: failsFromStart(authtest.Discovery), want: always("503 issuer.unavailable"), ready: `"issuers":"`},
	"issuer's keys (JWKS)": {open: failsFromStart(authtest.Keys), want: always("503 issuer.unavailable"), ready: `"issuers":"`},
	"introspection": {open: func(h *house) func(http.HandlerFunc) {
		h.write("secret", "hush-hush-hush")
		h.write("gatehouse.yaml", strings.Replace(h.config(), "insecure_http: true, claims", "insecure_http: true, introspection: {mode: opaque, client_id: gw, client_secret_file: secret}, claims", 1))
		h.start()
		h.issuer.Answer("opaque", map[string]any{"active": true, "iss": h.issuer.URL, "aud": "http://gw.example.org/fhir", "sub": "u", "client_id": "app",
			"scope": "user/*.rs", "roles": []string{"staff"}, "exp": time.Now().Unix() + 300})
		return func(f http.HandlerFunc) { h.issuer.Fault(authtest.Introspection, f) }
	}, probe: func(h *house) answer { return h.get("/Observation/a", "opaque") },
		want: map[string]string{"refusing": "503 issuer.unavailable", "wrong": "503 issuer.unavailable", "full": "503 issuer.unavailable"}},
	"upstream": {open: func(h *house) func(http.HandlerFunc) {
		h.write("gatehouse.yaml", strings.Replace(h.config(), "/r4, fhir_version", "/r4, timeout: 200ms, fhir_version", 1))
		h.start()
		return func(f http.HandlerFunc) { h.answers("GET /Observation/a", f, obsA) }
	}, want: map[string]string{"slow": "504 upstream.timeout", "refusing": "502 upstream.unreachable", "wrong": "502 upstream.invalid", "full": "503 upstream.busy"}},
	"consent source": {open: func(h *house) func(http.HandlerFunc) {
		h.write("gatehouse.yaml", strings.Replace(h.config("consent: {source: upstream, default: permit, max_staleness: 100ms}"), "/r4, fhir_version", "/r4, timeout: 200ms, fhir_version", 1))
		h.start()
		return func(f http.HandlerFunc) { h.answers("GET /Consent", f, searchset("")) }
	}, want: always("404 resource.not-found"), alarm: "consent.unavailable"},
	"policy source": {open: func(h *house) func(http.HandlerFunc) {
		p := newPublisher(h.t)
		p.publish("9", usualPolicy)
		var fault atomic.Pointer[http.HandlerFunc]
		s := serveHTTP(h.t, func(w http.ResponseWriter, r *http.Request) {
			if f := fault.Load(); f != nil {
				(*f)(w, r)
				return
			}
			_, _ = w.Write(*p.latest.Load())
		})
		h.write("publisher.pem", string(p.public))
		h.write("gatehouse.yaml", strings.Replace(h.config(), "policy: {dir: policy}", fmt.Sprintf("policy: {bundle: {url: %q, public_key_file: publisher.pem, poll: 20ms}}", s+"/p.tar.gz"), 1))
		h.start()
		return func(f http.HandlerFunc) {
			if f == nil {
				fault.Store(nil)
				return
			}
			fault.Store(&f)
		}
	}, want: map[string]string{"slow": "200 ", "refusing": "200 ", "wrong": "200 ", "full": "200 "}, ready: `"policy_bundle_problem":"`},
}

// failsFromStart is an issuer that fails while the gateway starts.
func failsFromStart(path string) func(*house) func(http.HandlerFunc) {
	return func(h *house) func(http.HandlerFunc) {
		h.write("gatehouse.yaml", h.config())
		return func(f http.HandlerFunc) {
			h.issuer.Fault(path, f)
			if h.process == nil {
				h.startUnready()
			}
		}
	}
}

// answers lets the upstream answer a request by f, or where it is nil with a body.
func (h *house) answers(request string, f http.HandlerFunc, body string) {
	if f == nil {
		h.ehr.on(request, 200, body)
		return
	}
	h.ehr.handle(request, f)
}

// startUnready starts a gateway that is not ready yet.
func (h *house) startUnready() {
	h.t.Helper()
	p, err := gateway.Open(h.dir+"/gatehouse.yaml", h.log.logger())
	if err != nil {
		h.t.Fatal(err)
	}
	h.process, h.base = p, "http://"+p.PublicAddr()+"/fhir"
	h.run()
}

func TestFailures(t *testing.T) {
	for name, f := range failures {
		for way, want := range f.want {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, "R4")
				h.ehr.on("GET /Observation/a", 200, obsA)
				probe := f.probe
				if token := h.staff(); probe == nil {
					probe = func(h *house) answer { return h.get("/Observation/a", token) }
				}
				until := make(chan struct{})
				heal := sync.OnceFunc(func() { close(until) })
				t.Cleanup(heal)
				fail := f.open(h)
				fail(ways(until)[way])
				time.Sleep(150 * time.Millisecond) // what is remembered is over
				got := probe(h)
				if said := fmt.Sprint(got.status, " ", got.code()); said != want {
					t.Errorf("got %s, want %s", said, want)
				}
				h.noCanary(t, got)
				if f.ready != "" && way != "slow" {
					h.awaits(t, f.ready)
				}
				if f.alarm != "" && !strings.Contains(h.metrics(), `gatehouse_alarms_total{what="`+f.alarm+`"}`) {
					t.Errorf("no alarm %s", f.alarm)
				}
				fail(nil)
				heal()
				h.within(5*time.Second, func() bool { return probe(h).status == 200 })
			})
		}
	}
}

func serveHTTP(t *testing.T, h http.HandlerFunc) (url string) {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// valve is a TCP connection that can be cut, held and answered falsely.
type valve struct {
	address string
	how     atomic.Value // "", slow, refusing, wrong
}

func newValve(t *testing.T, behind string) *valve {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	v := &valve{address: l.Addr().String()}
	v.how.Store("")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go v.pass(conn, behind)
		}
	}()
	return v
}

func (v *valve) pass(conn net.Conn, behind string) {
	defer conn.Close()
	to, err := net.Dial("tcp", behind)
	if err != nil {
		return
	}
	defer to.Close()
	go func() { _, _ = io.Copy(conn, to); conn.Close() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		switch v.how.Load() {
		case "slow":
			time.Sleep(time.Second)
			return
		case "refusing":
			return
		case "wrong":
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// The Redis of limits.state: each way it fails, requests go on by shares, and proofs
// of possession are refused, since nobody knows whether they are new.
func TestRedisFails(t *testing.T) {
	t.Parallel() // it waits more than it works
	r := miniredis.RunT(t)
	v := newValve(t, r.Addr())
	h := openHouse(t, fmt.Sprintf("limits: {state: \"redis://%s/0\"}\nclients: {app: {limits: {rate: 1000/s}}}", v.address))
	h.ehr.on("GET /Observation/a", 200, obsA)
	p, token := h.prover(), h.staff()
	proven := func() answer { return p.send("DPoP", p.proof(nil)) }
	for _, way := range []string{"slow", "refusing", "wrong", "full"} {
		if way == "full" {
			r.SetError("OOM command not allowed when used memory > 'maxmemory'.")
		} else {
			v.how.Store(way)
		}
		if got := h.get("/Observation/a", token); got.status != 200 {
			t.Errorf("%s: got %d %s", way, got.status, got.body)
		}
		if got := proven(); got.status != 503 || got.code() != "issuer.unavailable" {
			t.Errorf("%s: a proof: %d %s", way, got.status, got.body)
		}
		if said := h.readyz(t); !strings.Contains(said, `"ready":true`) || !strings.Contains(said, `"degraded":{"limits":`) {
			t.Errorf("%s: readyz: %s", way, said)
		}
		r.SetError("")
		v.how.Store("")
		h.within(5*time.Second, func() bool { return proven().status == 200 })
	}
}

// The clock: a gateway that is an hour behind or ahead of its issuer takes no token,
// and takes them when it is right again.
func TestClockFails(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA)
	for way, ahead := range map[string]time.Duration{"ahead": -time.Hour, "behind": time.Hour} { // of the issuer's clock
		h.issuer.Now = func() time.Time { return time.Now().Add(ahead) }
		if got := h.get("/Observation/a", h.staff()); got.status != 401 {
			t.Errorf("%s: got %d %s", way, got.status, got.body)
		}
		h.issuer.Now = time.Now
		if got := h.get("/Observation/a", h.staff()); got.status != 200 {
			t.Errorf("right again: got %d %s", got.status, got.body)
		}
	}
}

// elsewhere are the rows that other tests cause, by file and test.
var elsewhere = map[string]map[string]string{
	"introspection": {"slow": "../gateway/auth/introspect_test.go TestIntrospectionDown"},
	"Redis": {"slow": "failures_test.go TestRedisFails", "refusing": "failures_test.go TestRedisFails", "wrong": "failures_test.go TestRedisFails",
		"full": "failures_test.go TestRedisFails"},
	"PostgreSQL": {"slow": "real/postgres_fails_test.go TestPostgreSQLFails", "refusing": "real/postgres_fails_test.go TestPostgreSQLFails",
		"wrong": "real/postgres_fails_test.go TestPostgreSQLFails", "full": "real/postgres_fails_test.go TestPostgreSQLFails"},
	"audit disk": {"slow": "../gateway/audit/disk_test.go TestStuckDiskFillsTheQueue", "refusing": "../gateway/audit/disk_test.go TestFailingDiskRefusesAndComesBack",
		"wrong": "../gateway/audit/disk_test.go TestDamageIsNotTakenForATornTail", "full": "limits_test.go TestAuditDiskFails"},
	"clock": {"wrong": "failures_test.go TestClockFails"},
}

// The table of docs/operations.md has a row for each dependency, and each of its
// cells a test that causes it.
func TestFailureTable(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "| it needs | slow | refusing | wrong | full | back again |\n")
	table, _, _ := strings.Cut(after, "\n\n")
	rows := map[string][]string{}
	for line := range strings.Lines(table) {
		cells := regexp.MustCompile(` *\| *`).Split(strings.Trim(strings.TrimSpace(line), "| "), -1)
		if len(cells) == 6 && !strings.HasPrefix(cells[0], "---") {
			rows[cells[0]] = cells[1:]
		}
	}
	names := slices.Collect(maps.Keys(failures))
	for name := range elsewhere {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(rows) != len(names) || len(rows) != 10 {
		t.Errorf("the table has %d rows, the tests %d", len(rows), len(names))
	}
	for _, name := range names {
		if rows[name] == nil {
			t.Errorf("no row for %s", name)
			continue
		}
		for i, way := range []string{"slow", "refusing", "wrong", "full"} {
			at, there := elsewhere[name][way]
			if file, test, _ := strings.Cut(at, " "); there {
				text, err := os.ReadFile(file)
				there = err == nil && strings.Contains(string(text), "func "+test+"(")
			} else {
				_, there = failures[name].want[way]
			}
			if told := rows[name][i] != "—"; told != there {
				t.Errorf("%s, %s: in the table %v, caused by a test %v", name, way, told, there)
			}
		}
	}
}
