package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gatehouse/gateway/audit"
)

// Bulk Data export (BULK-01 to BULK-07, S-11, O-03, H-02 to H-04, U-11, L-03):
// jobs belong to who began them, and their files are judged line by line.

const asyncHeader = "respond-async"

// backend is the token of a service.
func (h *house) backend(scope string, claims ...string) string {
	all := map[string]any{"roles": []string{"staff"}, "scope": scope, "client_id": "bulk", "sub": "bulk"}
	for i := 0; i < len(claims); i += 2 {
		all[claims[i]] = claims[i+1]
	}
	return h.token(all)
}

// onExport makes the upstream export files, each of a type.
func (h *house) onExport(kickoff string, files ...string) {
	h.ehr.on(kickoff, 202, "", "Content-Location", "%BASE%/$export-poll-status?_jobId=Canary1")
	var output []string
	for i := 0; i < len(files); i += 2 {
		name := fmt.Sprintf("Binary/file%d", i/2)
		output = append(output, `{"type":"`+files[i]+`","url":"%BASE%/`+name+`","count":77}`)
		h.onFile("GET /"+name, files[i+1])
	}
	h.ehr.on("GET /$export-poll-status?_jobId=Canary1", 200, `{"transactionTime":"2026-01-02T03:04:05Z","request":"%BASE%/$export?Canary","requiresAccessToken":false,
		"output":[`+strings.Join(output, ",")+`],"deleted":[{"type":"Bundle","url":"%BASE%/Binary/Canary"}],
		"error":[{"type":"OperationOutcome","url":"%BASE%/Binary/Canary"}],"message":"Canary"}`)
}

func (h *house) onFile(request, body string) {
	h.ehr.handle(request, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+ndjson")
		_, _ = io.WriteString(w, strings.ReplaceAll(body, "%BASE%", h.ehr.url+"/r4"))
	})
}

// below cuts the public base off a URL of the gateway.
func below(t *testing.T, url string) string {
	t.Helper()
	target, ok := strings.CutPrefix(url, "http://gw.example.org/fhir")
	if !ok {
		t.Fatalf("%q is not below the gateway", url)
	}
	return target
}

// begin kicks an export off and gives where its state is.
func (h *house) begin(t *testing.T, target, token string) string {
	t.Helper()
	got := h.do("GET", target, token, "", "Prefer", asyncHeader)
	h.noCanary(t, got)
	if got.status != 202 || got.body != "" {
		t.Fatalf("kick-off %s: got %d %s", target, got.status, got.body)
	}
	return below(t, got.header.Get("Content-Location"))
}

type manifest struct {
	TransactionTime     string
	Request             string
	RequiresAccessToken bool
	Output, Error       []struct{ Type, URL string }
	Deleted, Message    any
}

// manifest follows a job to its end.
func (h *house) manifest(t *testing.T, job, token string) manifest {
	t.Helper()
	got := h.get(job, token)
	h.noCanary(t, got)
	var m manifest
	if err := json.Unmarshal([]byte(got.body), &m); err != nil || got.status != 200 || got.header.Get("Content-Type") != "application/json" {
		t.Fatalf("manifest: got %d %v %s", got.status, err, got.body)
	}
	if m.Error == nil || m.Deleted != nil || m.Message != nil || strings.Contains(got.body, "count") {
		t.Errorf("BULK-04: got %s", got.body)
	}
	return m
}

func (m manifest) types() []string {
	list := []string{}
	for _, f := range m.Output {
		list = append(list, f.Type)
	}
	return list
}

// file is where the first file of a type is.
func (m manifest) file(t *testing.T, typ string) string {
	t.Helper()
	for _, f := range m.Output {
		if f.Type == typ {
			return below(t, f.URL)
		}
	}
	t.Fatalf("there is no file of %s: %v", typ, m.Output)
	return ""
}

func lines(resources ...string) string { return strings.Join(resources, "\n") + "\n" }

// BULK-01, BULK-04, BULK-05, BULK-06: from kick-off to file and deletion.
func TestExport(t *testing.T) {
	h := openHouse(t)
	doc := resource("DocumentReference", "d", ref("subject", "Patient/A")+`,"content":[{"attachment":{"url":"%BASE%/Binary/x"}}]`)
	h.onExport("GET /$export", "Patient", lines(resource("Patient", "A", ""), resource("Patient", "B", "")), "Observation", lines(obsA, "", obsR), "DocumentReference", doc)
	token := h.backend("system/*.rs")
	h.ehr.requests()
	job := h.begin(t, "/$export?_type=Patient,Observation,DocumentReference&_since=2026-01-01T00:00:00Z", token)
	if calls := h.ehr.requests(); len(calls) != 1 || calls[0] != "GET /$export?_type=Patient,Observation,DocumentReference&_since=2026-01-01T00:00:00Z" {
		t.Errorf("upstream got %q", calls)
	}
	h.ehr.on("GET /$export-poll-status?_jobId=Canary1", 202, "", "X-Progress", "Canary at Patient/77: 12.5% of file", "Retry-After", "7")
	runs := h.get(job, token)
	if h.noCanary(t, runs); runs.status != 202 || runs.header.Get("X-Progress") != "12.5%" || runs.header.Get("Retry-After") != "7" {
		t.Errorf("BULK-05: got %d %v", runs.status, runs.header)
	}
	h.ehr.on("GET /$export-poll-status?_jobId=Canary1", 202, "working on Canary", "X-Progress", "Canary")
	if runs := h.get(job, token); runs.header.Get("X-Progress") != "in progress" || runs.header.Get("Retry-After") == "" {
		t.Errorf("BULK-05: got %v", runs.header)
	}
	h.onExport("GET /$export", "Patient", lines(resource("Patient", "A", ""), resource("Patient", "B", "")), "Observation", lines(obsA, "", obsR), "DocumentReference", doc)
	m := h.manifest(t, job, token)
	if !m.RequiresAccessToken || m.TransactionTime != "2026-01-02T03:04:05Z" || m.Request != "http://gw.example.org/fhir/$export?_type=Patient,Observation,DocumentReference&_since=2026-01-01T00:00:00Z" {
		t.Errorf("BULK-04: got %+v", m)
	}
	h.attack(t, []attack{
		{id: "BULK-06", target: m.file(t, "Patient"), token: token, status: 200, calls: []string{"GET /Binary/file0"}, released: []string{"Patient/A", "Patient/B"}},
		{id: "BULK-06 U-11", target: m.file(t, "Observation"), token: token, status: 200, calls: []string{"GET /Binary/file1"}, released: []string{"Observation/a"}, withheld: []string{"Observation/r"}},
		{id: "BULK-04", target: m.file(t, "DocumentReference"), token: token, status: 200, calls: anyCalls, released: []string{"DocumentReference/d"}},
	})
	got := h.get(m.file(t, "Observation"), token)
	if got.body != obsA+"\n" || got.header.Get("Content-Type") != "application/fhir+ndjson" || got.header.Get("Accept-Ranges") != "none" {
		t.Errorf("got %v %q", got.header, got.body)
	}
	if got := h.get(m.file(t, "DocumentReference"), token); !strings.Contains(got.body, `"http://gw.example.org/fhir/Binary/x"`) {
		t.Errorf("D-12: got %s", got.body)
	}
	// BULK-07: a range is none of the upstream's bytes.
	if got := h.do("GET", m.file(t, "Observation"), token, "", "Range", "bytes=2-9", "Accept-Encoding", "gzip"); got.status != 200 || got.body != obsA+"\n" || got.header.Get("Content-Encoding") != "" {
		t.Errorf("BULK-07: got %d %v %s", got.status, got.header, got.body)
	}
	h.ehr.on("DELETE /$export-poll-status?_jobId=Canary1", 202, "")
	h.attack(t, []attack{{id: "BULK-05", method: "DELETE", target: job, token: token, status: 202, calls: []string{"DELETE /$export-poll-status?_jobId=Canary1"}}})
	h.ehr.on("GET /$export-poll-status?_jobId=Canary1", 404, `{"resourceType":"OperationOutcome","issue":[{"diagnostics":"Canary"}]}`)
	h.attack(t, []attack{{id: "BULK-05", target: job, token: token, status: 404, code: "resource.not-found", calls: anyCalls}})
}

// BULK-01, BULK-02, S-11, O-03: what may not be exported is refused before the
// upstream hears of it.
func TestExportRefused(t *testing.T) {
	h := openHouse(t, "operations: {allow: [$export, $everything]}")
	h.onExport("GET /$export")
	h.onExport("GET /Patient/$export")
	h.onExport("POST /Patient/$export")
	h.onExport("GET /Group/g/$export")
	h.ehr.on("GET /Group/g", 200, resource("Group", "g", `"type":"person","actual":true,"member":[{"entity":{"reference":"Patient/A"}},{"entity":{"reference":"Patient/B"}}]`))
	h.ehr.on("GET /Group/r", 200, strings.Replace(obsR, `"Observation","id":"r"`, `"Group","id":"r"`, 1))
	h.ehr.on("GET /Patient", 200, searchset("", resource("Patient", "A", ""), strings.Replace(obsR, `"Observation","id":"r"`, `"Patient","id":"r"`, 1)))
	all, some := h.backend("system/*.rs"), h.backend("system/Patient.rs system/Observation.rs")
	prefer := []string{"Prefer", asyncHeader}
	parameters := func(list string) string {
		return `{"resourceType":"Parameters","parameter":[` + list + `]}`
	}
	rows := []attack{
		{id: "BULK-01", target: "/$export", header: prefer, status: 401},
		{id: "BULK-01", target: "/$export", token: all, status: 400, code: "export.async"},
		{id: "BULK-01", method: "HEAD", target: "/$export", token: all, header: prefer, status: 405},
		{id: "BULK-01", method: "PUT", target: "/$export", token: all, header: prefer, status: 405},
		{id: "BULK-02 user", target: "/$export", token: h.backend("user/*.cruds"), header: prefer, status: 403, code: "scope.missing"},
		{id: "BULK-02 patient", target: "/Patient/$export", token: h.patient("A", "patient/*.rs"), header: prefer, status: 403, code: "scope.missing"},
		{id: "BULK-02 read only", target: "/$export?_type=Patient", token: h.backend("system/Patient.r"), header: prefer, status: 403, code: "scope.missing"},
		{id: "S-11", target: "/$export?_type=Condition", token: some, header: prefer, status: 403, code: "scope.missing"},
		{id: "S-11", target: "/$export?_type=Patient,Condition", token: some, header: prefer, status: 403, code: "scope.missing"},
		{id: "S-11", target: "/$export?_type=Consent", token: all, header: prefer, status: 403, code: "scope.missing"},
		{id: "O-03 Group", target: "/Group/g/$export", token: some, header: prefer, status: 403, code: "scope.missing"},
		{id: "O-03 Group", target: "/Group/r/$export", token: all, header: prefer, status: 404, calls: []string{"GET /Group/r"}, withheld: []string{"Group/r"}},
		{id: "O-03 Group", target: "/Group/none/$export", token: all, header: prefer, status: 404, calls: []string{"GET /Group/none"}},
		{id: "O-03 filter", target: "/$export?_type=Patient&_typeFilter=Condition%3Fcode%3Dx", token: some, header: prefer, status: 403, code: "scope.missing"},
		{id: "O-03 filter", target: "/$export?_type=Patient&_typeFilter=Observation%3Fcode%3Dx", token: some, header: prefer, status: 400, code: "export.filter"},
		{id: "O-03 filter", target: "/$export?_type=Observation&_typeFilter=Observation%3Fcode%3Dx%26patient.name%3DCanary", token: some, header: prefer, status: 400, code: "export.filter"},
		{id: "O-03 filter", target: "/$export?_type=Observation&_typeFilter=Observation%3Fnonsense%3Dx", token: some, header: prefer, status: 400},
		{id: "O-03 filter", target: "/$export?_type=Observation&_typeFilter=Observation%3F_include%3DObservation:subject", token: some, header: prefer, status: 400},
		{id: "P-01", target: "/$export?_foo=x", token: all, header: prefer, status: 400},
		{id: "P-01", target: "/$export?_outputFormat=text/csv", token: all, header: prefer, status: 406},
		{id: "O-03 patient", method: "POST", target: "/Patient/$export", body: parameters(`{"name":"patient","valueReference":{"reference":"Patient/A"}},{"name":"patient","valueReference":{"reference":"Patient/r"}}`),
			token: all, header: prefer, status: 404, calls: []string{"GET /Patient?_id=A&_count=1000", "GET /Patient?_id=r&_count=1000"}},
		{id: "O-03 patient", method: "POST", target: "/Patient/$export", body: parameters(`{"name":"patient","valueReference":{"reference":"Patient/none"}}`),
			token: all, header: prefer, status: 404, calls: []string{"GET /Patient?_id=none&_count=1000"}},
		{id: "O-03 patient", method: "POST", target: "/Patient/$export", body: parameters(`{"name":"patient","valueReference":{"reference":"Patient/A"}}`),
			token: h.backend("system/Observation.rs"), header: prefer, status: 403, code: "scope.missing"},
		{id: "J-01", target: "/Observation/a/$export", token: all, header: prefer, status: 403},
		{id: "policy", target: "/$export", token: h.token(map[string]any{"scope": "system/*.rs"}), header: prefer, status: 403, code: "policy.denied"},
	}
	for _, handle := range []string{"", "x", "../Patient/1", "..%2fPatient", "$export"} {
		for _, at := range []string{"/_export/", "/_file/"} {
			rows = append(rows, attack{id: "H-02", target: at + handle, token: all, status: 404})
		}
	}
	h.attack(t, rows)
	h.ehr.requests()
	batch := h.do("POST", "", all, `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"$export"}}]}`, prefer...)
	if calls := h.ehr.requests(); len(calls) > 0 || !strings.Contains(batch.body, `"export.async"`) {
		t.Errorf("SMART-15: upstream got %v, answer %s", calls, batch.body)
	}
}

// BULK-02, P-01: what goes upstream is printed from the parse, for the types
// that are granted, whole, and a list of patients by POST.
func TestExportForwarded(t *testing.T) {
	h := openHouse(t)
	h.onExport("GET /$export")
	h.onExport("POST /$export")
	h.onExport("POST /Patient/$export")
	h.onExport("GET /Group/g/$export")
	h.ehr.on("GET /Group/g", 200, resource("Group", "g", ""))
	h.ehr.on("GET /Patient", 200, searchset("", resource("Patient", "A", "")))
	some := h.backend("system/Observation.rs system/Patient.rs system/Group.r")
	prefer := []string{"Prefer", asyncHeader + "; wait=1"}
	for _, c := range []struct{ method, target, body, want string }{
		{"GET", "/$export", "", "GET /$export?_type=Observation,Patient"},
		{"GET", "/%24export?_type=Patient&_elements=name,Patient.id&_outputFormat=ndjson", "", "GET /$export?_outputFormat=application/fhir%2Bndjson&_type=Patient"},
		{"GET", "/Group/g/$export?_typeFilter=Observation%3Fcode%3Da%257Cb", "", "GET /Group/g/$export?_type=Observation,Patient&_typeFilter=Observation%3Fcode%3Da%257Cb"},
		{"POST", "/$export", `{"resourceType":"Parameters","parameter":[{"name":"_type","valueString":"Patient"},{"name":"_since","valueInstant":"2026-01-01T00:00:00Z"}]}`, "GET /$export?_type=Patient&_since=2026-01-01T00:00:00Z"},
		{"POST", "/Patient/$export", `{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/A"}},{"name":"_typeFilter","valueString":"Observation?code=x"}]}`,
			`POST /Patient/$export {"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/A"}},{"name":"_type","valueString":"Observation,Patient"},{"name":"_typeFilter","valueString":"Observation?code=x"}]}`},
	} {
		h.ehr.requests()
		got := h.do(c.method, c.target, some, c.body, prefer...)
		h.ehr.mu.Lock()
		last := len(h.ehr.got) - 1
		sent, header := strings.TrimSpace(h.ehr.got[last]+" "+h.ehr.bodies[last]), h.ehr.headers[last]
		h.ehr.mu.Unlock()
		if got.status != 202 || sent != c.want || header.Get("Prefer") != "handling=strict, respond-async" {
			t.Errorf("%s %s: got %d %s, upstream got %s %v", c.method, c.target, got.status, got.body, sent, header)
		}
		if job := below(t, got.header.Get("Content-Location")); c.method == "POST" {
			if m := h.manifest(t, job, some); m.Request != "http://gw.example.org/fhir"+c.target {
				t.Errorf("BULK-04: request is %s", m.Request)
			}
		}
	}
}

// BULK-04, H-04: what the upstream answers to a kick-off, a poll or a file is
// believed only where it is what was asked for.
func TestExportUpstream(t *testing.T) {
	h := openHouse(t)
	token := h.backend("system/*.rs")
	for _, c := range []struct {
		status  int
		where   string
		want    int
		code    string
		headers []string
	}{
		{404, "", 400, "export.unsupported", nil},
		{400, "", 400, "export.unsupported", nil},
		{501, "", 400, "export.unsupported", nil},
		{429, "", 503, "upstream.busy", nil},
		{500, "", 502, "upstream.invalid", nil},
		{200, "%BASE%/x", 502, "upstream.invalid", nil},
		{202, "", 502, "", nil},
		{202, "http://evil.example/Canary", 502, "export.foreign", nil},
		{202, "%BASE%/../Canary", 502, "export.foreign", nil},
		{202, "%BASE%", 502, "upstream.invalid", nil},
		{202, "%BASE%/Patient/Canary", 502, "upstream.invalid", nil},
		{202, "%BASE%/Patient?_id=Canary", 502, "upstream.invalid", nil},
	} {
		h.ehr.on("GET /$export", c.status, `{"resourceType":"OperationOutcome","issue":[{"diagnostics":"Canary"}]}`, "Content-Location", c.where)
		h.attack(t, []attack{{id: fmt.Sprint("H-04 ", c.status, " ", c.where), target: "/$export", token: token, header: []string{"Prefer", asyncHeader}, status: c.want, code: c.code, calls: anyCalls}})
	}
	h.onExport("GET /$export", "Patient", "")
	job := h.begin(t, "/$export", token)
	const at = `"transactionTime":"2026-01-02T03:04:05Z"`
	for _, c := range []struct {
		id, body string
		status   int
		want     int
		code     string
	}{
		{"BULK-04 foreign", `{` + at + `,"output":[{"type":"Patient","url":"https://bucket.example/Canary?X-Signature=1"}]}`, 200, 502, "export.foreign"},
		{"BULK-04 foreign, one of two", `{` + at + `,"output":[{"type":"Patient","url":"%BASE%/Binary/1"},{"type":"Observation","url":"//evil.example/r4/Binary/Canary"}]}`, 200, 502, "export.foreign"},
		{"BULK-04 climbing", `{` + at + `,"output":[{"type":"Patient","url":"%BASE%/../admin/Canary"}]}`, 200, 502, "export.foreign"},
		{"BULK-04 paged", `{` + at + `,"output":[],"link":[{"relation":"next","url":"%BASE%/Canary"}]}`, 200, 502, "upstream.invalid"},
		{"N-08", `{` + at + `,"output":[],"output":[{"type":"Patient","url":"%BASE%/Canary"}]}`, 200, 502, "upstream.invalid"},
		{"D-15", `{"resourceType":"Patient","id":"Canary"}`, 200, 502, "upstream.invalid"},
		{"BULK-05 failed", `{"resourceType":"OperationOutcome","issue":[{"diagnostics":"Canary"}]}`, 500, 502, "export.failed"},
		{"BULK-05 busy", ``, 429, 503, "upstream.busy"},
		{"BULK-05 gone", ``, 410, 404, "resource.not-found"},
	} {
		h.ehr.on("GET /$export-poll-status?_jobId=Canary1", c.status, c.body)
		h.attack(t, []attack{{id: c.id, target: job, token: token, status: c.want, code: c.code, calls: anyCalls}})
	}
	h.onExport("GET /$export", "Patient", "")
	file := h.manifest(t, job, token).file(t, "Patient")
	canary := resource("Patient", "A", `"name":[{"family":"Canary"}]`)
	for _, c := range []struct{ id, answer string }{
		{"D-15 JSON", http11("200 OK", "", canary)},
		{"D-15 text", strings.Replace(http11("200 OK", "", canary), "fhir+json", "octet-stream", 1)},
		{"BULK-07 gzip", strings.Replace(http11("200 OK", "Content-Encoding: gzip\n", canary), "fhir+json", "fhir+ndjson", 1)},
		{"BULK-07 part", strings.Replace(http11("206 Part", "Content-Range: bytes 0-9/10\n", canary), "fhir+json", "fhir+ndjson", 1)},
		{"redirect", strings.Replace(http11("302 Found", "Location: http://evil.example/Canary\n", ""), "fhir+json", "fhir+ndjson", 1)},
	} {
		h.ehr.handle("GET /Binary/file0", wireAnswer(c.answer))
		h.attack(t, []attack{{id: c.id, target: file, token: token, status: 502, code: "upstream.invalid", calls: anyCalls}})
	}
}

// BULK-06: one line that is not a resource spoils the file.
func TestExportBadLines(t *testing.T) {
	h := openHouse(t)
	h.onExport("GET /$export", "Observation", "")
	token := h.backend("system/*.rs")
	file := h.manifest(t, h.begin(t, "/$export", token), token).file(t, "Observation")
	canary := strings.Replace(obsA, `"x"`, `"Canary"`, 1)
	for _, c := range []struct{ id, body string }{
		{"truncated", lines(canary, canary[:len(canary)-1])},
		{"truncated", canary + "\n" + canary[:40]},
		{"N-08 duplicate subject", lines(canary, strings.Replace(canary, `"status"`, `"subject":{"reference":"Patient/B"},"status"`, 1))},
		{"N-08 duplicate type", lines(strings.Replace(canary, `"id":"a"`, `"id":"a","resourceType":"Patient"`, 1))},
		{"N-08 escaped", lines(strings.Replace(canary, `"subject"`, `"s\u0075bject"`, 1))},
		{"N-06 UTF-8", lines(strings.Replace(canary, "Canary", "Can\xff", 1))},
		{"array", lines(`[` + canary + `]`)},
		{"two on a line", lines(canary + canary)},
		{"no type", lines(`{"id":"Canary"}`)},
		{"over lines", strings.Replace(canary, `"status"`, "\n\"status\"", 1)},
		{"words", "Canary\n"},
		{"NUL", canary + "\n\x00\n"},
	} {
		h.onFile("GET /Binary/file0", c.body)
		h.attack(t, []attack{{id: "BULK-06 " + c.id, target: file, token: token, status: 502, code: "upstream.invalid", calls: anyCalls}})
	}
	// After its first byte the connection is reset, never a short file.
	h.onFile("GET /Binary/file0", strings.Repeat(obsA+"\n", 450)+"{")
	r, err := http.NewRequest(http.MethodGet, h.base+file, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return // reset before the head was read
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a broken file ends well after %d bytes", len(b))
	}
	h.recorded(t, &attack{released: slices.Repeat([]string{"Observation/a"}, 400)}, answer{header: resp.Header})
}

// BULK-02, BULK-06, CONS-01, B-01: each line is judged, whatever the upstream
// put into the file.
func TestExportLines(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: permit}")
	h.ehr.on("GET /Consent", 200, searchset("", `{"resourceType":"Consent","id":"no","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"patient":{"reference":"Patient/B"},"provision":{"type":"deny"}}`))
	lab := resource("Observation", "lab", `"category":[{"coding":[{"code":"laboratory"}]}],`+ref("subject", "Patient/A"))
	cond := resource("Condition", "c", ref("subject", "Patient/A")+`,"note":[{"text":"Canary"}]`)
	h.onExport("GET /$export", "Observation", lines(obsA, obsB, obsR, lab, cond), "Condition", lines(cond), "Nonsense", "")
	var rows []attack
	for _, c := range []struct {
		id, scope          string
		types              []string
		released, withheld []string
	}{
		{"CONS-01", "system/*.rs", []string{"Observation", "Condition"}, []string{"Observation/a", "Observation/lab"}, []string{"Observation/b", "Observation/r", "Condition/c"}},
		{"BULK-02", "system/Observation.rs user/Condition.rs", []string{"Observation"}, []string{"Observation/a", "Observation/lab"}, []string{"Observation/b", "Observation/r", "Condition/c"}},
		{"SMART-17", "system/Observation.rs?category=laboratory user/Observation.rs", []string{"Observation"}, []string{"Observation/lab"}, []string{"Observation/a", "Observation/b", "Observation/r", "Condition/c"}},
	} {
		token := h.backend(c.scope)
		m := h.manifest(t, h.begin(t, "/$export", token), token)
		if got := m.types(); !slices.Equal(got, c.types) {
			t.Errorf("S-11 %s: files of %v", c.scope, got)
		}
		rows = append(rows, attack{id: c.id, target: m.file(t, "Observation"), token: token, status: 200, calls: anyCalls, released: c.released, withheld: c.withheld})
	}
	h.attack(t, rows)
	// One member's no is not the Group's: what is exported of each is judged.
	h.ehr.on("GET /Group/g", 200, resource("Group", "g", `"member":[{"entity":{"reference":"Patient/A"}},{"entity":{"reference":"Patient/B"}}]`))
	h.onExport("GET /Group/g/$export", "Observation", lines(obsA, obsB))
	token := h.backend("system/*.rs")
	m := h.manifest(t, h.begin(t, "/Group/g/$export?_type=Observation", token), token)
	h.attack(t, []attack{{id: "CONS-01", target: m.file(t, "Observation"), token: token, status: 200, calls: anyCalls, released: []string{"Observation/a"}, withheld: []string{"Observation/b"}}})
}

// BULK-03, H-02, H-03, U-11: a job and its files are their caller's, as that one
// is now.
func TestExportHandles(t *testing.T) {
	h := openHouse(t)
	h.onExport("GET /$export", "Patient", lines(resource("Patient", "A", "")))
	h.ehr.on("DELETE /$export-poll-status?_jobId=Canary1", 202, "")
	token := h.backend("system/*.rs")
	job := h.begin(t, "/$export", token)
	file := h.manifest(t, job, token).file(t, "Patient")
	var rows []attack
	for _, target := range []string{job, file} {
		at, handle := target[:strings.LastIndex(target, "/")+1], target[strings.LastIndex(target, "/")+1:]
		other := map[string]string{"/_export/": "/_file/", "/_file/": "/_export/"}[at]
		flipped := []byte(handle)
		flipped[len(flipped)/2] ^= 1
		rows = append(rows,
			attack{id: "BULK-03 other client", target: target, token: h.backend("system/*.rs", "client_id", "other"), status: 404},
			attack{id: "BULK-03 other subject", target: target, token: h.backend("system/*.rs", "sub", "other"), status: 404},
			attack{id: "BULK-03 other purpose", target: target, token: h.backend("system/*.rs", "purpose_of_use", "HMARKT"), status: 404},
			attack{id: "BULK-03 no token", target: target, status: 401},
			attack{id: "H-03 fewer scopes", target: target, token: h.backend("system/Condition.r"), status: 403},
			attack{id: "H-03 user scopes", target: target, token: h.backend("user/*.rs"), status: 403},
			attack{id: "H-03 no role", target: target, token: h.token(map[string]any{"scope": "system/*.rs", "client_id": "bulk", "sub": "bulk"}), status: 403, code: "policy.denied"},
			attack{id: "H-02 query", target: target + "?_type=Observation", token: token, status: 400},
			attack{id: "H-02 POST", method: "POST", target: target, token: token, status: 405},
			attack{id: "H-02 HEAD", method: "HEAD", target: target, token: token, status: 405},
			attack{id: "H-02 other kind", target: other + handle, token: token, status: 404},
			attack{id: "H-02 page", target: "/_page/" + handle, token: token, status: 404},
			attack{id: "H-02 flipped", target: at + string(flipped), token: token, status: 404},
			attack{id: "H-02 longer", target: target + "A", token: token, status: 404},
			attack{id: "BULK-03 delete", method: "DELETE", target: target, token: h.backend("system/*.rs", "client_id", "other"), status: map[string]int{"/_export/": 404, "/_file/": 405}[at]},
		)
	}
	h.attack(t, rows)
	if a, b := h.get(file, h.backend("system/*.rs", "sub", "other")), h.get("/Patient/none", token); a.body != b.body {
		t.Errorf("DESIGN §10.8: a foreign handle shows: %s", a.body)
	}
	if strings.Contains(job+file, "Canary") || strings.Contains(job+file, "poll") {
		t.Error("a handle shows what it holds")
	}
}

// O-03: of an export of few records, that there is no file tells nothing.
func TestExportOfFew(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Group/g", 200, resource("Group", "g", ""))
	token := h.backend("system/Observation.rs system/Condition.rs system/Organization.rs system/Group.r")
	seen := map[string]string{}
	for _, c := range []struct{ id, condition string }{{"hidden", lines(strings.Replace(obsR, "Observation", "Condition", 1))}, {"none", ""}} {
		files := []string{"Observation", lines(obsA)}
		if c.condition != "" {
			files = append(files, "Condition", c.condition)
		}
		h.onExport("GET /Group/g/$export", files...)
		m := h.manifest(t, h.begin(t, "/Group/g/$export", token), token)
		if got := m.types(); !slices.Equal(got, []string{"Condition", "Observation"}) {
			t.Errorf("%s: files of %v", c.id, got)
		}
		got := h.get(m.file(t, "Condition"), token)
		if h.noCanary(t, got); got.status != 200 {
			t.Errorf("%s: got %d", c.id, got.status)
		}
		got.header.Del("Date")
		got.header.Del("X-Request-Id")
		seen[c.id] = fmt.Sprint(got.header, got.body)
	}
	if seen["hidden"] != seen["none"] {
		t.Errorf("a withheld record shows: %v", seen)
	}
}

// FHIR-07: elements are cut after judgement.
func TestExportElements(t *testing.T) {
	h := openHouse(t)
	h.onExport("GET /$export", "Observation", lines(obsA, obsR))
	token := h.backend("system/*.rs")
	m := h.manifest(t, h.begin(t, "/$export?_type=Observation&_elements=Observation.status", token), token)
	got := h.get(m.file(t, "Observation"), token)
	if strings.Contains(got.body, "valueQuantity") || !strings.Contains(got.body, "SUBSETTED") || strings.Count(got.body, "\n") != 1 {
		t.Errorf("got %s", got.body)
	}
}

// X-02, D-02 to D-12: a client with a view gets its pseudonyms and nothing else.
func TestExportView(t *testing.T) {
	h := openResearch(t)
	one := func(s string) string { return strings.ReplaceAll(s, "\n", "") }
	h.onExport("GET /$export", "Patient", lines(one(patientSeen), one(strings.ReplaceAll(patientSeen, "mrn-19700101", "mrn-2"))), "Observation", lines(one(observationSeen)))
	h.ehr.on("GET /Group/gcanary", 200, resource("Group", "gcanary", ""))
	token := func(client string) string {
		return h.token(map[string]any{"roles": []string{"staff"}, "client_id": client, "sub": "of-" + client, "purpose_of_use": "HRESCH", "scope": "system/*.rs"})
	}
	study, other := token("study"), token("other")
	m := h.manifest(t, h.begin(t, "/$export", study), study)
	patients, observations := h.get(m.file(t, "Patient"), study), h.get(m.file(t, "Observation"), study)
	h.noReal(t, patients)
	h.noReal(t, observations)
	p := h.pseudonym(t, study)
	if strings.Count(patients.body, "\n") != 2 || !strings.Contains(patients.body, `"id":"`+p+`"`) || !strings.Contains(observations.body, `"reference":"Patient/`+p+`"`) {
		t.Errorf("got %s %s", patients.body, observations.body)
	}
	if got := h.get(h.manifest(t, h.begin(t, "/$export", other), other).file(t, "Patient"), other); strings.Contains(got.body, p) {
		t.Error("X-02: two domains share a pseudonym")
	}
	prefer := []string{"Prefer", asyncHeader}
	h.attack(t, []attack{
		{id: "Q-04", target: "/$export?_typeFilter=Patient%3Fbirthdate%3Dlt1971", token: study, header: prefer, status: 400, code: "view.parameter-hidden"},
		{id: "Q-04", target: "/$export?_type=Patient&_elements=name", token: study, header: prefer, status: 400, code: "view.parameter-hidden"},
		{id: "Q-03", target: "/Group/gcanary/$export", token: study, header: prefer, status: 404},
		{id: "Q-03", target: "/Patient/$export?patient=Patient/mrn-2", token: study, header: prefer, status: 404},
		{id: "X-02", target: m.file(t, "Patient"), token: other, status: 404},
	})
}

// nor is anything selected by what a view hides that policy obliges for
// one type.
func TestExportObligedView(t *testing.T) {
	h := openHouse(t)
	h.write("policy/view.rego", "package gatehouse\n\noblige contains {\"view\": \"research\"} if input.resource.type == \"Patient\"\n")
	if r, err := http.Post("http://"+h.process.AdminAddr()+"/-/reload", "", nil); err != nil || r.StatusCode != 200 {
		t.Fatal(r, err)
	}
	h.onExport("GET /$export", "Patient", lines(strings.ReplaceAll(patientSeen, "\n", "")), "Observation", lines(obsA))
	token := h.backend("system/*.rs")
	prefer := []string{"Prefer", asyncHeader}
	h.attack(t, []attack{
		{id: "Q-04", target: "/$export?_type=Patient&_typeFilter=Patient%3Fbirthdate%3Dlt1971", token: token, header: prefer, status: 400, code: "view.parameter-hidden"},
		{id: "Q-04", target: "/$export?_type=Patient,Observation&_since=2026-01-01T00:00:00Z", token: token, header: prefer, status: 400, code: "view.parameter-hidden"},
		{id: "Q-04", target: "/$export?_type=Observation&_since=2026-01-01T00:00:00Z", token: token, header: prefer, status: 202, calls: anyCalls},
	})
	m := h.manifest(t, h.begin(t, "/$export", token), token)
	got := h.get(m.file(t, "Patient"), token)
	if h.noReal(t, got); got.status != 200 || strings.Count(got.body, "\n") != 1 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// BULK-06, L-03, U-02: a long file is held in constant memory, each part of it
// is recorded, and a client that has used up its limits gets no more of it.
func TestExportLong(t *testing.T) {
	h := openHouse(t, "clients: {greedy: {limits: {entries: 300/h}}}")
	const count = 50_000 // 53 MB
	filler := strings.Repeat("lorem ipsum ", 80)
	h.onExport("GET /$export", "Observation", "")
	h.ehr.handle("GET /Binary/file0", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+ndjson")
		b := bufio.NewWriter(w)
		for i := range count {
			fmt.Fprintf(b, `{"resourceType":"Observation","id":"o%d","status":"final","subject":{"reference":"Patient/P%d"},"note":[{"text":"%s"}]}`+"\n", i, i%1000, filler)
		}
		_ = b.Flush()
	})
	token := h.backend("system/*.rs")
	file := h.manifest(t, h.begin(t, "/$export", token), token).file(t, "Observation")
	request := func(token string) *http.Response {
		r, err := http.NewRequest(http.MethodGet, h.base+file, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	before := heap()
	resp := request(token)
	defer resp.Body.Close()
	got, most := 0, uint64(0)
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		if got++; got%10_000 == 0 {
			most = max(most, heap())
		}
	}
	if got != count || most > before+32<<20 {
		t.Errorf("%d lines, heap grew from %d to %d MiB", got, before>>20, most>>20)
	}
	parts, outcomes, released := 0, 0, 0
	for _, r := range h.records(t, resp.Header.Get("X-Request-Id")) {
		switch r.Kind {
		case audit.Part:
			parts++
		case audit.Outcome:
			outcomes++
		}
		released += len(r.Entries)
	}
	if parts != count/200-1 || outcomes != 1 || released != count {
		t.Errorf("U-11: %d parts, %d outcomes, %d entries", parts, outcomes, released)
	}
	greedy := h.backend("system/*.rs", "client_id", "greedy")
	file = h.manifest(t, h.begin(t, "/$export", greedy), greedy).file(t, "Observation")
	cut := request(greedy)
	defer cut.Body.Close()
	if b, err := io.ReadAll(cut.Body); err == nil || strings.Count(string(b), "\n") > 600 {
		t.Errorf("L-03: got %d bytes, %v", len(b), err)
	}
	if again := h.get(file, greedy); again.status != 429 {
		t.Errorf("L-03: then got %d", again.status)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BULK-01: $export is told of where it is switched on and the upstream has it.
func TestExportAdvertised(t *testing.T) {
	const statement = `{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","rest":[{"mode":"server","operation":[{"name":"export","definition":"%BASE%/Canary"},{"name":"canary","definition":"Canary"}],
		"resource":[{"type":"Patient","interaction":[{"code":"read"}],"operation":[{"name":"patient-export","definition":"Canary"}]},{"type":"Group","interaction":[{"code":"read"}]}]}]}`
	for allow, want := range map[string]int{"$export": 2, "$everything": 0} {
		h := openHouse(t, "operations: {allow: ["+allow+"]}")
		h.ehr.on("GET /metadata", 200, statement)
		got := h.get("/metadata", "")
		if h.noCanary(t, got); strings.Count(got.body, `"name":"export"`) != want || strings.Contains(got.body, "group-export") {
			t.Errorf("%s: got %s", allow, got.body)
		}
	}
	h := openHouse(t)
	h.ehr.on("GET /metadata", 200, statement)
	h.onExport("GET /$export")
	token := h.backend("system/*.rs")
	h.begin(t, "/$export", token)
	if calls := h.ehr.requests(); !slices.Contains(calls, "GET /$export?_type=Group,Patient") {
		t.Errorf("S-11: upstream got %v", calls)
	}
}
