package test

import (
	"net/http"
	"strings"
	"testing"
)

// Group H: paging, history and conditional reads; FHIR-07 on reads.

const labelR = `"meta":{"versionId":"2","security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}`

func history(entries ...string) string {
	s := strings.ReplaceAll(searchset("", entries...), `"searchset"`, `"history"`)
	return strings.ReplaceAll(s, `"search":{"mode":"match"}`, `"request":{"method":"PUT","url":"Observation/Canary"},"response":{"status":"200"}`)
}

// H-05, FHIR-17: a version is judged by itself and by the state of today.
func TestVersions(t *testing.T) {
	h := openHouse(t)
	moved := resource("Observation", "moved", ref("subject", "Patient/A"))
	movedWas := resource("Observation", "moved", ref("subject", "Patient/B")+`,"note":[{"text":"Canary"}]`)
	gone := `{"resourceType":"Observation","id":"gone",` + labelR + `,` + ref("subject", "Patient/A") + `}`
	goneWas := resource("Observation", "gone", ref("subject", "Patient/A")+`,"note":[{"text":"Canary"}]`)
	h.ehr.on("GET /Observation/moved", 200, moved)
	h.ehr.on("GET /Observation/moved/_history/1", 200, movedWas)
	h.ehr.on("GET /Observation/moved/_history/2", 200, moved)
	h.ehr.on("GET /Observation/moved/_history", 200, history(moved, movedWas))
	h.ehr.on("GET /Observation/gone", 200, gone)
	h.ehr.on("GET /Observation/gone/_history/1", 200, goneWas)
	h.ehr.on("GET /Observation/gone/_history", 200, history(gone, goneWas))
	deleted := `{"request":{"method":"DELETE","url":"Observation/Canary"},"response":{"status":"204"}}`
	h.ehr.on("GET /Observation/_history", 200, strings.Replace(history(moved, movedWas, goneWas), `"entry":[`, `"entry":[`+deleted+`,`, 1))
	h.ehr.on("GET /_history", 200, strings.Replace(history(moved, movedWas, goneWas), `"entry":[`, `"entry":[`+deleted+`,`, 1))
	h.ehr.on("GET /Observation", 200, searchset("", moved, gone))
	tA := h.patient("A", "patient/*.rs")
	h.attack(t, []attack{
		{id: "H-05", target: "/Observation/moved/_history/1", token: tA, status: 404, code: "resource.not-found",
			calls: []string{"GET /Observation/moved", "GET /Observation/moved/_history/1"}, withheld: []string{"Observation/moved"}},
		{id: "H-05", target: "/Observation/moved/_history/2", token: tA, status: 200,
			calls: []string{"GET /Observation/moved", "GET /Observation/moved/_history/2"}, released: []string{"Observation/moved"}},
		{id: "FHIR-17", target: "/Observation/gone/_history/1", token: tA, status: 404, code: "resource.not-found",
			calls: []string{"GET /Observation/gone"}, withheld: []string{"Observation/gone"}},
		{id: "FHIR-17", target: "/Observation/gone/_history", token: tA, status: 404, code: "resource.not-found",
			calls: []string{"GET /Observation/gone"}, withheld: []string{"Observation/gone"}},
		{id: "H-05", target: "/Observation/moved/_history", token: tA, status: 200, ids: []string{"Observation/moved"},
			calls: []string{"GET /Observation/moved", "GET /Observation/moved/_history"}, released: []string{"Observation/moved"}, withheld: []string{"Observation/moved"}},
		{id: "H-06", target: "/Observation/_history?_since=2026-01-01T00:00:00Z", token: tA, status: 200, ids: []string{"Observation/moved"},
			calls: anyCalls, released: []string{"Observation/moved"}, withheld: []string{"Observation/Canary", "Observation/moved", "Observation/gone"}},
		{id: "H-06", target: "/_history", token: tA, status: 200, ids: []string{"Observation/moved"},
			calls: anyCalls, released: []string{"Observation/moved"}, withheld: []string{"Observation/Canary", "Observation/moved", "Observation/gone"}},
	})
}

// FHIR-07: a read is judged whole, and cut after.
func TestReadProjected(t *testing.T) {
	h := openHouse(t)
	whole := `{"resourceType":"Observation","id":"r",` + labelR + `,"status":"final","code":{"text":"Canary"},` + ref("subject", "Patient/A") + `}`
	h.ehr.handle("GET /Observation/r", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		body := whole
		if r.URL.RawQuery != "" { // an upstream that projects drops the label
			body = resource("Observation", "r", `"status":"final","code":{"text":"Canary"},`+ref("subject", "Patient/A"))
		}
		_, _ = w.Write([]byte(body))
	})
	h.ehr.on("GET /Observation/a", 200, obsA)
	var rows []attack
	for _, query := range []string{"_elements=status", "_summary=true", "_summary=data", "_summary=text", "_elements=id&_format=json"} {
		rows = append(rows,
			attack{id: "FHIR-07", target: "/Observation/r?" + query, token: h.staff(), status: 404, calls: []string{"GET /Observation/r"}, withheld: []string{"Observation/r"}},
			attack{id: "FHIR-07", target: "/Observation/a?" + query, token: h.staff(), status: 200, calls: []string{"GET /Observation/a"}, released: []string{"Observation/a"}})
	}
	h.attack(t, rows)
	if got := h.get("/Observation/a?_elements=subject", h.staff()); strings.Contains(got.body, "valueQuantity") || !strings.Contains(got.body, "SUBSETTED") || !strings.Contains(got.body, "Patient/A") {
		t.Errorf("got %s", got.body)
	}
}

// H-08, H-09, FHIR-12: conditions are evaluated here, after judgement.
func TestConditionalReads(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA, "ETag", `W/"3"`, "Last-Modified", "Tue, 03 Nov 2026 08:00:00 GMT")
	h.ehr.on("GET /Observation/b", 200, obsB, "ETag", `W/"7"`, "Last-Modified", "Tue, 03 Nov 2026 08:00:00 GMT")
	tA := h.patient("A", "patient/*.rs")
	var rows []attack
	for _, c := range []struct {
		target, name, value string
		status              int
	}{
		{"/Observation/b", "If-None-Match", `W/"7"`, 404},
		{"/Observation/b", "If-None-Match", `*`, 404},
		{"/Observation/b", "If-Modified-Since", "Wed, 04 Nov 2026 08:00:00 GMT", 404},
		{"/Observation/a", "If-None-Match", `W/"3"`, 304},
		{"/Observation/a", "If-None-Match", `W/"2", W/"3"`, 304},
		{"/Observation/a", "If-None-Match", `W/"2"`, 200},
		{"/Observation/a", "If-Modified-Since", "Wed, 04 Nov 2026 08:00:00 GMT", 304},
		{"/Observation/a", "If-Modified-Since", "Mon, 02 Nov 2026 08:00:00 GMT", 200},
		{"/Observation/a", "If-Match", `W/"3"`, 400},
		{"/Observation/a", "Range", "bytes=1-80", 200},
		{"/Observation/b", "Range", "bytes=1-80", 404},
	} {
		row := attack{id: "H-08 " + c.value, target: c.target, token: tA, header: []string{c.name, c.value}, status: c.status, calls: []string{"GET " + c.target}}
		switch c.status {
		case 404:
			row.withheld = []string{"Observation/b"}
		case 400:
			row.calls = nil
		default:
			row.released = []string{"Observation/a"}
		}
		rows = append(rows, row)
	}
	h.attack(t, rows)
	h.ehr.mu.Lock()
	defer h.ehr.mu.Unlock()
	for _, header := range h.ehr.headers {
		for _, name := range []string{"If-None-Match", "If-Modified-Since", "Range", "If-Range", "Authorization"} {
			if header.Get(name) != "" {
				t.Errorf("the upstream got %s", name)
			}
		}
	}
}

// H-02 to H-04: a page link belongs to its caller as it is now.
func TestPageLinks(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation", 200, searchset("%BASE%?_getpages=abc", obsA))
	h.ehr.on("GET ?_getpages=abc", 200, searchset("http://evil.example/fhir?_getpages=Canary", strings.ReplaceAll(obsA, `"a"`, `"a2"`), obsB))
	tA := h.patient("A", "patient/*.rs")
	next := nextLink(t, h.get("/Observation", tA))
	_, handle, _ := strings.Cut(next, "/_page/")
	rows := []attack{
		{id: "H-04", target: next, token: tA, status: 200, ids: []string{"Observation/a2"}, calls: []string{"GET ?_getpages=abc"},
			released: []string{"Observation/a2"}, withheld: []string{"Observation/b"}},
		{id: "H-02", target: next + "?_count=500", token: tA, status: 400},
		{id: "H-02", method: "POST", target: next, token: tA, status: 405},
		{id: "H-03 other type", target: next, token: h.patient("A", "patient/Condition.rs"), status: 403, code: "scope.missing"},
		{id: "H-03 read only", target: next, token: h.patient("A", "patient/*.r"), status: 403, code: "scope.missing"},
		{id: "H-03 other patient", target: next, token: h.patient("B", "patient/*.rs"), status: 404},
		{id: "H-03 other user", target: next, token: h.token(map[string]any{"scope": "patient/*.rs", "patient": "A", "fhirUser": "Patient/A", "sub": "other"}), status: 404},
		{id: "H-03 other client", target: next, token: h.token(map[string]any{"scope": "patient/*.rs", "patient": "A", "fhirUser": "Patient/A", "client_id": "other"}), status: 404},
		{id: "H-03 other purpose", target: next, token: h.token(map[string]any{"scope": "patient/*.rs", "patient": "A", "fhirUser": "Patient/A", "purpose_of_use": "HMARKT"}), status: 404},
		{id: "H-02", target: "/_page/", token: tA, status: 404},
		{id: "H-02", target: "/_page/" + handle[1:], token: tA, status: 404},
		{id: "H-02", target: "/_page/..%2fObservation", token: tA, status: 404},
		{id: "U-11", target: next, status: 401},
	}
	h.attack(t, rows)
	if got := h.get(next, tA); strings.Contains(got.body, `"next"`) || strings.Contains(got.body, "evil") {
		t.Errorf("a foreign link is passed on: %s", got.body)
	}
	if a, b := h.get(next, h.patient("B", "patient/*.rs")), h.get("/Observation/none", tA); a.body != b.body {
		t.Errorf("a foreign handle shows: %s", a.body)
	}
}

func nextLink(t *testing.T, a answer) string {
	t.Helper()
	_, rest, ok := strings.Cut(a.body, `"next","url":"http://gw.example.org/fhir`)
	if !ok {
		t.Fatalf("no next link: %s", a.body)
	}
	next, _, _ := strings.Cut(rest, `"`)
	return next
}

// E-02, law 10: what stands under a patient's id tells nothing of the patient.
func TestUniformBelowAPatient(t *testing.T) {
	h := openHouse(t, "operations: {allow: [$everything]}")
	tA := h.patient("A", "patient/*.rs")
	patB := resource("Patient", "B", `"name":[{"family":"Canary"}]`)
	h.ehr.on("GET /Patient/B", 200, patB)
	h.ehr.on("GET /Patient/B/$everything", 200, searchset("", patB, obsB))
	h.ehr.on("GET /Patient/B/_history", 200, history(patB))
	h.ehr.on("GET /Patient/B/Observation", 200, searchset("", obsB))
	h.ehr.on("GET /Patient/A", 200, resource("Patient", "A", ""))
	h.ehr.on("GET /Patient/A/$everything", 200, searchset("", resource("Patient", "A", ""), obsA, obsB, obsR, resource("Provenance", "p", ref("patient", "Patient/A"))))
	h.attack(t, []attack{{id: "O-01", target: "/Patient/A/$everything", token: tA, status: 200, ids: []string{"Patient/A", "Observation/a"}, calls: anyCalls,
		released: []string{"Patient/A", "Observation/a"}, withheld: []string{"Observation/b", "Observation/r", "Provenance/p"}}})
	for _, suffix := range []string{"", "/_history", "/_history/1", "/$everything", "/Observation"} {
		h.ehr.requests()
		there := h.get("/Patient/B"+suffix, tA)
		calls := h.ehr.requests()
		absent := h.get("/Patient/N"+suffix, tA)
		for i, call := range h.ehr.requests() {
			if i >= len(calls) || strings.ReplaceAll(call, "/N", "/B") != calls[i] {
				t.Errorf("%s: upstream got %v for one that exists, %v for one that does not", suffix, calls, call)
			}
		}
		for _, a := range []answer{there, absent} {
			a.header.Del("Date")
			a.header.Del("X-Request-Id")
		}
		if there.status != absent.status || strings.ReplaceAll(absent.body, "Patient/N", "Patient/B") != there.body || !equalHeader(there.header, absent.header) {
			t.Errorf("%s: %d %s, absent %d %s", suffix, there.status, there.body, absent.status, absent.body)
		}
	}
}
