package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// W-14 to W-19, FHIR-15: a transaction is judged as a whole graph, and sent
// whole or not at all.

// responses is a transaction-response with one line for each entry.
func responses(lines ...string) string {
	var entries []string
	for _, l := range lines {
		status, location, _ := strings.Cut(l, " ")
		entries = append(entries, fmt.Sprintf(`{"response":{"status":%q,"location":%q,"etag":"W/\"9\""},"resource":%s}`, status, location, obsB))
	}
	return `{"resourceType":"Bundle","type":"transaction-response","entry":[` + strings.Join(entries, ",") + `]}`
}

const uuid1, uuid2 = "urn:uuid:00000000-0000-4000-8000-000000000001", "urn:uuid:00000000-0000-4000-8000-000000000002"

// named is an entry with a fullUrl.
func namedEntry(fullURL string, r request) string {
	return `{"fullUrl":"` + fullURL + `",` + r.entry()[1:]
}

func transactionOf(entries ...string) string {
	return `{"resourceType":"Bundle","type":"transaction","entry":[` + strings.Join(entries, ",") + `]}`
}

func post(typ, members string) request {
	return request{method: "POST", url: typ, body: `{"resourceType":"` + typ + `",` + members + `}`}
}

func transactionHouse(t *testing.T) (*house, *ward) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Observation/b", 200, obsB)
	h.ehr.on("GET /Observation/r", 200, obsR)
	h.ehr.on("GET /Patient", 200, searchset("", resource("Patient", "B", `"name":[{"text":"Jane Canary"}],"identifier":[{"value":"MRN-B"}]`)))
	h.ehr.on("GET /Patient?identifier=MRN-A&_id=A&_count=50", 200, searchset("", resource("Patient", "A", `"identifier":[{"value":"MRN-A"}]`)))
	h.ehr.on("GET /Observation", 200, searchset("", strings.Replace(obsA, `"status"`, `"identifier":[{"value":"x"}],"status"`, 1), obsB))
	h.ehr.on("POST ", 200, responses("200 OK"))
	return h, h.ward(t)
}

// One denied entry refuses all, and does not say which or why.
func TestTransactionDenied(t *testing.T) {
	h, w := transactionHouse(t)
	tA := h.patient("A", "patient/*.cruds")
	own := post("Observation", ref("subject", "Patient/A")).entry()
	denied := map[string]string{
		"W-18 B":                      post("Observation", ref("subject", "Patient/B")).entry(),
		"W-02 B's overwritten":        request{method: "PUT", url: "Observation/b", body: body("b", ref("subject", "Patient/A"))}.entry(),
		"W-09 of a version of B's":    request{method: "PUT", url: "Observation/b", body: body("b", ref("subject", "Patient/A")), ifMatch: `W/"1"`}.entry(),
		"W-09 of a version of none":   request{method: "PUT", url: "Observation/none", body: body("none", ref("subject", "Patient/A")), ifMatch: `W/"1"`}.entry(),
		"delete of B's":               request{method: "DELETE", url: "Observation/b"}.entry(),
		"delete of none":              request{method: "DELETE", url: "Observation/none"}.entry(),
		"restricted":                  request{method: "DELETE", url: "Observation/r"}.entry(),
		"W-18 a patient found hidden": namedEntry(uuid1, request{method: "POST", url: "Patient", body: `{"resourceType":"Patient"}`, ifNone: "identifier=MRN-B"}),
		"a new patient of the own id": namedEntry("urn:uuid:A", request{method: "POST", url: "Patient", body: `{"resourceType":"Patient","id":"A"}`}),
		"an urn like the own id":      namedEntry("urn:uuid:A", post("Encounter", ref("subject", "Patient/A"))) + `,` + post("Observation", ref("subject", "urn:uuid:A")).entry(),
		"contained":                   post("Observation", `"contained":[{"resourceType":"Condition","id":"c","subject":{"identifier":{"value":"MRN-B"}}}],`+ref("subject", "Patient/A")).entry(),
	}
	var want string
	for id, entry := range denied {
		h.ehr.requests()
		got := h.do("POST", "", tA, transactionOf(own, entry))
		h.noCanary(t, got)
		if want == "" {
			want = withoutID(got.body)
		}
		if got.status != 403 || got.code() != "transaction.denied" || withoutID(got.body) != want {
			t.Errorf("%s: got %d %.300s", id, got.status, got.body)
		}
		for _, call := range h.ehr.requests() {
			if !strings.HasPrefix(call, "GET ") {
				t.Errorf("%s: the upstream got %s", id, call)
			}
		}
	}
	row := func(id, status, code string, entries ...string) writing {
		n := 400
		_, _ = fmt.Sscan(status, &n)
		return writing{attack: attack{id: id, method: "POST", target: "", token: tA, body: transactionOf(entries...), status: n, code: code, calls: anyCalls}}
	}
	w.attack(t, []writing{
		row("a type the scopes lack", "403", "scope.missing", own, post("Provenance", `"recorded":"x"`).entry()),
		row("a read that the scopes lack", "403", "scope.missing", own, request{method: "GET", url: "AuditEvent/1"}.entry()),
		row("a search that cannot be", "400", "request.parameter-unknown", own, request{method: "GET", url: "Observation?cod=x"}.entry()),
		row("twice the same", "400", "transaction.twice", batchRows[12].entry(), request{method: "DELETE", url: "Observation/a"}.entry()),
		row("one fullUrl twice", "400", "request.bundle-entry", namedEntry(uuid1, post("Observation", ref("subject", "Patient/A"))), namedEntry(uuid1, post("Encounter", ref("subject", "Patient/A")))),
		row("a new resource named as an existing one", "400", "request.bundle-entry", namedEntry("http://gw.example.org/fhir/Patient/A", post("Observation", ref("subject", "Patient/A")))),
		row("an existing one named as another", "400", "request.bundle-entry", namedEntry("http://gw.example.org/fhir/Observation/b", batchRows[12])),
		row("L-03 a long fullUrl", "400", "request.bundle-entry", namedEntry("http://other.example.org/"+strings.Repeat("x", 2048)+"/Observation/n", post("Observation", ref("subject", "Patient/A")))),
		row("a urn of nothing", "422", "resource.reference", post("Observation", ref("subject", uuid2)).entry()),
		row("a stale version", "412", "write.version", request{method: "PUT", url: "Observation/a", body: body("a", ref("subject", "Patient/A")), ifMatch: `W/"1"`}.entry()),
	})
	found := row("FHIR-15 a reference by search, to a hidden patient", "412", "conditional.none", post("Observation", ref("subject", "Patient?identifier=MRN-B")).entry())
	found.withheld = []string{"Patient/B"}
	w.attack(t, []writing{found})
}

// W-09: an entry that fails by itself fails the same beside a hidden resource
// and beside an absent one.
func TestTransactionHidesBesideAFailure(t *testing.T) {
	h, _ := transactionHouse(t)
	tA := h.patient("A", "patient/*.cruds")
	put := func(id string) string {
		return request{method: "PUT", url: "Observation/" + id, body: body(id, ref("subject", "Patient/A"))}.entry()
	}
	for id, bad := range map[string]string{
		"a body":    post("Observation", ref("subject", uuid2)).entry(),
		"a list":    post("Observation", `"subject":[{"reference":"Patient/A"}]`).entry(),
		"a version": request{method: "PUT", url: "Observation/a", body: body("a", ref("subject", "Patient/A")), ifMatch: `W/"1"`}.entry(),
	} {
		want := h.do("POST", "", tA, transactionOf(put("absent"), bad))
		for _, hidden := range []string{"b", "r"} {
			got := h.do("POST", "", tA, transactionOf(put(hidden), bad))
			if got.status < 400 || got.status != want.status || withoutID(got.body) != withoutID(want.body) {
				t.Errorf("%s beside %s: got %d %s, beside nothing %d %s", id, hidden, got.status, got.body, want.status, want.body)
			}
		}
	}
}

// What is sent is the graph that was judged.
func TestTransactionGraph(t *testing.T) {
	h, _ := transactionHouse(t)
	tA := h.patient("A", "patient/*.cruds")
	put := request{method: "PUT", url: "Observation/a", body: body("a", ref("subject", "Patient/A"))}
	for _, row := range []struct {
		id, body string
		answers  []string
		sent     string
		want     []string
	}{
		{"a new encounter, and what refers to it",
			transactionOf(namedEntry(uuid1, post("Encounter", ref("subject", "http://gw.example.org/fhir/Patient/A"))), post("Observation", ref("subject", "Patient/A")+`,`+ref("encounter", uuid1)).entry()),
			[]string{"201 Encounter/e/_history/1", "201 %BASE%/Observation/o/_history/1"},
			`{"fullUrl":"` + uuid1 + `","resource":{"resourceType":"Encounter","subject":{"reference":"Patient/A"}},"request":{"method":"POST","url":"Encounter"}},` +
				`{"fullUrl":"urn:uuid:*","resource":{"resourceType":"Observation","subject":{"reference":"Patient/A"},"encounter":{"reference":"` + uuid1 + `"}},"request":{"method":"POST","url":"Observation"}}`,
			[]string{"201 http://gw.example.org/fhir/Encounter/e/_history/1", "201 http://gw.example.org/fhir/Observation/o/_history/1"}},
		{"relative to a foreign fullUrl",
			transactionOf(namedEntry("http://x.example/Encounter/1", post("Encounter", ref("subject", "Patient/A"))), namedEntry("http://x.example/Observation/1", post("Observation", ref("subject", "Patient/A")+`,`+ref("encounter", "Encounter/1")))),
			[]string{"201 Encounter/e", "201 Observation/o"},
			`{"fullUrl":"urn:uuid:*","resource":{"resourceType":"Encounter","subject":{"reference":"Patient/A"}},"request":{"method":"POST","url":"Encounter"}},` +
				`{"fullUrl":"urn:uuid:*","resource":{"resourceType":"Observation","subject":{"reference":"Patient/A"},"encounter":{"reference":"urn:uuid:*"}},"request":{"method":"POST","url":"Observation"}}`,
			[]string{"201 http://gw.example.org/fhir/Encounter/e", "201 http://gw.example.org/fhir/Observation/o"}},
		{"W-18 references and conditions are resolved first",
			transactionOf(post("Observation", `"id":"b",`+ref("subject", "Patient?identifier=MRN-A")).entry(), request{method: "POST", url: "Observation", body: body("", ref("subject", "Patient/A")), ifNone: "identifier=x"}.entry()),
			[]string{"201 Observation/o"},
			`{"fullUrl":"urn:uuid:*","resource":{"resourceType":"Observation","subject":{"reference":"Patient/A"}},"request":{"method":"POST","url":"Observation"}}`,
			[]string{"201 http://gw.example.org/fhir/Observation/o", "200 http://gw.example.org/fhir/Observation/a"}},
		{"pins", transactionOf(put.entry()), []string{"200 Observation/a/_history/4"},
			`{"resource":` + put.body + `,"request":{"method":"PUT","url":"Observation/a","ifMatch":"W/\"3\""}}`,
			[]string{"200 http://gw.example.org/fhir/Observation/a/_history/4"}},
		{"delete", transactionOf(request{method: "DELETE", url: "Observation/a"}.entry()), []string{"204 Observation/a/_history/4"},
			`{"request":{"method":"DELETE","url":"Observation/a","ifMatch":"W/\"3\""}}`, []string{"204 "}},
		{"H-10 another's place", transactionOf(put.entry()), []string{"200 Observation/b-Canary"},
			`{"resource":` + put.body + `,"request":{"method":"PUT","url":"Observation/a","ifMatch":"W/\"3\""}}`, []string{"200 "}},
		{"nothing", transactionOf(), nil, "", nil},
	} {
		h.ehr.on("POST ", 200, responses(row.answers...))
		h.ehr.requests()
		got := h.do("POST", "", tA, row.body, "Prefer", "return=representation")
		h.noCanary(t, got)
		h.ehr.mu.Lock()
		sent := ""
		for i, call := range h.ehr.got {
			if call == "POST " {
				sent = h.ehr.bodies[i]
			}
		}
		h.ehr.mu.Unlock()
		if want := transactionOf(row.sent); row.sent != "" && anonymous(sent) != want {
			t.Errorf("%s: sent\n%s\nwant\n%s", row.id, anonymous(sent), want)
		}
		var told []string
		for _, e := range got.responses(t) {
			told = append(told, e.Response.Status[:3]+" "+e.Response.Location)
		}
		if got.status != 200 || !slices.Equal(told, row.want) {
			t.Errorf("%s: got %d %v %.300s", row.id, got.status, told, got.body)
		}
	}
}

// Reads and searches see what the changes have left, each as if it had come
// alone; what was written is shown to whoever asks and may read it (SMART-25).
func TestTransactionReads(t *testing.T) {
	h, _ := transactionHouse(t)
	before := h.get("/Observation/a", h.staff()).body
	h.ehr.handle("POST ", func(w http.ResponseWriter, _ *http.Request) {
		h.ehr.on("GET /Observation/a", 200, strings.Replace(obsA, `"versionId":"3"`, `"versionId":"4"`, 1))
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(w, responses("200 Observation/a/_history/4"))
	})
	put := request{method: "PUT", url: "Observation/a", body: body("a", ref("subject", "Patient/A"))}
	entries := []string{batchRows[0].entry(), batchRows[1].entry(), request{method: "GET", url: "Observation?code=x"}.entry(), batchRows[2].entry(),
		request{method: "GET", url: "Observation/a"}.entry(), put.entry()}
	for _, row := range []struct {
		token, prefer string
		want          []string
	}{
		{"patient/*.cruds", "", []string{"200 4", "404 ", "200 Bundle", "404 ", "200 4", "200 "}},
		{"patient/*.cruds", "return=representation", []string{"200 4", "404 ", "200 Bundle", "404 ", "200 4", "200 4"}},
		{"patient/*.cruds", "return=OperationOutcome", []string{"200 4", "404 ", "200 Bundle", "404 ", "200 4", "200 outcome"}},
		{"patient/*.u", "return=representation", []string{"200 "}},
	} {
		h.ehr.on("GET /Observation/a", 200, before)
		sent := entries
		if len(row.want) == 1 {
			sent = entries[5:]
		}
		h.ehr.requests()
		got := h.do("POST", "", h.patient("A", row.token), transactionOf(sent...), "Prefer", row.prefer)
		h.noCanary(t, got)
		var told []string
		for _, e := range got.responses(t) {
			var r struct {
				ResourceType string
				Meta         struct{ VersionID string }
			}
			_ = json.Unmarshal(e.Resource, &r)
			if e.Response.Outcome != nil && e.Response.Status[0] == '2' {
				r.Meta.VersionID = "outcome"
			}
			if r.ResourceType == "Bundle" {
				r.Meta.VersionID = "Bundle"
			}
			told = append(told, e.Response.Status[:3]+" "+r.Meta.VersionID)
		}
		if got.status != 200 || !slices.Equal(told, row.want) {
			t.Errorf("%s %s: got %d %q, want %q: %.500s", row.token, row.prefer, got.status, told, row.want, got.body)
		}
		if calls := h.ehr.requests(); calls[0] != "GET /Observation/a" || calls[1] != "POST " {
			t.Errorf("before the changes are made the upstream got %q", calls)
		}
		kinds := ""
		for _, r := range h.records(t, got.header.Get("X-Request-Id")) {
			kinds += fmt.Sprintf(" %s %s;", r.Kind, r.Interaction)
		}
		if !strings.HasPrefix(kinds, " intent transaction;") || !strings.HasSuffix(kinds, " outcome transaction;") {
			t.Errorf("the records are%s", kinds)
		}
	}
}

// What a PUT creates in a transaction is pinned to there being nothing.
func TestTransactionPinsCreation(t *testing.T) {
	h, _ := transactionHouse(t)
	h.ehr.on("POST ", 200, responses("201 Observation/new"))
	got := h.do("POST", "", h.staff(), transactionOf(request{method: "PUT", url: "Observation/new", body: body("new", ref("subject", "Patient/A"))}.entry()))
	h.ehr.mu.Lock()
	sent := h.ehr.bodies[len(h.ehr.bodies)-1]
	h.ehr.mu.Unlock()
	if got.status != 200 || !strings.Contains(sent, `"url":"Observation/new","ifNoneMatch":"*"`) {
		t.Errorf("got %d, sent %s", got.status, sent)
	}
}

// anonymous takes the gateway's own names out of what it sent.
func anonymous(sent string) string {
	parts := strings.Split(sent, "urn:uuid:")
	for i, p := range parts[1:] {
		if !strings.HasPrefix(p, "00000000-") {
			parts[i+1] = "*" + p[36:]
		}
	}
	return strings.Join(parts, "urn:uuid:")
}

// An answer that does not fit says nothing of what became of the transaction.
func TestTransactionAnswers(t *testing.T) {
	h, w := transactionHouse(t)
	tA := h.patient("A", "patient/*.cruds")
	del := transactionOf(request{method: "DELETE", url: "Observation/a"}.entry())
	for _, row := range []struct {
		id       string
		upstream int
		body     string
		status   int
		code     string
	}{
		{"too many answers", 200, responses("204", "200 Observation/b"), 500, "upstream.unknown"},
		{"too few", 200, responses(), 500, "upstream.unknown"},
		{"a batch's answer", 200, strings.Replace(responses("204"), "transaction", "batch", 1), 500, "upstream.unknown"},
		{"half of it failed", 200, responses("404 Observation/b"), 500, "upstream.unknown"},
		{"no status", 200, responses("x"), 500, "upstream.unknown"},
		{"cut short", 200, responses("204")[:40], 500, "upstream.unknown"},
		{"failed", 500, obsB, 500, "upstream.unknown"},
		{"not there", 404, obsB, 500, "upstream.unknown"},
		{"refused", 422, obsB, 422, "resource.refused"},
		{"conflict", 409, obsB, 409, "write.conflict"},
		{"busy", 503, obsB, 503, "upstream.busy"},
	} {
		h.ehr.on("POST ", row.upstream, row.body)
		w.attack(t, []writing{{attack: attack{id: row.id, method: "POST", token: tA, body: del, status: row.status, code: row.code, calls: []string{"GET /Observation/a", "POST "}}}})
	}
}

// L-03: references by search are the upstream's work, and bounded.
func TestTransactionSearches(t *testing.T) {
	h, _ := transactionHouse(t)
	tA := h.patient("A", "patient/*.cruds")
	extension := `{"url":"u","valueReference":{"reference":"Patient?identifier=MRN-A"}}`
	many := `"extension":[` + strings.Repeat(extension+",", 40) + extension + `],` + ref("subject", "Patient/A")
	h.ehr.requests()
	got := h.do("POST", "", tA, transactionOf(post("Observation", many).entry()))
	if calls := h.ehr.requests(); got.status != 422 || len(calls) > 20 {
		t.Errorf("got %d after %d calls", got.status, len(calls))
	}
}
