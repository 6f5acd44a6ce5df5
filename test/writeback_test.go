package test

import (
	"strings"
	"testing"
)

// W-11, issue 6.7: a client whose view may be written through.
func TestWritingThroughAView(t *testing.T) {
	h := openHouse(t, `views: {study-rw: {use: research, write: true}}
clients:
  study: {view: study-rw, domain: study-17}
  reader: {view: research, domain: study-17}`)
	h.ehr.on("GET /Patient/mrn-19700101", 200, strings.Replace(patientSeen, `"unknownCanary":"Canary"`, `"active":true`, 1), "ETag", `W/"7"`)
	h.ehr.on("GET /Patient", 200, searchset("", patientSeen))
	ward := h.ward(t, "PUT /Patient/mrn-19700101", "POST /Observation", "DELETE /Patient/mrn-19700101")
	study := h.researcher("study")
	p := h.pseudonym(t, study)
	read := h.get("/Patient/"+p, study)
	tag := read.header.Get("ETag")
	if read.status != 200 || tag == "" || !strings.Contains(read.body, `"active":true`) {
		t.Fatalf("got %d %s", read.status, read.body)
	}
	changed := strings.Replace(read.body, `"active":true`, `"active":false`, 1)
	put := func(body string, header ...string) answer {
		return h.do("PUT", "/Patient/"+p, study, body, header...)
	}
	got := put(changed, "If-Match", tag, "Prefer", "return=representation")
	if h.noReal(t, got); got.status != 200 || !strings.Contains(got.body, `"id":"`+p+`"`) {
		t.Errorf("PUT: got %d %s", got.status, got.body)
	}
	if where := got.header.Get("Location"); !strings.Contains(where, "/Patient/"+p+"/_history/") || got.header.Get("ETag") == "" || got.header.Get("ETag") == tag {
		t.Errorf("PUT: %v", got.header)
	}
	if len(ward.sent) != 1 || ward.pins[0] != `W/"7"` {
		t.Fatalf("upstream got %v %v", ward.sent, ward.pins)
	}
	for _, kept := range []string{`"active":false`, "Jane Canary", "MRNCanary", "1970-01-01", `"line":["1 Canary St"]`, `"id":"mrn-19700101"`, "Practitioner/drcanary1", `"photo"`} {
		if !strings.Contains(ward.sent[0], kept) {
			t.Errorf("%s is lost: %s", kept, ward.sent[0])
		}
	}
	for _, ours := range []string{"PSEUDED", "REDACTED", "pseudonymous", p} {
		if strings.Contains(ward.sent[0], ours) {
			t.Errorf("%s is stored: %s", ours, ward.sent[0])
		}
	}
	ward.sent = nil
	json := []string{"Content-Type", "application/json-patch+json"}
	patch := func(ops string) answer { return h.do("PATCH", "/Patient/"+p, study, ops, json...) }
	if got := patch(`[{"op":"test","path":"/active","value":true},{"op":"replace","path":"/active","value":false}]`); got.status != 200 || len(ward.sent) != 1 || !strings.Contains(ward.sent[0], `"active":false`) || !strings.Contains(ward.sent[0], "Jane") {
		t.Errorf("PATCH: got %d %s, sent %v", got.status, got.body, ward.sent)
	}
	ward.sent = nil
	for name, got := range map[string]answer{
		"W-11 a hidden element":        put(strings.Replace(changed, `"active"`, `"name":[{"family":"Eve"}],"active"`, 1)),
		"W-04 a test of a hidden one":  patch(`[{"op":"test","path":"/name/0/family","value":"Canary"}]`),
		"W-04 a test of the real date": patch(`[{"op":"test","path":"/birthDate","value":"1970-01-01"}]`),
		"a patch of a hidden one":      patch(`[{"op":"add","path":"/maritalStatus","value":{"text":"x"}},{"op":"add","path":"/name","value":[{"family":"Eve"}]}]`),
		"a real id in a reference":     put(strings.Replace(changed, `"type":"refer"`, `"type":"refer"},{"other":{"reference":"Patient/mrn-2"},"type":"refer"`, 1)),
		"W-08 a guessed version":       put(changed, "If-Match", `W/"7"`),
		"a real id":                    h.do("PUT", "/Patient/mrn-19700101", study, changed),
		"conditional":                  h.do("PUT", "/Patient?gender=female", study, changed),
		"a view that is read":          h.do("PUT", "/Patient/"+p, h.researcher("reader"), changed),
		"a transaction":                h.do("POST", "", study, `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+changed+`,"request":{"method":"PUT","url":"Patient/`+p+`"}}]}`),
	} {
		h.noCanary(t, got)
		if got.status < 400 || got.status >= 500 || len(ward.sent) > 0 {
			t.Errorf("%s: got %d %s, sent %v", name, got.status, got.body, ward.sent)
		}
		ward.sent = nil
	}
	// A new resource: references are turned back, and dates by whose they are.
	born := birthOf(t, read.body)
	made := h.do("POST", "/Observation", study, `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]},"subject":{"reference":"Patient/`+p+`"},"effectiveDateTime":"`+day(t, born, 40)+`"}`)
	if h.noReal(t, made); made.status != 201 || len(ward.sent) != 1 || !strings.Contains(ward.sent[0], `"reference":"Patient/mrn-19700101"`) || !strings.Contains(ward.sent[0], `"effectiveDateTime":"1970-02-10"`) {
		t.Errorf("POST: got %d %s, sent %v", made.status, made.body, ward.sent)
	}
	if where := made.header.Get("Location"); where == "" || strings.Contains(where, "/new") {
		t.Errorf("POST: Location %s", where)
	}
	if got := h.do("DELETE", "/Patient/"+p, study, "", "If-Match", `W/"7"`); got.status != 412 {
		t.Errorf("DELETE of a guessed version: got %d", got.status)
	}
	if got := h.do("DELETE", "/Patient/"+p, study, "", "If-Match", tag); got.status != 204 {
		t.Errorf("DELETE: got %d %s", got.status, got.body)
	}
}

func birthOf(t *testing.T, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `"birthDate":"`)
	if !ok || len(rest) < 10 {
		t.Fatalf("no birthDate: %s", body)
	}
	return rest[:10]
}
