package test

import (
	"net/http"
	"strings"
	"testing"
)

func withLabel(resource, code string) string {
	return strings.Replace(resource, `"meta":{`, `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"`+code+`"}],`, 1)
}

// Q-05, DS4P-01: what labels alone withhold is not counted either, though it lies
// beyond what the gateway would look at.
func TestCountsOfWhatLabelsWithhold(t *testing.T) {
	for _, c := range []struct {
		name, label string
		rows, want  int // -1: refused
	}{
		{"approval by a human", "HUAPRV", 300, 299},
		{"unknown", "SHRED", 300, 299},
		{"none", "", 300, 300},
		{"too many to look at", "HUAPRV", 2500, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := openHouse(t)
			h.write("policy/policy.rego", countPolicy)
			h.reload(t)
			rows := map[string]string{}
			for id, row := range immunizations(c.rows, "A") {
				rows[id] = row
			}
			if c.label != "" {
				rows["A-250"] = withLabel(rows["A-250"], c.label)
			}
			up := counter{rows: rows, heeds: true, self: true} // and ignores _security
			up.serve(h)
			got := h.get("/Immunization?_summary=count", h.patient("A", "patient/*.rs"))
			if told(got) != c.want || (c.want < 0) != (got.code() == "search.count") {
				t.Errorf("got %d, total %d, want %d: %.300s", got.status, told(got), c.want, got.body)
			}
		})
	}
}

// Q-02, DS4P-01: a chain onto what labels may withhold is made by the gateway,
// however certain policy is. One that the upstream says has none is sent.
func TestChainsOntoWhatLabelsWithhold(t *testing.T) {
	h := openHouse(t)
	h.ehr.handle("GET /Observation", func(w http.ResponseWriter, r *http.Request) {
		reply(w, 200, searchset("", withLabel(resource("Observation", "h", ref("subject", "Patient/B")), "HUAPRV"), resource("Observation", "a", ref("subject", "Patient/A"))))
	})
	h.ehr.on("GET /Patient", 200, searchset("", resource("Patient", "A", `"active":true`)))
	trusted := h.token(map[string]any{"roles": []string{"staff", "trusted"}})
	h.get("/Patient?_has:Observation:patient:code=x", trusted)
	for _, call := range h.ehr.requests() {
		if strings.Contains(call, "_has") || strings.Contains(call, "_id=") && strings.Contains(call, "B") {
			t.Errorf("the upstream got %s", call)
		}
	}
}

// STEP-01, W-18: criteria in a write and references by search in a transaction are
// searches, and a search that needs a stronger login needs it there too.
func TestCriteriaNeedTheLoginOfASearch(t *testing.T) {
	h := openHouse(t, "acr_order: [low, high]")
	h.write("policy/policy.rego", `package gatehouse

permit contains "staff" if "staff" in input.subject.roles

oblige contains {"step_up": {"acr": "high"}} if {
	input.action == "search"
	input.request.type == "Patient"
}
`)
	h.reload(t)
	h.ehr.on("GET /Patient", 200, searchset("", resource("Patient", "A", `"identifier":[{"system":"urn:mrn","value":"1"}]`)))
	h.ehr.on("POST /Patient", 201, "", "Location", "%BASE%/Patient/n/_history/1")
	h.ehr.on("POST ", 200, `{"resourceType":"Bundle","type":"transaction-response","entry":[{"response":{"status":"201 Created","location":"Observation/n/_history/1"}}]}`)
	transaction := `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:0193a9f2-8a3a-7c3c-9f2e-5f3a9d1b2c3d","resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?identifier=urn:mrn|1"}},"request":{"method":"POST","url":"Observation"}}]}`
	for _, c := range []struct {
		name, target, body string
		header             []string
		weak, strong       int
	}{
		{"a search", "/Patient/_search", "identifier=1", []string{"Content-Type", "application/x-www-form-urlencoded"}, 401, 200},
		{"a conditional create", "/Patient", `{"resourceType":"Patient","active":true}`, []string{"If-None-Exist", "identifier=1"}, 401, 200},
		{"a reference by search", "", transaction, nil, 401, 200},
	} {
		for acr, want := range map[string]int{"low": c.weak, "high": c.strong} {
			h.ehr.requests()
			got := h.do("POST", c.target, h.token(map[string]any{"roles": []string{"staff"}, "acr": acr}), c.body, c.header...)
			if got.status != want {
				t.Errorf("%s, %s: got %d %s", c.name, acr, got.status, got.body)
			}
			if calls := h.ehr.requests(); want == 401 && len(calls) > 0 {
				t.Errorf("%s: the upstream got %v", c.name, calls)
			}
		}
	}
}

// W-15: "://" in the value of a criterion makes no entry another server's.
func TestBatchCriterionWithURL(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Patient", 200, searchset("", resource("Patient", "A", `"active":true`)))
	entry := func(url string) string {
		return `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"` + url + `"}}]}`
	}
	for url, want := range map[string]string{
		"Patient?identifier=https://mrn.example|1":                      `"status":"200`,
		"http://gw.example.org/fhir/Patient?identifier=https://mrn.a|1": `"status":"200`,
	} {
		if got := h.do("POST", "", h.staff(), entry(url)); got.status != 200 || !strings.Contains(strings.ReplaceAll(got.body, " ", ""), want) {
			t.Errorf("%s: got %d %s", url, got.status, got.body)
		}
	}
	for _, url := range []string{"https://evil.example/Patient?identifier=x", "https://evil.example/fhir/Patient/1"} {
		if got := h.do("POST", "", h.staff(), entry(url)); got.status != 400 && strings.Contains(got.body, `"status":"200`) {
			t.Errorf("%s: got %d %s", url, got.status, got.body)
		}
	}
}
