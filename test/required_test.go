package test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Requirements that no other test names.

// FHIR-24, B-06: all of a patient's compartment in one search is judged entry by
// entry, and nobody else's compartment is searched at all.
func TestWholeCompartmentJudged(t *testing.T) {
	h := openHouse(t)
	medication := resource("MedicationRequest", "m", ref("subject", "Patient/A")+`,"status":"active","intent":"order"`)
	everything := searchset("", obsA, obsB, medication, resource("Patient", "B", `"active":true`), resource("Consent", "c", ref("patient", "Patient/A")))
	h.ehr.on("GET /Patient/A/*", 200, everything)
	h.ehr.on("GET /Patient/B/*", 200, everything)
	tA := h.patient("A", "patient/*.rs")
	own := h.get("/Patient/A/*", tA)
	if ids := own.ids(t); own.status != 200 || !slices.Equal(ids, []string{"Observation/a", "MedicationRequest/m"}) {
		t.Errorf("own: got %d %v", own.status, ids)
	}
	h.noCanary(t, own)
	if some := h.get("/Patient/A/*", h.patient("A", "patient/Observation.rs")); some.status == 200 && !slices.Equal(some.ids(t), []string{"Observation/a"}) {
		t.Errorf("one type: got %d %s", some.status, some.body)
	}
	other := h.get("/Patient/B/*", tA)
	if other.status == 200 && len(other.ids(t)) > 0 && slices.ContainsFunc(other.ids(t), func(id string) bool { return id != "Observation/a" && id != "MedicationRequest/m" }) {
		t.Errorf("another's: got %d %s", other.status, other.body)
	}
	h.noCanary(t, other)
}

// FHIR-23: a reference to another host is data; nobody follows it.
func TestForeignReferencesAreNotFollowed(t *testing.T) {
	var hits atomic.Int64
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(canary.Close)
	h := openHouse(t)
	h.ehr.on("GET /Observation/x", 200, resource("Observation", "x", ref("subject", "Patient/A")+`,"performer":[{"reference":"`+canary.URL+`/Practitioner/1"}]`))
	h.ehr.on("GET /Observation", 200, searchset("", resource("Observation", "x", ref("subject", "Patient/A")+`,"performer":[{"reference":"`+canary.URL+`/Practitioner/1"}]`)))
	h.ehr.on("POST /Observation", 201, "", "Location", "%BASE%/Observation/n/_history/1")
	h.get("/Observation/x", h.staff())
	h.get("/Observation?_include=Observation:performer", h.staff())
	made := h.do("POST", "/Observation", h.staff(), `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/A"},"performer":[{"reference":"`+canary.URL+`/Practitioner/1"}]}`, "Prefer", "return=representation")
	if made.status != 201 || hits.Load() != 0 {
		t.Errorf("got %d, the canary heard %d", made.status, hits.Load())
	}
}

// FHIR-25, W-13: a Subscription would have records delivered past the gateway, so
// nobody writes one, whatever scopes say, in whatever way.
func TestNobodySubscribes(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Subscription/s", 200, resource("Subscription", "s", `"status":"off"`))
	body := `{"resourceType":"Subscription","status":"requested","reason":"x","criteria":"Observation?","channel":{"type":"rest-hook","endpoint":"https://evil.example/hook"}}`
	withID := strings.Replace(body, "{", `{"id":"s",`, 1)
	for _, scope := range []string{"user/*.cruds", "system/Subscription.cruds", "user/Subscription.write"} {
		token := h.token(map[string]any{"roles": []string{"staff"}, "scope": scope})
		for _, got := range []answer{h.do("POST", "/Subscription", token, body), h.do("PUT", "/Subscription/s", token, withID),
			h.do("POST", "", token, transactionOf(request{method: "POST", url: "Subscription", body: body}.entry())), h.get("/Subscription/s", token)} {
			if got.status != 403 {
				t.Errorf("%s: got %d %s", scope, got.status, got.body)
			}
		}
	}
	for _, call := range h.ehr.requests() {
		t.Errorf("the upstream got %s", call)
	}
}

// SMART-03, SMART-06, SMART-07: every URL that discovery tells is absolute and none is
// the upstream's; capabilities are registered ones; what is not offered is not named.
func TestDiscoveryTellsNoMoreThanThereIs(t *testing.T) {
	h := openHouse(t)
	registered := strings.Fields(`launch-ehr launch-standalone authorize-post client-public client-confidential-symmetric client-confidential-asymmetric
		sso-openid-connect context-banner context-style context-ehr-patient context-ehr-encounter context-standalone-patient context-standalone-encounter
		permission-offline permission-online permission-patient permission-user permission-v1 permission-v2 smart-app-state`)
	got := h.get("/.well-known/smart-configuration", "")
	var all map[string]any
	if err := json.Unmarshal([]byte(got.body), &all); got.status != 200 || err != nil || strings.Contains(got.body, strings.TrimPrefix(h.ehr.url, "http://")) {
		t.Fatalf("got %d %v %s", got.status, err, got.body)
	}
	capabilities, _ := all["capabilities"].([]any)
	for _, c := range capabilities {
		if name, _ := c.(string); !slices.Contains(registered, name) && !strings.Contains(name, "://") {
			t.Errorf("capability %v", c)
		}
	}
	for name, v := range all {
		if text, ok := v.(string); ok && (strings.HasSuffix(name, "_endpoint") || strings.HasSuffix(name, "_uri")) && !strings.Contains(text, "://") {
			t.Errorf("%s is %s", name, text)
		}
		if strings.HasPrefix(name, "user_access_brand") || strings.HasPrefix(name, "associated") {
			t.Errorf("%s is not offered", name)
		}
	}
}

// SMART-29: the gateway fronts no login; nothing of an authorization server answers.
func TestNoAuthorizationServer(t *testing.T) {
	h := openHouse(t)
	for _, target := range []string{"/authorize?aud=x", "/token", "/oauth2/token", "/auth/token", "/introspect"} {
		if got := h.get(target, ""); got.status != 401 && got.status != 400 && got.status != 404 {
			t.Errorf("%s: got %d", target, got.status)
		}
	}
	if calls := h.ehr.requests(); len(calls) > 0 {
		t.Errorf("the upstream got %v", calls)
	}
}

// JWT-09, SMART-10: a token without what RFC 9068 demands of every token is none.
func TestTokensWithoutTheirClaims(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA)
	for missing, want := range map[string]int{"": 200, "iss": 401, "aud": 401, "sub client_id": 401, "exp iat": 401,
		"exp": 200, "sub": 200} { // max_token_age bounds the one; the other is a client's own
		claims := map[string]any{"roles": []string{"staff"}}
		for claim := range strings.FieldsSeq(missing) {
			claims[claim] = nil
		}
		if got := h.get("/Observation/a", h.token(claims)); got.status != want {
			t.Errorf("without %q: got %d, want %d", missing, got.status, want)
		}
	}
	old := h.token(map[string]any{"roles": []string{"staff"}, "exp": time.Now().Add(-time.Hour).Unix(), "iat": time.Now().Add(-2 * time.Hour).Unix()})
	if got := h.get("/Observation/a", old); got.status != 401 {
		t.Errorf("expired: got %d", got.status)
	}
}

// FHIR-13: what a client prefers is done or left, and never passed on; async is for
// exports alone.
func TestPrefer(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("POST /Observation", 201, obsA, "Location", "%BASE%/Observation/a/_history/1")
	h.ehr.on("GET /Observation/a", 200, obsA)
	body := strings.Replace(obsA, `"id":"a",`, "", 1)
	for prefer, want := range map[string]string{"return=minimal": "", "": "", "return=representation": `"id":"a"`, "return=OperationOutcome": "OperationOutcome"} {
		h.ehr.requests()
		got := h.do("POST", "/Observation", h.staff(), body, "Prefer", prefer)
		if got.status != 201 || !strings.Contains(got.body, want) || want == "" && got.body != "" {
			t.Errorf("%q: got %d %s", prefer, got.status, got.body)
		}
	}
	if got := h.do("GET", "/Observation/a", h.staff(), "", "Prefer", "respond-async"); got.status == 202 {
		t.Errorf("async: got %d", got.status)
	}
}

// D-08: who else a list or group names is not the caller's to see.
func TestListsNameNobodyElse(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Group/g", 200, resource("Group", "g", `"type":"person","actual":true,"member":[{"entity":{"reference":"Patient/A"}},{"entity":{"reference":"Patient/B","display":"Jane Canary"}}]`))
	h.ehr.on("GET /List/l", 200, resource("List", "l", `"status":"current","mode":"working",`+ref("subject", "Patient/B")+`,"entry":[{"item":{"reference":"Observation/a","display":"Jane Canary"}}]`))
	tA := h.patient("A", "patient/*.rs")
	for _, target := range []string{"/Group/g", "/List/l"} {
		got := h.get(target, tA)
		if got.status == 200 {
			t.Errorf("%s: got %s", target, got.body)
		}
		h.noCanary(t, got)
	}
}

// SMART-02, UDAP-01: discovery is JSON whatever is asked for, and what is not offered
// there is absent.
func TestDiscoveryIsJSON(t *testing.T) {
	h := openHouse(t)
	for _, accept := range []string{"application/fhir+xml", "text/html", "application/xml;q=1, */*;q=0", "nonsense"} {
		got := h.do("GET", "/.well-known/smart-configuration", "", "", "Accept", accept)
		if got.status != 200 || got.header.Get("Content-Type") != "application/json" || !json.Valid([]byte(got.body)) {
			t.Errorf("Accept %s: got %d %s %.80s", accept, got.status, got.header.Get("Content-Type"), got.body)
		}
	}
	if got := h.get("/.well-known/udap", ""); got.status != 404 {
		t.Errorf("udap: got %d", got.status)
	}
}

// SMART-21: two records that say they are of one person are two patients, from either
// end of the link.
func TestLinkedPatientsAreTwo(t *testing.T) {
	h := openHouse(t)
	one := resource("Patient", "A", `"link":[{"other":{"reference":"Patient/B"},"type":"seealso"},{"other":{"reference":"Patient/C"},"type":"replaces"}]`)
	two := resource("Patient", "B", `"name":[{"family":"Canary"}],"link":[{"other":{"reference":"Patient/A"},"type":"seealso"}]`)
	for _, body := range []string{one, two} {
		h.ehr.on("GET /Patient/"+body[strings.Index(body, `"id":"`)+6:][:1], 200, body)
	}
	h.ehr.on("GET /Observation/b", 200, obsB)
	h.ehr.on("GET /Observation", 200, searchset("", obsA, obsB))
	h.ehr.on("GET /Patient", 200, searchset("", one, two))
	tA := h.patient("A", "patient/*.rs")
	for target, want := range map[string]int{"/Patient/A": 200, "/Patient/B": 404, "/Observation/b": 404, "/Patient/C": 404} {
		got := h.get(target, tA)
		if got.status != want {
			t.Errorf("%s: got %d, want %d", target, got.status, want)
		}
		h.noCanary(t, got)
	}
	for target, want := range map[string]string{"/Observation": "Observation/a", "/Patient": "Patient/A", "/Patient?_include=Patient:link": "Patient/A"} {
		got := h.get(target, tA)
		if got.status == 200 && !slices.Equal(got.ids(t), []string{want}) {
			t.Errorf("%s: got %s", target, got.body)
		}
		h.noCanary(t, got)
	}
}

// AUD-13, G-04: names, numbers, criteria and tokens of requests that are served, refused
// and broken stand in no line of the log.
func TestLogsHoldNoPatient(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Patient/secretid", 200, resource("Patient", "secretid", `"identifier":[{"value":"078-05-1120"}],"name":[{"family":"Seededname"}]`))
	h.ehr.on("GET /Patient", 200, `{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Patient","id":"secretid","name":[{"family":"Seededname"}`)
	h.ehr.on("POST /Patient", 500, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception","diagnostics":"Seededname 078-05-1120"}]}`)
	staff := h.staff()
	h.get("/Patient/secretid", staff)
	h.get("/Patient?family=Seededname&identifier=078-05-1120", staff)
	h.get("/Patient?famly=Seededname", staff)
	h.get("/Patient/secretid/Seededname/078-05-1120", staff)
	h.get("/Patient/secretid", "Seededname."+staff)
	h.do("POST", "/Patient", staff, `{"resourceType":"Patient","name":[{"family":"Seededname"}]}`)
	h.do("POST", "/Patient", staff, `{"resourceType":"Patient","name":[{"family":"Seededname"}`)
	h.do("POST", "/Patient/_search", staff, "family=Seededname", "Content-Type", "application/x-www-form-urlencoded")
	log := h.log.String()
	if log == "" {
		t.Fatal("nothing was logged")
	}
	for _, seeded := range []string{"Seededname", "078-05-1120", "secretid", staff, strings.Split(staff, ".")[2]} {
		if strings.Contains(log, seeded) {
			t.Errorf("the log holds %q: %s", seeded, log)
		}
	}
}

// C-05: an answer of the consent server that ends early is no answer.
func TestTruncatedConsentsDeny(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: permit, max_staleness: 0s}")
	h.ehr.on("GET /Observation/P", 200, resource("Observation", "P", ref("subject", "Patient/P")+`,"code":{"text":"x"}`))
	whole := searchset("", consentOf("c", "P", "permit", ""))
	answers := map[string]int{whole: 200, "": 404, whole[:len(whole)/2]: 404, whole[:len(whole)-1]: 404, `{"resourceType":"Bundle","type":"searchset"`: 404, `[]`: 404, `{}`: 404}
	for body, want := range answers {
		h.ehr.on("GET /Consent", 200, body)
		if got := h.get("/Observation/P", h.staff()); got.status != want {
			t.Errorf("%.60q of %d bytes: got %d, want %d", body, len(body), got.status, want)
		}
	}
	h.ehr.on("GET /Consent", 200, whole, "Content-Length", "100000") // the connection ends before
	if got := h.get("/Observation/P", h.staff()); got.status != 404 {
		t.Errorf("cut by the connection: got %d", got.status)
	}
}
