package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// The endpoints of patients (issue 5 points 2 and 7, CONS-13, C-10, EU-01).

// registry is an upstream's Consents.
type registry struct {
	mu   sync.Mutex
	held map[string]string // by id
	last http.Header
}

func (h *house) registry(list ...string) *registry {
	r := &registry{held: map[string]string{}}
	for i, c := range list {
		r.held[fmt.Sprintf("c%d", i)] = c
	}
	search := func(w http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		var all []string
		for _, c := range r.held {
			all = append(all, c)
		}
		reply(w, 200, searchset("", all...))
	}
	h.ehr.handle("GET /Consent", search)
	h.ehr.handle("POST /Consent/_search", search)
	h.ehr.handle("POST /Consent", func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		id := fmt.Sprintf("n%d", len(r.held))
		r.held[id] = strings.Replace(h.ehr.lastBody(), "{", `{"id":"`+id+`","meta":{"versionId":"1"},`, 1)
		w.Header().Set("Location", h.ehr.url+"/r4/Consent/"+id+"/_history/1")
		reply(w, 201, "")
		h.serve(r, id)
	})
	for id := range r.held {
		h.serve(r, id)
	}
	return r
}

// serve answers reads and updates of one Consent.
func (h *house) serve(r *registry, id string) {
	go func() { // the registry is at work: handle waits for nobody
		h.ehr.handle("GET /Consent/"+id, func(w http.ResponseWriter, _ *http.Request) {
			r.mu.Lock()
			defer r.mu.Unlock()
			reply(w, 200, r.held[id])
		})
		h.ehr.handle("PUT /Consent/"+id, func(w http.ResponseWriter, req *http.Request) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.last = req.Header.Clone()
			r.held[id] = h.ehr.lastBody()
			reply(w, 200, r.held[id])
		})
	}()
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/fhir+json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (e *ehr) lastBody() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.bodies[len(e.bodies)-1]
}

func (h *house) clinicianOf(organization string) string {
	return h.token(map[string]any{"roles": []string{"staff"}, "fhirUser": "Practitioner/7", "organization": organization, "purpose_of_use": "TREAT"})
}

// A patient denies an organization, and takes it back; both act on the very next
// request although what was looked up would be remembered for an hour.
func TestPatientGivesAndRevokes(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: permit, max_staleness: 1h, portal_roles: [portal], clients: [app]}")
	r := h.registry()
	h.ehr.on("GET /Observation/a", 200, resource("Observation", "a", ref("subject", "Patient/P")+`,"code":{"text":"x"}`))
	two, nine, patient := h.clinicianOf("2"), h.clinicianOf("9"), h.patient("P", "patient/*.rs")
	seen := func(token string) int { return h.get("/Observation/a", token).status }
	if seen(two) != 200 || seen(nine) != 200 {
		t.Fatal("before any consent both see it")
	}
	made := h.do("POST", "/_gatehouse/consents", patient, `{"decision":"deny","who":"Organization/2","what":{"types":["Observation"]},"purpose":"TREAT","until":"2099-12-31"}`, "Content-Type", "application/json")
	if made.status != 201 || made.header.Get("Location") != "http://gw.example.org/fhir/_gatehouse/consents/n0" {
		t.Fatalf("got %d %s %s", made.status, made.header.Get("Location"), made.body)
	}
	if got := []int{seen(two), seen(nine)}; got[0] != 404 || got[1] != 200 {
		t.Errorf("denied: got %v, want 404 and 200", got)
	}
	var consent struct {
		ResourceType, Status, DateTime string
		Patient                        struct{ Reference string }
		Performer                      []struct{ Reference string }
		Provision                      struct {
			Type   string
			Period struct{ End string }
		}
	}
	if err := json.Unmarshal([]byte(r.held["n0"]), &consent); err != nil || consent.ResourceType != "Consent" || consent.Status != "active" ||
		consent.Patient.Reference != "Patient/P" || consent.Performer[0].Reference != "Patient/P" || consent.Provision.Type != "deny" || consent.Provision.Period.End != "2099-12-31" {
		t.Errorf("it is no Consent as it was meant: %v %s", err, r.held["n0"])
	}
	list := h.get("/_gatehouse/consents", patient)
	if list.status != 200 || !strings.Contains(list.body, `Organization/2 may not see Observation for TREAT`) || !strings.Contains(list.body, `"counts":true`) {
		t.Errorf("list: %d %s", list.status, list.body)
	}
	h.recorded(t, &attack{status: 200, released: []string{"Consent/n0"}}, list)
	gone := h.do("DELETE", "/_gatehouse/consents/n0", patient, "")
	if gone.status != 200 || !strings.Contains(r.held["n0"], `"status":"inactive"`) || r.last.Get("If-Match") != `W/"1"` {
		t.Errorf("revoke: %d %s, If-Match %s", gone.status, gone.body, r.last.Get("If-Match"))
	}
	h.recorded(t, &attack{status: 200}, gone)
	if seen(two) != 200 {
		t.Error("revoked: it still binds")
	}
	if again := h.do("DELETE", "/_gatehouse/consents/n0", patient, ""); again.status != 404 {
		t.Errorf("revoked twice: got %d", again.status)
	}
}

// Who may not, and what is no form.
func TestPatientEndpointsRefuse(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: permit, max_staleness: 1h, portal_roles: [portal], clients: [app]}")
	h.registry(consentOf("c0", "Q", "deny", ""))
	patient := h.patient("P", "patient/*.cruds patient/Consent.cruds")
	launched := h.token(map[string]any{"scope": "patient/*.cruds", "patient": "P", "fhirUser": "Practitioner/7", "roles": []string{"staff"}})
	portal := h.token(map[string]any{"roles": []string{"portal"}})
	representative := h.token(map[string]any{"roles": []string{"portal"}, "patient": "P", "fhirUser": "RelatedPerson/3"})
	other := h.token(map[string]any{"patient": "P", "fhirUser": "Patient/P", "client_id": "game", "azp": "game"})
	form := `{"decision":"permit","who":"anyone","what":"everything"}`
	of := func(patient string) string { return strings.Replace(form, "{", `{"patient":"`+patient+`",`, 1) }
	const at, who = "/_gatehouse/consents", "/_gatehouse/accesses"
	for _, c := range []struct {
		name, method, target, token, body string
		status                            int
		code                              string
	}{
		{"plain FHIR stays closed (C-10)", "POST", "/Consent", patient, consentOf("x", "P", "permit", ""), 403, ""},
		{"a launch context is not the patient", "GET", at, launched, "", 403, "consent.right"},
		{"… nor for accesses", "GET", who, launched, "", 403, "consent.right"},
		{"staff", "GET", at + "?patient=Patient/P", h.staff(), "", 403, "consent.right"},
		{"no token", "GET", at, "", "", 401, ""},
		{"somebody else's", "GET", at + "?patient=Patient/Q", patient, "", 404, ""},
		{"somebody else's accesses", "GET", who + "?patient=Patient/Q", patient, "", 404, ""},
		{"somebody else's to revoke", "DELETE", at + "/c0", patient, "", 404, ""},
		{"somebody else's to give", "POST", at, patient, of("Patient/Q"), 404, ""},
		{"an app that only reads", "POST", at, other, form, 403, "consent.client"},
		{"… may list", "GET", at, other, "", 200, ""},
		{"a portal names the patient", "GET", at, portal, "", 400, "consent.form"},
		{"a portal", "GET", at + "?patient=Patient/Q", portal, "", 200, ""},
		{"a representative of this patient", "GET", at, representative, "", 200, ""},
		{"… and of no other", "GET", at + "?patient=Patient/Q", representative, "", 404, ""},
		{"two names", "POST", at + "?patient=Patient/P", portal, of("Patient/Q"), 400, "consent.form"},
		{"no decision", "POST", at, patient, `{"who":"anyone"}`, 400, "consent.form"},
		{"nobody", "POST", at, patient, `{"decision":"deny"}`, 400, "consent.form"},
		{"a name", "POST", at, patient, `{"decision":"deny","who":"Dr. Jane Canary"}`, 400, "consent.form"},
		{"another server's", "POST", at, patient, `{"decision":"permit","who":"https://evil.example/Organization/2"}`, 400, "consent.form"},
		{"anyone and one", "POST", at, patient, `{"decision":"permit","who":["anyone","Organization/2"]}`, 400, "consent.form"},
		{"no such type", "POST", at, patient, `{"decision":"deny","who":"anyone","what":{"types":["Observations"]}}`, 400, "consent.form"},
		{"no such label", "POST", at, patient, `{"decision":"deny","who":"anyone","what":{"labels":["secret"]}}`, 400, "consent.form"},
		{"a code without a system", "POST", at, patient, `{"decision":"deny","who":"anyone","what":{"codes":["8480-6"]}}`, 400, "consent.form"},
		{"nothing", "POST", at, patient, `{"decision":"deny","who":"anyone","what":{}}`, 400, "consent.form"},
		{"no such purpose", "POST", at, patient, `{"decision":"deny","who":"anyone","purpose":"FUN"}`, 400, "consent.form"},
		{"over already", "POST", at, patient, `{"decision":"permit","who":"anyone","until":"2020-01-01"}`, 400, "consent.form"},
		{"a member that it has not", "POST", at, patient, `{"decision":"permit","who":"anyone","unless":"x"}`, 400, "consent.form"},
		{"twice", "POST", at, patient, form + form, 400, "consent.form"},
		{"another method", "PUT", at, patient, form, 405, ""},
		{"another parameter", "GET", at + "?x=1", patient, "", 400, "operation.parameter"},
		{"too many at once", "GET", who + "?count=1000", patient, "", 400, "operation.parameter"},
		{"a page of nobody's", "GET", who + "?page=AAAA", patient, "", 404, ""},
		{"below", "GET", who + "/x", patient, "", 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := h.do(c.method, c.target, c.token, c.body)
			if got.status != c.status || c.code != "" && got.code() != c.code {
				t.Errorf("got %d %s, want %d %s: %.200s", got.status, got.code(), c.status, c.code, got.body)
			}
			h.noCanary(t, got)
			if len(h.records(t, got.header.Get("X-Request-Id"))) == 0 {
				t.Error("no record")
			}
			for _, call := range h.ehr.requests() {
				if strings.HasPrefix(call, "PUT") || call == "POST /Consent" {
					t.Errorf("the upstream got %s", call)
				}
			}
		})
	}
}

// An app that only reads gives nobody else a right and takes none away: without
// consent.clients a scope must name Consent (C-10, DESIGN §6).
func TestPatientAppThatOnlyReads(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: permit, max_staleness: 1h, portal_roles: [portal]}")
	h.registry(consentOf("c0", "P", "permit", ""))
	portal := func(scope string) string {
		return h.token(map[string]any{"roles": []string{"portal"}, "patient": "P", "scope": scope})
	}
	for _, c := range []struct {
		name, token  string
		give, revoke int
	}{
		{"read-only", h.patient("P", "patient/*.rs"), 403, 403},
		{"read-only, old form", h.patient("P", "patient/*.read"), 403, 403},
		{"reads Consents", h.patient("P", "patient/*.rs patient/Consent.rs"), 403, 403},
		{"writes records", h.patient("P", "patient/*.cruds"), 403, 403},
		{"writes all, old form", h.patient("P", "patient/*.write"), 403, 403},
		{"some Consents alone", h.patient("P", "patient/Consent.cu?status=active"), 403, 403},
		{"no scope at all", h.patient("P", ""), 403, 403},
		{"a portal's reader", portal("user/*.rs"), 403, 403},
		{"gives", h.patient("P", "patient/*.rs patient/Consent.c"), 201, 403},
		{"a portal", portal("user/Consent.cruds"), 201, 200},
		{"old form", h.patient("P", "patient/Consent.write"), 201, 404}, // the portal has revoked it
		{"revokes", h.patient("P", "patient/Consent.u"), 403, 404},
	} {
		given := h.do("POST", "/_gatehouse/consents", c.token, `{"decision":"permit","who":"anyone","what":"everything"}`)
		revoked := h.do("DELETE", "/_gatehouse/consents/c0", c.token, "")
		if given.status != c.give || revoked.status != c.revoke {
			t.Errorf("%s: give %d, revoke %d, want %d and %d", c.name, given.status, revoked.status, c.give, c.revoke)
		}
		if c.give == 403 && given.code() != "consent.client" {
			t.Errorf("%s: got %s", c.name, given.code())
		}
	}
}

// EU-01: the patient is told who used, or wanted, which data and why, in pages,
// and nobody is told of others.
func TestAccessesOfPatient(t *testing.T) {
	h := openHouse(t)
	for _, p := range []string{"P", "Q"} {
		h.ehr.on("GET /Observation/"+p, 200, resource("Observation", p, ref("subject", "Patient/"+p)+`,"code":{"text":"x"}`))
	}
	h.ehr.on("GET /Observation/R", 200, strings.Replace(resource("Observation", "R", ref("subject", "Patient/P")), `"versionId":"1"`, `"versionId":"1","security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]`, 1))
	doctor := h.clinicianOf("2")
	for range 3 {
		h.get("/Observation/P", doctor)
	}
	h.get("/Observation/Q", doctor)
	h.get("/Observation/R", doctor)
	type page struct {
		Patient  string
		Next     string
		Accesses []struct {
			Who, Organization, Did, Outcome, Words, Request string
			Data                                            map[string]int
			Purpose, Why                                    []string
		}
	}
	patient, target := h.patient("P", "patient/*.rs"), "/_gatehouse/accesses?count=2"
	var outcomes []string
	for pages := 0; target != ""; pages++ {
		got := h.get(target, patient)
		var p page
		if err := json.Unmarshal([]byte(got.body), &p); got.status != 200 || err != nil || len(p.Accesses) > 2 || pages > 5 {
			t.Fatalf("got %d %v %s", got.status, err, got.body)
		}
		for _, a := range p.Accesses {
			if strings.HasPrefix(a.Did, "$gatehouse") {
				continue // the patient's own look at the list
			}
			outcomes = append(outcomes, a.Outcome)
			if a.Who != "Practitioner/7" || a.Organization != "Organization/2" || a.Did != "read" || a.Purpose[0] != "TREAT" || len(a.Why) == 0 || a.Words == "" ||
				a.Outcome == "given" && a.Data["Observation"] != 1 || a.Outcome == "refused" && len(a.Data) != 0 {
				t.Errorf("got %+v", a)
			}
		}
		target = strings.TrimPrefix(p.Next, "http://gw.example.org/fhir")
	}
	if got := strings.Join(outcomes, " "); got != "refused given given given" {
		t.Errorf("got %s", got)
	}
}

// EU-01, DS4P-01: the patient learns who had data, and neither that there is a record
// labelled NOPAT nor what rules say of what they withheld from others.
func TestAccessesTellNothingKept(t *testing.T) {
	h := openHouse(t)
	h.write("policy/policy.rego", strings.ReplaceAll(usualPolicy, `"restricted"`, `"psychiatry only"`))
	h.reload(t)
	kept := withLabel(resource("Condition", "k", ref("subject", "Patient/P")+`,"code":{"text":"x"}`), "NOPAT")
	h.ehr.on("GET /Condition/k", 200, kept)
	h.ehr.on("GET /Condition", 200, searchset("", kept, resource("Condition", "o", ref("subject", "Patient/P"))))
	h.ehr.on("GET /Observation/r", 200, strings.Replace(resource("Observation", "r", ref("subject", "Patient/P")), `"meta":{`, `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}],`, 1))
	doctor, patient := h.clinicianOf("2"), h.patient("P", "patient/*.rs")
	for _, target := range []string{"/Condition/k", "/Condition", "/Observation/r"} {
		if got := h.get(target, doctor); got.status != 200 && target != "/Observation/r" {
			t.Fatalf("%s: got %d %s", target, got.status, got.body)
		}
	}
	got := h.get("/_gatehouse/accesses", patient)
	var list struct {
		Accesses []struct {
			Outcome, Words string
			Data           map[string]int
		}
	}
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Accesses) != 3 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	refused, both, alone := list.Accesses[0], list.Accesses[1], list.Accesses[2]
	if refused.Outcome != "refused" || both.Data["Condition"] != 1 || alone.Outcome != "given" || len(alone.Data) != 0 || !strings.Contains(alone.Words, "part of the record") {
		t.Errorf("got %s", got.body)
	}
	for _, word := range []string{"psychiatry", "NOPAT", "nopat", "label", "Condition ×2"} {
		if strings.Contains(got.body, word) {
			t.Errorf("tells %s: %s", word, got.body)
		}
	}
}
