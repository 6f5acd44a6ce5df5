package fhir

import (
	"slices"
	"strings"
	"testing"
)

func TestBodies(t *testing.T) {
	const form, fj = "application/x-www-form-urlencoded", "application/fhir+json"
	for _, c := range []struct{ id, method, path, query, media, body, want string }{
		{"FHIR-04", "POST", "/Observation/_search", "patient=A", form, "patient=B", "search-type Observation?patient=Patient/A&patient=Patient/B"},
		{"FHIR-04", "POST", "/Observation/_search", "", form + "; charset=UTF-8", "code=a+b", "search-type Observation?code=a%20b"},
		{"P-06", "POST", "/Observation/_search", "", form, "patient=A;patient=B", "400 request.query"},
		{"P-08", "POST", "/Observation/_search", strings.Repeat("code=a&", 150), form, strings.Repeat("code=a&", 150), "400 request.too-many-parameters"},
		{"P-11", "POST", "/Observation/_search", "", form + "; charset=utf-16", "patient=A", "415 request.content-type"},
		{"P-11", "POST", "/Observation/_search", "", "multipart/form-data; boundary=x", "patient=A", "415 request.content-type"},
		{"P-11", "POST", "/Observation/_search", "", fj, "{}", "415 request.content-type"},
		{"P-11", "POST", "/Observation/_search", "", "", "patient=A", "415 request.content-type"},
		{"", "POST", "/Patient", "", fj, `{"resourceType":"Patient"}`, "create Patient"},
		{"", "POST", "/Patient", "", "application/json; charset=utf-8", `{"resourceType":"Patient"}`, "create Patient"},
		{"", "POST", "/Patient", "", fj + "; fhirVersion=4.0", `{"resourceType":"Patient"}`, "create Patient"},
		{"FHIR-11", "POST", "/Patient", "", fj + "; fhirVersion=5.0", `{"resourceType":"Patient"}`, "415 request.content-type"},
		{"N-06", "POST", "/Patient", "", fj + "; charset=utf-16", `{"resourceType":"Patient"}`, "415 request.content-type"},
		{"N-06", "POST", "/Patient", "", fj, "{\"resourceType\":\"Patient\",\"x\":\"\xff\"}", "400 request.body"},
		{"N-08", "POST", "/Patient", "", fj, `{"resourcetype":"Patient"}`, "400 request.body"},
		{"N-08", "POST", "/Patient", "", fj, `{"resourceType":"Patient","a":{"b":1,"b":2}}`, "400 request.body"},
		{"N-13", "POST", "/Patient", "", "application/fhir+xml", "<Patient/>", "415 request.content-type"},
		{"", "POST", "/Patient", "", fj, `{"resourceType":"Observation"}`, "400 request.body"},
		{"", "POST", "/Patient", "", fj, ``, "400 request.body"},
		{"", "POST", "/Patient", "", fj, `[]`, "400 request.body"},
		{"", "POST", "/Patient", "", fj, `null`, "400 request.body"},
		{"", "POST", "/Patient", "name=x", fj, `{"resourceType":"Patient"}`, "400 request.parameter-unknown"},
		{"", "PUT", "/Patient/1", "", fj, `{"resourceType":"Patient","id":"1"}`, "update Patient/1"},
		{"W-02", "PUT", "/Patient/1", "", fj, `{"resourceType":"Patient","id":"2"}`, "400 request.body"},
		{"W-02", "PUT", "/Patient/1", "", fj, `{"resourceType":"Patient"}`, "400 request.body"},
		{"W-02", "PUT", "/Patient/1", "", fj, `{"resourceType":"Patient","id":1}`, "400 request.body"},
		{"", "PUT", "/Patient", "identifier=x", fj, `{"resourceType":"Patient"}`, "update Patient?identifier=x"},
		{"", "PUT", "/Patient", "", fj, `{"resourceType":"Patient"}`, "400 request.id"},
		{"", "PUT", "/Patient/1", "identifier=x", fj, `{"resourceType":"Patient","id":"1"}`, "400 request.parameter-unknown"},
		{"W-04", "PATCH", "/Observation/1", "", "application/json-patch+json", `[{"op":"replace","path":"/subject","value":{}}]`, "patch Observation/1"},
		{"W-05", "PATCH", "/Observation/1", "", fj, `{"resourceType":"Parameters"}`, "patch Observation/1"},
		{"W-05", "PATCH", "/Observation/1", "", fj, `{"resourceType":"Observation"}`, "400 request.body"},
		{"W-05", "PATCH", "/Observation/1", "", "application/merge-patch+json", `{}`, "415 request.content-type"},
		{"W-05", "PATCH", "/Observation/1", "", "application/json", `[]`, "415 request.content-type"},
		{"W-05", "PATCH", "/Observation/1", "", "application/xml-patch+xml", `<diff/>`, "415 request.content-type"},
		{"", "GET", "/Patient/1", "", fj, `{}`, "400 request.body"},
		{"", "DELETE", "/Patient/1", "", fj, `{}`, "400 request.body"},
		{"W-14", "POST", "", "", fj, `{"resourceType":"Bundle","type":"batch"}`, "batch "},
		{"W-14", "POST", "", "", fj, `{"resourceType":"Bundle","type":"transaction","entry":[]}`, "transaction "},
		{"W-14", "POST", "", "", fj, `{"resourceType":"Bundle","type":"collection"}`, "400 request.bundle-type"},
		{"W-14", "POST", "", "", fj, `{"resourceType":"Bundle","type":"history"}`, "400 request.bundle-type"},
		{"W-14", "POST", "", "", fj, `{"resourceType":"Bundle","type":"message"}`, "400 request.bundle-type"},
		{"W-14", "POST", "", "", fj, `{"resourceType":"Bundle","type":"document"}`, "400 request.bundle-type"},
		{"W-14", "POST", "", "", fj, `{"resourceType":"Bundle"}`, "400 request.bundle-type"},
		{"W-14", "POST", "", "", fj, `{"resourceType":"Patient"}`, "400 request.bundle-type"},
		{"W-14", "POST", "/Bundle", "", fj, `{"resourceType":"Bundle","type":"collection"}`, "create Bundle"},
		{"W-14", "POST", "", "", fj, `{"resourceType":"Bundle","type":"batch","signature":{}}`, "400 request.bundle-entry"},
		{"", "POST", "", "_id=1", fj, `{"resourceType":"Bundle","type":"batch"}`, "400 request.parameter-unknown"},
		{"O-07", "POST", "/Patient/$validate", "", fj, `{"resourceType":"Patient"}`, "operation Patient/$validate"},
		{"O-06", "POST", "/Patient/1/$everything", "", fj, `{"resourceType":"Parameters","parameter":[{"name":"_type","valueCode":"Observation,Condition"}]}`, "operation Patient/1/$everything?_type=Observation,Condition"},
		{"O-06", "POST", "/Patient/1/$everything", "", fj, `{"resourceType":"Parameters","parameter":[{"name":"x","resource":{}}]}`, "400 request.body"},
		{"O-06", "POST", "/Patient/1/$everything", "", "", ``, "operation Patient/1/$everything"},
		{"O-06", "POST", "/Patient/1/$everything", "", fj, `{"resourceType":"Patient"}`, "400 request.body"},
		{"O-03", "POST", "/Group/g/$export", "", fj, `{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/1"}}]}`, "operation Group/g/$export?patient=Patient/1"},
		{"O-03", "GET", "/$export", "_typeFilter=Observation%3Fcode%3Da%2Cb,Condition%3Fcode%3Dc", "", "", "operation $export?_typeFilter=Observation%3Fcode%3Da,b&_typeFilter=Condition%3Fcode%3Dc"},
		{"O-03", "GET", "/$export", "_typeFilter=Observation%3Fcolour%3Da", "", "", "400 request.parameter-unknown"},
		{"O-03", "GET", "/$export", "_typeFilter=Observation%3F_filter%3Da", "", "", "400 request.parameter-unsupported"},
		{"BULK-01", "GET", "/$export", "_outputFormat=application/fhir%2Bndjson&_since=2026-01-01T00:00:00Z", "", "", "operation $export?_outputFormat=application/fhir%2Bndjson&_since=2026-01-01T00:00:00Z"},
	} {
		got := outcome(Parse(Request{Method: c.method, Path: c.path, Query: c.query, Body: []byte(c.body), ContentType: c.media}, options(t)))
		if got != c.want {
			t.Errorf("%s: %s %s?%.60s %s = %s, want %s", c.id, c.method, c.path, c.query, c.body, got, c.want)
		}
	}
}

func entry(method, url, rest string) string {
	return `{"request":{"method":"` + method + `","url":"` + url + `"}` + rest + `}`
}

func TestEntries(t *testing.T) {
	const patient = `,"resource":{"resourceType":"Patient"}`
	for _, c := range []struct{ id, entry, want string }{
		{"W-15", entry("GET", "Patient/B", ""), "read Patient/B"},
		{"W-15", entry("GET", "/Patient/B", ""), "400 request.bundle-entry"},
		{"W-15", entry("GET", "./Patient/B", ""), "400 request.bundle-entry"},
		{"W-15", entry("GET", "https://gw.example/fhir/Patient/B", ""), "read Patient/B"},
		{"W-15", entry("GET", "HTTP://GW.example:80/fhir/Patient/B", ""), "read Patient/B"},
		{"W-15", entry("GET", "https://evil.example/fhir/Patient/B", ""), "400 request.bundle-entry"},
		{"W-15", entry("GET", "Observation?patient=B", ""), "search-type Observation?patient=Patient/B"},
		{"W-15", entry("GET", "Patient/B/$everything", ""), "operation Patient/B/$everything"},
		{"W-15", entry("GET", "Patient/B%2f..", ""), "400 request.path"},
		{"W-15", entry("GET", "Patient/B/../A", ""), "400 request.type-unknown"},
		{"W-15", entry("GET", "", ""), "400 request.bundle-entry"},
		{"W-15", entry("GET", "https://gw.example/fhir", ""), "400 request.bundle-entry"},
		{"W-15", entry("GET", "https://gw.example/fhir?_id=1", ""), "search-system ?_id=1"},
		{"W-15", entry("GET", "Patient?name=a b", ""), "400 request.query"},
		{"W-16", entry("GET", "Patient/B", patient), "400 request.body"},
		{"W-16", entry("POST", "Observation/_search?code=x", ""), "search-type Observation?code=x"},
		{"W-16", entry("POST", "Observation/_search", patient), "400 request.body"},
		{"W-16", entry("get", "Patient/B", ""), "405 request.method"},
		{"W-16", entry("HEAD", "Patient/B", ""), "405 request.method"},
		{"W-16", entry("PATCH", "Patient/B", `,"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W10="}`), "patch Patient/B"},
		{"W-16", entry("PATCH", "Patient/B", `,"resource":{"resourceType":"Binary","contentType":"application/xml","data":"W10="}`), "415 request.content-type"},
		{"W-16", entry("PATCH", "Patient/B", `,"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"!"}`), "400 request.bundle-entry"},
		{"W-16", entry("PATCH", "Patient/B", `,"resource":{"resourceType":"Parameters"}`), "patch Patient/B"},
		{"W-16", entry("PATCH", "Patient/B", patient), "400 request.body"},
		{"W-17", entry("POST", "https://gw.example/fhir?", `,"resource":{"resourceType":"Bundle","type":"transaction"}`), "400 request.bundle-entry"},
		{"W-17", `{"resource":{"resourceType":"Bundle","type":"transaction"}}`, "400 request.bundle-entry"},
		{"W-18", `{"fullUrl":"urn:uuid:1","request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=MRN-B"},"resource":{"resourceType":"Patient"}}`, "create Patient"},
		{"W-09", `{"request":{"method":"PUT","url":"Patient/1","ifMatch":"W/\"3\""},"resource":{"resourceType":"Patient","id":"1"}}`, "update Patient/1"},
		{"W-09", `{"request":{"method":"PUT","url":"Patient/1","ifMatch":"*"},"resource":{"resourceType":"Patient","id":"1"}}`, "400 request.header"},
		{"", `{"fullUrl":"Patient/1","request":{"method":"GET","url":"Patient/1"}}`, "400 request.bundle-entry"},
		{"", `{"request":{"method":"GET","url":"Patient/1","_url":{}}}`, "400 request.bundle-entry"},
		{"", `{"request":{"method":"GET","url":"Patient/1"},"response":{}}`, "400 request.bundle-entry"},
		{"", `{"request":[]}`, "400 request.bundle-entry"},
		{"", `7`, "400 request.bundle-entry"},
		{"", `{}`, "400 request.bundle-entry"},
	} {
		r := Request{Method: "POST", ContentType: "application/fhir+json", Body: []byte(`{"resourceType":"Bundle","type":"batch","entry":[` + c.entry + `]}`)}
		a, err := Parse(r, options(t))
		if err != nil || len(a.Entries) != 1 {
			t.Errorf("%s: %s: %v", c.id, c.entry, err)
			continue
		}
		if got := outcome(a.Entries[0].Access, a.Entries[0].Err); got != c.want {
			t.Errorf("%s: %s = %s, want %s", c.id, c.entry, got, c.want)
		}
		r.Body = []byte(strings.Replace(string(r.Body), `"batch"`, `"transaction"`, 1))
		if _, err = Parse(r, options(t)); (err != nil) != (a.Entries[0].Err != nil) {
			t.Errorf("FHIR-15: %s in a transaction: %v", c.entry, err)
		}
	}
}

func TestBundleLimits(t *testing.T) {
	o := options(t)
	o.MaxEntries = 2
	e := entry("GET", "Patient/1", "")
	body := `{"resourceType":"Bundle","type":"batch","entry":[` + e + "," + e + "," + e + `]}`
	if got := outcome(Parse(Request{Method: "POST", ContentType: "application/json", Body: []byte(body)}, o)); got != "413 request.too-large" {
		t.Error("L-03:", got)
	}
	e = `{"fullUrl":"urn:uuid:1","request":{"method":"GET","url":"Patient/1"}}`
	body = `{"resourceType":"Bundle","type":"transaction","entry":[` + e + "," + e + `]}`
	_, err := Parse(Request{Method: "POST", ContentType: "application/json", Body: []byte(body)}, o)
	if err == nil || !strings.HasPrefix(err.Text, "Bundle.entry[1]: ") {
		t.Error("W-18: two entries of one fullUrl:", err)
	}
}

func TestHeaders(t *testing.T) {
	for _, c := range []struct{ id, method, path, name, value, want string }{
		{"H-08", "GET", "/Patient/1", "If-None-Match", `W/"7"`, "read Patient/1"},
		{"H-08", "GET", "/Patient/1", "If-None-Match", `7`, "400 request.header"},
		{"H-09", "GET", "/Patient/1", "If-Modified-Since", "Tue, 03 Nov 2026 08:00:00 GMT", "read Patient/1"},
		{"H-09", "GET", "/Patient/1", "If-Modified-Since", "yesterday", "400 request.header"},
		{"", "GET", "/Patient", "If-None-Match", `W/"7"`, "search-type Patient"},
		{"W-09", "DELETE", "/Patient/1", "If-Match", `W/"7"`, "delete Patient/1"},
		{"W-09", "DELETE", "/Patient/1", "If-Match", "W/\"7\"\r\nX: y", "400 request.header"},
		{"W-09", "GET", "/Patient/1", "If-Match", `W/"7"`, "400 request.header"},
		{"W-09", "DELETE", "/Patient/1", "If-None-Match", `*`, "400 request.header"},
		{"W-09", "DELETE", "/Patient/1", "If-Unmodified-Since", "x", "400 request.header"},
		{"", "GET", "/Patient/1", "If-None-Exist", "name=x", "400 request.header"},
		{"FHIR-20", "GET", "/Patient/1", "X-Provenance", "{}", "400 request.header"},
		{"W-21", "GET", "/Patient/1", "Prefer", "return=everything", "400 request.header"},
		{"N-01", "GET", "/Patient/1", "Accept", "application/fhir+xml", "406 request.format"},
		{"N-01", "GET", "/Patient/1", "Accept", "text/turtle", "406 request.format"},
		{"N-01", "GET", "/Patient/1", "Accept", "text/html", "406 request.format"},
		{"N-01", "GET", "/Patient/1", "Accept", "application/json+fhir", "406 request.format"},
		{"N-01", "GET", "/Patient/1", "Accept", "*/*;q=0", "406 request.format"},
		{"N-01", "GET", "/Patient/1", "Accept", "application/fhir+json;q=0, */*", "406 request.format"},
		{"N-01", "GET", "/Patient/1", "Accept", "application/fhir+json; fhirVersion=5.0", "406 request.format"},
		{"N-01", "GET", "/Patient/1", "Accept", "application/fhir+json; fhirVersion=4.0", "read Patient/1"},
		{"N-01", "GET", "/Patient/1", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8", "read Patient/1"},
		{"D-07", "GET", "/Binary/1", "Accept", "application/pdf", "read Binary/1"},
		{"N-01", "GET", "/Binary/1", "Accept", "application/fhir+xml, application/xml", "406 request.format"},
		{"N-01", "GET", "/Binary/1", "Accept", "text/html;q=0", "406 request.format"},
		{"FHIR-19", "POST", "/Binary", "X-Security-Context", "Patient/1", "400 request.header"},
		{"T-07", "GET", "/Patient/1", "X-Http-Method-Override", "DELETE", "read Patient/1"},
	} {
		h := map[string][]string{c.name: {c.value}}
		if got := outcome(Parse(Request{Method: c.method, Path: c.path, Header: h}, options(t))); got != c.want {
			t.Errorf("%s: %s %s with %s: %q = %s, want %s", c.id, c.method, c.path, c.name, c.value, got, c.want)
		}
	}
	h := map[string][]string{"If-Match": {`W/"1"`, `W/"2"`}}
	if got := outcome(Parse(Request{Method: "DELETE", Path: "/Patient/1", Header: h}, options(t))); got != "400 request.parameter-repeated" {
		t.Error(got)
	}
}

func TestFormatBeatsAccept(t *testing.T) { // FHIR-11, N-01
	for format, want := range map[string]string{
		"json": "", "application/fhir%2Bjson": "", "application/fhir+json": "", "application/json": "",
		"xml": "406", "html": "406", "ttl": "406", "ndjson": "406", "html%2Fjson": "406", "text/turtle": "406",
	} {
		_, err := Parse(Request{Method: "GET", Path: "/Patient/1", Query: "_format=" + format, Header: map[string][]string{"Accept": {"text/html"}}}, options(t))
		if (err == nil) != (want == "") {
			t.Errorf("_format=%s: %v", format, err)
		}
	}
}

func TestConditions(t *testing.T) {
	h := map[string][]string{"If-None-Exist": {"Patient?identifier=a|b"}, "Prefer": {"return=minimal, respond-async", "return=representation", "handling=lenient"}}
	a, err := Parse(Request{Method: "POST", Path: "/Patient", Header: h, Body: []byte(`{"resourceType":"Patient"}`), ContentType: "application/json"}, options(t))
	if err != nil || a.IfNoneExist() != "identifier=a%7Cb" || !a.Conditional || a.ReturnPref != "minimal" || !a.Async || a.Target() != "Patient" || a.Verb() != "POST" {
		t.Errorf("%+v %v", a, err)
	}
}

func TestTouches(t *testing.T) {
	for _, c := range []struct {
		id, path, query string
		want            []Touch
	}{
		{"FHIR-06", "/Observation", "subject:Patient.organization.name:exact=x", []Touch{{"Observation", "subject", ""}, {"Patient", "organization", ""}, {"Organization", "name", "exact"}}},
		{"FHIR-06", "/Observation", "subject.identifier=x", []Touch{{"Observation", "subject", ""}, {"Device", "identifier", ""}, {"Group", "identifier", ""}, {"Location", "identifier", ""}, {"Patient", "identifier", ""}}},
		{"FHIR-06", "/Patient", "_has:Observation:patient:code:not=x", []Touch{{"Observation", "patient", ""}, {"Observation", "code", "not"}}},
		{"Q-04", "/Patient", "_sort=-birthdate", []Touch{{"Patient", "birthdate", ""}}},
		{"S-10", "/Patient", "_revinclude=Provenance:target&_include=Patient:*", []Touch{{"Patient", "*", ""}, {"Provenance", "target", ""}}},
		{"", "/Observation", "code-value-quantity=a$5&code:text=b", []Touch{{"Observation", "code-value-quantity", ""}, {"Observation", "code", ""}, {"Observation", "value-quantity", ""}, {"Observation", "code", "text"}}},
		{"Q-15", "", "_type=Patient,Observation&_id=1", []Touch{{"Patient", "_id", ""}, {"Observation", "_id", ""}}},
		{"O-03", "/$export", "_type=Patient&_typeFilter=Patient%3Fbirthdate%3D1960", []Touch{{"Patient", "birthdate", ""}}},
		{"", "/Observation/$lastn", "max=2&code=x", []Touch{{"Observation", "code", ""}}},
	} {
		a, err := Parse(Request{Method: "GET", Path: c.path, Query: c.query}, options(t))
		if err != nil {
			t.Fatal(c.query, err)
		}
		if got := a.Touches(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %s touches %v, want %v", c.id, c.query, got, c.want)
		}
	}
}

func TestTypes(t *testing.T) {
	parse := func(path, query string) *Access {
		a, err := Parse(Request{Method: "GET", Path: path, Query: query}, options(t))
		if err != nil {
			t.Fatal(path, query, err)
		}
		return a
	}
	if got := parse("", "_type=Patient,Group").Types(); !slices.Equal(got, []string{"Patient", "Group"}) {
		t.Error(got)
	}
	if got := parse("", "_id=1").Types(); len(got) != 146 {
		t.Error(len(got))
	}
	if got := parse("/Patient/1/*", "").Types(); len(got) != 66 {
		t.Error(len(got))
	}
	if got := parse("/Patient/1/*", "_type=Observation,Location").Types(); !slices.Equal(got, []string{"Observation"}) {
		t.Error(got)
	}
	if got := parse("/Observation", "_include=Observation:performer:Practitioner&_revinclude=Provenance:target&_include=Observation:patient").Included(); !slices.Equal(got, []string{"Patient", "Practitioner", "Provenance"}) {
		t.Error(got)
	}
	if got := parse("/Patient/1/$everything", "_type=Observation").Types(); !slices.Equal(got, []string{"Observation"}) {
		t.Error(got)
	}
}

func TestLimitTypes(t *testing.T) { // S-11, BULK-02
	a, err := Parse(Request{Method: "GET", Path: "/$export", Query: "_type=Patient,Condition&_since=2026-01-01T00:00:00Z"}, options(t))
	if err != nil {
		t.Fatal(err)
	}
	if b, ok := a.LimitTypes([]string{"Patient", "Observation"}); !ok || b.Target() != "$export?_type=Patient&_since=2026-01-01T00:00:00Z" {
		t.Error(b.Target(), ok)
	}
	if _, ok := a.LimitTypes([]string{"Observation"}); ok {
		t.Error("a search of no type is ok")
	}
	if a.Target() != "$export?_type=Patient,Condition&_since=2026-01-01T00:00:00Z" {
		t.Error("the original has changed")
	}
}

// A text repeats names and never values (law 12).
func TestTextsHoldNoValues(t *testing.T) {
	for _, q := range []string{
		"name=canary\\", "birthdate=canary", "_id=can ary", "patient=can/ary", "subject:Patient=can/ary", "value-quantity=canary",
		"_count=canary", "_elements=canary", "_summary=canary", "_format=canary", "_since=canary", "can%20ary%C3%A9=x", "code:can%20ary=x",
		"_include=can ary:x", "_has:can ary:x:y=z", "_sort=can ary", "_total=canary", "_pretty=canary", "code-value-quantity=canary$canary",
	} {
		for _, path := range []string{"/Observation", "/Patient", "/Patient/1", ""} {
			if _, err := Parse(Request{Method: "GET", Path: path, Query: strings.ReplaceAll(q, " ", "%20")}, options(t)); err != nil && (strings.Contains(err.Text, "canary") || strings.Contains(err.Text, "can ary")) {
				t.Errorf("%s?%s: %s", path, q, err.Text)
			}
		}
	}
}

func TestCodesAreListedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Codes {
		if seen[c.Code] || c.Meaning == "" || c.Status < 400 {
			t.Errorf("code %+v", c)
		}
		seen[c.Code] = true
	}
}
