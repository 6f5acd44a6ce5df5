package test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/gateway/audit"
)

// failTree puts a file in the place of the audit log's tree, so that the log takes
// no records while the spool, elsewhere, does; restore undoes it.
func (h *house) failTree(t *testing.T) (restore func()) {
	t.Helper()
	tree := filepath.Join(h.dir, "audit", "tile")
	if err := os.Rename(tree, tree+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tree, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.get("/metadata", "") // something for the tree
	h.within(5*time.Second, func() bool { return strings.Contains(h.readyz(t), "audit") })
	return func() {
		if err := os.Remove(tree); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tree+".away", tree); err != nil {
			t.Fatal(err)
		}
	}
}

// U-02, AUD-12: by class of interaction a request that the log cannot take is
// refused, or its records wait in the spool; then they are all in the log, once
// each, and it verifies. Over a restart too.
func TestSpoolByClass(t *testing.T) {
	t.Parallel() // it waits more than it works
	for _, restart := range []bool{false, true} {
		h := openHouse(t, "")
		h.stop()
		h.write("gatehouse.yaml", strings.Replace(h.config(), "key_file: audit.key}", "key_file: audit.key, on_failure: {read: spool, search: refuse, operation: spool}, spool: {dir: spool}}", 1))
		h.start()
		h.ehr.on("GET /Observation/a", 200, obsA)
		h.ehr.on("GET /Observation", 200, searchset("", obsA))
		restore := h.failTree(t)
		h.ehr.requests()
		want := map[string]int{}
		for _, c := range []struct {
			method, target, token, body string
			status                      int
		}{
			{"GET", "/Observation/a", h.staff(), "", 200},
			{"HEAD", "/Observation/a", h.staff(), "", 200},
			{"GET", "/Observation/none", h.staff(), "", 404},
			{"GET", "/Observation/a", "", "", 401},
			{"GET", "/Nonsense", h.staff(), "", 400},
			{"GET", "/metadata", "", "", 502},
			{"GET", "/Observation", h.staff(), "", 503},
			{"PUT", "/Observation/a", h.staff(), obsA, 503},
			{"POST", "/Observation", h.staff(), obsA, 503},
			{"POST", "", h.staff(), batchOf("batch", batchRows[0]), 503},
			{"POST", "", "", batchOf("batch", batchRows[0]), 503},
			{"DELETE", "/Observation/a", h.staff(), "", 503},
			{"GET", "/_gatehouse/consents", h.patient("A", "patient/*.rs"), "", 0},
		} {
			got := h.do(c.method, c.target, c.token, c.body)
			if c.status != 0 && got.status != c.status {
				t.Errorf("%s %s: got %d %s, want %d", c.method, c.target, got.status, got.body, c.status)
			}
			if got.status != 503 {
				want[got.header.Get("X-Request-Id")]++
			}
		}
		for _, call := range h.ehr.requests() {
			if !strings.HasPrefix(call, "GET ") {
				t.Errorf("without a record the upstream got %s", call)
			}
		}
		ready := h.readyz(t)
		if !strings.Contains(ready, `"ready":true`) || !strings.Contains(ready, "records wait in the spool") {
			t.Errorf("readyz: %s", ready)
		}
		if m := h.metrics(); !strings.Contains(m, `gatehouse_alarms_total{what="audit.spooled"}`) || strings.Contains(m, "gatehouse_audit_spool_records 0\n") {
			t.Errorf("metrics do not tell: %s", m)
		}
		restore()
		if restart {
			h.stop()
			h.start()
		}
		h.within(10*time.Second, func() bool { return strings.Contains(h.metrics(), "gatehouse_audit_spool_records 0\n") })
		if ready := h.readyz(t); strings.Contains(ready, "spool") {
			t.Errorf("readyz: %s", ready)
		}
		h.stop()
		got := map[string]int{}
		for _, r := range h.trail(t) {
			if r.Kind == audit.Outcome {
				got[r.Request]++
			}
		}
		for id := range want {
			if got[id] != 1 {
				t.Errorf("request %s has %d records", id, got[id])
			}
		}
		h.verified(t)
	}
}

// With every class refused a spool is of no use, and /readyz does not pretend.
func TestSpoolThatNothingUses(t *testing.T) {
	t.Parallel() // it waits more than it works
	h := openHouse(t)
	h.stop()
	h.write("gatehouse.yaml", strings.Replace(h.config(), "key_file: audit.key}", "key_file: audit.key, spool: {dir: spool}}", 1))
	h.start()
	h.ehr.on("GET /Observation/a", 200, obsA)
	restore := h.failTree(t)
	if got := h.get("/Observation/a", h.staff()); got.status != http.StatusServiceUnavailable || got.code() != "audit.unavailable" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if ready := h.readyz(t); !strings.Contains(ready, `"ready":false`) {
		t.Errorf("readyz: %s", ready)
	}
	restore()
	h.recovers(t, h.staff())
}

// verified holds the whole log, of a gateway that has stopped, to its public key.
func (h *house) verified(t *testing.T) {
	t.Helper()
	o, err := gateway.AuditOptions(h.cfg())
	if err != nil {
		t.Fatal(err)
	}
	public, err := audit.VerifierKey(o.Origin, o.Seed)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := audit.Verify(o.Dir, public); err != nil || !r.OK() {
		t.Errorf("the log does not verify: %+v %v", r, err)
	}
}
