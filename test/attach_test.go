package test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// binaryHouse has Binaries without a security context: a1 is part of a record of A,
// b1 of one of B, both of one of each, lost of none.
func binaryHouse(t *testing.T) *house {
	h := openHouse(t)
	document := func(id, patient, url string) string {
		return resource("DocumentReference", id, `"status":"current",`+ref("subject", "Patient/"+patient)+`,"content":[{"attachment":{"url":"`+url+`"}}]`)
	}
	held := map[string]string{"da": document("da", "A", "Binary/a1"), "db": document("db", "B", "Binary/b1"),
		"d1": document("d1", "A", "Binary/both"), "d2": document("d2", "B", "%BASE%/Binary/both")}
	for id, d := range held {
		h.ehr.on("GET /DocumentReference/"+id, 200, d)
		h.ehr.on("PUT /DocumentReference/"+id, 200, "")
	}
	h.ehr.handle("GET /DocumentReference", func(w http.ResponseWriter, r *http.Request) {
		var found []string
		for _, d := range held {
			for _, at := range strings.Split(r.URL.Query().Get("location"), ",") {
				if strings.Contains(d, `"url":"`+at+`"`) || strings.HasSuffix(at, "/r4/Binary/both") && strings.Contains(d, "%BASE%/Binary/both") {
					found = append(found, strings.ReplaceAll(d, "%BASE%", h.ehr.url+"/r4"))
					break
				}
			}
		}
		if q := r.URL.Query(); q.Get("location") == "" || q.Get("patient") != "" {
			t.Errorf("asked %s", r.URL)
		}
		reply(w, 200, strings.ReplaceAll(searchset("", found...), "%BASE%", h.ehr.url+"/r4"))
	})
	for _, id := range []string{"a1", "b1", "both", "lost"} {
		h.ehr.on("GET /Binary/"+id, 200, resource("Binary", id, `"contentType":"application/pdf","data":"Q2FuYXJ5"`))
	}
	for _, typ := range []string{"DocumentReference", "Patient", "Media", "DiagnosticReport", "Communication", "Observation"} {
		h.ehr.on("POST /"+typ, 201, "", "Location", "%BASE%/"+typ+"/n/_history/1")
	}
	h.ehr.on("POST /Binary", 201, "", "Location", "%BASE%/Binary/mine/_history/1")
	h.ehr.on("PUT /DocumentReference/new", 201, "")
	h.ehr.on("POST ", 200, responses("201 Binary/n1/_history/1", "201 DocumentReference/n2/_history/1"))
	return h
}

// D-06, D-07, R-01: naming somebody's Binary in an own record does not open it, in
// whatever write, type and form; what is hidden and what is not there are one.
func TestAttachingOpensNothing(t *testing.T) {
	h := binaryHouse(t)
	tA := h.patient("A", "patient/*.cruds")
	doc := func(url string) string {
		return `{"resourceType":"DocumentReference","status":"current","subject":{"reference":"Patient/A"},"content":[{"attachment":{"url":"` + url + `"}}]}`
	}
	withID := func(id, body string) string { return strings.Replace(body, "{", `{"id":"`+id+`",`, 1) }
	of := func(typ, members string) string {
		return `{"resourceType":"` + typ + `","subject":{"reference":"Patient/A"},` + members + `}`
	}
	const at = `{"url":"Binary/b1"}`
	none := h.do("POST", "/DocumentReference", tA, doc("Binary/none"))
	for _, c := range []struct{ name, method, target, body string }{
		{"relative", "POST", "/DocumentReference", doc("Binary/b1")},
		{"escaped", "POST", "/DocumentReference", doc(`\u0042inary\/b1`)},
		{"absolute", "POST", "/DocumentReference", doc("http://gw.example.org/fhir/Binary/b1")},
		{"the upstream's name", "POST", "/DocumentReference", doc(h.ehr.url + "/r4/Binary/b1")},
		{"a version", "POST", "/DocumentReference", doc("Binary/b1/_history/1")},
		{"of two records", "POST", "/DocumentReference", doc("Binary/both")},
		{"of none, that another made", "POST", "/DocumentReference", doc("Binary/lost")},
		{"beside an own one", "POST", "/DocumentReference", strings.Replace(doc("Binary/a1"), `]}`, `,{"attachment":`+at+`}]}`, 1)},
		{"a new id", "PUT", "/DocumentReference/new", withID("new", doc("Binary/b1"))},
		{"an own record", "PUT", "/DocumentReference/da", withID("da", doc("Binary/b1"))},
		{"a report", "POST", "/DiagnosticReport", of("DiagnosticReport", `"status":"final","code":{"text":"x"},"presentedForm":[`+at+`]`)},
		{"a medium", "POST", "/Media", of("Media", `"status":"completed","content":`+at)},
		{"a message", "POST", "/Communication", of("Communication", `"status":"completed","payload":[{"contentAttachment":`+at+`}]`)},
		{"an extension", "POST", "/Observation", of("Observation", `"status":"final","code":{"text":"x"},"extension":[{"url":"http://x","valueAttachment":`+at+`}]`)},
		{"contained", "POST", "/Observation", of("Observation", `"status":"final","code":{"text":"x"},"contained":[`+withID("c", doc("Binary/b1"))+`]`)},
		{"transaction", "POST", "", transactionOf(namedEntry(uuid1, request{method: "POST", url: "DocumentReference", body: doc("Binary/b1")}))},
	} {
		h.ehr.requests()
		got := h.do(c.method, c.target, tA, c.body)
		if got.status != 422 || got.code() != "resource.attachment" || got.body == "" || strings.Contains(got.body, "Binary/") {
			t.Errorf("%s: got %d %s", c.name, got.status, got.body)
		}
		if got.code() != none.code() || got.status != none.status {
			t.Errorf("%s: tells more than of what is not there", c.name)
		}
		for _, call := range h.ehr.requests() {
			if !strings.HasPrefix(call, "GET") {
				t.Errorf("%s: the upstream got %s", c.name, call)
			}
		}
	}
	patched := h.do("PATCH", "/DocumentReference/da", tA, `[{"op":"replace","path":"/content/0/attachment/url","value":"Binary/b1"}]`, "Content-Type", "application/json-patch+json")
	batch := h.do("POST", "", tA, strings.Replace(transactionOf(request{method: "POST", url: "DocumentReference", body: doc("Binary/b1")}.entry()), `"transaction"`, `"batch"`, 1))
	if patched.status != 422 || !strings.Contains(batch.body, `"422`) || strings.Contains(strings.Join(h.ehr.requests(), " "), "PUT") {
		t.Errorf("patch %d %s, batch %s", patched.status, patched.body, batch.body)
	}
}

// What may be read, what was just made and what is named already may be attached.
func TestAttachingOwn(t *testing.T) {
	h := binaryHouse(t)
	tA, staff, other := h.patient("A", "patient/*.cruds"), h.staff(), h.token(map[string]any{"sub": "else", "roles": []string{"staff"}})
	doc := func(id, url string) string {
		return `{"resourceType":"DocumentReference",` + id + `"status":"current","subject":{"reference":"Patient/A"},"content":[{"attachment":{"url":"` + url + `"}}]}`
	}
	for _, c := range []struct {
		name, token, method, target, body string
		status                            int
	}{
		{"readable", tA, "POST", "/DocumentReference", doc("", "Binary/a1"), 201},
		{"readable for staff", staff, "POST", "/DocumentReference", doc("", "Binary/both"), 201},
		{"another server's", tA, "POST", "/DocumentReference", doc("", "https://elsewhere.example/Binary/b1"), 201},
		{"a document", tA, "POST", "/DocumentReference", doc("", "https://elsewhere.example/x.pdf"), 201},
		{"named already", tA, "PUT", "/DocumentReference/d1", doc(`"id":"d1",`, "Binary/both"), 200},
		{"not made yet", staff, "POST", "/DocumentReference", doc("", "Binary/mine"), 422},
		{"made", staff, "POST", "/Binary", `{"resourceType":"Binary","contentType":"text/plain","data":"eA=="}`, 201},
		{"by whom", staff, "POST", "/DocumentReference", doc("", "Binary/mine"), 201},
		{"and by nobody else", other, "POST", "/DocumentReference", doc("", "Binary/mine"), 422},
		{"with it", staff, "POST", "", transactionOf(namedEntry(uuid1, request{method: "POST", url: "Binary", body: `{"resourceType":"Binary","contentType":"text/plain","data":"eA=="}`}),
			namedEntry(uuid2, request{method: "POST", url: "DocumentReference", body: doc("", uuid1)})), 200},
		{"with it, by its id", staff, "POST", "", transactionOf(request{method: "PUT", url: "Binary/n1", body: `{"resourceType":"Binary","id":"n1","contentType":"text/plain","data":"eA=="}`}.entry(),
			namedEntry(uuid2, request{method: "POST", url: "DocumentReference", body: doc("", "Binary/n1")})), 200},
	} {
		if got := h.do(c.method, c.target, c.token, c.body); got.status != c.status {
			t.Errorf("%s: got %d %s", c.name, got.status, got.body)
		}
	}
}

// B-06, D-07: a Binary that is part of two records is seen by whoever may see both,
// however its other record came to name it.
func TestBinaryOfTwoRecords(t *testing.T) {
	h := binaryHouse(t)
	tA := h.patient("A", "patient/*.cruds")
	for _, c := range []struct {
		token, id string
		status    int
	}{{tA, "a1", 200}, {tA, "b1", 404}, {tA, "both", 404}, {tA, "lost", 404}, {h.staff(), "both", 200}, {h.staff(), "b1", 200}, {h.staff(), "lost", 404}} {
		got := h.get("/Binary/"+c.id, c.token)
		var b struct{ ID string }
		if _ = json.Unmarshal([]byte(got.body), &b); got.status != c.status || c.status == 200 && b.ID != c.id {
			t.Errorf("%s: got %d %s, want %d", c.id, got.status, got.body, c.status)
		}
	}
}
