package test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Issue 5 item 3, DS4P-01 to 03, P2-01: what clients see of labels, and what is
// done about them.

const (
	confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
	actCode         = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
)

// security is meta.security of "R" (a level) and other codes of v3-ActCode.
func security(codes ...string) string {
	var all []string
	for _, c := range codes {
		system := actCode
		if len(c) == 1 {
			system = confidentiality
		}
		all = append(all, `{"system":"`+system+`","code":"`+c+`"}`)
	}
	return `,"security":[` + strings.Join(all, ",") + `]`
}

// marksOf are the codes of meta.security of what an answer holds: of a resource,
// or of a Bundle and then of its entries.
func marksOf(t *testing.T, body string) []string {
	t.Helper()
	type meta struct {
		Meta struct {
			Security []struct{ System, Code string }
		}
	}
	var doc struct {
		meta
		Entry []struct{ Resource meta }
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	codes := func(m meta) string {
		var all []string
		for _, s := range m.Meta.Security {
			all = append(all, s.Code)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	list := []string{codes(doc.meta)}
	for _, e := range doc.Entry {
		list = append(list, codes(e.Resource))
	}
	return list
}

const openPolicy = `package gatehouse

permit contains "staff" if "staff" in input.subject.roles

permit contains "self" if input.subject.patient in input.resource.patients

forbid contains "very restricted" if "V" in input.resource.labels
`

func openMarks(t *testing.T, changes ...string) *house {
	h := openHouse(t, changes...)
	h.write("policy/policy.rego", openPolicy)
	h.reload(t)
	return h
}

func TestShownLabels(t *testing.T) {
	h := openMarks(t, `clients: {"records-office": {labels: all}, "kiosk": {labels: none}}`)
	rows := []string{coded("plain", "J45", ""), coded("n", "J45", security("N")), coded("hiv", "B20", security("N")), coded("own", "J45", security("R", "PSY", "NORELINK")),
		coded("basis", "J45", `,"security":[{"system":"`+confidentiality+`","code":"R","extension":[{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-sec-label-basis","valueCoding":{"code":"Title38Section7332"}}]},{"system":"http://hospital.example","code":"VIP"}]`)}
	sealed := coded("sealed", "J45", security("V"))
	h.ehr.on("GET /Condition", 200, labelledSet(append(rows, sealed)...))
	h.ehr.on("GET /Condition/plain", 200, rows[0])
	office, kiosk := h.token(map[string]any{"roles": []string{"staff"}, "client_id": "records-office"}), h.token(map[string]any{"roles": []string{"staff"}, "client_id": "kiosk"})
	for _, c := range []struct {
		name, token string
		want        []string
	}{
		{"the level", h.staff(), []string{"R", "", "N", "R", "NORELINK R", "R"}},
		{"all", office, []string{"R", "", "N", "HIV R", "NORELINK PSY R", "R VIP"}},
		{"none", kiosk, []string{"", "", "", "", "NORELINK", ""}},
	} {
		got := h.get("/Condition?patient=A", c.token)
		if marks := marksOf(t, got.body); !slices.Equal(marks, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, marks, c.want)
		}
		if strings.Contains(got.body, "Title38") != (c.token == office) {
			t.Errorf("%s: the basis of a label: %s", c.name, got.body)
		}
	}
	if got := h.get("/Condition/plain", h.staff()).body; got != rows[0] {
		t.Errorf("got %s", got)
	}
	h.ehr.on("GET /Condition", 200, labelledSet(rows[0], sealed))
	if got := marksOf(t, h.get("/Condition?patient=A", h.staff()).body); got[0] != "N" {
		t.Errorf("DS4P-02: what is withheld raises the Bundle to %s", got[0])
	}
}

const labelsStay = `
forbid contains "labels stay" if input.request.operation == "$meta-delete"
`

func TestInnerLabels(t *testing.T) {
	h := openMarks(t)
	h.write("policy/policy.rego", openPolicy+labelsStay)
	h.reload(t)
	inner := strings.Replace(coded("i", "J45", ""), `"subject"`, `"contained":[{"resourceType":"Observation","id":"o","meta":{"security":[{"system":"`+actCode+`","code":"PSY"},{"system":"`+actCode+`","code":"NOREUSE"}]}}],`+
		`"note":[{"text":"x","extension":[{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label","valueCoding":{"system":"`+actCode+`","code":"HIV"}}]}],"subject"`, 1)
	h.ehr.on("GET /Condition/i", 200, inner)
	h.ehr.on("PUT /Condition/i", 200, "")
	got := h.get("/Condition/i", h.staff())
	if got.status != 200 || strings.Contains(got.body, "HIV") || strings.Contains(got.body, "PSY") || !strings.Contains(got.body, "NOREUSE") || !strings.Contains(got.body, `"note":[{"text":"x"}]`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if put := h.do("PUT", "/Condition/i", h.staff(), got.body); put.status != http.StatusUnprocessableEntity || put.code() != "resource.partial" {
		t.Errorf("written back: %d %s", put.status, put.body)
	}
	patch := h.do("PATCH", "/Condition/i", h.staff(), `[{"op":"remove","path":"/note/0/extension"}]`, "Content-Type", "application/json-patch+json")
	if patch.status != http.StatusForbidden || patch.code() != "resource.labels" {
		t.Errorf("patched: %d %s", patch.status, patch.body)
	}
}

const part2Notice = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."

func TestNotice(t *testing.T) {
	h := openMarks(t)
	sud, plain := coded("sud", "F11.2", ""), coded("plain", "J45", "")
	h.ehr.on("GET /Condition", 200, labelledSet(plain, sud))
	h.ehr.on("GET /Condition?code=J45", 200, labelledSet(plain, coded("sealed", "F10", security("V"))))
	h.ehr.on("GET /Condition/sud", 200, sud)
	h.ehr.on("GET /Condition/plain", 200, plain)
	h.ehr.on("GET /Condition/sud/_history", 200, strings.NewReplacer(`"searchset"`, `"history"`, `,"search":{"mode":"match"}`, `,"request":{"method":"PUT","url":"Condition/sud"}`).Replace(labelledSet(sud)))
	for target, want := range map[string]bool{"/Condition?patient=A": true, "/Condition?code=J45": false, "/Condition/sud": true, "/Condition/plain": false, "/Condition/sud/_history": true} {
		got := h.get(target, h.staff())
		if got.status != 200 || (got.header.Get("X-Record-Notice") == part2Notice) != want || strings.Contains(got.body, "NORDSCLCD") != want {
			t.Errorf("%s: %d %q %s", target, got.status, got.header.Get("X-Record-Notice"), got.body)
		}
		entry := strings.Contains(got.body, `"text":"`+part2Notice+`"`)
		if entry != (want && strings.Contains(target, "?")) {
			t.Errorf("%s: the notice is in the answer: %v", target, entry)
		}
	}
	batch := h.do("POST", "", h.staff(), `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Condition/sud"}},{"request":{"method":"GET","url":"Condition/plain"}}]}`)
	if strings.Count(batch.body, part2Notice) != 1 {
		t.Errorf("batch: %s", batch.body)
	}
	h.write("policy/notices.yaml", "notices: []\n")
	h.reload(t)
	if got := h.get("/Condition/sud", h.staff()); got.header.Get("X-Record-Notice") != "" || strings.Contains(got.body, "NORDSCLCD") {
		t.Errorf("without notices: %v %s", got.header, got.body)
	}
}

func TestHeededLabels(t *testing.T) {
	h := openMarks(t)
	h.write("short.yaml", "default: keep\nrules:\n  - {path: Condition.code, method: redact}\n")
	h.write("gatehouse.yaml", h.config("consent: {source: upstream, default: permit}", "labels: {views: {REDACT: short}}", "views: {short: {file: short.yaml}}"))
	h.reload(t)
	h.ehr.on("GET /Consent", 200, labelledSet())
	for label, want := range map[string]int{"AUDIT": 200, "NORDSCLCD": 200, "PERSISTLABEL": 200, "CPLYPOL": 200, "ENCRYPTR": 200, "DELAU": 200,
		"SHRED": 404, "HUAPRV": 404, "MASK": 404, "DEID": 404, "ENCRYPT": 404, "NODSCLCD": 404, "NOAUTH": 404, "REDACT": 200, "NOPAT": 200} {
		h.ehr.on("GET /Condition/x", 200, coded("x", "J45", security("N", label)))
		got := h.get("/Condition/x", h.staff())
		if got.status != want {
			t.Errorf("%s: got %d %s", label, got.status, got.body)
		}
		if want == 200 && strings.Contains(got.body, "JANECANARY") == (label == "REDACT") {
			t.Errorf("%s: %s", label, got.body)
		}
	}
	h.ehr.on("GET /Condition/x", 200, coded("x", "J45", security("NOPAT")))
	if got := h.get("/Condition/x", h.patient("A", "patient/*.rs")); got.status != 404 {
		t.Errorf("NOPAT: got %d", got.status)
	}
}

// Law 5: who does not see what a record is about does not search by it.
func TestLabelSearches(t *testing.T) {
	h := openMarks(t, `clients: {"records-office": {labels: all}, "kiosk": {labels: none}}`)
	h.ehr.on("GET /Condition", 200, labelledSet(coded("a", "J45", "")))
	h.ehr.on("GET /Observation", 200, labelledSet())
	as := func(client string) string {
		return h.token(map[string]any{"roles": []string{"staff"}, "client_id": client})
	}
	for _, c := range []struct {
		target, token string
		status        int
	}{
		{"/Condition?_security=HIV", h.staff(), 400},
		{"/Condition?_security=" + actCode + "|HIV", h.staff(), 400},
		{"/Condition?_security:not=HIV", h.staff(), 400},
		{"/Condition?_security:missing=true", h.staff(), 400},
		{"/Condition?_security=R,HIV", h.staff(), 400},
		{"/Condition?subject:Patient._security=HIV", h.staff(), 400},
		{"/Patient?_has:Condition:subject:_security=HIV", h.staff(), 400},
		{"/Condition?_sort=_security", h.staff(), 400},
		{"/Condition?_security=" + confidentiality + "|R", h.staff(), 200},
		{"/Condition?_security:not=V", h.staff(), 200},
		{"/Condition?_security=R", as("kiosk"), 400},
		{"/Condition?_security=HIV", as("records-office"), 200},
	} {
		if got := h.get(c.target, c.token); got.status != c.status {
			t.Errorf("%s: got %d %s", c.target, got.status, got.body)
		}
	}
}

// O-06: a label that its writer does not see is neither taken off nor found out
// by a patch: with and without it the answer is the same.
func TestHiddenLabelsStay(t *testing.T) {
	h := openMarks(t)
	h.write("policy/policy.rego", openPolicy+labelsStay)
	h.reload(t)
	h.ehr.on("PUT /Condition/x", 200, "")
	for _, patch := range []string{
		`[{"op":"remove","path":"/meta/security/0"}]`, `[{"op":"add","path":"/meta/security/-","value":{"code":"R"}}]`, `[{"op":"add","path":"/meta/security","value":[]}]`,
		`[{"op":"test","path":"/meta/security/0/code","value":"HIV"}]`, `[{"op":"remove","path":"/meta"}]`, `[{"op":"replace","path":"/meta","value":{}}]`,
		`[{"op":"copy","from":"/meta/security","path":"/meta/tag"}]`,
	} {
		var answers []answer
		for _, labels := range []string{"", security("HIV")} {
			h.ehr.on("GET /Condition/x", 200, coded("x", "J45", labels))
			answers = append(answers, h.do("PATCH", "/Condition/x", h.staff(), patch, "Content-Type", "application/json-patch+json"))
		}
		if answers[0].status != answers[1].status || answers[0].code() != answers[1].code() || answers[0].status != 403 {
			t.Errorf("%s: %d %s without and %d %s with", patch, answers[0].status, answers[0].code(), answers[1].status, answers[1].code())
		}
	}
	h.ehr.on("GET /Condition/x", 200, coded("x", "J45", security("HIV")))
	seen := h.get("/Condition/x", h.staff()).body
	h.ehr.requests()
	if got := h.do("PUT", "/Condition/x", h.staff(), seen); got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	h.ehr.mu.Lock()
	defer h.ehr.mu.Unlock()
	if sent := h.ehr.bodies[len(h.ehr.bodies)-1]; !strings.Contains(sent, `"HIV"`) {
		t.Errorf("sent %s", sent)
	}
}

// What servers write into meta.security, well or badly, and what is left of it.
func TestOddLabels(t *testing.T) {
	h := openMarks(t)
	for _, c := range []struct{ name, security, want string }{
		{"as it is", `[{"system":"` + confidentiality + `","code":"N","display":"normal"}]`, `"security":[{"system":"` + confidentiality + `","code":"N","display":"normal"}]`},
		{"two levels", `[{"system":"` + confidentiality + `","code":"N"},{"code":"R"}]`, `"security":[{"code":"R"}]`},
		{"a name alone", `[{"display":"HIV"}]`, ""},
		{"a name beside a level", `[ {"display":"HIV"}, {"code":"R"} ]`, `"security":[ {"code":"R"} ]`},
		{"no list", `{"system":"` + actCode + `","code":"HIV","display":"HIV"}`, `"security":[{"system":"` + confidentiality + `","code":"R"}]`},
		{"texts", `["HIV"]`, ""},
		{"nothing", `null`, ""},
		{"empty", `[]`, ""},
		{"an own system", `[{"system":"http://hospital.example","code":"HIV"}]`, ""},
		{"a name in another language", `[{"system":"` + confidentiality + `","code":"R","_display":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/translation","valueString":"HIV"}]}}]`, `"security":[{"system":"` + confidentiality + `","code":"R"}]`},
		{"a form of the record", `[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"},{"system":"` + actCode + `","code":"HIV"}]`,
			`"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"},{"system":"` + confidentiality + `","code":"R"}]`},
		{"an obligation", `[{"system":"` + actCode + `","code":"DELAU"},{"system":"` + actCode + `","code":"HIV"}]`, `"security":[{"system":"` + actCode + `","code":"DELAU"},{"system":"` + confidentiality + `","code":"R"}]`},
	} {
		for _, at := range []string{`{"resourceType":"Observation","id":"o","meta":{"security":%},"status":"final"}`, `{"meta":{"versionId":"1","security":%},"id":"o","resourceType":"Observation"}`} {
			h.ehr.on("GET /Observation/o", 200, strings.Replace(at, "%", c.security, 1))
			got := h.get("/Observation/o", h.staff())
			if got.status != 200 || strings.Contains(got.body, "HIV") || !strings.Contains(got.body, c.want) || c.want == "" && strings.Contains(got.body, `"code"`) || !json.Valid([]byte(got.body)) {
				t.Errorf("%s: %d %s", c.name, got.status, got.body)
			}
		}
	}
}
