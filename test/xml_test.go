package test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Issue 3.11, N-01, N-13, FHIR-11: XML is refused wherever it may be asked for, sent
// or answered with; none of it passes unread.

const xmlPatient = `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Patient xmlns="http://hl7.org/fhir"><name value="Canary &e;"/></Patient>`

func TestXMLAskedFor(t *testing.T) {
	h := openHouse(t, "operations: {allow: [$everything, $lastn, $validate, $export]}")
	h.ehr.on("GET /Observation/a", 200, obsA)
	staff := h.staff()
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	var rows []attack
	for _, format := range []string{"xml", "application/fhir%2Bxml", "application/fhir+xml", "application/xml", "text/xml", "application/xml%2Bfhir", "XML", "html/xml", "ttl", "text/turtle", "application/fhir%2Bxml%3BfhirVersion=4.0"} {
		rows = append(rows, attack{id: "FHIR-11", target: "/Observation/a?_format=" + format, token: staff, status: 406, header: []string{"Accept", "application/fhir+json"}})
	}
	for _, target := range []string{"/Observation?_format=xml", "/Patient/A/$everything?_format=xml", "/Observation/$lastn?_format=xml", "/Observation/a/_history?_format=xml", "/$export?_format=xml"} {
		rows = append(rows, attack{id: "N-01", target: target, token: staff, status: 406})
	}
	for _, accept := range []string{"application/fhir+xml", "application/xml", "text/xml", "application/xml+fhir", "application/fhir+xml, text/turtle;q=0.9", "text/html, application/xhtml+xml"} {
		for _, target := range []string{"/Observation/a", "/Observation", "/Patient/A/$everything", "/metadata"} {
			rows = append(rows, attack{id: "N-01 " + accept, target: target, token: staff, header: []string{"Accept", accept}, status: 406})
		}
	}
	rows = append(rows,
		attack{id: "N-01 in a form", method: "POST", target: "/Observation/_search", body: "_format=xml", header: form, token: staff, status: 406},
		attack{id: "N-01 of a write", method: "POST", target: "/Observation?_format=xml", body: body("", ref("subject", "Patient/A")), token: staff, status: 406},
		attack{id: "N-01 of a write", method: "POST", target: "/Observation", body: body("", ref("subject", "Patient/A")), header: []string{"Accept", "application/fhir+xml"}, token: staff, status: 406},
		attack{id: "N-01 of a transaction", method: "POST", target: "?_format=xml", body: transactionOf(), token: staff, status: 406},
		attack{id: "N-01 of an entry of a transaction", method: "POST", target: "", body: transactionOf(request{method: "GET", url: "Observation/a?_format=xml"}.entry()), token: staff, status: 406},
	)
	h.attack(t, rows)
	got := h.do("POST", "", staff, batchOf("batch", request{method: "GET", url: "Observation/a?_format=xml"}, request{method: "GET", url: "Observation?_format=text/xml"}))
	for _, e := range got.responses(t) {
		if !strings.HasPrefix(e.Response.Status, "406") || e.Resource != nil {
			t.Errorf("an entry of a batch: %s", got.body)
		}
	}
}

func TestXMLSent(t *testing.T) {
	h := openHouse(t, "operations: {allow: [$everything, $lastn, $validate, $export]}")
	staff := h.staff()
	var rows []attack
	for _, kind := range []string{"application/fhir+xml", "application/xml", "text/xml", "application/xml-patch+xml", "application/xml+fhir", "application/fhir+xml; charset=utf-8"} {
		for _, request := range []string{"POST /Patient", "PUT /Patient/A", "PATCH /Patient/A", "POST ", "POST /Patient/_search", "POST /Patient/$validate", "POST /Observation/$lastn", "POST /$export", "POST /Patient/A/$everything"} {
			method, target, _ := strings.Cut(request, " ")
			rows = append(rows, attack{id: "N-13", method: method, target: target, body: xmlPatient, header: []string{"Content-Type", kind}, token: staff, status: 415})
		}
	}
	for _, request := range []string{"POST /Patient", "PUT /Patient/A", "POST ", "PATCH /Patient/A"} {
		method, target, _ := strings.Cut(request, " ")
		rows = append(rows, attack{id: "N-13 as JSON", method: method, target: target, body: xmlPatient, token: staff, status: 400})
	}
	h.attack(t, rows)
	entry := `{"resource":{"resourceType":"Binary","contentType":"application/xml-patch+xml","data":"PGRpZmYvPg=="},"request":{"method":"PATCH","url":"Patient/A"}}`
	if got := h.do("POST", "", staff, `{"resourceType":"Bundle","type":"batch","entry":[`+entry+`]}`); !strings.Contains(got.body, `"status":"415`) {
		t.Errorf("XML Patch in a batch: %s", got.body)
	}
	if calls := h.ehr.requests(); len(calls) > 0 {
		t.Errorf("the upstream got %q", calls)
	}
}

func TestXMLAnswered(t *testing.T) {
	for _, kind := range []string{"application/fhir+xml", "application/xml", "text/xml;charset=utf-8", "application/fhir+json", ""} {
		h := openHouse(t, "operations: {allow: [$everything, $lastn, $docref, $validate]}")
		xml := func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{kind}
			_, _ = io.WriteString(w, xmlPatient)
		}
		for _, request := range []string{"GET /Patient/A", "GET /Patient", "GET /Observation", "GET /Patient/A/_history", "GET /Patient/A/_history/1", "GET /Patient/_history", "GET /metadata",
			"GET /Patient/A/$everything", "GET /DocumentReference/$docref", "POST /Observation/$validate", "GET /Binary/1", "POST ", "POST /Observation"} {
			h.ehr.handle(request, xml)
		}
		staff, of := h.staff(), body("", ref("subject", "Patient/A"))
		for _, row := range []struct {
			method, target, body string
			status               int
		}{
			{"GET", "/Patient/A", "", 502}, {"GET", "/Patient", "", 502}, {"GET", "/Observation?patient=A", "", 502}, {"GET", "/Patient/A/_history", "", 502}, {"GET", "/Patient/A/_history/1", "", 502},
			{"GET", "/Patient/_history", "", 502}, {"GET", "/metadata", "", 502}, {"GET", "/Patient/A/$everything", "", 502}, {"GET", "/Observation/$lastn", "", 502}, {"GET", "/DocumentReference/$docref?patient=A", "", 502},
			{"GET", "/Binary/1", "", 502}, {"POST", "/Observation/$validate", of, 502}, {"PUT", "/Patient/A", `{"resourceType":"Patient","id":"A"}`, 502}, {"DELETE", "/Patient/A", "", 502},
			{"POST", "", transactionOf(post("Observation", ref("subject", "Patient/A")).entry()), 500},
			{"POST", "", batchOf("batch", request{method: "GET", url: "Patient/A"}), 200},
		} {
			got := h.do(row.method, row.target, staff, row.body)
			h.noCanary(t, got)
			if got.status != row.status || strings.Contains(got.body, "<") {
				t.Errorf("%q: %s %s: got %d %.300s, want %d", kind, row.method, row.target, got.status, got.body, row.status)
			}
		}
		if got := h.do("POST", "/Observation", staff, of, "Prefer", "return=representation"); strings.Contains(got.body, "Canary") || got.status == 200 {
			t.Errorf("%q: a create: %d %s", kind, got.status, got.body)
		}
	}
}
