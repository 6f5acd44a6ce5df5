package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Q-02, FHIR-06, law 5: what may not be seen does not decide which rows come
// back. A hop is made by the gateway over what the caller may see, and the
// upstream gets the ids that are left.
func TestHops(t *testing.T) {
	h := openHouse(t)
	patient := resource("Patient", "A", `"name":[{"family":"A"}]`)
	h.ehr.on("GET /Patient", 200, searchset("", patient))
	h.ehr.on("GET /Observation", 200, searchset("", obsA))
	h.ehr.on("GET /Observation?code=HIV&_count=200", 200, searchset("", obsR))
	h.ehr.on("GET /Observation?code=fine&_count=200", 200, searchset("", obsA, obsR))
	h.ehr.on("GET /Observation?code=HIV&patient=Patient/A&_count=200", 200, searchset("", obsR))
	vip := `{"resourceType":"Patient","id":"V","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"name":[{"family":"Canary"}]}`
	h.ehr.on("GET /Patient?name=vip&_count=200", 200, searchset("", vip))
	h.ehr.on("GET /Patient?name=jane&_count=200", 200, searchset("", patient, vip))
	h.ehr.on("GET /Encounter?_has:Observation:encounter:code=HIV&_count=200", 200, searchset(""))
	staff, tA := h.staff(), h.patient("A", "patient/*.rs")
	none := []string{}
	h.attack(t, []attack{
		{id: "FHIR-06 hidden", target: "/Patient?_has:Observation:patient:code=HIV", token: staff, status: 200, ids: none,
			calls: []string{"GET /Observation?code=HIV&_count=200"}},
		{id: "FHIR-06 visible", target: "/Patient?_has:Observation:patient:code=fine", token: staff, status: 200, ids: []string{"Patient/A"},
			calls: []string{"GET /Observation?code=fine&_count=200", "GET /Patient?_id=A"}, released: []string{"Patient/A"}},
		{id: "FHIR-06 own", target: "/Patient?_has:Observation:patient:code=HIV", token: tA, status: 200, ids: none,
			calls: []string{"GET /Observation?code=HIV&patient=Patient/A&_count=200"}},
		{id: "Q-02 hidden", target: "/Observation?subject:Patient.name=vip", token: staff, status: 200, ids: none,
			calls: []string{"GET /Patient?name=vip&_count=200"}},
		{id: "Q-02 visible", target: "/Observation?patient.name=jane", token: staff, status: 200, ids: []string{"Observation/a"},
			calls: []string{"GET /Patient?name=jane&_count=200", "GET /Observation?patient=Patient/A"}, released: []string{"Observation/a"}},
		{id: "Q-02 nested", target: "/DiagnosticReport?encounter.subject:Patient.name=vip", token: staff, status: 200, ids: none,
			calls: []string{"GET /Patient?name=vip&_count=200"}},
		{id: "W conditional", method: "DELETE", target: "/Observation?subject:Patient.name=vip", token: staff, status: 404,
			calls: []string{"GET /Patient?name=vip&_count=200"}},
	})
	// L-03: what is asked twice is made once, and at most ten are made.
	h.ehr.on("GET /Patient?name=b&_count=200", 200, searchset("", patient))
	twice := "/Observation?patient.name=jane&patient.name=jane&subject:Patient.name=b&subject:Patient.name=b"
	many := "/Observation?patient.name=jane"
	for i := range 10 {
		h.ehr.on(fmt.Sprintf("GET /Patient?name=n%d&_count=200", i), 200, searchset("", patient))
		many += fmt.Sprintf("&patient.name=n%d", i)
	}
	h.attack(t, []attack{
		{id: "L-03 twice", target: twice, token: staff, status: 200, ids: []string{"Observation/a"}, released: []string{"Observation/a"},
			calls: []string{"GET /Patient?name=jane&_count=200", "GET /Patient?name=b&_count=200", "GET /Observation?patient=Patient/A&patient=Patient/A&subject=Patient/A&subject=Patient/A"}},
		{id: "L-03 many", target: many, token: staff, status: 400, code: "request.too-many-parameters", calls: anyCalls},
	})
	// The link back tells what was asked, not what became of it.
	if got := h.get("/Observation?patient.name=jane", staff); !strings.Contains(got.body, "/Observation?patient:Patient.name=jane") || strings.Contains(got.body, "patient=Patient/A") {
		t.Errorf("got %s", got.body)
	}
	trusted := h.token(map[string]any{"roles": []string{"staff", "trusted"}})
	h.ehr.handle("GET /Observation", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Query().Get("_security"), "HUAPRV,") {
			t.Errorf("asked %s", r.URL)
		}
		reply(w, 200, strings.Replace(searchset(""), `"total":99,`, `"total":0,`, 1)) // no labels that withhold
	})
	h.get("/Patient?_has:Observation:patient:code=HIV", trusted) // it is asked once a minute
	h.attack(t, []attack{{id: "nothing hidden", target: "/Patient?_has:Observation:patient:code=HIV", token: trusted, status: 200, ids: []string{"Patient/A"},
		calls: []string{"GET /Patient?_has:Observation:patient:code=HIV"}, released: []string{"Patient/A"}}})
}
