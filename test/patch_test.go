package test

import (
	"encoding/base64"
	"strings"
	"testing"
)

// W-04, W-05: a patch is applied by the gateway to what it judged, and what
// results is judged and put.

const jsonPatch = "application/json-patch+json"

func fhirPatch(parts string) string {
	return `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[` + parts + `]}]}`
}

func TestPatches(t *testing.T) {
	h := openHouse(t)
	w := h.ward(t, "PUT /Observation/a")
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Observation/b", 200, obsB)
	h.ehr.on("GET /Observation/r", 200, obsR)
	tA := h.patient("A", "patient/*.cruds")
	const get = "GET /Observation/a"
	row := func(id, target, media, body string, status int, code string, calls ...string) writing {
		return writing{attack: attack{id: id, method: "PATCH", target: "/Observation/" + target, body: body, header: []string{"Content-Type", media}, token: tA, status: status, code: code, calls: calls}}
	}
	ok := func(r writing, sent string) writing {
		r.calls = []string{get, "PUT /Observation/a"}
		r.sent, r.changed = []string{"PUT /Observation/a " + sent}, []string{"Observation/a"}
		return r
	}
	withheld := func(r writing, names ...string) writing { r.withheld = names; return r }
	amended := strings.Replace(obsA, "final", "amended", 1)
	const status = `[{"op":"replace","path":"/status","value":"amended"}]`
	const fhirJSON = "application/fhir+json"
	w.attack(t, []writing{
		ok(row("JSON Patch", "a", jsonPatch, status, 200, ""), amended),
		ok(row("FHIRPath Patch", "a", fhirJSON, fhirPatch(`{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Observation.status"},{"name":"value","valueCode":"amended"}`), 200, ""), amended),
		ok(row("a test that holds", "a", jsonPatch, `[{"op":"test","path":"/valueQuantity/value","value":1.1},`+status[1:], 200, ""), amended),
		row("a test that does not", "a", jsonPatch, `[{"op":"test","path":"/status","value":"x"}]`, 422, "patch.failed", get),
		row("W-04 the whole", "a", jsonPatch, `[{"op":"replace","path":"","value":`+obsB+`}]`, 422, "patch.failed"),
		withheld(row("W-04 the subject", "a", jsonPatch, `[{"op":"replace","path":"/subject","value":{"reference":"Patient/B"}}]`, 403, "scope.instance", get), "Observation/a"),
		withheld(row("W-04 the subject's reference", "a", jsonPatch, `[{"op":"replace","path":"/subject/reference","value":"Patient/B"}]`, 403, "scope.instance", get), "Observation/a"),
		withheld(row("W-05 the subject", "a", fhirJSON, fhirPatch(`{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Observation.subject"},{"name":"value","valueReference":{"reference":"Patient/B"}}`), 403, "scope.instance", get), "Observation/a"),
		withheld(row("W-04 no subject", "a", jsonPatch, `[{"op":"remove","path":"/subject"}]`, 403, "scope.instance", get), "Observation/a"),
		row("W-04 a path into the subject", "a", jsonPatch, `[{"op":"replace","path":"/subject/reference","value":"../Patient/B"}]`, 422, "resource.reference", get),
		row("W-18 a search by a system's URL", "a", jsonPatch, `[{"op":"add","path":"/derivedFrom","value":[{"reference":"Observation?code=http://snomed.info/sct|86406008"}]}]`, 422, "resource.reference", get),
		row("W-18 a search by a MRN", "a", jsonPatch, `[{"op":"add","path":"/focus","value":[{"reference":"Patient?identifier=https://hospital.example.org/mrn|MRN-B"}]}]`, 422, "resource.reference", get),
		row("W-18 a search on another server", "a", jsonPatch, `[{"op":"add","path":"/focus","value":[{"reference":"https://other.example.org/fhir/Patient?identifier=MRN-B"}]}]`, 422, "resource.reference", get),
		row("W-04 another type", "a", jsonPatch, `[{"op":"replace","path":"/resourceType","value":"Basic"}]`, 400, "resource.type", get),
		row("W-04 another id", "a", jsonPatch, `[{"op":"replace","path":"/id","value":"b"}]`, 400, "resource.id", get),
		row("R-03 a contained patient", "a", jsonPatch, `[{"op":"add","path":"/contained","value":[{"resourceType":"Patient","id":"p"}]}]`, 422, "resource.contained", get),
		row("N-08 a case twin", "a", jsonPatch, `[{"op":"add","path":"/Subject","value":{"reference":"Patient/B"}}]`, 400, "resource.element", get),
		withheld(row("W-02 B's", "b", jsonPatch, status, 404, "resource.not-found", "GET /Observation/b"), "Observation/b"),
		withheld(row("W-04 a test on B's", "b", jsonPatch, `[{"op":"test","path":"/code/text","value":"Jane Canary"}]`, 404, "resource.not-found", "GET /Observation/b"), "Observation/b"),
		withheld(row("restricted", "r", jsonPatch, `[{"op":"remove","path":"/meta/security"}]`, 404, "resource.not-found", "GET /Observation/r"), "Observation/r"),
		row("absent", "none", jsonPatch, status, 404, "resource.not-found", "GET /Observation/none"),
		row("W-05 merge patch", "a", "application/merge-patch+json", `{"subject":{"reference":"Patient/B"}}`, 415, ""),
		row("W-05 XML patch", "a", "application/xml-patch+xml", `<diff/>`, 415, ""),
		row("W-05 plain JSON", "a", "application/json", status, 415, ""),
		row("W-05 a Bundle's entry", "a", fhirJSON, fhirPatch(`{"name":"type","valueCode":"delete"},{"name":"path","valueString":"Bundle.entry[0].resource"}`), 422, "patch.failed", get),
		row("W-05 resolve", "a", fhirJSON, fhirPatch(`{"name":"type","valueCode":"delete"},{"name":"path","valueString":"Observation.subject.resolve().name"}`), 422, "patch.failed"),
	})
	w.attack(t, []writing{{attack: attack{id: "W-09", method: "PATCH", target: "/Observation/a", body: status, token: tA, status: 412, code: "write.version", calls: []string{get},
		header: []string{"Content-Type", jsonPatch, "If-Match", `W/"2"`}}}})
}

// FHIR puts a JSON Patch into a transaction or batch as a Binary.
func TestPatchInBundle(t *testing.T) {
	h := openHouse(t)
	var posted string
	h.ehr.on("GET /Observation/a", 200, obsA)
	w := h.ward(t, "PUT /Observation/a")
	h.ehr.on("POST ", 200, `{"resourceType":"Bundle","type":"transaction-response","entry":[{"response":{"status":"200 OK","location":"Observation/a/_history/4","etag":"W/\"4\""}}]}`)
	entry := func(media, subject string) string {
		patch := base64.StdEncoding.EncodeToString([]byte(`[{"op":"replace","path":"/subject/reference","value":"` + subject + `"}]`))
		return `"entry":[{"resource":{"resourceType":"Binary","contentType":"` + media + `","data":"` + patch + `"},"request":{"method":"PATCH","url":"Observation/a"}}]}`
	}
	tA := h.patient("A", "patient/*.cruds")
	for _, row := range []struct {
		id, kind, media, subject string
		status                   int
		want                     string
	}{
		{"own", "transaction", jsonPatch, "Patient/A", 200, `"200 OK"`},
		{"W-16 B", "transaction", jsonPatch, "Patient/B", 403, "transaction.denied"},
		{"W-16 of another form", "transaction", "application/xml-patch+xml", "Patient/A", 415, "request.content-type"},
		{"own", "batch", jsonPatch, "Patient/A", 200, `"200 OK"`},
		{"W-16 B", "batch", jsonPatch, "Patient/B", 200, `"403 Forbidden"`},
	} {
		h.ehr.mu.Lock()
		h.ehr.bodies = nil
		h.ehr.mu.Unlock()
		got := h.do("POST", "", tA, `{"resourceType":"Bundle","type":"`+row.kind+`",`+entry(row.media, row.subject))
		if got.status != row.status || !strings.Contains(got.body, row.want) {
			t.Errorf("%s %s: got %d %s", row.id, row.kind, got.status, got.body)
		}
		h.ehr.mu.Lock()
		posted = strings.Join(h.ehr.bodies, "\n") + strings.Join(w.sent, "\n")
		h.ehr.mu.Unlock()
		if strings.Contains(posted, "Patient/B") {
			t.Errorf("%s %s: the upstream got %s", row.id, row.kind, posted)
		}
		h.noCanary(t, got)
	}
}
