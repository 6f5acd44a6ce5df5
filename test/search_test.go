package test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Groups Q, P and I: searches as oracles, their parameters, includes.

// Q and P: what cannot be judged is refused, and nothing of it reaches the
// upstream; what is served is rebuilt from its parse.
func TestSearchRefused(t *testing.T) {
	h := openHouse(t)
	tA := h.patient("A", "patient/*.rs")
	var rows []attack
	many := strings.Repeat("code=x&", 300)
	for _, c := range []struct {
		id, target string
		status     int
	}{
		{"Q-05", "/Observation?_summary=count", 403},
		{"Q-05", "/Observation?_total=accurate", 403},
		{"Q-05", "/Observation?_count=0", 403},
		{"Q-08", "/Patient?_filter=birthdate%20lt%201960", 400},
		{"Q-09", "/Observation?_text=cancer", 400},
		{"Q-09", "/Observation?_content=cancer", 400},
		{"Q-09", "/Observation?_query=named", 400},
		{"Q-09", "/Patient?name:text=x", 400},
		{"Q-10", "/Observation?code:code-text=x", 400},
		{"Q-12", "/Observation?_list=List/x", 400},
		{"Q-12", "/Observation?_in=List/x", 400},
		{"Q-12", "/Observation?_contained=both", 400},
		{"Q-12", "/Observation?_containedType=contained", 400},
		{"Q-16", "/Observation?patient:Group=x", 400},
		{"P-05", `/Observation?patient=A%5CB`, 400},
		{"P-05", "/Observation?patient=A$x", 400},
		{"P-05", "/Observation?patient=A%7CB", 400},
		{"P-06", "/Observation?patient=A;patient=B", 400},
		{"P-07", "/Observation?patient=A&subject=%zzB", 400},
		{"P-07", "/Observation?patient=%2541", 400},
		{"P-08", "/Observation?" + many + "patient=B", 400},
		{"P-09", "/Observation?Patient=A", 400},
		{"P-09", "/Observation?PATIENT=A", 400},
		{"P-09", "/Observation?_ID=a", 400},
		{"P-09", "/Observation?patient%00=A", 400},
		{"P-09", "/Observation?patient%20=A", 400},
		{"P-09", "/Observation?+patient=A", 400},
		{"P-10", "/Observation?_count=-1", 400},
		{"P-10", "/Observation?_format=xml", 406},
		{"P-10", "/Observation?_elements=Canary", 400},
		{"FHIR-05", "/Observation?nonsense=1", 400},
		{"FHIR-05", "/Observation?patient=", 400},
		{"FHIR-05", "/Observation?patient", 400},
		{"R-07", "/Observation?patient=patient/A", 400},
		{"R-07", "/Observation?patient=Patient/A%20", 400},
		{"R-07", "/Observation?patient=Patient/A/", 400},
		{"R-07", "/Observation?patient=Patient/A%3Fx", 400},
		{"R-07", "/Observation?patient=Patient/A%23x", 400},
		{"R-07", "/Observation?patient=Patient/%D0%90", 400},
		{"H-02", "/Observation?_getpagesoffset=20", 400},
		{"H-02", "/?_getpages=abc", 400},
		{"H-02", "?_getpages=abc&_getpagesoffset=0", 400},
		{"T-07", "/Observation?_method=DELETE", 400},
		{"I-03", "/Observation?_include=Observation", 400},
		{"I-03", "/Observation?_include=Nonsense:subject", 400},
	} {
		rows = append(rows, attack{id: c.id, target: c.target, token: tA, status: c.status})
	}
	for _, media := range []string{"application/x-www-form-urlencoded; charset=utf-16", "multipart/form-data; boundary=x", "application/fhir+json", "text/plain", ""} {
		rows = append(rows, attack{id: "P-11", method: "POST", target: "/Observation/_search", body: "patient=A", token: tA,
			header: []string{"Content-Type", media}, status: http.StatusUnsupportedMediaType})
	}
	h.attack(t, rows)
}

// Q, P, FHIR-04: what is served goes upstream narrowed, in one canonical form,
// and every row is judged whatever the upstream did with it.
func TestSearchRebuilt(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation", 200, searchset("", obsA, obsB, obsR))
	tA := h.patient("A", "patient/*.rs")
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	var rows []attack
	for _, c := range []struct{ id, method, target, body, call string }{
		{"P-04", "", "/Observation?patient=A,B", "", "GET /Observation?patient=Patient/A,Patient/B&patient=Patient/A"},
		{"P-05", "", "/Observation?patient=A%2CB", "", "GET /Observation?patient=Patient/A,Patient/B&patient=Patient/A"},
		{"Q-16", "", "/Observation?subject:Patient=B", "", "GET /Observation?subject=Patient/B&patient=Patient/A"},
		{"Q-16", "", "/Observation?subject:identifier=urn:mrn%7CMRN-B", "", "GET /Observation?subject%3Aidentifier=urn:mrn%7CMRN-B&patient=Patient/A"},
		{"Q-11", "", "/Observation?_security=R", "", "GET /Observation?_security=R&patient=Patient/A"},
		{"Q-11", "", "/Observation?_security:not=R", "", "GET /Observation?_security:not=R&patient=Patient/A"},
		{"Q-13", "", "/Observation?_lastUpdated=ge2026-01-01", "", "GET /Observation?_lastUpdated=ge2026-01-01&patient=Patient/A"},
		{"Q-05", "", "/Observation?_total=estimate", "", "GET /Observation?patient=Patient/A"},
		{"P-10", "", "/Observation?_count=1000000", "", "GET /Observation?patient=Patient/A&_count=1000"},
		{"P-10", "", "/Observation?_pretty=true&_format=json", "", "GET /Observation?patient=Patient/A"},
		{"FHIR-07", "", "/Observation?_elements=id", "", "GET /Observation?patient=Patient/A"},
		{"FHIR-07", "", "/Observation?_summary=text", "", "GET /Observation?patient=Patient/A"},
		{"FHIR-04", "POST", "/Observation/_search?patient=A", "patient=B", "GET /Observation?patient=Patient/A&patient=Patient/B"},
		{"R-01", "", "/Observation?patient=http://GW.example.org:80/fhir/Patient/B", "", "GET /Observation?patient=Patient/B&patient=Patient/A"},
		{"FHIR-24", "", "/Patient/A/Observation?code=x", "", "GET /Observation?code=x&patient=Patient/A"},
	} {
		row := attack{id: c.id, method: c.method, target: c.target, body: c.body, token: tA, status: 200, calls: []string{strings.ReplaceAll(c.call, "%3A", ":")}}
		if c.method == "POST" {
			row.header = form
		}
		row.ids, row.released, row.withheld = []string{"Observation/a"}, []string{"Observation/a"}, []string{"Observation/b", "Observation/r"}
		rows = append(rows, row)
	}
	h.attack(t, rows)
}

// A whole compartment is searched as FHIR writes it, and each row is judged.
func TestWholeCompartment(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Patient/A/*", 200, searchset("", obsA, obsR))
	h.attack(t, []attack{{id: "FHIR-24 all", target: "/Patient/A/*", token: h.staff(), status: 200, calls: []string{"GET /Patient/A/*"},
		ids: []string{"Observation/a"}, released: []string{"Observation/a"}, withheld: []string{"Observation/r"}}})
}

// I-01, I-02, I-04, S-10: an included resource is judged by its own rule.
func TestIncludes(t *testing.T) {
	h := openHouse(t)
	include := func(resources ...string) string {
		performed := strings.Replace(obsA, `"subject"`, `"performer":[{"reference":"Patient/A"},{"reference":"Practitioner/d"}],"subject"`, 1)
		s := searchset("", append([]string{performed}, resources...)...)
		head, rest, _ := strings.Cut(s, `"mode":"match"`)
		return head + `"mode":"match"` + strings.ReplaceAll(rest, `"mode":"match"`, `"mode":"include"`)
	}
	patB := resource("Patient", "B", `"name":[{"family":"Canary"}]`)
	patA := resource("Patient", "A", `"name":[{"family":"A"}]`)
	prov := resource("Provenance", "p", ref("who", "Practitioner/Canary")+`,"target":[{"reference":"Observation/a"}]`)
	h.ehr.on("GET /Observation", 200, include(patB, patA, prov, resource("Practitioner", "d", "")))
	h.ehr.on("GET /Patient", 200, searchset("", patA, resource("Group", "g", `"member":[{"entity":{"reference":"Patient/A"}},{"entity":{"reference":"Patient/B","display":"Canary"}}]`)))
	tA := h.patient("A", "patient/*.rs")
	one := h.patient("A", "patient/Observation.rs")
	withPatient := h.patient("A", "patient/Observation.rs patient/Patient.r")
	h.attack(t, []attack{
		{id: "I-01", target: "/Observation?_include=Observation:performer", token: tA, status: 200, calls: anyCalls,
			ids:      []string{"Observation/a", "Patient/A", "Practitioner/d"},
			released: []string{"Observation/a", "Patient/A", "Practitioner/d"}, withheld: []string{"Patient/B", "Provenance/p"}},
		{id: "S-10", target: "/Observation?_include=Observation:subject", token: withPatient, status: 200, calls: anyCalls,
			ids:      []string{"Observation/a", "Patient/A"},
			released: []string{"Observation/a", "Patient/A"}, withheld: []string{"Patient/B", "Provenance/p", "Practitioner/d"}},
		{id: "S-10", target: "/Observation?_include=Observation:patient", token: one, status: 403, code: "scope.missing"},
		{id: "S-10", target: "/Observation?_revinclude=Provenance:target", token: tA, status: 403, code: "scope.missing"},
		{id: "I-04", target: "/Observation?_revinclude:iterate=AuditEvent:entity", token: tA, status: 403, code: "scope.missing"},
		{id: "I-02", target: "/Patient?_id=A&_revinclude=Group:member", token: tA, status: 200, calls: anyCalls, ids: []string{"Patient/A"},
			released: []string{"Patient/A"}, withheld: []string{"Group/g"}},
		{id: "FHIR-05", target: "/Observation", token: tA, status: 200, calls: anyCalls, ids: []string{"Observation/a"},
			released: []string{"Observation/a"}, withheld: []string{"Patient/B", "Patient/A", "Provenance/p", "Practitioner/d"}},
	})
}

// Q-02, FHIR-06: each hop of a chain needs its own scope.
func TestChainsNeedScope(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Patient", 200, searchset("", resource("Patient", "A", "")))
	one := h.patient("A", "patient/Observation.rs")
	pat := h.patient("A", "patient/Patient.rs")
	var rows []attack
	for _, target := range []string{"/Observation?subject:Patient.birthdate=lt1960", "/Observation?patient.identifier=MRN", "/Observation?patient.name:contains=x",
		"/Observation?_has:Provenance:target:agent=Practitioner/x", "/Observation?performer:Practitioner.name=x"} {
		rows = append(rows, attack{id: "Q-02", target: target, token: one, status: 403})
	}
	rows = append(rows, attack{id: "FHIR-06", target: "/Patient?_has:Observation:patient:code=HIV", token: pat, status: 403, code: "scope.missing"})
	h.attack(t, rows)
}

// a page on which nothing may be seen is passed over; what is hidden does
// not show in the shape of the answer, its total included.
func TestHiddenPages(t *testing.T) {
	h := openHouse(t)
	tA := h.patient("A", "patient/*.rs")
	h.ehr.on("GET /Observation", 200, searchset("%BASE%?_getpages=p2", obsB, obsR))
	h.ehr.on("GET ?_getpages=p2", 200, searchset("%BASE%?_getpages=p3", obsB))
	h.ehr.on("GET ?_getpages=p3", 200, searchset("", obsA))
	h.ehr.on("GET /Condition", 200, searchset("%BASE%?_getpages=c2", resource("Condition", "b", ref("subject", "Patient/B"))))
	h.ehr.on("GET ?_getpages=c2", 200, searchset(""))
	h.ehr.on("GET /Procedure", 200, searchset(""))
	got := h.get("/Observation", tA)
	if ids := got.ids(t); len(ids) != 1 || strings.Contains(got.body, `"next"`) || !strings.Contains(got.body, `"total":1`) {
		t.Errorf("got %s", got.body)
	}
	hidden, none := h.get("/Condition", tA), h.get("/Procedure", tA)
	if a, b := strings.ReplaceAll(hidden.body, "Condition", "Procedure"), none.body; a != b {
		t.Errorf("hidden rows show:\n%s\n%s", a, b)
	}
}

// A long answer is judged window by window, a hidden first window included.
func TestLongAnswer(t *testing.T) {
	h := openHouse(t)
	tA := h.patient("A", "patient/*.rs")
	var rows []string
	for i := range 700 {
		owner := "B"
		if i%7 == 3 || i > 650 {
			owner = "A"
		}
		text := "fine"
		if owner == "B" {
			text = "Canary"
		}
		rows = append(rows, resource("Observation", "o"+strconv.Itoa(i), ref("subject", "Patient/"+owner)+`,"code":{"text":"`+text+`"}`))
	}
	h.ehr.on("GET /Observation", 200, searchset("", rows...))
	got := h.get("/Observation", tA)
	if ids := got.ids(t); len(ids) != 142 || !strings.Contains(got.body, `"total":142`) {
		t.Errorf("got %d of %.200s", len(ids), got.body)
	}
	h.noCanary(t, got)
	var released, withheld int
	for _, r := range h.records(t, got.header.Get("X-Request-Id")) {
		for _, e := range r.Entries {
			if e.Effect == 1 {
				released++
			} else {
				withheld++
			}
		}
	}
	if released != 142 || withheld != 558 {
		t.Errorf("the record says %d released, %d withheld", released, withheld)
	}
}

// A search that is too long for a URL is posted; nothing of it is cut.
func TestLongSearch(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("POST /Observation/_search", 200, searchset("", obsA, obsB))
	query := "code=" + strings.Repeat("x", 3000)
	h.attack(t, []attack{{id: "P", method: "POST", target: "/Observation/_search", body: query, token: h.patient("A", "patient/*.rs"),
		header: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 200, calls: anyCalls, ids: []string{"Observation/a"},
		released: []string{"Observation/a"}, withheld: []string{"Observation/b"}}})
	h.get("/Observation?"+query, h.patient("A", "patient/*.rs"))
	h.ehr.mu.Lock()
	defer h.ehr.mu.Unlock()
	if len(h.ehr.got) != 1 || h.ehr.got[0] != "POST /Observation/_search" || h.ehr.bodies[0] != query+"&patient=Patient/A" {
		t.Errorf("upstream got %v %.50s", h.ehr.got, h.ehr.bodies)
	}
}
