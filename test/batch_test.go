package test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// SMART-15, W-14 to W-19: a batch has no rights of its own.

// request is one entry, and the single request that it stands for.
type request struct {
	method, url, body string
	ifMatch, ifNone   string
}

func (r request) entry() string {
	var members []string
	if r.body != "" {
		members = append(members, `"resource":`+r.body)
	}
	q := fmt.Sprintf(`"request":{"method":%q,"url":%q`, r.method, r.url)
	if r.ifMatch != "" {
		q += fmt.Sprintf(`,"ifMatch":%q`, r.ifMatch)
	}
	if r.ifNone != "" {
		q += fmt.Sprintf(`,"ifNoneExist":%q`, r.ifNone)
	}
	return `{` + strings.Join(append(members, q+`}`), ",") + `}`
}

func batchOf(kind string, requests ...request) string {
	var entries []string
	for _, r := range requests {
		entries = append(entries, r.entry())
	}
	return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + strings.Join(entries, ",") + `]}`
}

// response is one entry of a batch-response.
type response struct {
	Resource json.RawMessage
	Response struct {
		Status, Location, Etag string
		Outcome                json.RawMessage
	}
}

func (a answer) responses(t *testing.T) []response {
	t.Helper()
	var b struct{ Entry []response }
	if err := json.Unmarshal([]byte(a.body), &b); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return b.Entry
}

// withoutID takes the request's id out of an outcome: it differs by its nature.
func withoutID(outcome string) string {
	before, rest, ok := strings.Cut(outcome, `,"diagnostics":"Request `)
	if !ok {
		return outcome
	}
	_, after, _ := strings.Cut(rest, `"`)
	return before + after
}

var batchRows = []request{
	{method: "GET", url: "Observation/a"},
	{method: "GET", url: "Observation/b"},
	{method: "GET", url: "Observation/none"},
	{method: "GET", url: "Observation/r"},
	{method: "GET", url: "Observation?code=x"},
	{method: "GET", url: "Observation/b/_history"},
	{method: "GET", url: "Patient/B"},
	{method: "GET", url: "Patient/B/$everything"},
	{method: "GET", url: "AuditEvent"},
	{method: "POST", url: "Observation", body: body("", ref("subject", "Patient/A"))},
	{method: "POST", url: "Observation", body: body("", ref("subject", "Patient/B"))},
	{method: "POST", url: "Observation", body: body("", ref("subject", "Patient/A")), ifNone: "identifier=x"},
	{method: "PUT", url: "Observation/a", body: body("a", ref("subject", "Patient/A"))},
	{method: "PUT", url: "Observation/a", body: body("a", ref("subject", "Patient/A")), ifMatch: `W/"1"`},
	{method: "PUT", url: "Observation/b", body: body("b", ref("subject", "Patient/A"))},
	{method: "PUT", url: "Observation/b", body: body("b", ref("subject", "Patient/A")), ifMatch: `W/"1"`},
	{method: "DELETE", url: "Observation/b"},
	{method: "DELETE", url: "Observation/a"},
	{method: "DELETE", url: "Observation?identifier=x"},
}

func batchHouse(t *testing.T) *house {
	h := openHouse(t)
	h.ward(t, "POST /Observation", "PUT /Observation/a", "DELETE /Observation/a")
	h.ehr.on("GET /Observation/a", 200, obsA, "ETag", `W/"3"`)
	h.ehr.on("GET /Observation/b", 200, obsB)
	h.ehr.on("GET /Observation/r", 200, obsR)
	h.ehr.on("GET /Observation", 200, searchset("", obsA, obsB, obsR))
	h.ehr.on("GET /Observation/b/_history", 200, strings.Replace(searchset("", obsB), "searchset", "history", 1))
	h.ehr.on("GET /Patient/B", 200, resource("Patient", "B", `"name":[{"text":"Jane Canary"}]`))
	return h
}

// The same request alone and in a batch has the same answer, and the upstream
// gets the same.
func TestBatchEquivalence(t *testing.T) {
	h := batchHouse(t)
	tA := h.patient("A", "patient/*.cruds")
	h.ehr.requests()
	all := h.do("POST", "", tA, batchOf("batch", batchRows...))
	calls := h.ehr.requests()
	h.noCanary(t, all)
	entries := all.responses(t)
	if all.status != 200 || len(entries) != len(batchRows) {
		t.Fatalf("got %d with %d entries: %s", all.status, len(entries), all.body)
	}
	var single []string
	for i, r := range batchRows {
		var header []string
		if r.ifMatch != "" {
			header = append(header, "If-Match", r.ifMatch)
		}
		if r.ifNone != "" {
			header = append(header, "If-None-Exist", r.ifNone)
		}
		got := h.do(r.method, "/"+r.url, tA, r.body, header...)
		single = append(single, h.ehr.requests()...)
		e := entries[i]
		want := string(e.Resource)
		if want == "" {
			want = string(e.Response.Outcome)
		}
		if fmt.Sprint(got.status) != e.Response.Status[:3] || withoutID(got.body) != withoutID(want) ||
			got.header.Get("Location") != e.Response.Location || got.header.Get("ETag") != e.Response.Etag {
			t.Errorf("%s %s: alone %d %s %.200s\nin a batch %s %s %.200s", r.method, r.url, got.status, got.header.Get("Location"), got.body, e.Response.Status, e.Response.Location, want)
		}
	}
	if !slices.Equal(calls, single) {
		t.Errorf("upstream got %v of the batch, %v of the requests alone", calls, single)
	}
}

// U-04: each entry has its record, under the id of the request, and the record
// of one tells nothing of another's.
func TestBatchRecords(t *testing.T) {
	h := batchHouse(t)
	rows := []request{batchRows[0], batchRows[8], batchRows[1], {method: "GET", url: "Observation/%2e"}, batchRows[12]}
	got := h.do("POST", "", h.patient("A", "patient/*.cruds"), batchOf("batch", rows...))
	var lines []string
	for _, r := range h.records(t, got.header.Get("X-Request-Id")) {
		line := fmt.Sprintf("%s %s %s/%s %d %s allow=%v", r.Kind, r.Interaction, r.Type, r.ID, r.Status, r.Code, r.Decision.Allow)
		for _, e := range r.Entries {
			line += fmt.Sprintf(" %s %s/%s %v", e.Effect, e.Type, e.ID, e.Patients)
		}
		lines = append(lines, line)
	}
	want := []string{
		"outcome read Observation/a 200 ok allow=true released Observation/a [Patient/A]",
		"outcome search-type AuditEvent/ 403 scope.missing allow=false",
		"outcome read Observation/b 404 resource.not-found allow=false withheld Observation/b [Patient/B]",
		"outcome / 400 request.path allow=false",
		"intent update Observation/a 0  allow=true changed Observation/a [Patient/A]",
		"outcome update Observation/a 200 ok allow=true changed Observation/a [Patient/A]",
		"outcome batch / 200 ok allow=false",
	}
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], "outcome  ", "outcome ")
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// W-14 to W-17, SMART-15: what an entry may say.
func TestBatchEntries(t *testing.T) {
	h := batchHouse(t)
	tA := h.patient("A", "patient/*.cruds")
	for id, row := range map[string]struct{ entry, want string }{
		"W-15 rooted":        {`{"request":{"method":"GET","url":"/Observation/b"}}`, "400"},
		"W-15 dotted":        {`{"request":{"method":"GET","url":"./Observation/b"}}`, "400"},
		"W-15 own base":      {`{"request":{"method":"GET","url":"http://gw.example.org/fhir/Observation/b"}}`, "404"},
		"W-15 foreign":       {`{"request":{"method":"GET","url":"http://elsewhere.example/fhir/Observation/b"}}`, "400"},
		"W-15 escape":        {`{"request":{"method":"GET","url":"Observation/b%2f.."}}`, "400"},
		"W-15 empty":         {`{"request":{"method":"GET","url":""}}`, "400"},
		"W-16 lower case":    {`{"request":{"method":"get","url":"Observation/b"}}`, "405"},
		"W-16 HEAD":          {`{"request":{"method":"HEAD","url":"Observation/b"}}`, "405"},
		"W-16 a body to GET": {`{"resource":` + obsB + `,"request":{"method":"GET","url":"Observation/b"}}`, "400"},
		"W-16 _search":       {`{"request":{"method":"POST","url":"Observation/_search"}}`, "200"},
		"W-17 nested":        {`{"resource":` + batchOf("transaction", batchRows[10]) + `,"request":{"method":"POST","url":""}}`, "400"},
		"W-17 stored":        {`{"resource":` + batchOf("transaction", batchRows[10]) + `,"request":{"method":"POST","url":"Bundle"}}`, "403"},
		"no request":         {`{"resource":` + obsB + `}`, "400"},
	} {
		got := h.do("POST", "", tA, `{"resourceType":"Bundle","type":"batch","entry":[`+row.entry+`]}`)
		h.noCanary(t, got)
		if got.status != 200 {
			t.Errorf("%s: got %d %s", id, got.status, got.body)
			continue
		}
		if e := got.responses(t); len(e) != 1 || e[0].Response.Status[:3] != row.want {
			t.Errorf("%s: got %s, want %s", id, got.body, row.want)
		}
	}
	for _, call := range h.ehr.requests() {
		if strings.HasPrefix(call, "POST") || strings.HasPrefix(call, "PUT") {
			t.Errorf("the upstream got %s", call)
		}
	}
}

// L-03: a batch is charged by its entries.
func TestBatchCosts(t *testing.T) {
	h := openHouse(t, `clients: {"*": {limits: {rate: 1/h, burst: 3}}}`)
	h.ehr.on("GET /Observation/a", 200, obsA)
	get := batchRows[0]
	got := h.do("POST", "", h.patient("A", "patient/*.rs"), batchOf("batch", get, get, get, get, get))
	var statuses []string
	for _, e := range got.responses(t) {
		statuses = append(statuses, e.Response.Status[:3])
	}
	if want := []string{"200", "200", "200", "429", "429"}; !slices.Equal(statuses, want) {
		t.Errorf("got %v, want %v", statuses, want)
	}
}

// An entry's answer that outgrows what a batch holds is refused by itself.
func TestBatchLongAnswer(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA)
	long := strings.Replace(obsA, `"status"`, `"text":{"div":"`+strings.Repeat("x", 1<<20)+`"},"status"`, 1)
	entries := make([]string, 18)
	for i := range entries {
		entries[i] = long
	}
	h.ehr.on("GET /Observation", 200, searchset("", entries...))
	get := batchRows[0]
	got := h.do("POST", "", h.patient("A", "patient/*.rs"), batchOf("batch", get, request{method: "GET", url: "Observation"}, get))
	var told []string
	for _, e := range got.responses(t) {
		told = append(told, e.Response.Status[:3])
	}
	if want := []string{"200", "413", "200"}; !slices.Equal(told, want) {
		t.Errorf("got %v, want %v", told, want)
	}
}
