package test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// This file causes rows of the failure table in docs/operations.md that have no
// test of their own elsewhere: a dependency fails, and comes back.

// An upstream that keeps failing is left alone, answered for at once, told of by
// /readyz without taking the gateway away, and asked again when it has rested.
func TestUpstreamFailsAndComesBack(t *testing.T) {
	h := openHouse(t, "")
	h.write("gatehouse.yaml", strings.Replace(h.config(), "/r4, fhir_version", "/r4, breaker: {failures: 3, rest: 300ms}, fhir_version", 1))
	if err := h.process.Reload(); err != nil {
		t.Fatal(err)
	}
	var failing atomic.Bool
	h.ehr.handle("GET /Observation/a", func(w http.ResponseWriter, _ *http.Request) {
		if failing.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = w.Write([]byte(obsA))
	})
	token := h.staff()
	failing.Store(true)
	for range 3 {
		if got := h.get("/Observation/a", token); got.status != 503 || got.code() != "upstream.busy" {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
	h.ehr.requests()
	for _, c := range []struct{ method, body string }{{"GET", ""}, {"PUT", obsA}} {
		got := h.do(c.method, "/Observation/a", token, c.body)
		if got.status != 503 || got.code() != "upstream.down" {
			t.Errorf("%s: got %d %s", c.method, got.status, got.body)
		}
		retryAfter(t, got)
	}
	if calls := h.ehr.requests(); len(calls) > 0 {
		t.Errorf("a server that rests was sent %v", calls)
	}
	if ready := h.readyz(t); !strings.Contains(ready, `"ready":true`) || !strings.Contains(ready, `"upstream":"it failed repeatedly`) {
		t.Errorf("readyz: %s", ready)
	}
	failing.Store(false)
	time.Sleep(350 * time.Millisecond)
	for range 4 {
		if got := h.get("/Observation/a", token); got.status != 200 {
			t.Errorf("when it is back: %d %s", got.status, got.body)
		}
	}
	if ready := h.readyz(t); strings.Contains(ready, "degraded") {
		t.Errorf("readyz: %s", ready)
	}
}

// A broken connection is no client's matter where the read can be sent again, and
// a write never is.
func TestBrokenConnectionOfRead(t *testing.T) {
	h := openHouse(t)
	var asked atomic.Int32
	h.ehr.handle("GET /Observation/a", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
			return
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = w.Write([]byte(obsA))
	})
	if got := h.get("/Observation/a", h.staff()); got.status != 200 || asked.Load() != 2 {
		t.Errorf("got %d after %d tries", got.status, asked.Load())
	}
	writes := atomic.Int32{}
	h.ehr.handle("POST /Observation", func(w http.ResponseWriter, _ *http.Request) {
		writes.Add(1)
		conn, _, _ := w.(http.Hijacker).Hijack()
		conn.Close()
	})
	got := h.do("POST", "/Observation", h.staff(), `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/A"}}`)
	if got.status != 500 || got.code() != "upstream.unknown" || writes.Load() != 1 {
		t.Errorf("a write: %d %s, sent %d times", got.status, got.body, writes.Load())
	}
}
