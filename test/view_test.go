package test

import (
	"regexp"
	"strings"
	"testing"
)

// Clients with a view (groups D, X, Q-03, Q-04): what they see, may ask, and
// may not learn, whatever they try.

const patientSeen = `{"resourceType":"Patient","id":"mrn-19700101","meta":{"versionId":"7","lastUpdated":"2026-01-02T03:04:05Z","source":"Canary","tag":[{"system":"urn:tags","code":"t","display":"Canary"}]},
"text":{"status":"generated","div":"<div>Jane Canary</div>"},"extension":[{"url":"http://Canary.example/x","valueString":"Canary"}],
"contained":[{"resourceType":"RelatedPerson","id":"r","name":[{"family":"Canary"}],"telecom":[{"value":"Canary"}]}],
"identifier":[{"system":"urn:hospital:mrn","value":"MRNCanary","assigner":{"display":"Canary"}}],"name":[{"family":"Canary","given":["Jane"]}],
"telecom":[{"system":"phone","value":"555-Canary"}],"gender":"female","birthDate":"1970-01-01","address":[{"line":["1 Canary St"],"city":"Canary","postalCode":"02139"}],
"photo":[{"contentType":"image/png","data":"Q2FuYXJ5"}],"contact":[{"name":{"family":"Canary"}}],"communication":[{"language":{"text":"Canary"}}],
"generalPractitioner":[{"reference":"Practitioner/drcanary1","display":"Dr Canary"}],"managingOrganization":{"reference":"Organization/orgcanary","display":"Canary Hospital"},
"link":[{"other":{"reference":"Patient/mrn-2"},"type":"refer"}],"_birthDate":{"extension":[{"url":"urn:Canary","valueString":"Canary"}]},"unknownCanary":"Canary"}`

const observationSeen = `{"resourceType":"Observation","id":"obscanary1","meta":{"versionId":"3"},"text":{"status":"generated","div":"<div>Canary</div>"},
"identifier":[{"system":"urn:lab","value":"LABCanary"}],"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"},{"system":"urn:local","code":"l","display":"Canary"}],"text":"Canary"}],
"code":{"coding":[{"system":"http://loinc.org","code":"718-7","display":"Hemoglobin"}],"text":"Canary"},"subject":{"reference":"Patient/mrn-19700101","display":"Jane Canary","identifier":{"value":"Canary"}},
"effectiveDateTime":"2026-03-04T05:06:07Z","performer":[{"reference":"Practitioner/drcanary1","display":"Dr Canary"}],"valueQuantity":{"value":1.10,"unit":"g/dL","system":"http://unitsofmeasure.org","code":"g/dL"},
"note":[{"text":"Canary"}],"component":[{"code":{"text":"Canary"},"valueString":"Canary"}]}`

// openResearch is a house with two research clients of two domains.
func openResearch(t *testing.T) *house {
	h := openHouse(t, `clients:
  study: {view: research, domain: study-17, purposes: [HRESCH]}
  other: {view: research, domain: study-18}
  limited: {view: limited, domain: l}`)
	h.ehr.on("GET /Patient/mrn-19700101", 200, patientSeen, "ETag", `W/"7Canary"`, "Last-Modified", "Tue, 03 Nov 2026 08:00:00 GMT")
	h.ehr.on("GET /Patient/mrn-19700101/_history/7", 200, patientSeen)
	h.ehr.on("GET /Observation/obscanary1", 200, observationSeen)
	h.ehr.on("GET /Patient", 200, searchset("%BASE%?_getpages=canary1", patientSeen))
	h.ehr.on("GET ?_getpages=canary1", 200, searchset("", strings.ReplaceAll(patientSeen, "mrn-19700101", "mrn-2")))
	h.ehr.on("GET /Observation", 200, strings.Replace(searchset("", observationSeen, patientSeen), `{"fullUrl":"%BASE%/x","resource":`+patientSeen+`,"search":{"mode":"match"}}`, `{"fullUrl":"%BASE%/x","resource":`+patientSeen+`,"search":{"mode":"include"}}`, 1))
	return h
}

func (h *house) researcher(client string) string {
	return h.token(map[string]any{"roles": []string{"staff"}, "client_id": client, "sub": "user-of-" + client, "purpose_of_use": "HRESCH"})
}

// real are the ids and values that no answer under a view may hold.
var real = []string{"mrn-19700101", "mrn-2", "obscanary1", "drcanary1", "orgcanary", "MRNCanary", "1970-01-01", "2026-03-04", "2026-01-02", "02139", "urn:hospital", "getpages", "Jane"}

func (h *house) noReal(t *testing.T, got answer) {
	t.Helper()
	h.noCanary(t, got)
	for _, word := range real {
		if strings.Contains(got.body, word) {
			t.Errorf("%q reaches the caller: %s", word, got.body)
		}
		for name, values := range got.header {
			if strings.Contains(strings.Join(values, " "), word) {
				t.Errorf("%q reaches the caller in %s", word, name)
			}
		}
	}
}

var idPattern = regexp.MustCompile(`"id":"([A-Za-z0-9.-]+)"`)

// pseudonym is the id under which a client sees the patient.
func (h *house) pseudonym(t *testing.T, token string) string {
	t.Helper()
	got := h.get("/Patient", token)
	h.noReal(t, got)
	m := idPattern.FindStringSubmatch(got.body)
	if got.status != 200 || m == nil {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	return m[1]
}

// D-02 to D-12, X-02, X-08, H-08 to H-10: reads, searches, pages and versions
// by pseudonym; nothing of the real record in any byte.
func TestResearchView(t *testing.T) {
	h := openResearch(t)
	study, other := h.researcher("study"), h.researcher("other")
	p, q := h.pseudonym(t, study), h.pseudonym(t, other)
	if p == q {
		t.Errorf("X-02: two domains share %s", p)
	}
	h.attack(t, []attack{
		{id: "read", target: "/Patient/" + p, token: study, status: 200, calls: []string{"GET /Patient/mrn-19700101"}, released: []string{"Patient/mrn-19700101"}},
		{id: "X-02 another domain's", target: "/Patient/" + p, token: other, status: 404},
		{id: "X-02 another domain's", target: "/Patient/" + q, token: study, status: 404},
		{id: "real id", target: "/Patient/mrn-19700101", token: study, status: 404},
		{id: "real id", target: "/Observation/obscanary1", token: study, status: 404},
		{id: "pseudonym of another type", target: "/Observation/" + p, token: study, status: 404},
		{id: "made up", target: "/Patient/x", token: study, status: 404},
	})
	got := h.get("/Patient/"+p, study)
	h.noReal(t, got)
	if !strings.Contains(got.body, `"id":"`+p+`"`) || !strings.Contains(got.body, "PSEUDED") && !strings.Contains(got.body, "REDACTED") {
		t.Errorf("FHIR-14: got %s", got.body)
	}
	if got.header.Get("Last-Modified") != "" || got.header.Get("ETag") == "" {
		t.Errorf("H-09: got %v", got.header)
	}
	// H-08: the client's own tag works, the upstream's does not.
	tag := got.header.Get("ETag")
	if same := h.do("GET", "/Patient/"+p, study, "", "If-None-Match", tag); same.status != 304 {
		t.Errorf("H-08: got %d", same.status)
	}
	for _, guess := range []string{`W/"7"`, `W/"7Canary"`} {
		if same := h.do("GET", "/Patient/"+p, study, "", "If-None-Match", guess); same.status != 200 {
			t.Errorf("H-08: %s gives %d", guess, same.status)
		}
	}
	if foreign := h.get("/Patient/"+q, other); foreign.header.Get("ETag") == tag {
		t.Errorf("H-09: two clients share the tag %s", tag)
	}
	version := strings.Trim(strings.TrimPrefix(tag, "W/"), `"`)
	if !strings.Contains(got.body, `"versionId":"`+version+`"`) {
		t.Errorf("ruling 10.6: ETag %s, body %s", tag, got.body)
	}
	old := h.get("/Patient/"+p+"/_history/"+version, study)
	if h.noReal(t, old); old.status != 200 {
		t.Errorf("vread: got %d %s", old.status, old.body)
	}
	if guess := h.get("/Patient/"+p+"/_history/7", study); guess.status != 404 {
		t.Errorf("vread by the real version: got %d", guess.status)
	}
	// H-02: pages.
	next := nextLink(t, h.get("/Patient", study))
	page := h.get(next, study)
	if h.noReal(t, page); page.status != 200 || len(page.ids(t)) != 1 {
		t.Errorf("page: got %d %s", page.status, page.body)
	}
	if foreign := h.get(next, other); foreign.status != 404 {
		t.Errorf("H-03: got %d", foreign.status)
	}
	// D-02 to D-11 on an Observation with its subject.
	h.ehr.requests()
	search := h.get("/Observation?subject=Patient/"+p+"&_include=Observation:subject", study)
	h.noReal(t, search)
	if search.status != 200 || len(search.ids(t)) != 2 || !strings.Contains(search.body, `"reference":"Patient/`+p+`"`) || !strings.Contains(search.body, "718-7") || !strings.Contains(search.body, "1.10") {
		t.Errorf("search: got %d %s", search.status, search.body)
	}
	if calls := h.ehr.requests(); len(calls) != 1 || !strings.Contains(calls[0], "subject=Patient/mrn-19700101") {
		t.Errorf("upstream got %v", calls)
	}
	for _, id := range []string{"mrn-19700101", "nobody"} { // a real id and one that is none are the same
		got := h.get("/Observation?subject=Patient/"+id, study)
		if got.status != 200 || len(got.ids(t)) != 0 {
			t.Errorf("Q-03: got %d %s", got.status, got.body)
		}
		if calls := h.ehr.requests(); len(calls) != 0 {
			t.Errorf("Q-03: upstream got %v", calls)
		}
	}
}

// under a view: what it hides or changes may not be asked about,
// and writing is refused.
func TestResearchFirewall(t *testing.T) {
	h := openResearch(t)
	study := h.researcher("study")
	p := h.pseudonym(t, study)
	var rows []attack
	for _, query := range []string{
		"Patient?name=Canary", "Patient?family:exact=Canary", "Patient?given=Jane", "Patient?address-city=x",
		"Patient?address-postalcode=02139", "Patient?phonetic=x", "Patient?telecom=x", "Patient?phone=x",
		"Patient?_sort=birthdate", "Patient?_sort=-name", "Patient?_sort=_id", "Patient?_lastUpdated=ge2026-01-01", "Patient?_sort=_lastUpdated", "Patient?name:missing=false",
		"Observation?subject:Patient.birthdate=lt1960", "Observation?patient.name:contains=x", "Observation?date=2026-03-04T05:06:07Z", "Observation?date:missing=true",
		"Observation?code:text=anemia", "Observation?_sort=date", "Patient?_has:Observation:patient:date=2026-03-04", "Observation?performer:Practitioner.name=x",
		"Patient?_tag:text=x", "Patient?_source=Canary", "Patient/_history?_since=2026-01-01T00:00:00Z",
		"Observation?combo-code-value-quantity=x$1", "Observation?value-string=Canary",
	} {
		rows = append(rows, attack{id: "Q", target: "/" + query, token: study, status: 400})
	}
	for _, query := range []string{"Patient?identifier=urn:hospital:mrn|MRN1", "Patient?identifier=MRN1", "Patient?_id=mrn-19700101", "Observation?patient=mrn-19700101", "Observation?subject:identifier=urn:hospital:mrn|MRN1"} {
		rows = append(rows, attack{id: "Q-03", target: "/" + strings.ReplaceAll(query, "|", "%7C"), token: study, status: 200, ids: []string{}})
	}
	body := strings.ReplaceAll(resource("Patient", p, ""), "Canary", "")
	rows = append(rows,
		attack{id: "W-11", method: "PUT", target: "/Patient/" + p, body: body, token: study, status: 403},
		attack{id: "W-11", method: "POST", target: "/Patient", body: body, token: study, status: 403},
		attack{id: "W-11", method: "DELETE", target: "/Patient/" + p, token: study, status: 403},
		attack{id: "W-04", method: "PATCH", target: "/Patient/" + p, body: `[{"op":"test","path":"/name/0/family","value":"Canary"}]`, header: []string{"Content-Type", "application/json-patch+json"}, token: study, status: 403},
		attack{id: "C-12", target: "/Patient/" + p, token: h.token(map[string]any{"roles": []string{"staff"}, "client_id": "study", "purpose_of_use": "HMARKT"}), status: 403},
	)
	h.attack(t, rows)
	for _, query := range []string{"Patient?_elements=name", "Patient?_summary=text", "Patient/" + p + "?_elements=name"} {
		got := h.get("/"+query, study)
		if h.noReal(t, got); got.status != 400 && got.status != 200 {
			t.Errorf("%s: got %d", query, got.status)
		}
	}
	// A batch is no way around.
	got := h.do("POST", "", study, `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/`+p+`"}},{"request":{"method":"GET","url":"Patient/mrn-2"}},{"request":{"method":"GET","url":"Patient?name=Canary"}}]}`)
	if strings.Count(got.body, `"resourceType":"Patient"`) != 1 {
		t.Errorf("got %s", got.body)
	}
	h.noCanary(t, got)
}
