package test

import (
	"net/http"
	"strings"
	"testing"
)

// Issue 6.2: a text is scrubbed by the names and numbers of the patient's own record,
// which is read once for a window; where it cannot be read the text is not shown.
func TestScrubByWhatIsKnown(t *testing.T) {
	h := newHouse(t, "R4")
	h.write("views/v.yaml", "extends: research\nrules: [{path: nodesByType('Annotation').text, method: scrub, known: true}]\n")
	h.write("gatehouse.yaml", h.config("views: {v: {file: views/v.yaml}}", "clients: {study: {view: v, domain: study-17}}"))
	h.start()
	note := func(id, patient, text string) string {
		return resource("Observation", id, `"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]},`+ref("subject", "Patient/"+patient)+`,"note":[{"text":"`+text+`"}]`)
	}
	page := searchset("", note("o1", "mrn-19700101", "Jane canary of 1 CANARY ST, mrncanary, is well"), note("o2", "mrn-19700101", "Canary again"), note("o3", "gone", "Canary unknown"))
	h.ehr.on("GET /Observation", 200, page)
	h.ehr.on("GET /Observation/o1", 200, note("o1", "mrn-19700101", "Jane is Canary"))
	h.ehr.on("GET /Patient", 200, searchset("", patientSeen))
	got := h.get("/Observation", h.researcher("study"))
	h.noReal(t, got)
	if got.status != 200 || !strings.Contains(got.body, `"*** *** of ***, ***, is well"`) || !strings.Contains(got.body, `"*** again"`) || strings.Contains(got.body, "unknown") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if asked := h.ehr.requests(); len(asked) != 2 || asked[1] != "GET /Patient?_id=gone%2Cmrn-19700101&_count=200" {
		t.Errorf("the upstream got %q", asked)
	}
	id := got.ids(t)[0]
	if got := h.get("/"+id, h.researcher("study")); got.status != 200 || !strings.Contains(got.body, `"*** is ***"`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	h.ehr.handle("GET /Patient", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	got = h.get("/"+id, h.researcher("study"))
	if h.noReal(t, got); got.status != 200 || strings.Contains(got.body, "note") {
		t.Errorf("down: got %d %s", got.status, got.body)
	}
}
