package test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// observed is an Observation of a patient.
func observed(id, patient, code, date, more string) string {
	return resource("Observation", id, `"status":"final","code":{"coding":[{"system":"s","code":"`+code+`"}]},"effectiveDateTime":"`+date+`",`+ref("subject", "Patient/"+patient)+more)
}

// O-06: the last of each kind is the last that the caller may see, so that one
// that is hidden cannot be told from one that is not there.
func TestLastN(t *testing.T) {
	h := openHouse(t, "operations: {allow: [$lastn]}")
	restricted := strings.Replace(observed("r", "A", "hr", "2026-05-05", ""), `"versionId"`, `"security":[{"code":"R"}],"versionId"`, 1)
	page := searchset("", observed("b", "B", "hr", "2026-06-06", `,"note":[{"text":"Canary"}]`), restricted, observed("a3", "A", "hr", "2026-04-04", ""),
		observed("a2", "A", "bp", "2026-03-03", ""), observed("a1", "A", "hr", "2026-02-02", ""), observed("a0", "A", "hr", "2026-01-01", ""))
	h.ehr.on("GET /Observation", 200, page)
	tA := h.patient("A", "patient/*.rs")
	call := func(q string) []string { return []string{"GET /Observation?" + q + "&_sort=-date&_count=200"} }
	withheld := []string{"Observation/b", "Observation/r"}
	h.attack(t, []attack{
		{id: "O-06 one of each", target: "/Observation/$lastn?code=hr,bp", token: tA, status: 200, ids: []string{"Observation/a3", "Observation/a2"},
			calls: call("code=hr,bp&patient=Patient/A"), released: []string{"Observation/a3", "Observation/a2"}, withheld: withheld},
		{id: "O-06 two of each", target: "/Observation/$lastn?max=2&patient=A", token: tA, status: 200, ids: []string{"Observation/a3", "Observation/a2", "Observation/a1"},
			calls: call("patient=Patient/A"), released: []string{"Observation/a3", "Observation/a2", "Observation/a1"}, withheld: withheld},
		{id: "O-06 by Parameters", method: "POST", target: "/Observation/$lastn", token: tA, status: 200, ids: []string{"Observation/a3", "Observation/a2"}, calls: anyCalls,
			body: `{"resourceType":"Parameters","parameter":[{"name":"max","valuePositiveInt":1}]}`, released: []string{"Observation/a3", "Observation/a2"}, withheld: withheld},
		{id: "Law 2", target: "/Observation/$lastn?maximum=2", token: tA, status: 400, code: "request.parameter-unknown"},
		{id: "Law 2", target: "/Observation/$lastn?_include=Observation:subject", token: tA, status: 400},
		{id: "Law 5", target: "/Observation/$lastn?subject:Patient.name=Jane", token: h.patient("A", "patient/Observation.rs"), status: 403},
		{id: "STANDARDS 1.1", target: "/Observation/$lastn", token: h.patient("A", "patient/Observation.s"), status: 403, code: "scope.missing"},
		{id: "O-06", target: "/Observation/$stats", token: h.staff(), status: 403, code: "operation.not-allowed"},
		{id: "O-06", target: "/DocumentReference/$docref?patient=A", token: h.staff(), status: 403, code: "operation.not-allowed"},
	})
}

// $docref: what is there for another patient is the same as nothing.
func TestDocRef(t *testing.T) {
	h := openHouse(t, "operations: {allow: [$docref]}")
	doc := func(id, patient string) string {
		return resource("DocumentReference", id, `"description":"x",`+ref("subject", "Patient/"+patient))
	}
	h.ehr.on("GET /DocumentReference/$docref?patient=A", 200, searchset("", doc("a", "A"), strings.Replace(doc("b", "B"), `"x"`, `"Canary"`, 1)))
	h.ehr.on("GET /DocumentReference/$docref?patient=B", 200, searchset("", doc("b", "B")))
	tA := h.patient("A", "patient/*.rs")
	h.attack(t, []attack{
		{id: "O-06", target: "/DocumentReference/$docref?patient=A", token: tA, status: 200, ids: []string{"DocumentReference/a"}, calls: []string{"GET /DocumentReference/$docref?patient=A"},
			released: []string{"DocumentReference/a"}, withheld: []string{"DocumentReference/b"}},
		{id: "O-06 another patient", target: "/DocumentReference/$docref?patient=B", token: tA, status: 200, ids: []string{}},
		{id: "O-06 no patient", target: "/DocumentReference/$docref", token: tA, status: 400, code: "operation.parameter"},
		{id: "G-01", target: "/DocumentReference/$docref?patient=A&profile=http://evil.example/x", token: tA, status: 400, code: "operation.parameter"},
		{id: "E-02 absent", target: "/DocumentReference/$docref?patient=none", token: h.staff(), status: 200, ids: []string{}, calls: anyCalls},
		{id: "STANDARDS 1.1", target: "/DocumentReference/$docref?patient=A", token: h.patient("A", "patient/Observation.rs"), status: 403},
	})
}

// O-07: only what may be written may be validated, against no profile that a
// server would fetch, and what comes back tells of nothing but the resource.
func TestValidate(t *testing.T) {
	h := openHouse(t, "operations: {allow: [$validate]}")
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Observation/b", 200, obsB)
	found := `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"required","diagnostics":"Jane Canary","details":{"text":"Canary"},"expression":["Observation.component[0].code","Canary.x","Observation.where(subject='Canary')"],"location":["Canary"]},
		{"severity":"Canary","code":"duplicate","diagnostics":"MRN Canary exists"}]}`
	for _, target := range []string{"POST /Observation/$validate", "POST /Observation/a/$validate"} {
		h.ehr.on(target, 422, found)
	}
	tA := h.patient("A", "patient/*.cruds")
	ofA, parameters := body("", ref("subject", "Patient/A")), func(more string) string {
		return `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":` + body("", ref("subject", "Patient/A")) + `}` + more + `]}`
	}
	sent := []string{"POST /Observation/$validate"}
	row := func(id, target, body, token string, status int, code string, calls ...string) attack {
		return attack{id: id, method: "POST", target: target, body: body, token: token, status: status, code: code, calls: calls}
	}
	of := func(r attack) attack { r.withheld = []string{"Observation/"}; return r }
	h.attack(t, []attack{
		row("O-07", "/Observation/$validate", ofA, tA, 200, "", sent...),
		row("O-07 Parameters", "/Observation/$validate", parameters(`,{"name":"mode","valueCode":"create"},{"name":"profile","valueUri":"http://hl7.org/fhir/StructureDefinition/bp"}`), tA, 200, "", sent...),
		row("O-07 of one", "/Observation/a/$validate", body("a", ref("subject", "Patient/A")), tA, 200, "", "GET /Observation/a", "POST /Observation/a/$validate"),
		of(row("B-01 of B", "/Observation/$validate", body("", ref("subject", "Patient/B")), tA, 403, "scope.instance")),
		{id: "W-02 B's", method: "POST", target: "/Observation/b/$validate", body: body("b", ref("subject", "Patient/A")), token: tA, status: 404, code: "resource.not-found", calls: []string{"GET /Observation/b"}, withheld: []string{"Observation/b"}},
		row("W-02 none", "/Observation/none/$validate", body("none", ref("subject", "Patient/A")), tA, 404, "resource.not-found", "GET /Observation/none"),
		row("O-07 foreign profile", "/Observation/$validate", parameters(`,{"name":"profile","valueUri":"http://evil.example/x"}`), tA, 400, "operation.parameter"),
		row("O-07 foreign profile in the URL", "/Observation/$validate?profile=http://evil.example/x", ofA, tA, 400, "operation.parameter"),
		row("G-01 foreign profile in the resource", "/Observation/$validate", body("", `"meta":{"profile":["http://evil.example/x"]},`+ref("subject", "Patient/A")), tA, 400, "operation.parameter"),
		row("Law 2 two resources", "/Observation/$validate", parameters(`,{"name":"resource","resource":`+obsB+`}`), tA, 400, "operation.parameter"),
		row("Law 2 another mode", "/Observation/$validate?mode=delete", ofA, tA, 400, "operation.parameter"),
		row("Law 2 an unknown one", "/Observation/$validate", parameters(`,{"name":"x","valueString":"y"}`), tA, 400, "operation.parameter"),
		row("another type", "/Observation/$validate", `{"resourceType":"Patient"}`, tA, 400, "resource.type"),
		row("STANDARDS 1.1", "/Observation/$validate", ofA, h.patient("A", "patient/*.rus"), 403, "scope.missing"),
		row("STANDARDS 1.1", "/Observation/a/$validate", body("a", ref("subject", "Patient/A")), h.patient("A", "patient/*.crs"), 403, "scope.missing"),
	})
	got := h.do("POST", "/Observation/$validate", tA, ofA)
	want := `{"issue":[{"severity":"error","code":"required","expression":["Observation.component[0].code"]},{"severity":"error","code":"processing"}],"resourceType":"OperationOutcome"}`
	if got.body != want {
		t.Errorf("got  %s\nwant %s", got.body, want)
	}
	h.ehr.handle("POST /Observation/$validate", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(w, obsB)
	})
	h.attack(t, []attack{row("D-15 not an outcome", "/Observation/$validate", ofA, tA, 502, "upstream.invalid", sent...)})
}

// O-05, O-06, O-08, W-13: what no rule of the gateway's covers is off, alone and
// within a Bundle, and so are Subscriptions, for a token without scopes as well.
func TestOffForAll(t *testing.T) {
	for _, scopes := range []string{"smart", "none"} {
		h := openHouse(t, "operations: {allow: [$everything, $export, $lastn, $docref, $validate]}")
		h.write("gatehouse.yaml", strings.Replace(h.config(), "insecure_http: true, claims", "insecure_http: true, scopes: "+scopes+", claims", 1))
		h.stop()
		h.start()
		staff := h.token(map[string]any{"roles": []string{"staff"}, "scope": "user/*.cruds user/Subscription.cruds system/*.cruds"})
		var rows []attack
		for _, target := range []string{"/Patient/$match", "/Patient/$member-match", "/Observation/$stats", "/Patient/A/$summary", "/Composition/1/$document", "/$expunge", "/Patient/A/$expunge", "/$reindex",
			"/Patient/A/$meta", "/Patient/A/$meta-add", "/Patient/A/$meta-delete", "/$graphql", "/$convert", "/StructureMap/$transform", "/PlanDefinition/1/$apply", "/Measure/1/$evaluate-measure",
			"/$cql", "/ViewDefinition/$run", "/Subscription/1/$status", "/$process-message"} {
			rows = append(rows, attack{id: "O-08", method: "POST", target: target, token: staff, status: 403, body: `{"resourceType":"Parameters"}`})
			if strings.HasPrefix(target, "/ViewDefinition") {
				rows[len(rows)-1].status = 400
			}
		}
		subscription := `{"resourceType":"Subscription","status":"requested","criteria":"Observation?","reason":"x","channel":{"type":"rest-hook","endpoint":"http://evil.example/"}}`
		withID := strings.Replace(subscription, `"status"`, `"id":"s","status"`, 1)
		patch := `{"resourceType":"Parameters","parameter":[]}`
		rows = append(rows,
			attack{id: "§10.12 create", method: "POST", target: "/Subscription", body: subscription, token: staff, status: 403},
			attack{id: "§10.12 update as create", method: "PUT", target: "/Subscription/s", body: withID, token: staff, status: 403},
			attack{id: "§10.12 conditional", method: "PUT", target: "/Subscription?status=active", body: subscription, token: staff, status: 403},
			attack{id: "§10.12 patch", method: "PATCH", target: "/Subscription/s", body: patch, token: staff, status: 403},
			attack{id: "§10.12 read", target: "/Subscription/s", token: staff, status: 403},
			attack{id: "§10.12 search", target: "/Subscription", token: staff, status: 403},
			attack{id: "§10.12 transaction", method: "POST", target: "", body: transactionOf(request{method: "POST", url: "Subscription", body: subscription}.entry()), token: staff, status: 403},
			attack{id: "§10.12 a stored Bundle", method: "POST", target: "/Bundle", body: `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + subscription + `}]}`, token: staff, status: 403, withheld: []string{"Subscription/"}},
			attack{id: "§10.12 an R5 topic", method: "POST", target: "/SubscriptionTopic", body: `{"resourceType":"SubscriptionTopic"}`, token: staff, status: 400},
		)
		h.attack(t, rows)
		for _, r := range []request{{method: "POST", url: "Subscription", body: subscription}, {method: "PUT", url: "Subscription/s", body: withID}, {method: "POST", url: "Patient/A/$expunge", body: patch}} {
			if got := h.do("POST", "", staff, batchOf("batch", r)); got.responses(t)[0].Response.Status != "403 Forbidden" {
				t.Errorf("%s %s in a batch: %s", r.method, r.url, got.body)
			}
		}
		if calls := h.ehr.requests(); len(calls) > 0 {
			t.Errorf("the upstream got %q", calls)
		}
	}
}
