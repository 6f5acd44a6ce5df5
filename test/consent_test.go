package test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Consent end to end (C-01, C-09, ruling 10.3), step-up (STEP-01) and the other
// obligations of policy.

func consentOf(id, patient, typ, rest string) string {
	return resource("Consent", id, `"status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},`+
		`"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],`+ref("patient", "Patient/"+patient)+`,"provision":{"type":"`+typ+`"`+rest+`}`)
}

// consents answers the gateway's own searches for Consents.
func (h *house) consents(list ...string) {
	for _, method := range []string{"GET /Consent", "POST /Consent/_search"} {
		h.ehr.on(method, 200, searchset("", list...))
	}
}

func TestConsent(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: deny, max_staleness: 200ms}")
	o := func(id, patient string) string {
		return resource("Observation", id, ref("subject", "Patient/"+patient)+`,"code":{"text":"`+map[bool]string{true: "fine", false: "Canary"}[patient == "P"]+`"}`)
	}
	for _, p := range []string{"P", "D", "N", "X"} {
		h.ehr.on("GET /Observation/"+p, 200, o(p, p))
	}
	h.ehr.on("GET /Observation/PD", 200, resource("Observation", "PD", ref("subject", "Patient/P")+`,"performer":[{"reference":"Patient/D"}],"code":{"text":"Canary"}`))
	h.ehr.on("GET /Observation", 200, searchset("", o("P", "P"), o("D", "D"), o("N", "N"), o("X", "X")))
	expired := consentOf("x", "X", "permit", `,"period":{"end":"2020-01-01"}`)
	h.consents(consentOf("p", "P", "permit", ""), consentOf("d", "D", "deny", ""), expired, consentOf("d2", "D", "permit", ""))
	staff := h.staff()
	row := func(id string, status int) attack {
		a := attack{id: "C-01", target: "/Observation/" + id, token: staff, status: status, calls: anyCalls}
		if status == 200 {
			a.released = []string{"Observation/" + id}
		} else if status == 404 {
			a.withheld = []string{"Observation/" + id}
		}
		return a
	}
	h.attack(t, []attack{row("P", 200), row("D", 404), row("N", 404), row("X", 404), row("PD", 404),
		{id: "CONS", target: "/Observation", token: staff, status: 200, ids: []string{"Observation/P"}, calls: anyCalls,
			released: []string{"Observation/P"}, withheld: []string{"Observation/D", "Observation/N", "Observation/X"}},
	})
	// A patient's own access is not bound by consent; a launch context is not the patient.
	if got := h.get("/Observation/N", h.patient("N", "patient/*.rs")); got.status != 200 {
		t.Errorf("own access: got %d", got.status)
	}
	clinician := h.token(map[string]any{"scope": "patient/*.rs", "patient": "N", "fhirUser": "Practitioner/7", "roles": []string{"staff"}})
	if got := h.get("/Observation/N", clinician); got.status != 404 {
		t.Errorf("a launch context: got %d", got.status)
	}
	// C-09: revoked, it binds within max_staleness.
	h.consents(consentOf("p", "P", "deny", ""))
	time.Sleep(250 * time.Millisecond)
	h.attack(t, []attack{row("P", 404)})
	// Ruling 10.3: what cannot be looked up withholds, and nothing stale is used.
	h.consents(consentOf("p", "P", "permit", ""))
	time.Sleep(250 * time.Millisecond)
	h.attack(t, []attack{row("P", 200)})
	for _, fault := range []http.HandlerFunc{
		wireAnswer(http11("500 Oops", "", `{"resourceType":"OperationOutcome"}`)),
		wireAnswer(http11("200 OK", "", `{"resourceType":"Bundle","type":"searchset","entry":[`)),
		wireAnswer(http11("200 OK", "", consentOf("p", "P", "permit", ""))),
		wireAnswer(http11("200 OK", "", strings.Replace(searchset("http://evil.example/x"), "%BASE%", "", -1))),
		wireAnswer(""),
	} {
		h.ehr.handle("GET /Consent", fault)
		h.ehr.handle("POST /Consent/_search", fault)
		time.Sleep(250 * time.Millisecond)
		h.attack(t, []attack{row("P", 404)})
	}
}

// E-02 with consent: denied by consent and absent are the same, and what scope
// denies asks for no consent (ruling 10.1).
func TestConsentUniformNo(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: deny, max_staleness: 5s}")
	h.consents()
	h.ehr.on("GET /Observation/b", 200, obsB)
	tA := h.patient("A", "patient/*.rs")
	h.attack(t, []attack{{id: "ruling 10.1", target: "/Observation/b", token: tA, status: 404, calls: []string{"GET /Observation/b"}, withheld: []string{"Observation/b"}}})
	denied, absent := h.get("/Observation/b", h.staff()), h.get("/Observation/none", h.staff())
	if denied.body != absent.body || denied.status != absent.status {
		t.Errorf("got %d %s and %d %s", denied.status, denied.body, absent.status, absent.body)
	}
}

const obligingPolicy = `package gatehouse

permit contains "staff" if "staff" in input.subject.roles

forbid contains "restricted" if {
	"R" in input.resource.labels
	not "trusted" in input.subject.roles
}

oblige contains {"step_up": {"acr": "high", "max_age": 300}} if "STEP" in input.resource.labels

oblige contains {"view": "names"} if "VIEW" in input.resource.labels

oblige contains {"domain": "one"} if "TWO" in input.resource.labels

oblige contains {"domain": "two"} if "TWO" in input.resource.labels
`

func labelled(id, label string) string {
	return `{"resourceType":"Patient","id":"` + id + `","meta":{"versionId":"1","security":[{"system":"urn:l","code":"x"},{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"` + label + `"}]},"name":[{"family":"Canary"}],"active":true}`
}

// STEP-01, J-19 and the obligations: what policy asks for is done, or nothing
// is given.
func TestObligations(t *testing.T) {
	h := openHouse(t)
	h.write("gatehouse.yaml", h.config("views: {names: {file: names.yaml}}"))
	h.write("names.yaml", "default: keep\nrules:\n  - {path: nodesByType('HumanName'), method: redact}\n")
	h.write("policy/policy.rego", obligingPolicy)
	if err := h.process.Reload(); err != nil {
		t.Fatal(err)
	}
	labels := []string{"STEP", "VIEW", "TWO"}
	var all []string
	for _, l := range labels {
		h.ehr.on("GET /Patient/"+l, 200, labelled(l, l))
		h.ehr.on("GET /Patient/"+l+"/_history/1", 200, resource("Patient", l, `"name":[{"family":"Canary"}]`))
		h.ehr.on("GET /Patient/"+l+"/_history", 200, history(resource("Patient", l, `"name":[{"family":"Canary"}]`)))
		all = append(all, labelled(l, l))
	}
	h.ehr.on("GET /Patient", 200, searchset("", all...))
	staff := h.staff()
	name := func(l string) []string { return []string{"Patient/" + l} }
	h.attack(t, []attack{
		{id: "STEP-01", target: "/Patient/STEP", token: staff, status: 401, code: "policy.step-up", calls: anyCalls, withheld: name("STEP")},
		{id: "STEP-01 old version", target: "/Patient/STEP/_history/1", token: staff, status: 401, code: "policy.step-up", calls: []string{"GET /Patient/STEP"}, withheld: name("STEP")},
		{id: "STEP-01 history", target: "/Patient/STEP/_history", token: staff, status: 401, code: "policy.step-up", calls: []string{"GET /Patient/STEP"}, withheld: name("STEP")},
		{id: "view", target: "/Patient/VIEW", token: staff, status: 200, calls: anyCalls, released: name("VIEW")},
		{id: "two domains", target: "/Patient/TWO", token: staff, status: 404, calls: anyCalls, withheld: name("TWO")},
		{id: "search", target: "/Patient", token: staff, status: 200, calls: anyCalls,
			released: name("VIEW"), withheld: []string{"Patient/STEP", "Patient/TWO"}},
	})
	// What the view of a row hides does not find it (law 5).
	h.attack(t, []attack{
		{id: "law 5", target: "/Patient?name=Jane", token: staff, status: 200, ids: []string{}, calls: anyCalls, withheld: []string{"Patient/STEP", "Patient/VIEW", "Patient/TWO"}},
		{id: "law 5", target: "/Patient?_sort=family", token: staff, status: 200, ids: []string{}, calls: anyCalls, withheld: []string{"Patient/STEP", "Patient/VIEW", "Patient/TWO"}},
		{id: "law 5", target: "/Patient?active=true", token: staff, status: 200, ids: []string{"Patient/VIEW"}, calls: anyCalls, released: name("VIEW"), withheld: []string{"Patient/STEP", "Patient/TWO"}},
	})
	challenge := strings.Join(h.get("/Patient/STEP", staff).header.Values("WWW-Authenticate"), "\n")
	for _, want := range []string{`error="insufficient_user_authentication"`, `acr_values="high"`, `max_age="300"`} {
		if !strings.Contains(challenge, want) {
			t.Errorf("%s is missing in %s", want, challenge)
		}
	}
	now := time.Now().Unix()
	for _, c := range []struct {
		claims map[string]any
		status int
	}{
		{map[string]any{"acr": "high", "auth_time": now - 10}, 200},
		{map[string]any{"acr": "high", "auth_time": now - 1000}, 401},
		{map[string]any{"acr": "high"}, 401},
		{map[string]any{"acr": "higher", "auth_time": now - 10}, 401},
		{map[string]any{"auth_time": now - 10}, 401},
	} {
		c.claims["roles"] = []string{"staff"}
		if got := h.get("/Patient/STEP", h.token(c.claims)); got.status != c.status {
			t.Errorf("%v: got %d", c.claims, got.status)
		}
	}
}
