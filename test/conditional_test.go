package test

import (
	"strings"
	"testing"
)

// Conditional writes: criteria are resolved among what the caller may see,
// never by the upstream.

func TestConditionalWrites(t *testing.T) {
	h := openHouse(t)
	w := h.ward(t, "POST /Observation", "PUT /Observation/a", "PUT /Observation/new", "DELETE /Observation/a")
	ident := func(id, of string) string {
		return `{"resourceType":"Observation","id":"` + id + `","meta":{"versionId":"3"},"identifier":[{"value":"` + of + `"}],"status":"final","code":{"text":"Canary"},"subject":{"reference":"Patient/A"}}`
	}
	toB := strings.ReplaceAll(ident("b", "one"), "Patient/A", "Patient/B")
	restricted := strings.ReplaceAll(ident("r", "one"), `"versionId"`, `"security":[{"code":"R"}],"versionId"`)
	search := func(value, page string) string {
		q := "/Observation?identifier=" + value + "&patient=Patient/A&_count=50"
		h.ehr.on("GET "+q, 200, page)
		return "GET " + q
	}
	one := search("one", searchset("", ident("a", "one"), toB, restricted))
	hidden := search("hidden", searchset("", strings.ReplaceAll(toB, "one", "hidden"), strings.ReplaceAll(restricted, "one", "hidden")))
	two := search("two", searchset("", ident("a", "two"), ident("a2", "two")))
	ignoring := search("ignored", searchset("", ident("a", "other")))
	later := search("later", searchset("%BASE%?page=2", strings.ReplaceAll(toB, "one", "later")))
	h.ehr.on("GET ?page=2", 200, searchset("", ident("a", "later")))
	h.ehr.on("GET /Observation/a", 200, ident("a", "one"))
	h.ehr.on("GET /Observation/b", 200, toB)
	tA := h.patient("A", "patient/*.cruds")
	ofA, withID := body("", ref("subject", "Patient/A")), body("a", ref("subject", "Patient/A"))
	appended := `{"resourceType":"Observation","status":"final",` + ref("subject", "Patient/A") + `,"id":"a"}`
	get := "GET /Observation/a"
	row := func(id, method, target, body, token string, status int, code string, calls ...string) writing {
		r := writing{attack: attack{id: id, method: method, target: target, body: body, token: token, status: status, code: code, calls: calls}}
		if method == "POST" {
			r.header = []string{"If-None-Exist", target}
			r.target = "/Observation"
		}
		return r
	}
	with := func(r writing, sent, changed string, withheld ...string) writing {
		if sent != "" {
			r.sent, r.changed = []string{sent}, []string{changed}
		}
		r.withheld = withheld
		return r
	}
	found := with(row("create that exists", "POST", "identifier=one", ofA, tA, 200, "", one), "", "", "Observation/b", "Observation/r")
	found.released = []string{"Observation/a"}
	onPageTwo := with(row("create, match on page two", "POST", "identifier=later", ofA, tA, 200, "", later, "GET ?page=2"), "", "", "Observation/b")
	onPageTwo.released = found.released
	w.attack(t, []writing{
		found,
		with(row("create, of hidden ones alone", "POST", "identifier=hidden", ofA, tA, 201, "", hidden, "POST /Observation"), "POST /Observation "+ofA, "Observation/new", "Observation/b", "Observation/r"),
		row("create, of two", "POST", "identifier=two", ofA, tA, 412, "conditional.ambiguous", two),
		onPageTwo,
		row("create without s", "POST", "identifier=one", ofA, h.patient("A", "patient/*.cru"), 403, "scope.missing"),
		with(row("update, the body has no id", "PUT", "/Observation?identifier=one", ofA, tA, 200, "", one, get, "PUT /Observation/a"), "PUT /Observation/a "+appended, "Observation/a", "Observation/b", "Observation/r"),
		with(row("update, the body has it", "PUT", "/Observation?identifier=one", withID, tA, 200, "", one, get, "PUT /Observation/a"), "PUT /Observation/a "+withID, "Observation/a", "Observation/b", "Observation/r"),
		with(row("update, the body has another", "PUT", "/Observation?identifier=one", body("b", ref("subject", "Patient/A")), tA, 400, "resource.id", one), "", "", "Observation/b", "Observation/r"),
		row("update of two", "PUT", "/Observation?identifier=two", ofA, tA, 412, "conditional.ambiguous", two),
		with(row("update of hidden ones makes one", "PUT", "/Observation?identifier=hidden", ofA, tA, 201, "", hidden, "POST /Observation"), "POST /Observation "+ofA, "Observation/new", "Observation/b", "Observation/r"),
		with(row("W-09 and needs c for that", "PUT", "/Observation?identifier=hidden", ofA, h.patient("A", "patient/*.rus"), 403, "scope.missing", hidden), "", "", "Observation/b", "Observation/r"),
		with(row("update by a new id", "PUT", "/Observation?identifier=hidden", body("new", ref("subject", "Patient/A")), tA, 201, "", hidden, "GET /Observation/new", "PUT /Observation/new"), "PUT /Observation/new "+body("new", ref("subject", "Patient/A")), "Observation/new", "Observation/b", "Observation/r"),
		with(row("W-02 update by B's id", "PUT", "/Observation?identifier=hidden", body("b", ref("subject", "Patient/A")), tA, 404, "resource.not-found", hidden, "GET /Observation/b"), "", "", "Observation/b", "Observation/r", "Observation/b"),
		with(row("update by an id that is taken", "PUT", "/Observation?identifier=hidden", withID, tA, 409, "write.conflict", hidden, get), "", "", "Observation/b", "Observation/r"),
		with(row("Law 4 the upstream ignores the criteria", "PUT", "/Observation?identifier=ignored", ofA, tA, 201, "", ignoring, "POST /Observation"), "POST /Observation "+ofA, "Observation/new"),
		with(row("delete", "DELETE", "/Observation?identifier=one", "", tA, 204, "", one, get, "DELETE /Observation/a"), "DELETE /Observation/a", "Observation/a", "Observation/b", "Observation/r"),
		with(row("delete of hidden ones", "DELETE", "/Observation?identifier=hidden", "", tA, 404, "resource.not-found", hidden), "", "", "Observation/b", "Observation/r"),
		row("delete of two", "DELETE", "/Observation?identifier=two", "", tA, 412, "conditional.ambiguous", two),
		row("delete without s", "DELETE", "/Observation?identifier=one", "", h.patient("A", "patient/*.crud"), 403, "scope.missing"),
		with(row("patch of hidden ones", "PATCH", "/Observation?identifier=hidden", `{"resourceType":"Parameters"}`, tA, 404, "resource.not-found", hidden), "", "", "Observation/b", "Observation/r"),
	})
	for _, pin := range w.pins {
		if pin != `W/"3"` {
			t.Errorf("pinned %q", pin)
		}
	}
}

// W-13: types that change what access means are no patient app's to write.
func TestAccessTypes(t *testing.T) {
	h := openHouse(t)
	w := h.ward(t)
	tA := h.patient("A", "patient/*.cruds patient/Consent.cruds patient/AuditEvent.cruds patient/Provenance.cruds patient/Group.cruds patient/Subscription.cruds")
	var rows []writing
	for _, typ := range []string{"Consent", "AuditEvent", "Provenance", "Subscription", "SearchParameter", "CompartmentDefinition", "StructureDefinition", "Group"} {
		text := `{"resourceType":"` + typ + `","id":"x",` + ref("patient", "Patient/A") + `}`
		for _, m := range []string{"POST", "PUT", "DELETE"} {
			target := "/" + typ
			if m != "POST" {
				target += "/x"
			}
			if m == "DELETE" {
				text = ""
			}
			rows = append(rows, writing{attack: attack{id: "W-13", method: m, target: target, body: text, token: tA, status: 403, code: "scope.missing"}})
		}
	}
	rows = append(rows, writing{attack: attack{id: "W-14 a Bundle is no patient's", method: "POST", target: "/Bundle", token: tA, status: 403, code: "scope.missing",
		body: `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + obsB + `}]}`}})
	for _, kind := range []string{"collection", "history", "message", "document", "searchset"} {
		rows = append(rows, writing{attack: attack{id: "W-14 " + kind, method: "POST", target: "", token: tA, status: 400, code: "request.bundle-type",
			body: `{"resourceType":"Bundle","type":"` + kind + `","entry":[{"resource":` + obsB + `,"request":{"method":"POST","url":"Observation"}}]}`}})
	}
	w.attack(t, rows)
}

// FHIR-18, W-17: what a Bundle holds is judged as if written by itself.
func TestNestedResources(t *testing.T) {
	h := openHouse(t)
	w := h.ward(t, "POST /Bundle")
	bundle := func(inner string) string {
		return `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + inner + `}]}`
	}
	reader := h.token(map[string]any{"patient": "A"}) // of the policy "self" and "reference data"
	row := func(id, inner string, status int, code string, withheld ...string) writing {
		r := writing{attack: attack{id: id, method: "POST", target: "/Bundle", token: reader, body: bundle(inner), status: status, code: code, withheld: withheld}}
		if status == 201 {
			r.sent, r.changed = []string{"POST /Bundle " + bundle(inner)}, []string{"Bundle/new"}
		}
		return r
	}
	w.attack(t, []writing{
		row("own", body("x", ref("subject", "Patient/A")), 201, ""),
		row("FHIR-18 B's", body("x", ref("subject", "Patient/B")), 403, "policy.denied", "Observation/x"),
		row("W-17 B's, deeper", bundle(body("x", ref("subject", "Patient/B"))), 403, "policy.denied", "Observation/x"),
		row("FHIR-18 restricted", strings.ReplaceAll(obsR, `"r"`, `"x"`), 403, "policy.denied", "Bundle/"),
		row("unknown type", `{"resourceType":"Canary"}`, 400, "resource.type"),
	})
}
