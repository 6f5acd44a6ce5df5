package test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/gateway/audit"
)

// repository is a FHIR audit record repository that is away, or takes all.
type repository struct {
	mu     sync.Mutex
	away   bool
	events []string
	tokens []string
}

func openRepository(t *testing.T) (r *repository, url string) {
	r = &repository{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.away {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		var b struct {
			Entry []struct{ Resource json.RawMessage }
		}
		json.Unmarshal(body, &b)
		r.tokens = append(r.tokens, q.Header.Get("Authorization"))
		answer := `{"resourceType":"Bundle","type":"batch-response","entry":[`
		for _, e := range b.Entry {
			r.events = append(r.events, string(e.Resource))
		}
		io.WriteString(w, answer+strings.TrimSuffix(strings.Repeat(`{"response":{"status":"201"}},`, len(b.Entry)), ",")+"]}")
	}))
	t.Cleanup(s.Close)
	return r, s.URL + "/fhir"
}

func (r *repository) set(away bool) { r.mu.Lock(); defer r.mu.Unlock(); r.away = away }

// about counts the events that hold a text.
func (r *repository) about(text string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		n += strings.Count(e, text)
	}
	return n
}

// AUD-09, U-06: what is recorded reaches the sinks, of whom it is only those that
// may know; a sink that is away keeps nobody from reading, is told by /readyz and
// by a metric, and gets all when it is back, also over a restart.
func TestSinksOfTheGateway(t *testing.T) {
	full, at := openRepository(t)
	blind, other := openRepository(t)
	h := newHouse(t, "R4")
	h.write("arr.token", "arr-secret\n")
	h.write("gatehouse.yaml", strings.Replace(h.config(), "audit: {dir: audit, key_file: audit.key}",
		"audit: {dir: audit, key_file: audit.key, sinks: [{type: fhir, name: arr, url: "+at+", auth: {type: bearer, token_file: arr.token}}, {type: fhir, url: "+other+", fields: pseudonymous}]}", 1))
	full.set(true)
	h.start()
	h.ehr.on("GET /Patient/canary", 200, `{"resourceType":"Patient","id":"canary","meta":{"versionId":"1"}}`)
	for range 3 {
		if got := h.get("/Patient/canary", h.staff()); got.status != 200 {
			t.Fatal(got)
		}
	}
	h.within(5*time.Second, func() bool { return blind.about(`"code":"rest"`) == 3 })
	if n := blind.about("canary"); n != 0 {
		t.Errorf("a pseudonymous sink is told the patient %d times", n)
	}
	h.within(5*time.Second, func() bool { return strings.Contains(h.readyz(t), `"audit.sinks.arr":"takes nothing`) })
	if got := h.readyz(t); !strings.Contains(got, `"ready":true`) || strings.Contains(got, "arr-secret") {
		t.Errorf("readyz: %s", got)
	}
	metrics := h.metrics()
	if strings.Contains(metrics, `gatehouse_audit_sink_lag_records{sink="arr"} 0`) || !strings.Contains(metrics, `gatehouse_audit_sink_failures_total{sink="arr"}`) {
		t.Error("the metrics do not tell that a sink takes nothing")
	}
	h.stop()
	full.set(false)
	h.start()
	h.within(5*time.Second, func() bool { return full.about("Patient/canary") >= 3 })
	if full.about(`"code":"rest"`) != 3 {
		t.Errorf("%d events of 3 reads", full.about(`"code":"rest"`))
	}
	if full.tokens[0] != "Bearer arr-secret" {
		t.Error("the sink's credentials were not sent")
	}
	before := blind.about(`"code":"rest"`)
	if before != 3 {
		t.Errorf("after a restart a sink got %d events of 3 reads", before)
	}
}

// What a restart alone can change is refused.
func TestSinksDoNotChangeByReload(t *testing.T) {
	h := openHouse(t)
	h.write("gatehouse.yaml", strings.Replace(h.config(), "audit.key}", "audit.key, sinks: [{type: jsonl, path: out.jsonl}]}", 1))
	if err := h.process.Reload(); err == nil || !strings.Contains(err.Error(), "audit.sinks cannot change") {
		t.Errorf("reload: %v", err)
	}
}

// Issue 7 point 2: checkpoints go where the operator cannot rewrite them, the last
// one at the end too, and the log grew out of each.
func TestCheckpointsArePublished(t *testing.T) {
	h := newHouse(t, "R4")
	h.write("gatehouse.yaml", strings.Replace(h.config(), "audit: {dir: audit, key_file: audit.key}",
		"audit: {dir: audit, key_file: audit.key, publish: [{type: file, path: kept, every: 1s}]}", 1))
	h.start()
	h.get("/Patient/1", h.staff())
	h.within(5*time.Second, func() bool { kept, _ := filepath.Glob(filepath.Join(h.dir, "kept", "*")); return len(kept) > 0 })
	h.stop()
	o, err := gateway.AuditOptions(h.cfg())
	if err != nil {
		t.Fatal(err)
	}
	public, err := audit.VerifierKey(o.Origin, o.Seed)
	if err != nil {
		t.Fatal(err)
	}
	kept, _ := filepath.Glob(filepath.Join(h.dir, "kept", "*"))
	for _, path := range kept {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := audit.Verify(o.Dir, public, b); err != nil || !r.OK() {
			t.Errorf("%s: %+v, %v", path, r, err)
		}
	}
}
