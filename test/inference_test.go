package test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Groups Q, P, I and H once more: other cases of each kind.

// P-05: what the gateway cannot judge is refused, wherever in the
// request it stands.
func TestGrammarOfSearchesIsClosed(t *testing.T) {
	h := openHouse(t)
	token := h.staff()
	var rows []attack
	for id, targets := range map[string][]string{
		"Q-09": {"/Patient?_text:contains=x", "/Observation?code:text-advanced=x", "/Patient?_content:exact=x", "/?_content=x&_type=Patient"},
		"Q-10": {"/Observation?subject:Patient.identifier:of-type=x", "/Observation?subject:below=Patient/A", "/Observation?code:iterate=x", "/Observation?date:not=2026", "/Patient?name:in=x"},
		"Q-12": {"/Observation?_list=x&patient=A", "/Patient/A/Observation?_list=x", "/Observation?_has:List:item:_id=x&_contained=true"},
		"Q-08": {"/?_type=Patient&_filter=name%20eq%20x", "/Patient/A/Observation?_filter=code%20eq%20x"},
		"P-09": {"/Observation?patient%5B%5D=A", "/Observation?patient.=A", "/Observation?.patient=A", "/Observation?patient:=A", "/Observation?:patient=A", "/Observation?patient:patient=A"},
		"P-10": {"/Observation?_count=1e3", "/Observation?_count=0x10", "/Observation?_count=", "/Observation?_count=5&_count=500", "/Observation?_summary=true&_summary=count",
			"/Observation?_total=all", "/Observation?_summary=Count"},
		"I-03": {"/Observation?_include=Observation:*:*:*", "/Observation?_revinclude=*", "/Observation?_include:recurse=Observation:subject",
			"/Observation?_include:ITERATE=Observation:subject", "/Observation?_include=Observation:subject.name", "/Observation?_include=Observation:subject:patient"},
		"H-02": {"/Observation?_page=2", "/Observation?_offset=20", "/Observation?ct=abc", "/Observation?_page_token=x", "/Observation?page=2", "/Observation?_cursor=x", "/?_getpages=x&_bundletype=searchset"},
	} {
		for _, target := range targets {
			rows = append(rows, attack{id: id, target: target, token: token, status: http.StatusBadRequest})
		}
	}
	h.attack(t, rows)
}

// a search over types at once takes scopes that open all of them whole. The
// base has no slash at its end.
func TestSearchesOverTypes(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET ", 200, searchset("", obsA, resource("Condition", "c", ref("subject", "Patient/A")), obsR))
	staff := func(scope string) string {
		return h.token(map[string]any{"roles": []string{"staff"}, "scope": scope, "patient": "A"})
	}
	rows := []attack{{id: "Q-15", target: "/?_id=a", token: h.staff(), status: 400}}
	for _, target := range []string{"?_type=Observation,Condition&_lastUpdated=ge2026", "?_id=a", "?_type=Observation&_id=a,b"} {
		rows = append(rows,
			attack{id: "Q-15 a patient's", target: target, token: h.patient("A", "patient/*.rs"), status: 403, code: "scope.system-search"},
			attack{id: "Q-15 of one category", target: target, token: staff("user/Observation.rs?category=laboratory user/Condition.rs"), status: 403})
	}
	rows = append(rows,
		attack{id: "Q-15 a type not granted", target: "?_type=Observation,Condition", token: staff("user/Observation.rs"), status: 403, code: "scope.missing"},
		attack{id: "Q-15 whole types", target: "?_type=Observation,Condition", token: staff("user/Observation.rs user/Condition.rs"), status: 200,
			calls: []string{"GET ?_type=Observation,Condition"}, ids: []string{"Observation/a", "Condition/c"},
			released: []string{"Observation/a", "Condition/c"}, withheld: []string{"Observation/r"}},
		attack{id: "Q-15 unnamed types", target: "?_id=a", token: staff("user/Observation.rs user/Condition.rs"), status: 200,
			calls: []string{"GET ?_id=a&_type=Condition,Observation"}, ids: []string{"Observation/a", "Condition/c"},
			released: []string{"Observation/a", "Condition/c"}, withheld: []string{"Observation/r"}})
	h.attack(t, rows)
}

// the self link is what the client asked, whatever was added to it; P-12:
// nothing that a client prefers makes the upstream lenient; P-13: what ignores
// the narrowing all the same raises an alarm and leaks nothing.
func TestNarrowingDoesNotShow(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation", 200, searchset("", obsA, obsB))
	tA := h.patient("A", "patient/Observation.rs?category=laboratory patient/Condition.rs")
	h.ehr.on("GET /Observation", 200, searchset("", strings.Replace(obsA, `"status"`, `"category":[{"coding":[{"code":"laboratory"}]}],"status"`, 1), obsB))
	got := h.do("GET", "/Observation?code=x&_count=7", tA, "", "Prefer", "handling=lenient")
	if self := `"self","url":"http://gw.example.org/fhir/Observation?code=x&_count=7"`; got.status != 200 || !strings.Contains(got.body, self) {
		t.Errorf("Q-17: got %d %s", got.status, got.body)
	}
	for _, word := range []string{"patient=", "category=", "Patient/B", "secret"} {
		if strings.Contains(strings.ReplaceAll(got.body, `"subject"`, ""), word) {
			t.Errorf("Q-17: %s shows: %s", word, got.body)
		}
	}
	h.ehr.mu.Lock()
	for _, header := range h.ehr.headers {
		if p := header.Get("Prefer"); p != "handling=strict" {
			t.Errorf("P-12: Prefer %q", p)
		}
	}
	h.ehr.mu.Unlock()
	if n := h.alarms(t, "upstream.ignored-narrowing"); n != "1" {
		t.Errorf("P-13: alarms %q", n)
	}
}

// I-01, I-02: a resource that anybody may see leads back to nobody else's.
func TestReverseIncludes(t *testing.T) {
	h := openHouse(t)
	doctor := resource("Practitioner", "d", "")
	mine := strings.Replace(obsA, `"subject"`, `"performer":[{"reference":"Practitioner/d"}],"subject"`, 1)
	others := strings.Replace(obsB, `"subject"`, `"performer":[{"reference":"Practitioner/d"}],"subject"`, 1)
	hidden := strings.Replace(obsR, `"subject"`, `"performer":[{"reference":"Practitioner/d"}],"subject"`, 1)
	elsewhere := resource("Observation", "e", ref("subject", "Patient/A")+`,"performer":[{"reference":"Practitioner/other"}]`)
	patB := resource("Patient", "B", `"name":[{"family":"Canary"}],"generalPractitioner":[{"reference":"Practitioner/d"}]`)
	bundle := searchset("", doctor, mine, others, hidden, elsewhere, patB)
	head, rest, _ := strings.Cut(bundle, `"mode":"match"`)
	h.ehr.on("GET /Practitioner", 200, head+`"mode":"match"`+strings.ReplaceAll(rest, `"mode":"match"`, `"mode":"include"`))
	want := []string{"Observation/b", "Observation/r", "Observation/e", "Patient/B"}
	for _, query := range []string{"_revinclude=Observation:performer&_revinclude=Patient:general-practitioner", "_revinclude=Observation:performer&_revinclude:iterate=Patient:general-practitioner"} {
		got := h.get("/Practitioner?_id=d&"+query, h.patient("A", "patient/*.rs"))
		if ids := got.ids(t); !slices.Equal(ids, []string{"Practitioner/d", "Observation/a"}) || !strings.Contains(got.body, `"total":1`) {
			t.Errorf("got %v: %s", ids, got.body)
		}
		h.noCanary(t, got)
		for _, r := range h.records(t, got.header.Get("X-Request-Id")) {
			for _, e := range r.Entries {
				if e.Effect != 1 && !slices.Contains(want, e.Type+"/"+e.ID) {
					t.Errorf("withheld %s/%s", e.Type, e.ID)
				}
			}
		}
	}
}

// H-03: what was revoked since binds the next page.
func TestPagesAfterRevocation(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: permit, max_staleness: 100ms}")
	h.consents()
	two := strings.ReplaceAll(obsA, `"a"`, `"a2"`)
	h.ehr.on("GET /Observation", 200, searchset("%BASE%?_getpages=2", obsA))
	h.ehr.on("GET ?_getpages=2", 200, searchset("", two, strings.ReplaceAll(two, "Patient/A", "Patient/C")))
	first := h.get("/Observation?_count=1", h.staff())
	next := nextLink(t, first)
	if got := h.get(next, h.staff()); len(got.ids(t)) != 2 {
		t.Fatalf("got %s", got.body)
	}
	h.consents(consentOf("c", "A", "deny", ""))
	time.Sleep(300 * time.Millisecond)
	if got := h.get(next, h.staff()); got.status != 200 || len(got.ids(t)) != 1 || strings.Contains(got.body, "Patient/A") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// H-02, L-03: page links hold no more than a request line can, and one answer
// takes a bounded number of the upstream's pages.
func TestPagesAreBounded(t *testing.T) {
	h := openHouse(t)
	tA := h.patient("A", "patient/*.rs")
	h.ehr.on("GET /Observation", 200, searchset("%BASE%?_getpages="+strings.Repeat("x", 40<<10), obsA))
	h.ehr.on("GET ?_getpages="+strings.Repeat("x", 40<<10), 200, searchset("", obsA))
	if got := h.get("/Observation", tA); got.status != 422 || got.code() != "search.too-long" {
		t.Errorf("a long link: got %d %.200s", got.status, got.body)
	}
	long := "code=" + strings.Repeat("x", 30<<10)
	h.ehr.on("POST /Observation/_search", 200, searchset("%BASE%?_getpages=2", obsA))
	h.ehr.on("GET ?_getpages=2", 200, searchset("", strings.ReplaceAll(obsA, `"a"`, `"a2"`)))
	if got := h.do("POST", "/Observation/_search", tA, long, "Content-Type", "application/x-www-form-urlencoded"); got.status != 422 || got.code() != "search.too-long" {
		t.Errorf("a long search: got %d %.200s", got.status, got.body)
	}
	for name, row := range map[string]string{"hidden": obsB, "hidden, and an include": obsB + `,"search":{"mode":"match"}},{"resource":` + resource("Organization", "o", "") + `,"search":{"mode":"include"}},{"resource":` + obsB} {
		h.ehr.on("GET /Condition", 200, searchset("%BASE%?_getpages=again", strings.ReplaceAll(row, "Observation", "Condition")))
		h.ehr.on("GET ?_getpages=again", 200, searchset("%BASE%?_getpages=again", strings.ReplaceAll(row, "Observation", "Condition")))
		for _, target := range []string{"/Condition", "/Condition?_count=1", "/Condition?_include=Condition:subject", "/Condition?_count=1000"} {
			h.ehr.requests()
			got := h.get(target, tA)
			if calls := len(h.ehr.requests()); got.status != 422 || got.code() != "search.too-broad" || calls > 120 {
				t.Errorf("%s, %s: got %d %s after %d requests", name, target, got.status, got.code(), calls)
			}
		}
	}
	// Something to show, and then nothing but hidden rows without an end: one
	// answer looks a bounded way ahead.
	h.ehr.on("GET /Condition", 200, searchset("%BASE%?_getpages=again", resource("Condition", "a", ref("subject", "Patient/A"))))
	h.ehr.requests()
	got := h.get("/Condition?_count=1", tA)
	if calls := len(h.ehr.requests()); got.status != 200 || len(got.ids(t)) != 1 || calls > 120 {
		t.Errorf("got %d %s after %d requests", got.status, got.body, calls)
	}
}

// whatever rows are hidden, and wherever they lie, an answer looks as it
// would without them.
func TestHiddenRowsLeaveNoTrace(t *testing.T) {
	h := openHouse(t, "limits: {address: {rate: 10000/s, burst: 10000}}")
	tA := h.patient("A", "user/*.rs")
	shape := func(rows []string, target string) (shapes []string) {
		up := &pager{limit: 1000, rows: rows}
		up.serve(h)
		for target != "" {
			got := h.get(target, tA)
			for _, id := range []string{"Date", "X-Request-Id", "Content-Length"} {
				got.header.Del(id)
			}
			if target = ""; strings.Contains(got.body, `"next"`) {
				target = nextLink(t, got)
				got.body = strings.Replace(got.body, target, "NEXT", 1)
			}
			shapes = append(shapes, fmt.Sprint(got.status, got.header, got.body))
		}
		return shapes
	}
	var visible []string
	for i := range 25 {
		visible = append(visible, resource("Observation", fmt.Sprint("v", i), ref("subject", "Patient/A")))
	}
	hide := func(at ...int) (rows []string) {
		for i, row := range visible {
			for k, where := range at {
				if where == i {
					rows = append(rows, resource("Observation", fmt.Sprint("h", i, "-", k), ref("subject", "Patient/B")))
				}
			}
			rows = append(rows, row)
		}
		for range at {
			if at[0] == len(visible) {
				rows = append(rows, obsB)
			}
		}
		return rows
	}
	for _, query := range []string{"?_count=1", "?_count=7", "?_count=25", "?_count=24", "?_count=100"} {
		want := shape(visible, "/Observation"+query)
		for _, at := range [][]int{{0}, {0, 0, 0}, {7}, {6, 7, 8}, {24}, {25}, {25, 25}, {3, 10, 24}} {
			if got := shape(hide(at...), "/Observation"+query); !slices.Equal(got, want) {
				t.Errorf("%s, hidden at %v: %d pages, want %d\n%.600s\n%.600s", query, at, len(got), len(want), got, want)
			}
		}
	}
}
