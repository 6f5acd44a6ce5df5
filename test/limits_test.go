package test

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
)

// Groups L and U: limits, and the truth of the audit trail when things fail.

func retryAfter(t *testing.T, a answer) {
	t.Helper()
	if n, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || n < 1 {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
}

// L-03, L-06, FHIR-26: a client is held to requests, entries and distinct
// patients; each refusal has its record.
func TestClientLimits(t *testing.T) {
	h := openHouse(t, `clients:
  slow: {limits: {rate: 1/m, burst: 2}}
  broad: {limits: {patients: 2/h}}
  greedy: {limits: {entries: 3/h}}`)
	h.ehr.on("GET /Observation/a", 200, obsA)
	var rows []string
	for _, p := range []string{"1", "2", "3"} {
		rows = append(rows, resource("Observation", "o"+p, ref("subject", "Patient/"+p)))
	}
	h.ehr.on("GET /Observation", 200, searchset("", rows...))
	for client, targets := range map[string][]string{
		"slow": {"/Observation/a", "/Observation/a"}, "broad": {"/Observation"}, "greedy": {"/Observation"},
	} {
		token := h.token(map[string]any{"roles": []string{"staff"}, "client_id": client})
		for _, target := range targets {
			if got := h.get(target, token); got.status != 200 {
				t.Errorf("%s: got %d %s", client, got.status, got.body)
			}
		}
		h.ehr.requests()
		row := attack{id: "L " + client, target: "/Observation/a", token: token, status: 429, code: "limit.client"}
		h.attack(t, []attack{row})
		retryAfter(t, h.get("/Observation/a", token))
	}
	if got := h.get("/Observation/a", h.staff()); got.status != 200 {
		t.Errorf("another client: got %d", got.status)
	}
}

// L-02, DESIGN §10.7: a flood is stopped before cryptography, whatever address
// it claims to come from, and leaves one record with a count.
func TestAddressFlood(t *testing.T) {
	h := openHouse(t, "limits: {address: {rate: 1/m, burst: 5}}")
	var last answer
	for i := range 50 {
		last = h.do("GET", "/Observation/a", "not.a.token", "", "X-Forwarded-For", fmt.Sprint("10.0.0.", i))
	}
	if last.status != 429 || last.code() != "limit.address" {
		t.Errorf("got %d %s", last.status, last.body)
	}
	retryAfter(t, last)
	if calls := h.ehr.requests(); len(calls) > 0 {
		t.Errorf("upstream got %v", calls)
	}
	if got := h.do("GET", "/.well-known/smart-configuration", "", ""); got.status != 429 {
		t.Errorf("discovery is not limited: %d", got.status)
	}
	if got := h.do("OPTIONS", "/Observation", "", ""); got.status != 429 {
		t.Errorf("preflight is not limited: %d", got.status)
	}
	h.stop()
	outcomes, throttled := 0, 0
	for _, r := range h.trail(t) {
		switch r.Kind {
		case audit.Outcome:
			outcomes++
		case audit.Throttle:
			throttled += r.Count
		}
	}
	if outcomes != 5 || throttled != 47 {
		t.Errorf("the trail has %d records and %d throttled", outcomes, throttled)
	}
}

// trail is the whole audit log.
func (h *house) trail(t *testing.T) []*audit.Record {
	t.Helper()
	key, err := config.ReadKey(filepath.Join(h.dir, "audit.key"))
	if err != nil {
		t.Fatal(err)
	}
	trail, err := audit.OpenReader(filepath.Join(h.dir, "audit"), key)
	if err != nil {
		t.Fatal(err)
	}
	var list []*audit.Record
	for r, err := range trail.All() {
		if err != nil {
			t.Error(err)
			continue
		}
		list = append(list, r)
	}
	return list
}

// U-02: with a log that cannot be written nothing is released, refusals
// included, and /readyz says so; when it can be written again all is well.
func TestAuditDiskFails(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, strings.Replace(obsA, `"x"`, `"Canary"`, 1))
	h.ehr.on("GET /Observation", 200, searchset("", strings.Replace(obsA, `"x"`, `"Canary"`, 1)))
	restore := h.failAudit(t)
	for _, c := range []struct {
		target, token string
	}{{"/Observation/a", h.staff()}, {"/Observation", h.staff()}, {"/metadata", ""}, {"/Observation/a", ""}, {"/Nonsense", h.staff()}, {"/.well-known/smart-configuration", ""}} {
		got := h.get(c.target, c.token)
		if got.status != http.StatusServiceUnavailable || got.code() != "audit.unavailable" {
			t.Errorf("%s: got %d %s", c.target, got.status, got.body)
		}
		h.noCanary(t, got)
		retryAfter(t, got)
	}
	if r, err := http.Get("http://" + h.process.AdminAddr() + "/readyz"); err != nil || r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("readyz: %v %v", r, err)
	}
	restore()
	for range 100 {
		if got := h.get("/Observation/a", h.staff()); got.status == 200 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the log did not recover")
}

// U-01: a client that goes away while the upstream works leaves one record.
func TestClientGone(t *testing.T) {
	h := openHouse(t)
	arrived, leave := make(chan bool, 1), make(chan bool)
	h.ehr.handle("GET /Observation/a", func(w http.ResponseWriter, _ *http.Request) {
		arrived <- true
		<-leave
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(w, obsA)
	})
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(h.base, "http://"), "/fhir"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /fhir/Observation/a HTTP/1.1\r\nHost: gw.example.org\r\nAuthorization: Bearer %s\r\n\r\n", h.staff())
	<-arrived
	_ = conn.Close()
	time.Sleep(50 * time.Millisecond)
	close(leave)
	h.stop()
	outcomes := 0
	for _, r := range h.trail(t) {
		if r.Kind == audit.Outcome && r.Interaction == "read" {
			outcomes++
		}
	}
	if outcomes != 1 {
		t.Errorf("the trail has %d records of the request", outcomes)
	}
}

// Many at once: each request has its own record and nobody else's answer.
func TestConcurrent(t *testing.T) {
	h := openHouse(t, "limits: {address: {rate: 100000/s, burst: 100000}}")
	for i := range 20 {
		id := strconv.Itoa(i)
		h.ehr.on("GET /Observation/o"+id, 200, resource("Observation", "o"+id, ref("subject", "Patient/P"+id)))
	}
	var wg sync.WaitGroup
	for i := range 20 {
		id := strconv.Itoa(i)
		token := h.patient("P"+id, "patient/*.rs")
		wg.Go(func() {
			for j := range 20 {
				got, want := h.get("/Observation/o"+strconv.Itoa(j), token), 404
				if i == j {
					want = 200
				}
				if got.status != want || got.status == 200 && !strings.Contains(got.body, "Patient/P"+id) {
					t.Errorf("%d reads %d: got %d %s", i, j, got.status, got.body)
				}
			}
		})
	}
	wg.Wait()
	h.stop()
	seen := map[string]int{}
	for _, r := range h.trail(t) {
		if r.Kind == audit.Outcome && r.Interaction == "read" {
			seen[r.Request]++
		}
	}
	if len(seen) != 400 {
		t.Errorf("the trail has %d requests", len(seen))
	}
}

// Draining: a request in flight at shutdown ends well.
func TestDrain(t *testing.T) {
	h := openHouse(t)
	arrived, leave := make(chan bool, 1), make(chan bool)
	h.ehr.handle("GET /Observation/a", func(w http.ResponseWriter, _ *http.Request) {
		arrived <- true
		<-leave
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(w, obsA)
	})
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(h.base, "http://"), "/fhir"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /fhir/Observation/a HTTP/1.1\r\nHost: gw.example.org\r\nAuthorization: Bearer %s\r\n\r\n", h.staff())
	<-arrived
	stopped := make(chan bool)
	go func() { h.stop(); close(stopped) }()
	time.Sleep(50 * time.Millisecond)
	close(leave)
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || r.StatusCode != 200 {
		t.Errorf("the request in flight: %v %v", r, err)
	}
	<-stopped
}

// TestMain keeps no log of the files that tests open, by which go test tells
// whether it may answer from its cache: written while failAudit lets no file grow,
// it would fail the whole run. And more tests run beside each other than there are
// cores, since those that do wait more than they work.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := errors.Join(flag.Set("test.testlogfile", ""), flag.Set("test.parallel", "6")); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// failAudit lets no file of this process grow, as a full disk would; restore
// undoes it.
func (h *house) failAudit(t *testing.T) (restore func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ) // else the first write beyond the limit ends the process
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	restore = sync.OnceFunc(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(restore)
	return restore
}
