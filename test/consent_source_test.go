package test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// CONS-13: one search for a cold page of 100 patients, none for a warm one.
func TestOneConsentSearchForAPage(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: deny, max_staleness: 1h}")
	var rows, consents []string
	for i := range 100 {
		p := fmt.Sprintf("p%d", i)
		rows = append(rows, resource("Observation", "o"+p, ref("subject", "Patient/"+p)+`,"code":{"text":"x"}`))
		consents = append(consents, consentOf("c"+p, p, "permit", ""))
	}
	h.ehr.on("GET /Observation", 200, searchset("", rows...))
	h.consents(consents...)
	for page, want := range []int{1, 0} {
		h.ehr.requests()
		got := h.get("/Observation?_count=100", h.staff())
		asked := 0
		for _, r := range h.ehr.requests() {
			if strings.Contains(r, "/Consent") {
				asked++
			}
		}
		if len(got.ids(t)) != 100 || asked != want {
			t.Errorf("page %d: %d rows, %d searches for consents, want %d", page, len(got.ids(t)), asked, want)
		}
	}
}

// C-09: a Consent that anybody writes through the gateway acts on the next
// request, whatever is remembered; so does its deletion.
func TestWrittenConsentActsAtOnce(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: permit, max_staleness: 1h}")
	h.ehr.on("GET /Observation/a", 200, resource("Observation", "a", ref("subject", "Patient/P")+`,"code":{"text":"x"}`))
	h.consents()
	staff := h.token(map[string]any{"roles": []string{"staff"}, "scope": "user/*.cruds user/Consent.cruds"})
	seen := func() int { return h.get("/Observation/a", staff).status }
	if seen() != 200 {
		t.Fatal("before")
	}
	deny := consentOf("c", "P", "deny", "")
	h.ehr.on("POST /Consent", 201, "", "Location", "%BASE%/Consent/c/_history/1")
	if got := h.do("POST", "/Consent", staff, strings.Replace(deny, `"id":"c",`, "", 1)); got.status != 201 {
		t.Fatalf("create: %d %s", got.status, got.body)
	}
	h.consents(deny)
	if got := seen(); got != 404 {
		t.Errorf("denied: got %d", got)
	}
}

// A consent server of its own is asked with its own credentials; the upstream's
// Consents then say nothing, and what it does not answer is withheld.
func TestConsentServer(t *testing.T) {
	t.Setenv("CONSENT_TOKEN", "registry-secret")
	registry := newEHR(t)
	h := openHouse(t, fmt.Sprintf("consent: {source: %s/r4, default: deny, max_staleness: 0s, server: {auth: {type: bearer, token_env: CONSENT_TOKEN}}}", registry.url))
	for _, p := range []string{"P", "Q"} {
		h.ehr.on("GET /Observation/"+p, 200, resource("Observation", p, ref("subject", "Patient/"+p)+`,"code":{"text":"x"}`))
	}
	h.consents(consentOf("c", "Q", "permit", "")) // of the upstream, which nobody asks
	registry.handle("GET /Consent", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer registry-secret" {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(w, searchset("", consentOf("c", "P", "permit", "")))
	})
	for p, want := range map[string]int{"P": 200, "Q": 404} {
		if got := h.get("/Observation/"+p, h.staff()); got.status != want {
			t.Errorf("%s: got %d, want %d", p, got.status, want)
		}
	}
	for _, call := range h.ehr.requests() {
		if strings.Contains(call, "Consent") {
			t.Errorf("the upstream got %s", call)
		}
	}
	registry.on("GET /Consent", 503, "")
	if got := h.get("/Observation/P", h.staff()); got.status != 404 {
		t.Errorf("the server is away: got %d", got.status)
	}
	if got := h.get("/Observation/P", h.patient("P", "patient/*.rs")); got.status != 200 {
		t.Errorf("the patient's own: got %d", got.status)
	}
}

// CONS-02 from outside, and the metric of what is not understood.
func TestConsentPolicyOfPCF(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: Policy-basic-normal, max_staleness: 0s}")
	h.ehr.on("GET /Observation/a", 200, resource("Observation", "a", ref("subject", "Patient/P")+`,"code":{"text":"x"}`))
	h.consents()
	as := func(role, purpose string) int {
		return h.get("/Observation/a", h.token(map[string]any{"roles": []string{"staff", role}, "purpose_of_use": purpose})).status
	}
	if got := []int{as("clinician", "TREAT"), as("clinician", "HRESCH"), as("clerk", "TREAT")}; got[0] != 200 || got[1] != 404 || got[2] != 404 {
		t.Errorf("got %v, want 200 404 404", got)
	}
	h.consents(strings.Replace(consentOf("c", "P", "permit", ""), `"status"`, `"modifierExtension":[{"url":"urn:x","valueBoolean":true}],"status"`, 1))
	if got := as("clerk", "TREAT"); got != 404 {
		t.Errorf("a permit that is not understood: got %d", got)
	}
	r, err := http.Get("http://" + h.process.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if text := read(t, r).body; !strings.Contains(text, `gatehouse_consents_unusable_total{problem="modifier"} 1`) {
		t.Error("the metric does not tell of it")
	}
}

// CONS-11 from outside: what the token's own residual forbids is withheld, also
// where no Consents are consulted.
func TestResidualOfTheToken(t *testing.T) {
	h := openHouse(t) // consent.source none
	for id, label := range map[string]string{"n": "N", "r": "V"} {
		h.ehr.on("GET /Observation/"+id, 200, strings.Replace(resource("Observation", id, ref("subject", "Patient/P")+`,"code":{"text":"x"}`), `"versionId":"1"`,
			`"versionId":"1","security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"`+label+`"}]`, 1))
	}
	token := h.token(map[string]any{"roles": []string{"staff", "trusted"}, "extensions": map[string]any{"ihe_pcf": map[string]any{"patient_id": "P",
		"residual": []any{map[string]any{"type": "forbid", "securityLabel": []any{map[string]any{"code": "V"}}}}}}})
	for id, want := range map[string]int{"n": 200, "r": 404} {
		if got := h.get("/Observation/"+id, token); got.status != want {
			t.Errorf("%s: got %d, want %d", id, got.status, want)
		}
	}
}
