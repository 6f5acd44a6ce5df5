package test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/gateway/audit"
)

// Issue 8 point 5: the level of the log by route for some minutes; law 12 at debug too.

const inDetail = `"request in detail"`

// since is what is logged while f runs.
func (h *house) since(f func()) string {
	before := len(h.log.String())
	f()
	return h.log.String()[before:]
}

func (h *house) setLevel(route, level string, last time.Duration) {
	h.t.Helper()
	l := gateway.LogLevel{Route: route, Level: level, By: "root", Reason: "slow"}
	if err := gateway.SetLogLevel(h.t.Context(), h.cfg(), &l, last); err != nil {
		h.t.Fatal(err)
	}
}

func TestLogLevelOfARoute(t *testing.T) {
	h := openHouse(t, adminAuth)
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Patient/A", 200, resource("Patient", "A", `"active":true`))
	token := h.staff()
	read := func(target string) func() { return func() { h.get(target, token) } }
	if got := h.since(read("/Observation/a")); strings.Contains(got, inDetail) {
		t.Errorf("before: %s", got)
	}
	h.setLevel("GET /Observation", "debug", time.Hour)
	h.within(time.Minute, func() bool { return strings.Contains(h.since(read("/Observation/a")), inDetail) })
	for _, want := range []string{`"method":"GET"`, `"type":"Observation"`, `"interaction":"read"`, `"released":1`, `"upstream_requests":1`, `"admit `, `"forward `} {
		if got := h.since(read("/Observation/a")); !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	if got := h.since(read("/Patient/A")); strings.Contains(got, inDetail) || !strings.Contains(got, `"request"`) {
		t.Errorf("another route: %s", got)
	}
	if told := h.readyz(t); !strings.Contains(told, `"route":"GET /Observation","level":"debug"`) || strings.Contains(told, "olga") || strings.Contains(told, `"reason"`) {
		t.Errorf("/readyz does not tell: %s", h.readyz(t))
	}
	h.setLevel("* /Patient", "error", time.Hour)
	h.within(time.Minute, func() bool { return h.since(read("/Patient/A")) == "" })
	h.stop() // what was set is in force after a start, and in the trail once
	h.start()
	if got := h.since(read("/Observation/a")); !strings.Contains(got, inDetail) {
		t.Errorf("after a restart: %s", got)
	}
	for code, want := range map[string]int{audit.LogLevelSet: 2, audit.LogLevelReset: 0} {
		if got := h.notices(t, code); len(got) != want {
			t.Errorf("%s: %d records, want %d", code, len(got), want)
		}
	}
	reset := gateway.LogLevel{Route: "GET /Observation", By: "root", Reset: true}
	if err := gateway.SetLogLevel(t.Context(), h.cfg(), &reset, 0); err != nil {
		t.Fatal(err)
	}
	h.within(time.Minute, func() bool { return !strings.Contains(h.since(read("/Observation/a")), inDetail) })
	h.within(time.Minute, func() bool { return len(h.notices(t, audit.LogLevelReset)) == 1 })
	h.setLevel("GET *", "debug", time.Second)
	h.within(time.Minute, func() bool { return len(h.notices(t, audit.LogLevelSet)) == 3 })
	h.within(time.Minute, func() bool { return !strings.Contains(h.since(read("/Observation/a")), inDetail) })
}

func TestLogLevelAPI(t *testing.T) {
	h := openHouse(t, adminAuth)
	for _, tt := range []struct {
		token, body string
		status      int
		code        string
	}{
		{h.officer(), `{"route": "GET /Observation", "level": "debug", "for": "10m"}`, 403, "admin.role"},
		{h.staff(), `{"route": "GET /Observation", "level": "debug", "for": "10m"}`, 403, "admin.role"},
		{h.operator(), `{"route": "GET /Patient/1", "level": "debug", "for": "10m"}`, 400, "admin.request"},
		{h.operator(), `{"route": "GET /Canary", "level": "debug", "for": "10m"}`, 400, "admin.request"},
		{h.operator(), `{"route": "GET", "level": "debug", "for": "10m"}`, 400, "admin.request"},
		{h.operator(), `{"route": "FETCH /Patient", "level": "debug", "for": "10m"}`, 400, "admin.request"},
		{h.operator(), `{"route": "GET /Patient", "level": "all", "for": "10m"}`, 400, "admin.request"},
		{h.operator(), `{"route": "GET /Patient", "level": "debug", "for": "5h"}`, 400, "admin.request"},
		{h.operator(), `{"route": "GET /Patient", "level": "debug"}`, 400, "admin.request"},
		{h.operator(), `{"route": "POST /", "level": "debug", "for": "10m", "reason": "batches are slow"}`, 200, ""},
	} {
		if got := h.call("POST", "/log-levels", tt.token, tt.body); got.status != tt.status || tt.code != "" && got.adminCode() != tt.code {
			t.Errorf("%s: %d %s", tt.body, got.status, got.body)
		}
	}
	if got := h.call("GET", "/log-levels", h.operator(), ""); !strings.Contains(got.body, `"route":"POST /","level":"debug","reason":"batches are slow","by":"olga"`) {
		t.Errorf("list: %s", got.body)
	}
	if got := h.notices(t, audit.LogLevelSet); len(got) != 1 {
		t.Errorf("the trail tells of %d, want 1", len(got))
	}
	if got := h.call("DELETE", "/log-levels?route=POST%20/", h.operator(), ""); got.status != 200 {
		t.Errorf("reset: %d %s", got.status, got.body)
	}
	if got := h.call("DELETE", "/log-levels?route=POST%20/", h.operator(), ""); got.status != 404 {
		t.Errorf("reset again: %d %s", got.status, got.body)
	}
}

// G-05: whatever a client sends, a server answers and a rule says, none of it is in a
// line at debug.
func TestDetailHoldsNoPatientData(t *testing.T) {
	h := newHouse(t, "R4")
	h.write("gatehouse.yaml", h.config(adminAuth, "clients:\n  study: {view: research, domain: study-17}"))
	h.write("policy/policy.rego", `package gatehouse
permit contains sprintf("canary %v", [input.resource.patients]) if "staff" in input.subject.roles
`)
	h.start()
	h.setLevel("* *", "debug", time.Hour)
	h.within(time.Minute, func() bool { return strings.Contains(h.since(func() { h.get("/Patient", "") }), inDetail) })
	jane := resource("Patient", "canary-1", `"name":[{"family":"CanaryFamily","given":["Jane"]}],"identifier":[{"system":"urn:canary","value":"MRNCanary"}],"birthDate":"1970-01-01"`)
	h.ehr.on("GET /Patient/canary-1", 200, jane)
	h.ehr.on("GET /Patient", 200, searchset("%BASE%/Patient?getpages=canary", jane))
	h.ehr.on("POST /Patient", 201, jane, "Location", "%BASE%/Patient/canary-1/_history/1")
	h.ehr.on("PUT /Patient/canary-1", 200, jane)
	h.ehr.handle("GET /Patient/canary-2", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the database has lost CanaryFamily", http.StatusInternalServerError)
	})
	all := []string{h.staff(), h.researcher("study"), h.token(map[string]any{"sub": "canary-user", "roles": []string{"nobody"}, "fhirUser": "Patient/canary-1", "patient": "canary-1"}), "canary.token.canary", ""}
	log := h.since(func() {
		for _, token := range all {
			for _, target := range []string{"/Patient/canary-1", "/Patient/canary-2", "/Patient?name=CanaryFamily&_id=canary-1", "/Patient?canary=1", "/Patient?name:canary=x", "/CanaryType/canary-1",
				"/Patient?general-practitioner:Practitioner.name=Canary", "/Patient/canary-1/$everything", "/canary/../Patient", "/_page/canary", "/Patient/canary-1/_history/canary"} {
				h.do("GET", target, token, "", "X-Request-Id", "canary-header", "User-Agent", "canary-agent")
			}
			h.do("POST", "/Patient", token, jane, "If-None-Exist", "identifier=MRNCanary")
			h.do("PUT", "/Patient/canary-1", token, jane, "If-Match", `W/"canary"`)
			h.do("POST", "/", token, `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/canary-1"}},{"request":{"method":"GET","url":"Patient?name=CanaryFamily"}}]}`)
			h.do("CANARYMETHOD", "/Patient/canary-1", token, "")
		}
	})
	if n := strings.Count(log, inDetail); n < 60 {
		t.Errorf("only %d lines in detail", n)
	}
	for line := range strings.Lines(log) {
		if strings.Contains(strings.ToLower(line), "canary") || strings.Contains(line, "Jane") || strings.Contains(line, "1970-01-01") {
			t.Errorf("patient data in %s", line)
		}
	}
}
