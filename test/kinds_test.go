package test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/gateway/auth/authtest"

	"github.com/go-jose/go-jose/v4"
)

// Cases of STANDARDS §1, §2 and THREATS that the other files do not hold from outside.

// SMART-17, SMART-18, S-12: a granular scope binds both images of a write, what is read
// and what is included.
func TestGranularEverywhere(t *testing.T) {
	h := openHouse(t)
	of := func(id, category, patient string) string {
		return resource("Observation", id, `"status":"final","category":[{"coding":[{"code":"`+category+`"}]}],"code":{"text":"x"},`+ref("subject", "Patient/"+patient))
	}
	h.ehr.on("GET /Observation/lab", 200, of("lab", "laboratory", "A"))
	h.ehr.on("GET /Observation/vital", 200, of("vital", "vital-signs", "A"))
	h.ehr.on("GET /Patient", 200, `{"resourceType":"Bundle","type":"searchset","entry":[{"resource":`+resource("Patient", "A", "")+`,"search":{"mode":"match"}},
		{"resource":`+of("lab", "laboratory", "A")+`,"search":{"mode":"include"}},{"resource":`+of("vital", "vital-signs", "A")+`,"search":{"mode":"include"}}]}`)
	w := h.ward(t, "PUT /Observation/lab", "PUT /Observation/vital", "POST /Observation")
	tA := h.patient("A", "patient/Observation.cruds?category=laboratory patient/Patient.rs")
	put := func(id, category string) string {
		return strings.Replace(of(id, category, "A"), `"meta":{"versionId":"1"},`, "", 1)
	}
	row := func(id, method, target, body string, status int, withheld ...string) writing {
		return writing{attack: attack{id: id, method: method, target: target, body: body, token: tA, status: status, calls: anyCalls, withheld: withheld}}
	}
	kept := row("SMART-18 both images match", "PUT", "/Observation/lab", put("lab", "laboratory"), 200)
	kept.sent, kept.changed = []string{"PUT /Observation/lab " + put("lab", "laboratory")}, []string{"Observation/lab"}
	include := row("S-12", "GET", "/Patient?_id=A&_revinclude=Observation:subject", "", 200, "Observation/vital")
	include.ids, include.released = []string{"Patient/A", "Observation/lab"}, []string{"Patient/A", "Observation/lab"}
	read := row("SMART-17", "GET", "/Observation/lab", "", 200)
	read.released = []string{"Observation/lab"}
	w.attack(t, []writing{
		kept, include, read,
		row("SMART-17", "GET", "/Observation/vital", "", 404, "Observation/vital"),
		row("SMART-18 the image after does not", "PUT", "/Observation/lab", put("lab", "vital-signs"), 403, "Observation/lab"),
		row("SMART-18 the image before does not", "PUT", "/Observation/vital", put("vital", "laboratory"), 404, "Observation/vital"),
		row("SMART-18 a new one does not", "POST", "/Observation", put("x", "vital-signs"), 403, "Observation/"),
		row("SMART-18 a patch", "PATCH", "/Observation/lab", `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"delete"},{"name":"path","valueString":"Observation.category"}]}]}`, 403, "Observation/lab"),
		row("SMART-18 a delete", "DELETE", "/Observation/vital", "", 404, "Observation/vital"),
	})
}

// SMART-20, SMART-23, SMART-24, SMART-27, SMART-31, SMART-33, Q-15: what a scope does
// not open is refused before the upstream, or narrowed.
func TestScopeEdges(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation", 200, searchset("", obsA, obsB))
	h.ehr.on("GET /Patient/B/Observation", 200, searchset("", obsB))
	tA := h.patient("A", "patient/*.rs")
	machine := func(scope string, more map[string]any) string {
		claims := map[string]any{"scope": scope, "sub": "app", "client_id": "app", "roles": []string{"staff"}}
		for k, v := range more {
			claims[k] = v
		}
		return h.token(claims)
	}
	got := func(id, target, token string, status int, released, withheld []string, calls ...string) attack {
		return attack{id: id, target: target, token: token, status: status, released: released, withheld: withheld, calls: calls}
	}
	b := []string{"Observation/a"}
	h.attack(t, []attack{
		got("SMART-20 another patient", "/Observation?patient=B", tA, 200, b, []string{"Observation/b"}, "GET /Observation?patient=Patient/B&patient=Patient/A"),
		got("SMART-20 by subject", "/Observation?subject:Patient=B", tA, 200, b, []string{"Observation/b"}, "GET /Observation?subject=Patient/B&patient=Patient/A"),
		got("SMART-20 of several", "/Observation?patient=A,B", tA, 200, b, []string{"Observation/b"}, "GET /Observation?patient=Patient/A,Patient/B&patient=Patient/A"),
		got("SMART-23 no patient", "/Observation", machine("patient/*.rs", nil), 403, nil, nil),
		got("SMART-24", "/AuditEvent", machine("system/*.cruds", nil), 403, nil, nil),
		got("SMART-24", "/Provenance/1", machine("system/*.cruds", nil), 403, nil, nil),
		got("SMART-24", "/Consent", machine("user/*.rs", nil), 403, nil, nil),
		got("SMART-33", "/Observation", machine("openid fhirUser launch/patient offline_access __x https://x.example/scope", nil), 403, nil, nil),
		got("SMART-12", "/Observation", machine("user/Observation.sr user/Observation. user/observation.rs users/Observation.rs user/Observation.READ", nil), 403, nil, nil),
		got("SMART-19", "/Observation", machine("user/Observation.rs?code:in=http://x/vs", nil), 403, nil, nil),
		got("Q-15 of all types", "/?_id=a", tA, 400, nil, nil),
		got("Q-15 of two types", "?_type=Observation,Condition", tA, 403, nil, nil),
		got("SMART-31 a type that is not granted", "?_type=Observation,Condition", machine("user/Observation.s", nil), 403, nil, nil),
	})
	// SMART-27: who a token says its user is counts where it names somebody here.
	h.write("policy/policy.rego", usualPolicy+"\npermit contains \"doctor\" if input.subject.fhir_user == \"Practitioner/1\"\n")
	h.stop()
	h.start()
	for user, status := range map[string]int{"Practitioner/1": 200, "http://gw.example.org/fhir/Practitioner/1": 200, "https://evil.example/fhir/Practitioner/1": 403, "Practitioner/1/_history/2": 403,
		"/Practitioner/1": 403, "Device/1": 403, "practitioner/1": 403} {
		if got := h.get("/Observation", h.token(map[string]any{"fhirUser": user})); got.status != status {
			t.Errorf("SMART-27 %s: got %d %s, want %d", user, got.status, got.body, status)
		}
	}
}

// SMART-26: encounter and fhirContext of the launch are known to rules, and count where
// they name something here.
func TestLaunchContext(t *testing.T) {
	h := openHouse(t)
	h.write("policy/policy.rego", "package gatehouse\n\npermit contains \"launched\" if {\n\t\"ImagingStudy/1\" in input.subject.fhir_context\n\tinput.resource.encounter == input.subject.encounter\n}\n")
	h.stop()
	h.start()
	h.ehr.on("GET /Observation/e", 200, resource("Observation", "e", ref("encounter", "Encounter/1")))
	study := []map[string]any{{"reference": "ImagingStudy/1"}}
	for id, c := range map[string]struct {
		encounter string
		context   any
		status    int
	}{
		"both":                 {"1", study, 200},
		"by the own base":      {"Encounter/1", []map[string]any{{"reference": "http://gw.example.org/fhir/ImagingStudy/1", "role": "launch"}}, 200},
		"another encounter":    {"2", study, 404},
		"elsewhere":            {"1", []map[string]any{{"reference": "https://elsewhere.example/fhir/ImagingStudy/1"}}, 403},
		"in another role":      {"1", []map[string]any{{"reference": "ImagingStudy/1", "role": "https://x.example/role"}}, 403},
		"not a list":           {"1", "ImagingStudy/1", 403},
		"none":                 {"1", nil, 403},
		"a canonical is no id": {"1", []map[string]any{{"canonical": "ImagingStudy/1/"}}, 403},
	} {
		if got := h.get("/Observation/e", h.token(map[string]any{"encounter": c.encounter, "fhirContext": c.context})); got.status != c.status {
			t.Errorf("%s: got %d %s, want %d", id, got.status, got.body, c.status)
		}
	}
}

// J-09, JWT-01, JWT-05, JWT-10, JWT-12: claims are read in one way or not at all.
func TestClaims(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/b", 200, obsB)
	key := h.issuer.SigningKey()
	base := `"iss":"` + h.issuer.URL + `","aud":"http://gw.example.org/fhir","sub":"u","client_id":"app","iat":%NOW%,"exp":%END%,"scope":"patient/*.rs"`
	var now struct{ IAT, Exp json.Number }
	payload, _ := jose.ParseSignedCompact(h.staff(), []jose.SignatureAlgorithm{jose.ES256})
	if err := json.Unmarshal(payload.UnsafePayloadWithoutVerification(), &now); err != nil {
		t.Fatal(err)
	}
	base = strings.NewReplacer("%NOW%", now.IAT.String(), "%END%", now.Exp.String()).Replace(base)
	var rows []attack
	for id, c := range map[string]struct {
		claims string
		status int
	}{
		"J-09 two patients":               {`,"patient":"A","patient":"B"`, 401},
		"J-09 an escaped twin":            {`,"patient":"A","pa\u0074ient":"B"`, 401},
		"J-09 another case is no patient": {`,"Patient":"B"`, 403},
		"J-09 a list of patients":         {`,"patient":["A","B"]`, 401},
		"J-09 NUL in sub":                 {`,"patient":"B","sid":"a\u0000b"`, 401},
		"JWT-12 twice scope":              {`,"patient":"B","scope":"patient/*.cruds"`, 401},
		"J-09 an object":                  {`,"patient":{"id":"B"}`, 401},
		"R-07 a path":                     {`,"patient":"../Patient/B"`, 401},
	} {
		token := authtest.Sign(key, map[jose.HeaderKey]any{"typ": "at+jwt"}, []byte(`{`+base+c.claims+`}`))
		rows = append(rows, attack{id: id, target: "/Observation/b", token: token, status: c.status})
	}
	h.attack(t, rows)
	// JWT-10: a client is not the user who has its name.
	h.write("policy/policy.rego", "package gatehouse\n\npermit contains \"by name\" if input.subject.fhir_user == \"Practitioner/app\"\n")
	h.stop()
	h.start()
	if got := h.get("/Observation/b", h.token(map[string]any{"sub": "app", "scope": "system/*.rs"})); got.status != 403 {
		t.Errorf("JWT-10: %d %s", got.status, got.body)
	}
}

// BEAR-03, BEAR-04, BEAR-06, E-04, E-05, FHIR-21: every answer is FHIR's, no cache keeps
// it, and its length tells of nothing that was taken out.
func TestAnswersAreTheGatewaysOwn(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA, "ETag", `W/"3"`, "Server", "Canary", "X-Powered-By", "Canary", "Set-Cookie", "Canary=1", "Warning", "199 Canary", "Link", "<Canary>")
	h.ehr.on("GET /Observation/b", 200, obsB, "ETag", `W/"3"`)
	h.ehr.on("GET /Observation", 200, searchset("", obsA, strings.Replace(obsB, `"x"`, `"`+strings.Repeat("Canary ", 500)+`"`, 1)))
	tA, tB := h.patient("A", "patient/*.rs"), h.patient("B", "patient/*.rs")
	issue := map[int]string{401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported", 406: "not-supported", 400: "invalid", 415: "not-supported"}
	for _, row := range []struct {
		method, target, token string
		header                []string
		status                int
	}{
		{"GET", "/Observation/a", "", nil, 401}, {"GET", "/Observation/a", "x", nil, 401}, {"GET", "/AuditEvent", tA, nil, 403}, {"GET", "/Observation/b", tA, nil, 404}, {"GET", "/Observation/none", tA, nil, 404},
		{"PATCH", "/_history", tA, nil, 405}, {"GET", "/Observation/a", tA, []string{"Accept", "text/turtle"}, 406}, {"GET", "/Observation?x=y", tA, nil, 400},
		{"GET", "/Observation/b", tB, []string{"If-None-Match", `W/"3"`}, 304}, {"GET", "/Observation/b", tA, []string{"If-None-Match", `W/"3"`}, 404}, {"GET", "/Observation/a", tA, []string{"Accept-Encoding", "gzip, br"}, 200},
		{"GET", "/Observation", tA, []string{"Accept-Encoding", "gzip"}, 200},
	} {
		got := h.do(row.method, row.target, row.token, "", row.header...)
		if row.status != 304 || row.token != tB {
			h.noCanary(t, got)
		}
		if got.status != row.status || got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Content-Encoding") != "" ||
			!strings.Contains(got.header.Get("Vary"), "Authorization") {
			t.Errorf("%s %s: got %d %v", row.method, row.target, got.status, got.header)
		}
		if want := issue[row.status]; want != "" && (!strings.Contains(got.body, `"code":"`+want+`"`) || got.header.Get("Content-Type") != "application/fhir+json") {
			t.Errorf("BEAR-04 %d: %s", row.status, got.body)
		}
	}
	full := h.get("/Observation", tA)
	h.ehr.on("GET /Observation", 200, searchset("", obsA))
	if alone := h.get("/Observation", tA); alone.body != full.body || alone.header.Get("Content-Length") != full.header.Get("Content-Length") {
		t.Errorf("E-04: %s beside a hidden one, %s alone", full.body, alone.body)
	}
}

// D-13, D-15: what an upstream puts into a Bundle beside resources goes no further, and
// what it puts in the place of one is no resource.
func TestBundlesAreMadeAnew(t *testing.T) {
	h := openHouse(t)
	outcome := `{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","diagnostics":"Jane Canary"}]}`
	h.ehr.on("GET /Observation", 200, `{"resourceType":"Bundle","type":"searchset","issues":`+outcome+`,"signature":{"data":"Canary"},"entry":[
		{"fullUrl":"%BASE%/Observation/Canary","link":[{"relation":"x","url":"Canary"}],"resource":`+obsA+`,"search":{"mode":"match","score":0.5},"response":{"status":"200","outcome":`+outcome+`},"extension":[{"url":"Canary"}]},
		{"resource":`+outcome+`,"search":{"mode":"outcome"}}]}`)
	got := h.get("/Observation", h.staff())
	h.noCanary(t, got)
	if ids := got.ids(t); got.status != http.StatusOK || !slices.Equal(ids, []string{"Observation/a"}) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
