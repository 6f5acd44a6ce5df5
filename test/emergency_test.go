package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/gateway/audit"
)

// glassPolicy lets clinicians read what their organization keeps, and in an
// emergency what the glass was broken for. Its rule looks only whether a grant is
// open: that it is for the patient is the gateway's to hold.
const glassPolicy = `package gatehouse

permit contains "own organization" if {
	"clinician" in input.subject.roles
	input.resource.organization == input.subject.organization
}

permit contains "emergency" if {
	"clinician" in input.subject.roles
	input.action in {"read", "search"}
	input.context.emergency.reason
}

permit contains "charts" if {
	"clinician" in input.subject.roles
	input.action in {"create", "update"}
	input.resource.organization == input.subject.organization
}

forbid contains "very restricted" if "V" in input.resource.labels
`

const glassConfig = `
emergency: {roles: [clinician], max_duration: 30m, step_up: {acr: high, max_age: 10m}, review_within: 72h}`

// openGlass is a house with emergency access.
func openGlass(t *testing.T, changes ...string) *house {
	t.Helper()
	config := adminAuth
	if !strings.Contains(strings.Join(changes, ""), "emergency:") {
		config += glassConfig
	}
	h := openHouse(t, append(changes, config)...)
	h.write("policy/policy.rego", glassPolicy)
	if err := h.process.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"A", "B"} {
		h.ehr.on("GET /Patient/"+id, 200, `{"resourceType":"Patient","id":"`+id+`","managingOrganization":{"reference":"Organization/9"}}`)
		h.ehr.on("GET /Observation/"+id, 200, observationOf(id, ""))
	}
	return h
}

func observationOf(patient, labels string) string {
	return `{"resourceType":"Observation","id":"` + patient + `","meta":{"versionId":"1"` + labels + `},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/` + patient + `"}}`
}

// ann is a clinician of another organization, with a fresh strong login; claims
// are laid over hers.
func (h *house) ann(claims map[string]any) string {
	all := map[string]any{"sub": "ann", "client_id": "ward-app", "roles": []string{"clinician"}, "organization": "Organization/2",
		"fhirUser": "Practitioner/7", "acr": "high", "auth_time": time.Now().Unix(), "purpose_of_use": []string{"TREAT"}}
	for k, v := range claims {
		all[k] = v
	}
	return h.token(all)
}

func (h *house) breakGlass(token, body string) answer {
	h.t.Helper()
	return h.do(http.MethodPost, "/_gatehouse/emergency", token, body, "Content-Type", "application/json")
}

const collapsed = `{"patient": "Patient/A", "reason": "Unconscious in the emergency room"}`

func (a answer) field(name string) string {
	var all map[string]any
	_ = json.Unmarshal([]byte(a.body), &all)
	text, _ := all[name].(string)
	return text
}

// BTG-01: who has no right, a weak or old login, or no reason opens nothing.
func TestEmergencyIsRefused(t *testing.T) {
	h := openGlass(t)
	for _, c := range []struct {
		name   string
		claims map[string]any
		body   string
		status int
		code   string
	}{
		{"another role", map[string]any{"roles": []string{"billing"}}, collapsed, 403, "emergency.right"},
		{"no role", map[string]any{"roles": []string{}}, collapsed, 403, "emergency.right"},
		{"a service", map[string]any{"sub": "ward-app", "fhirUser": ""}, collapsed, 403, "emergency.right"},
		{"a system token", map[string]any{"scope": "system/*.rs user/*.rs"}, collapsed, 403, "emergency.right"},
		{"a patient", map[string]any{"fhirUser": "Patient/B"}, collapsed, 403, "emergency.right"},
		{"a relative", map[string]any{"fhirUser": "RelatedPerson/B"}, collapsed, 403, "emergency.right"},
		{"a weak login", map[string]any{"acr": "low"}, collapsed, 401, "policy.step-up"},
		{"an old login", map[string]any{"auth_time": time.Now().Add(-time.Hour).Unix()}, collapsed, 401, "policy.step-up"},
		{"a login of unknown age", map[string]any{"auth_time": nil}, collapsed, 401, "policy.step-up"},
		{"a claimed purpose", map[string]any{"roles": []string{"billing"}, "purpose_of_use": []string{"BTG"}}, collapsed, 403, "emergency.right"},
		{"no reason", nil, `{"patient": "Patient/A"}`, 400, "emergency.request"},
		{"an empty reason", nil, `{"patient": "Patient/A", "reason": " . "}`, 400, "emergency.request"},
		{"a reason that turns the line", nil, `{"patient": "Patient/A", "reason": "abc\u202edef"}`, 400, "emergency.request"},
		{"no patient", nil, `{"reason": "reanimation"}`, 400, "emergency.request"},
		{"a group", nil, `{"patient": "Group/A", "reason": "reanimation"}`, 400, "emergency.request"},
		{"two patients", nil, `{"patient": "Patient/A,Patient/B", "reason": "reanimation"}`, 400, "emergency.request"},
		{"a patient twice", nil, `{"patient": "Patient/A", "patient": "Patient/B", "reason": "reanimation"}`, 400, "request.json"},
		{"a path", nil, `{"patient": "Patient/A/../B", "reason": "reanimation"}`, 400, "emergency.request"},
		{"no time", nil, `{"patient": "Patient/A", "reason": "reanimation", "minutes": 0}`, 400, "emergency.request"},
		{"negative time", nil, `{"patient": "Patient/A", "reason": "reanimation", "minutes": -5}`, 400, "emergency.request"},
		{"another key", nil, `{"patient": "Patient/A", "reason": "reanimation", "until": "2099-01-01"}`, 400, "request.json"},
		{"no JSON", nil, `patient=A`, 400, "request.json"},
	} {
		token := h.ann(c.claims)
		if got := h.breakGlass(token, c.body); got.status != c.status || got.code() != c.code {
			t.Errorf("%s: got %d %s", c.name, got.status, got.body)
		}
		if got := h.get("/Observation/A", token); got.status == 200 {
			t.Errorf("%s: it opened the record", c.name)
		}
	}
	if got := h.do("POST", "/_gatehouse/emergency?minutes=600", h.ann(nil), collapsed); got.status != 400 {
		t.Errorf("parameters: got %d", got.status)
	}
	if got := h.breakGlass("", collapsed); got.status != 401 {
		t.Errorf("no token: got %d", got.status)
	}
	for _, line := range strings.Split(h.log.String(), "\n") {
		if strings.Contains(line, "Patient/") || strings.Contains(line, "Unconscious") {
			t.Errorf("the log tells: %s", line)
		}
	}
}

func TestEmergencyIsOffWithoutItsSection(t *testing.T) {
	h := openHouse(t)
	if got := h.breakGlass(h.ann(nil), collapsed); got.status != 403 || got.code() != "emergency.off" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// C-13: the grant opens one patient's record for reading, to who opened it, by
// the application that did, until its end; and nothing else.
func TestEmergencyOpensOnePatient(t *testing.T) {
	h := openGlass(t)
	token := h.ann(nil)
	if got := h.get("/Observation/A", token); got.status != 404 {
		t.Fatalf("before: %d", got.status)
	}
	got := h.breakGlass(token, `{"patient": "Patient/A", "reason": "Unconscious in the emergency room", "minutes": 5}`)
	until, _ := time.Parse(time.RFC3339, got.field("until"))
	if left := time.Until(until); got.status != 201 || got.field("grant") == "" || left < 4*time.Minute || left > 5*time.Minute {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	grant := got.field("grant")
	h.ehr.on("GET /Observation", 200, searchset("", observationOf("A", ""), observationOf("B", "")))
	h.ehr.on("GET /Observation/V", 200, strings.Replace(observationOf("A", `,"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]`), `"id":"A"`, `"id":"V"`, 1))
	h.ehr.on("GET /Observation/AB", 200, `{"resourceType":"Observation","id":"AB","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/A"},"performer":[{"reference":"Patient/B"}]}`)
	for _, c := range []struct {
		name, target, token string
		status              int
	}{
		{"the patient's record", "/Observation/A", token, 200},
		{"the patient", "/Patient/A", token, 200},
		{"a fresh token of the same login", "/Observation/A", h.ann(map[string]any{"jti": "another"}), 200},
		{"another patient", "/Observation/B", token, 404},
		{"another patient, by one's own rule", "/Patient/B", token, 404},
		{"another user", "/Observation/A", h.ann(map[string]any{"sub": "bob"}), 404},
		{"another application", "/Observation/A", h.ann(map[string]any{"client_id": "other-app"}), 404},
		{"another purpose", "/Observation/A", h.ann(map[string]any{"purpose_of_use": []string{"HRESCH"}}), 404},
		{"without the role", "/Observation/A", h.ann(map[string]any{"roles": []string{}}), 403},
		{"beyond the scopes", "/Observation/A", h.ann(map[string]any{"scope": "user/Patient.r"}), 403},
		{"a system token", "/Observation/A", h.ann(map[string]any{"scope": "system/*.rs"}), 404},
		{"a record of two patients", "/Observation/AB", token, 404},
		{"what policy forbids", "/Observation/V", token, 404},
	} {
		if got := h.get(c.target, c.token); got.status != c.status && !(c.status == 404 && got.status == 403) {
			t.Errorf("%s: got %d, want %d: %s", c.name, got.status, c.status, got.body)
		}
	}
	for target, want := range map[string]string{"/Observation?patient=A": "Observation/A", "/Observation?subject=Patient/A": "Observation/A",
		"/Observation?patient=B": "", "/Observation?patient=A,B": "", "/Observation?code=x": ""} {
		got := h.get(target, token)
		if want == "" && got.status != 200 {
			continue
		}
		if ids := strings.Join(got.ids(t), " "); got.status != 200 || ids != want {
			t.Errorf("%s: got %d %q, want %q", target, got.status, ids, want)
		}
	}
	h.ehr.on("PUT /Observation/A", 200, observationOf("A", ""), "ETag", `W/"2"`)
	if got := h.do("PUT", "/Observation/A", token, observationOf("A", "")); got.status == 200 {
		t.Error("the grant opens a write")
	}
	if got := h.do("DELETE", "/_gatehouse/emergency/"+grant, h.ann(map[string]any{"sub": "bob"}), ""); got.status != 404 {
		t.Errorf("another ends it: %d", got.status)
	}
	if got := h.get("/_gatehouse/emergency", token); got.status != 200 || !strings.Contains(got.body, `"Patient/A"`) || !strings.Contains(got.body, "Unconscious") {
		t.Errorf("own list: %d %s", got.status, got.body)
	}
	if got := h.get("/_gatehouse/emergency", h.ann(map[string]any{"sub": "bob"})); got.status != 200 || strings.Contains(got.body, "Patient/A") {
		t.Errorf("another's list: %d %s", got.status, got.body)
	}
	if got := h.do("DELETE", "/_gatehouse/emergency/"+grant, token, ""); got.status != 204 {
		t.Errorf("ending it: %d %s", got.status, got.body)
	}
	if got := h.get("/Observation/A", token); got.status == 200 {
		t.Error("an ended grant opens")
	}
}

// C-13: a grant is not for export, and what it opened is closed at its end.
func TestEmergencyIsNotForExport(t *testing.T) {
	h := openGlass(t)
	h.write("policy/policy.rego", glassPolicy+`
permit contains "exports" if {
	input.interaction == "$export"
	input.resource.type == "Organization"
}
`)
	if err := h.process.Reload(); err != nil {
		t.Fatal(err)
	}
	token := h.ann(map[string]any{"scope": "user/*.cruds system/*.rs"})
	if got := h.breakGlass(token, collapsed); got.status != 403 {
		t.Fatalf("a system token opened it: %d", got.status)
	}
	token = h.ann(nil)
	if got := h.breakGlass(token, collapsed); got.status != 201 {
		t.Fatalf("got %d", got.status)
	}
	for _, target := range []string{"/Patient/A/$export", "/Patient/$export?patient=Patient/A", "/Patient/$export", "/$export"} {
		got := h.do("GET", target, token, "", "Prefer", "respond-async", "Accept", "application/fhir+json")
		if got.status < 400 {
			t.Errorf("%s: got %d %s", target, got.status, got.body)
		}
	}
}

// A grant's write needs a rule that permits it by the grant; without one, consent
// binds the writes that rules permit anyway.
func TestEmergencyWritesOnlyWherePolicySaysSo(t *testing.T) {
	const own = `{"resourceType":"Observation","id":"O","meta":{"versionId":"1"},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/A"},"performer":[{"reference":"Organization/2"}]}`
	h := openGlass(t, "consent: {source: upstream, default: deny, max_staleness: 0s}")
	h.ehr.on("GET /Consent", 200, `{"resourceType":"Bundle","type":"searchset","entry":[]}`)
	h.ehr.on("GET /Observation/O", 200, own, "ETag", `W/"1"`)
	h.ehr.on("PUT /Observation/O", 200, own, "ETag", `W/"2"`)
	token := h.ann(nil)
	if got := h.breakGlass(token, collapsed); got.status != 201 {
		t.Fatalf("got %d", got.status)
	}
	if got := h.get("/Observation/O", token); got.status != 200 {
		t.Errorf("reading: %d %s", got.status, got.body)
	}
	h.ehr.requests()
	if got := h.do("PUT", "/Observation/O", token, own); got.status == 200 {
		t.Errorf("writing: %d", got.status)
	}
	if calls := h.ehr.requests(); slices.ContainsFunc(calls, func(c string) bool { return strings.HasPrefix(c, "PUT") }) {
		t.Errorf("upstream saw %v", calls)
	}
	h.write("policy/policy.rego", `package gatehouse
permit contains "emergency charting" if {
	"clinician" in input.subject.roles
	input.context.emergency.reason
}
`)
	if err := h.process.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := h.do("PUT", "/Observation/O", token, own); got.status != 200 {
		t.Errorf("writing where policy says so: %d %s", got.status, got.body)
	}
}

// BTG-01, C-07: a grant overrides consent, also one that cannot be read, for its
// patient alone.
func TestEmergencyOverridesConsent(t *testing.T) {
	const denies = `{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Consent","id":"c","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],"patient":{"reference":"Patient/A"},"provision":{"type":"deny"}}}]}`
	for name, consents := range map[string]http.HandlerFunc{
		"denied": func(w http.ResponseWriter, _ *http.Request) { fhirAnswer(w, 200, denies) },
		"away": func(w http.ResponseWriter, _ *http.Request) {
			fhirAnswer(w, 503, `{"resourceType":"OperationOutcome"}`)
		},
		"unreadable": func(w http.ResponseWriter, _ *http.Request) { fhirAnswer(w, 200, `{"resourceType":"Bundle"`) },
	} {
		h := openGlass(t, "consent: {source: upstream, default: permit, max_staleness: 0s}")
		h.ehr.handle("GET /Consent", consents)
		own := strings.Replace(observationOf("A", ""), `"status"`, `"performer":[{"reference":"Organization/2"}],"status"`, 1)
		h.ehr.on("GET /Observation/A", 200, own)
		h.ehr.on("GET /Observation", 200, searchset("", own))
		token := h.ann(nil)
		if got := h.get("/Observation/A", token); got.status == 200 {
			t.Errorf("%s: consent does not bind: %d", name, got.status)
		}
		if got := h.breakGlass(token, collapsed); got.status != 201 {
			t.Fatalf("%s: got %d", name, got.status)
		}
		if got := h.get("/Observation/A", token); got.status != 200 {
			t.Errorf("%s: got %d %s", name, got.status, got.body)
		}
		if got := h.get("/Observation?patient=A", token); got.status != 200 || len(got.ids(t)) != 1 {
			t.Errorf("%s: got %d %s", name, got.status, got.body)
		}
		if got := h.get("/Observation/A", h.ann(map[string]any{"sub": "bob"})); got.status == 200 {
			t.Errorf("%s: it opens to another", name)
		}
	}
}

func fhirAnswer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/fhir+json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// Grants survive a restart, hold on every replica within two seconds, and end on
// every one.
func TestEmergencySurvivesAndSpreads(t *testing.T) {
	h := openGlass(t)
	token := h.ann(nil)
	grant := h.breakGlass(token, collapsed).field("grant")
	h.stop()
	h.start()
	if got := h.get("/Observation/A", token); got.status != 200 {
		t.Errorf("after a restart: %d", got.status)
	}
	other := h.replica()
	if got := other.get("/Observation/A", token); got.status != 200 {
		t.Errorf("on a replica that starts: %d", got.status)
	}
	second := other.breakGlass(token, `{"patient": "Patient/B", "reason": "brought in with A"}`)
	if second.status != 201 {
		t.Fatalf("on a replica: %d %s", second.status, second.body)
	}
	h.within(2*time.Second, func() bool { return h.get("/Observation/B", token).status == 200 })
	if got := h.do("DELETE", "/_gatehouse/emergency/"+grant, token, ""); got.status != 204 {
		t.Errorf("ending: %d", got.status)
	}
	h.within(2*time.Second, func() bool { return other.get("/Observation/A", token).status != 200 })
	if got := other.get("/Observation/B", token); got.status != 200 {
		t.Errorf("the other grant: %d", got.status)
	}
}

// C-13: after its end a grant opens nothing, and no page link that it gave does.
func TestEmergencyEnds(t *testing.T) {
	t.Parallel() // it waits more than it works
	h := openGlass(t, "emergency: {roles: [clinician], max_duration: 3s}")
	h.ehr.on("GET /Observation", 200, searchset("%BASE%/Observation?next=2", observationOf("A", "")))
	token := h.ann(nil)
	got := h.breakGlass(token, `{"patient": "Patient/A", "reason": "reanimation", "minutes": 600}`)
	until, _ := time.Parse(time.RFC3339, got.field("until"))
	if left := time.Until(until); got.status != 201 || left > 3*time.Second {
		t.Fatalf("longer than may be: %s", got.body)
	}
	page := h.get("/Observation?patient=A&_count=1", token)
	_, link, _ := strings.Cut(page.body, "http://gw.example.org/fhir/_page/")
	link, _, _ = strings.Cut(link, `"`)
	if page.status != 200 || len(page.ids(t)) != 1 || link == "" {
		t.Fatalf("page: %d %s", page.status, page.body)
	}
	time.Sleep(time.Until(until))
	if got := h.get("/Observation/A", token); got.status == 200 {
		t.Error("it opens after its end")
	}
	if got := h.get("/_page/"+link, token); strings.Contains(got.body, `"id":"A"`) {
		t.Errorf("a page link opens after its end: %d %s", got.status, got.body)
	}
	if got := h.do("DELETE", "/_gatehouse/emergency/"+got.field("grant"), token, ""); got.status != 404 {
		t.Errorf("ending what is over: %d", got.status)
	}
}

// replica is another gateway on the same state store.
func (h *house) replica() *house {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, "gatehouse.yaml"))
	if err != nil {
		h.t.Fatal(err)
	}
	r := *h
	r.dir = filepath.Join(h.dir, "replica")
	for _, name := range []string{"policy/policy.rego", "sealing.key", "audit.key"} {
		b, err := os.ReadFile(filepath.Join(h.dir, name))
		if err != nil {
			h.t.Fatal(err)
		}
		r.write(name, string(b))
	}
	changed := strings.Replace(string(text), "state: {dir: state}", "state: {dir: ../state}", 1)
	r.write("gatehouse.yaml", strings.Replace(changed, "pseudonyms: {key_file: pseudonyms.key}", "", 1)) // one process holds those
	r.start()
	return &r
}

// within holds that something comes true in that time. A machine that is busy, so that
// a look or a sleep of its own takes three times as long as it should, is given ten
// times as much.
func (h *house) within(limit time.Duration, holds func() bool) {
	h.t.Helper()
	busy := false
	for begun := time.Now(); time.Since(begun) < 10*limit; {
		look := time.Now()
		came := holds()
		if took := time.Since(begun); came && (took <= limit+50*time.Millisecond || busy) {
			return
		} else if came {
			h.t.Errorf("it took %v, not %v", took, limit)
			return
		}
		time.Sleep(50 * time.Millisecond)
		busy = busy || time.Since(look) > 150*time.Millisecond
	}
	h.t.Errorf("it does not hold within %v", limit)
}

// BTG-02: opening alerts, every use is on record, and the review waits for
// somebody else.
func TestEmergencyIsReviewed(t *testing.T) {
	t.Parallel() // it waits more than it works
	var mu sync.Mutex
	var alerts []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		alerts = append(alerts, string(b))
	}))
	t.Cleanup(hook.Close)
	h := openGlass(t, fmt.Sprintf("notify: {privacy: {url: %q}}\nemergency: {roles: [clinician], notify: [privacy], review_within: 1s}", hook.URL))
	token := h.ann(nil)
	got := h.breakGlass(token, collapsed)
	review := got.field("review")
	h.reviewRecord(t, got)
	used := h.get("/Observation/A", token)
	records := h.records(t, used.header.Get("X-Request-Id"))
	if len(records) != 1 || !slices.Contains(records[0].Notes, audit.Note{Name: "emergency", Value: review}) ||
		!slices.Contains(records[0].Entries[0].Permits, audit.EmergencyReason) {
		t.Errorf("the use is recorded so: %+v", records)
	}
	h.within(3*time.Second, func() bool { mu.Lock(); defer mu.Unlock(); return len(alerts) == 1 })
	mu.Lock()
	if all := strings.Join(alerts, "\n"); !strings.Contains(all, `"event":"emergency.opened"`) || !strings.Contains(all, review) ||
		strings.Contains(all, "Patient/A") || strings.Contains(all, "Unconscious") {
		t.Errorf("alerts: %s", all)
	}
	mu.Unlock()
	h.refusesReviews(t, review)
	list := h.call("GET", "/reviews", h.officer(), "")
	if list.status != 200 || !strings.Contains(list.body, review) || !strings.Contains(list.body, "Unconscious") || !strings.Contains(list.body, `"Patient/A"`) {
		t.Errorf("reviews: %d %s", list.status, list.body)
	}
	h.within(2*time.Second, func() bool {
		return strings.Contains(h.call("GET", "/reviews?state=overdue", h.officer(), "").body, review)
	})
	if got := h.breakGlass(token, `{"patient": "Patient/B", "reason": "reanimation"}`); got.status != 403 || got.code() != "emergency.overdue" {
		t.Errorf("with a review overdue: %d %s", got.status, got.body)
	}
	if m := h.metrics(); !strings.Contains(m, "gatehouse_emergency_reviews_overdue 1") || !strings.Contains(m, "gatehouse_emergency_reviews_open 1") {
		t.Error("the metrics do not tell")
	}
	if got := h.call("POST", "/reviews/"+review, h.officer(), `{"verdict": "justified", "note": "seen in the ER chart"}`); got.status != 200 {
		t.Errorf("the verdict: %d %s", got.status, got.body)
	}
	if got := h.get("/Observation/A", token); got.status == 200 {
		t.Error("a reviewed grant is open")
	}
	if got := h.breakGlass(token, `{"patient": "Patient/B", "reason": "reanimation"}`); got.status != 201 {
		t.Errorf("after the review: %d %s", got.status, got.body)
	}
	if got := h.call("POST", "/reviews/"+review, h.officer(), `{"verdict": "unjustified", "note": "second thoughts"}`); got.status != 409 {
		t.Errorf("a second verdict: %d %s", got.status, got.body)
	}
}

// reviewRecord holds the record of an opening to what it must say.
func (h *house) reviewRecord(t *testing.T, got answer) {
	t.Helper()
	records := h.records(t, got.header.Get("X-Request-Id"))
	if len(records) != 2 || records[0].Kind != audit.Intent || records[1].Status != 201 {
		t.Fatalf("records %+v", records)
	}
	for _, r := range records {
		if !slices.Equal(r.Patients, []string{"Patient/A"}) || !strings.Contains(string(r.Body), "Unconscious") ||
			!slices.Contains(r.Notes, audit.Note{Name: "emergency", Value: got.field("review")}) {
			t.Errorf("record %+v", r)
		}
	}
}

func (h *house) refusesReviews(t *testing.T, review string) {
	t.Helper()
	self := h.ann(map[string]any{"roles": []string{"privacy-officer"}})
	for _, c := range []struct {
		name, path, token, body string
		status                  int
	}{
		{"an operator", "/reviews/" + review, h.operator(), `{"verdict": "justified", "note": "fine"}`, 403},
		{"who opened it", "/reviews/" + review, self, `{"verdict": "justified", "note": "fine"}`, 403},
		{"no note", "/reviews/" + review, h.officer(), `{"verdict": "justified"}`, 400},
		{"no verdict", "/reviews/" + review, h.officer(), `{"note": "fine"}`, 400},
		{"another review", "/reviews/none", h.officer(), `{"verdict": "justified", "note": "fine"}`, 404},
	} {
		if got := h.call("POST", c.path, c.token, c.body); got.status != c.status || got.adminCode() == "" {
			t.Errorf("%s: got %d %s", c.name, got.status, got.body)
		}
	}
}

func (h *house) metrics() string {
	h.t.Helper()
	resp, err := http.Get("http://" + h.process.AdminAddr() + "/metrics")
	if err != nil {
		h.t.Fatal(err)
	}
	return read(h.t, resp).body
}

// The privacy officer sees what is open, and ends it.
func TestEmergencyIsEndedByThePrivacyOfficer(t *testing.T) {
	h := openGlass(t)
	token := h.ann(nil)
	review := h.breakGlass(token, collapsed).field("review")
	if got := h.call("GET", "/grants", h.officer(), ""); got.status != 200 || !strings.Contains(got.body, review) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := h.call("DELETE", "/grants/"+review, h.officer(), ""); got.status != 200 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := h.get("/Observation/A", token); got.status == 200 {
		t.Error("it is open")
	}
	if got := h.call("GET", "/reviews", h.officer(), ""); !strings.Contains(got.body, review) {
		t.Error("its review does not wait any more")
	}
}

// FHIR clients send Parameters and get them.
func TestEmergencyTakesParameters(t *testing.T) {
	h := openGlass(t)
	got := h.do("POST", "/_gatehouse/emergency", h.ann(nil), `{"resourceType":"Parameters","parameter":[
		{"name":"patient","valueReference":{"reference":"Patient/A"}},{"name":"reason","valueString":"reanimation"},{"name":"minutes","valueInteger":10}]}`)
	if got.status != 201 || !strings.Contains(got.body, `"resourceType":"Parameters"`) || !strings.Contains(got.header.Get("Location"), "/_gatehouse/emergency/") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := h.get("/Observation/A", h.ann(nil)); got.status != 200 {
		t.Errorf("got %d", got.status)
	}
}
