package test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// SMART-25, E-01, H-10, C-06: what the answer to a write tells.

func TestAnswersToWrites(t *testing.T) {
	h := openHouse(t)
	w := h.ward(t, "POST /Observation", "PUT /Observation/a")
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Observation/new", 200, strings.ReplaceAll(obsA, `"a"`, `"new"`))
	ofA := body("", ref("subject", "Patient/A"))
	tA := h.patient("A", "patient/*.cruds")
	for _, row := range []struct {
		id, token, prefer, want string
		calls                   []string
	}{
		{"minimal", tA, "return=minimal", "", []string{"POST /Observation"}},
		{"by default minimal", tA, "", "", []string{"POST /Observation"}},
		{"SMART-25 c alone", h.patient("A", "patient/Observation.c"), "return=representation", "", []string{"POST /Observation"}},
		{"W-21 c and u", h.patient("A", "patient/Observation.cu"), "return=representation", "", []string{"POST /Observation"}},
		{"representation", tA, "return=representation", strings.ReplaceAll(obsA, `"a"`, `"new"`), []string{"POST /Observation", "GET /Observation/new"}},
	} {
		h.ehr.requests()
		got := h.do("POST", "/Observation", row.token, ofA, "Prefer", row.prefer)
		if got.status != 201 || got.body != row.want || got.header.Get("Location") != "http://gw.example.org/fhir/Observation/new/_history/9" || got.header.Get("ETag") != `W/"9"` {
			t.Errorf("%s: got %d %v %s", row.id, got.status, got.header, got.body)
		}
		if calls := h.ehr.requests(); !slices.Equal(calls, row.calls) {
			t.Errorf("%s: upstream got %v, want %v", row.id, calls, row.calls)
		}
		h.noCanary(t, got)
	}
	if got := h.do("POST", "/Observation", tA, ofA, "Prefer", "return=OperationOutcome"); !strings.Contains(got.body, "The change was made") {
		t.Errorf("OperationOutcome: got %s", got.body)
	}
	_ = w
}

// What an upstream says of a write is not passed on in its own words, and what
// cannot be known is said to be unknown.
func TestUpstreamAnswers(t *testing.T) {
	h := openHouse(t, "", "")
	h.ehr.on("GET /Observation/a", 200, obsA)
	tA := h.patient("A", "patient/*.cruds")
	const words = `{"resourceType":"Observation","id":"b","subject":{"display":"Jane Canary"}}`
	for _, row := range []struct {
		id       string
		upstream int
		header   []string
		status   int
		code     string
	}{
		{"SMART-25", 409, nil, 409, "write.conflict"},
		{"SMART-25", 412, nil, 412, "write.version"},
		{"E-01", 422, nil, 422, "resource.refused"},
		{"E-01", 400, nil, 422, "resource.refused"},
		{"E-02", 404, nil, 404, "resource.not-found"},
		{"E-02", 405, nil, 404, "resource.not-found"},
		{"§10.3", 500, nil, 500, "upstream.unknown"},
		{"§10.3", 504, nil, 500, "upstream.unknown"},
		{"FHIR-26", 503, []string{"Retry-After", "7"}, 503, "upstream.busy"},
		{"J-15 the gateway's own credentials", 401, nil, 502, "upstream.invalid"},
		{"N-03", 206, nil, 500, "upstream.unknown"},
		{"T-19", 307, []string{"Location", "http://elsewhere.example/Canary"}, 500, "upstream.unknown"},
	} {
		h.ehr.on("PUT /Observation/a", row.upstream, words, row.header...)
		h.ehr.requests()
		got := h.do("PUT", "/Observation/a", tA, body("a", ref("subject", "Patient/A")))
		one := attack{status: row.status, code: row.code, calls: []string{"GET /Observation/a", "PUT /Observation/a"}}
		one.check(t, h, got)
	}
	for _, where := range []string{"http://elsewhere.example/r4/Observation/a", "%BASE%/Observation/b-Canary", "%BASE%/Patient/a", "Canary"} {
		h.ehr.on("PUT /Observation/a", 201, "", "Location", where)
		got := h.do("PUT", "/Observation/a", tA, body("a", ref("subject", "Patient/A")))
		if got.status != 201 || got.header.Get("Location") != "" {
			t.Errorf("H-10 %s: got %d %v", where, got.status, got.header)
		}
		h.noCanary(t, got)
	}
}

// §10.3: no answer in time is no proof that nothing was done.
func TestWriteWithoutAnswer(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.handle("DELETE /Observation/a", func(http.ResponseWriter, *http.Request) {
		time.Sleep(10 * time.Millisecond)
		panic(http.ErrAbortHandler)
	})
	h.ehr.requests()
	got := h.do("DELETE", "/Observation/a", h.patient("A", "patient/*.cruds"), "")
	one := attack{status: 500, code: "upstream.unknown", calls: []string{"GET /Observation/a", "DELETE /Observation/a"}}
	one.check(t, h, got)
}

// C-06: where rules or consent fail after a write, what it left is not shown,
// and the client is not told that nothing happened.
func TestUnjudgedAfterWrite(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: permit}")
	consents := searchset("")
	h.ehr.on("GET /Consent", 200, consents)
	h.ehr.on("GET /Observation/a", 200, strings.ReplaceAll(obsA, "Patient/A", "Patient/N"))
	h.ehr.handle("PUT /Observation/a", func(w http.ResponseWriter, _ *http.Request) {
		h.ehr.on("GET /Observation/a", 200, `{"resourceType":"Observation","id":"a","subject":"Canary"`)
		w.WriteHeader(http.StatusOK)
	})
	got := h.do("PUT", "/Observation/a", h.staff(), body("a", ref("subject", "Patient/N")), "Prefer", "return=representation")
	one := attack{status: 500, code: "write.unjudged", calls: anyCalls}
	one.check(t, h, got)
	if changed := h.changed(t, got); !slices.Equal(changed, []string{"Observation/a"}) {
		t.Errorf("the record says changed %v", changed)
	}
	h.ehr.on("GET /Observation/a", 200, strings.ReplaceAll(obsA, "Patient/A", "Patient/M"))
	h.ehr.on("GET /Consent", 500, `{"resourceType":"OperationOutcome"}`)
	h.ehr.requests()
	got = h.do("PUT", "/Observation/a", h.staff(), body("a", ref("subject", "Patient/M")))
	one = attack{status: 503, code: "policy.unavailable", calls: anyCalls, withheld: []string{"Observation/a"}}
	one.check(t, h, got)
}

// §10.7, U-02: no change without its intent on disk; and a change whose outcome
// cannot be recorded is not told as undone.
func TestWritesWithoutAudit(t *testing.T) {
	h := openHouse(t)
	tA := h.patient("A", "patient/*.cruds")
	put := body("a", ref("subject", "Patient/A"))
	h.ehr.on("GET /Observation/a", 200, obsA)
	var restore func()
	h.ehr.handle("PUT /Observation/a", func(w http.ResponseWriter, _ *http.Request) {
		restore = h.failAudit(t)
		w.WriteHeader(http.StatusOK)
	})
	got := h.do("PUT", "/Observation/a", tA, put)
	if got.status != 500 || got.code() != "audit.unavailable" || !strings.Contains(got.body, "change was made") {
		t.Errorf("outcome: got %d %s", got.status, got.body)
	}
	restore()
	h.recovers(t, tA)
	got = h.do("POST", "", tA, batchOf("batch", batchRows[0], request{method: "PUT", url: "Observation/a", body: put}))
	if got.status != 500 || !strings.Contains(got.body, "change was made") {
		t.Errorf("outcome of a batch: got %d %s", got.status, got.body)
	}
	h.ehr.requests()
	for _, r := range []request{{method: "PUT", url: "Observation/a", body: put}, {method: "DELETE", url: "Observation/a"}, post("Observation", ref("subject", "Patient/A"))} {
		for _, target := range []string{"/" + r.url, "transaction", "batch"} {
			method, text := r.method, r.body
			if target[0] != '/' {
				method, text, target = "POST", batchOf(target, r), ""
			}
			got := h.do(method, target, tA, text)
			if got.status != 503 || got.code() != "audit.unavailable" {
				t.Errorf("intent of %s %s: got %d %s", r.method, target, got.status, got.body)
			}
		}
	}
	for _, call := range h.ehr.requests() {
		if !strings.HasPrefix(call, "GET ") {
			t.Errorf("the upstream got %s", call)
		}
	}
	restore()
	h.recovers(t, tA)
}

// recovers waits until the audit log takes records again.
func (h *house) recovers(t *testing.T, token string) {
	t.Helper()
	for range 200 {
		if h.get("/Observation/a", token).status == 200 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the log did not recover")
}
