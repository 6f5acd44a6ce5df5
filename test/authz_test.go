package test

import (
	"net/http"
	"strings"
	"testing"
)

// Groups B and S: object-level authorization, scopes and launch context.

// resource is a small resource of a type, with members laid in.
func resource(typ, id, members string) string {
	if members != "" {
		members = "," + members
	}
	return `{"resourceType":"` + typ + `","id":"` + id + `","meta":{"versionId":"1"}` + members + `}`
}

func ref(name, to string) string { return `"` + name + `":{"reference":"` + to + `"}` }

// B-04: every type without a compartment rule is closed to a patient scope,
// unless it is shared reference data.
func TestTypesWithoutCompartment(t *testing.T) {
	h := openHouse(t)
	tA := h.patient("A", "patient/*.rs")
	var rows []attack
	for _, typ := range []string{"Device", "Endpoint", "MessageHeader", "Task", "Linkage", "TestScript", "VerificationResult", "Contract", "EventDefinition"} {
		h.ehr.on("GET /"+typ, 200, searchset("", resource(typ, "x", `"text":{"div":"Canary"}`)))
		rows = append(rows, attack{id: "B-04", target: "/" + typ, token: tA, status: 403, code: "scope.missing"})
	}
	h.ehr.on("GET /Practitioner", 200, searchset("", resource("Practitioner", "p", `"active":true`)))
	rows = append(rows, attack{id: "B-04", target: "/Practitioner", token: tA, status: 200, ids: []string{"Practitioner/p"},
		calls: []string{"GET /Practitioner"}, released: []string{"Practitioner/p"}})
	for _, typ := range []string{"CareTeam", "Group", "Person", "List", "Basic", "Appointment"} { // in the compartment by content alone
		h.ehr.on("GET /"+typ, 200, searchset("", resource(typ, "x", `"text":{"div":"Canary"}`)))
		rows = append(rows, attack{id: "B-04", target: "/" + typ, token: tA, status: 200, ids: []string{},
			calls: anyCalls, withheld: []string{typ + "/x"}})
	}
	h.attack(t, rows)
}

// B-01, B-05 to B-08: whose a resource is, its content says, every parameter of
// the compartment counted.
func TestWhoseResource(t *testing.T) {
	h := openHouse(t)
	tA := h.patient("A", "patient/*.rs")
	canary := `"text":{"div":"Canary"}`
	denied := map[string]string{
		"Observation/b":      ref("subject", "Patient/B"),
		"Coverage/b":         ref("policyHolder", "Patient/A") + `,` + ref("beneficiary", "Patient/B"),
		"Appointment/ab":     `"participant":[{"actor":{"reference":"Patient/A"}},{"actor":{"reference":"Patient/B"}}]`,
		"Observation/none":   `"status":"final"`,
		"Observation/group":  ref("subject", "Group/g"),
		"Observation/device": ref("subject", "Device/d"),
		"Observation/perf":   ref("subject", "Patient/A") + `,"performer":[{"reference":"Patient/B"}]`,
		"Observation/urn":    ref("subject", "urn:uuid:6f2a"),
		"Observation/other":  ref("subject", "https://elsewhere.example/fhir/Patient/A"),
		"Observation/logic":  `"subject":{"identifier":{"system":"urn:mrn","value":"1"}}`,
		"Observation/inner":  `"contained":[{"resourceType":"Patient","id":"p"}],` + ref("subject", "#p"),
		"Observation/case":   ref("subject", "patient/A"),
		"Observation/frag":   ref("subject", "Patient/A#x"),
		"Observation/dots":   ref("subject", "../Patient/A"),
		"Observation/twice":  `"subject":{"reference":"Patient/A","identifier":{"value":"x"}},` + ref("focus", "Patient/B"),
		"Patient/B":          `"link":[{"other":{"reference":"Patient/A"},"type":"refer"}]`,
		"Group/g":            `"member":[{"entity":{"reference":"Patient/A"}},{"entity":{"reference":"Patient/B"}}]`,
	}
	var rows []attack
	for name, members := range denied {
		typ, id, _ := strings.Cut(name, "/")
		if name == "Observation/twice" {
			continue // focus is not of the compartment: see below
		}
		h.ehr.on("GET /"+name, 200, resource(typ, id, canary+","+members), "ETag", `W/"Canary"`)
		rows = append(rows, attack{id: "B-01", target: "/" + name, token: tA, status: 404, code: "resource.not-found",
			calls: []string{"GET /" + name}, withheld: []string{name}})
	}
	h.ehr.on("GET /Observation/abs", 200, resource("Observation", "abs", ref("subject", "%BASE%/Patient/A")))
	h.ehr.on("GET /Observation/vers", 200, resource("Observation", "vers", ref("subject", "Patient/A/_history/2")))
	for _, id := range []string{"abs", "vers"} {
		rows = append(rows, attack{id: "R-01", target: "/Observation/" + id, token: tA, status: 200,
			calls: []string{"GET /Observation/" + id}, released: []string{"Observation/" + id}})
	}
	// B-09: the patient is the token's, whatever the request says.
	for _, header := range []string{"X-Patient-Id", "X-Gatehouse-Patient", "X-Consent-Scope", "Cookie", "X-User"} {
		rows = append(rows, attack{id: "B-09", target: "/Observation/b", token: tA, header: []string{header, "B"}, status: 404,
			calls: []string{"GET /Observation/b"}, withheld: []string{"Observation/b"}})
	}
	h.attack(t, rows)
}

// S-01 to S-09: what a scope does not name it does not grant, and is refused
// before the upstream hears of it.
func TestScopes(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation", 200, searchset("", obsA, obsB))
	h.ehr.on("GET /Observation/a", 200, obsA)
	read := []string{"GET /Observation/a"}
	search := []string{"GET /Observation?patient=Patient/A"}
	cases := []struct {
		id, scope, target string
		status            int
	}{
		{"S-01", "patient/Observation.rs", "/Condition", 403},
		{"S-01", "patient/Observation.rs", "/Observation", 200},
		{"S-03", "patient/Observation.r", "/Observation", 403},
		{"S-03", "patient/Observation.r", "/Observation/a", 200},
		{"S-03", "patient/Observation.s", "/Observation/a", 403},
		{"S-03", "patient/Observation.read", "/Observation/a", 200},
		{"S-03", "patient/Observation.read", "/Observation", 200},
		{"SMART-13", "patient/Observation.write", "/Observation/a", 403},
		{"SMART-12", "patient/Observation.sr", "/Observation/a", 403},
		{"SMART-12", "patient/Observation.rr", "/Observation/a", 403},
		{"SMART-12", "patient/Observation.", "/Observation/a", 403},
		{"SMART-12", "patient/Observation.READ", "/Observation/a", 403},
		{"SMART-12", "patients/Observation.rs", "/Observation/a", 403},
		{"SMART-12", "patient/observation.rs", "/Observation/a", 403},
		{"S-07", "system:Observation.read", "/Observation/a", 403},
		{"S-07", "PATIENT/*.rs", "/Observation/a", 403},
		{"S-07", "patient/Patient.rs%20user/*.cruds", "/Observation/a", 403},
		{"S-07", "patient/Patient.rs\tuser/*.cruds", "/Observation/a", 401},
		{"S-07", "patient/Patient.rs\nuser/*.cruds", "/Observation/a", 401},
		{"S-07", "patient/Patient.rs\u00a0user/*.cruds", "/Observation/a", 403},
		{"S-07", "patient/Observation.rs?", "/Observation/a", 403},
		{"SMART-19", "patient/Observation.rs?code:in=x", "/Observation/a", 403},
		{"SMART-19", "patient/Observation.rs?nonsense=x", "/Observation/a", 403},
		{"SMART-33", "openid fhirUser launch/patient offline_access", "/Observation/a", 403},
		{"SMART-14", "patient/Observation.s", "/Observation/a/_history", 403},
		{"SMART-14", "patient/Observation.r", "/Observation/_history", 403},
		{"SMART-14", "patient/Observation.r", "/_history", 403},
	}
	var rows []attack
	for _, c := range cases {
		row := attack{id: c.id + " " + c.scope, target: c.target, token: h.patient("A", c.scope), status: c.status}
		switch {
		case c.status == 403:
			row.code = "scope.missing"
		case c.status == 401:
		case c.target == "/Observation/a":
			row.calls, row.released = read, []string{"Observation/a"}
		default:
			row.calls, row.released, row.withheld = search, []string{"Observation/a"}, []string{"Observation/b"}
		}
		rows = append(rows, row)
	}
	unbound := h.token(map[string]any{"scope": "patient/*.rs"})
	practitioner := h.token(map[string]any{"scope": "patient/*.rs", "fhirUser": "Practitioner/x", "patient": "A"})
	rows = append(rows,
		attack{id: "S-02", target: "/Observation/a", token: unbound, status: 403, code: "scope.patient"},
		attack{id: "S-02", target: "/Observation?patient=A", token: unbound, status: 403, code: "scope.patient"},
		attack{id: "S-08", target: "/Observation/a", token: h.token(map[string]any{"scope": "openid", "scp": []string{"user/*.cruds"}, "roles": []string{"staff", "user/*.cruds"}}), status: 403},
		attack{id: "S-09", target: "/Observation?patient=B", token: practitioner, status: 200, ids: []string{"Observation/a"},
			calls: anyCalls, released: []string{"Observation/a"}, withheld: []string{"Observation/b"}},
		attack{id: "SMART-22", target: "/Observation/a", token: h.token(nil), status: 403, code: "policy.denied"},
	)
	h.attack(t, rows)
}

// SMART-16, SMART-17, S-05: a constraint binds reads as well as searches, and
// two constraints are a union without a cross product.
func TestGranularScopes(t *testing.T) {
	h := openHouse(t)
	category := func(id, code, status string) string {
		return resource("Observation", id, ref("subject", "Patient/A")+`,"status":"`+status+`","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"`+code+`"}]}]`)
	}
	lab, vital, social := category("lab", "laboratory", "final"), category("vital", "vital-signs", "final"), category("social", "social-history", "Canary")
	h.ehr.on("GET /Observation", 200, searchset("", lab, vital, social))
	for id, r := range map[string]string{"lab": lab, "vital": vital, "social": social} {
		h.ehr.on("GET /Observation/"+id, 200, r)
	}
	one := h.patient("A", "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory")
	both := h.patient("A", "patient/Observation.r?category=laboratory patient/Observation.s?category=vital-signs")
	h.attack(t, []attack{
		{id: "SMART-17", target: "/Observation", token: one, status: 200, ids: []string{"Observation/lab"}, calls: anyCalls,
			released: []string{"Observation/lab"}, withheld: []string{"Observation/vital", "Observation/social"}},
		{id: "SMART-17", target: "/Observation/lab", token: one, status: 200, calls: anyCalls, released: []string{"Observation/lab"}},
		{id: "SMART-17", target: "/Observation/social", token: one, status: 404, calls: anyCalls, withheld: []string{"Observation/social"}},
		{id: "S-05", target: "/Observation/vital", token: both, status: 404, calls: anyCalls, withheld: []string{"Observation/vital"}},
		{id: "S-05", target: "/Observation", token: both, status: 200, ids: []string{"Observation/vital"}, calls: anyCalls,
			released: []string{"Observation/vital"}, withheld: []string{"Observation/lab", "Observation/social"}},
	})
}

// FHIR-03, E-03: HEAD is its GET without a body, with the same record.
func TestHead(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA, "ETag", `W/"3"`)
	h.ehr.on("GET /Observation/b", 200, obsB)
	tA := h.patient("A", "patient/*.rs")
	get, head := h.get("/Observation/a", tA), h.do(http.MethodHead, "/Observation/a", tA, "")
	if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != get.header.Get("Content-Length") || head.header.Get("ETag") != `W/"3"` {
		t.Errorf("got %d %v %q", head.status, head.header, head.body)
	}
	get, head = h.get("/Observation/b", tA), h.do(http.MethodHead, "/Observation/b", tA, "")
	if head.status != 404 || head.header.Get("Content-Length") != get.header.Get("Content-Length") {
		t.Errorf("got %d %v, want the head of %v", head.status, head.header, get.header)
	}
	h.attack(t, []attack{{id: "FHIR-03", method: "HEAD", target: "/Observation/b", token: tA, status: 404, calls: []string{"GET /Observation/b"}, withheld: []string{"Observation/b"}}})
}
