package test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const (
	obsA = `{"resourceType":"Observation","id":"a","meta":{"versionId":"3"},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/A"},"valueQuantity":{"value":1.10}}`
	obsB = `{"resourceType":"Observation","id":"b","meta":{"versionId":"1"},"status":"final","code":{"text":"Jane Canary"},"subject":{"reference":"Patient/B","display":"Jane Canary"}}`
	obsR = `{"resourceType":"Observation","id":"r","meta":{"versionId":"1","security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"status":"final","code":{"text":"HIV Canary"},"subject":{"reference":"Patient/A"}}`
)

func TestRead(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA, "ETag", `W/"3"`)
	got := h.get("/Observation/a", h.staff())
	if got.status != http.StatusOK || got.body != obsA || got.header.Get("ETag") != `W/"3"` {
		t.Errorf("got %d %v %s", got.status, got.header, got.body)
	}
}

// B-01, E-02: denied and absent are the same to the byte.
func TestUniformNo(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/b", 200, obsB, "ETag", `W/"1"`)
	h.ehr.on("GET /Observation/gone", 410, `{"resourceType":"OperationOutcome"}`)
	token := h.patient("A", "patient/*.rs")
	want := h.get("/Observation/none", token)
	for _, id := range []string{"b", "gone"} {
		h.ehr.requests()
		got := h.get("/Observation/"+id, token)
		for _, a := range []answer{got, want} {
			a.header.Del("Date")
			a.header.Del("X-Request-Id")
		}
		if got.status != 404 || got.body != want.body || !equalHeader(got.header, want.header) {
			t.Errorf("%s: got %d %v %s, want %v %s", id, got.status, got.header, got.body, want.header, want.body)
		}
		if calls := h.ehr.requests(); !slices.Equal(calls, []string{"GET /Observation/" + id}) {
			t.Errorf("%s: upstream saw %v", id, calls)
		}
	}
}

func equalHeader(a, b http.Header) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if !slices.Equal(v, b[k]) {
			return false
		}
	}
	return true
}

func searchset(next string, entries ...string) string {
	var b strings.Builder
	b.WriteString(`{"resourceType":"Bundle","type":"searchset","total":99,"link":[{"relation":"self","url":"%BASE%/Observation?secret=1"}`)
	if next != "" {
		b.WriteString(`,{"relation":"next","url":"` + next + `"}`)
	}
	b.WriteString(`],"entry":[`)
	for i, e := range entries {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"fullUrl":"%BASE%/x","resource":` + e + `,"search":{"mode":"match"}}`)
	}
	return b.String() + `]}`
}

func TestSearch(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation", 200, searchset("", obsA, obsB, obsR))
	got := h.get("/Observation?code=x", h.patient("A", "patient/*.rs"))
	if ids := got.ids(t); got.status != 200 || !slices.Equal(ids, []string{"Observation/a"}) || !strings.Contains(got.body, `"total":1`) || strings.Contains(got.body, "Canary") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if calls := h.ehr.requests(); len(calls) != 1 || !strings.Contains(calls[0], "patient=Patient%2FA") && !strings.Contains(calls[0], "patient=Patient/A") {
		t.Errorf("upstream saw %v", calls)
	}
}

// FHIR-10, H-02, H-04: pages are sealed and bound.
func TestPages(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation", 200, searchset("%BASE%?_getpages=abc", obsA))
	h.ehr.on("GET ?_getpages=abc", 200, searchset("", strings.ReplaceAll(obsA, `"a"`, `"a2"`), obsB))
	token := h.patient("A", "patient/*.rs")
	got := h.get("/Observation", token)
	_, rest, ok := strings.Cut(got.body, `"next","url":"http://gw.example.org/fhir`)
	if !ok {
		t.Fatalf("no next link: %s", got.body)
	}
	next, _, _ := strings.Cut(rest, `"`)
	if strings.Contains(got.body, "getpages") || strings.Contains(got.body, h.ehr.url) {
		t.Errorf("the upstream shows: %s", got.body)
	}
	if ids := h.get(next, token).ids(t); !slices.Equal(ids, []string{"Observation/a2"}) {
		t.Errorf("page 2: %v", ids)
	}
	if got := h.get(next, h.patient("B", "patient/*.rs")); got.status != 404 {
		t.Errorf("another's page: %d %s", got.status, got.body)
	}
	if got := h.get(next+"x", token); got.status != 404 {
		t.Errorf("a changed page: %d %s", got.status, got.body)
	}
}
