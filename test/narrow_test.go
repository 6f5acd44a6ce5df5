package test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

const wardPolicy = `package gatehouse

permit contains "own ward" if input.resource.organization == input.subject.organization

permit contains "any status for auditors" if {
	"auditor" in input.subject.roles
	input.resource.status == "final"
}

forbid contains "restricted" if "R" in input.resource.labels
`

const searchedBy = `{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","rest":[{"mode":"server","searchParam":[{"name":"_id","type":"token"}],
"resource":[{"type":"Observation","searchParam":[{"name":"performer","type":"reference"},{"name":"status","type":"token"}]},
{"type":"Claim","searchParam":[{"name":"provider","type":"string"}]}]}]}`

// Issue 4.2: a search is narrowed by what policy demands of every match, as far
// as the upstream says that it can be searched by it.
func TestNarrowedByPolicy(t *testing.T) {
	h := openHouse(t)
	h.write("policy/policy.rego", wardPolicy)
	h.reload(t)
	mine := resource("Observation", "a", `"status":"final","performer":[{"reference":"Organization/3"}]`)
	other := resource("Observation", "b", `"status":"final","performer":[{"reference":"Organization/4","display":"Canary"}]`)
	restricted := strings.Replace(strings.Replace(mine, `"a"`, `"r"`, 1), `"versionId":"1"`, `"versionId":"1","security":[{"code":"R"}]`, 1)
	ward := h.token(map[string]any{"organization": "Organization/3"})
	auditor := h.token(map[string]any{"organization": "Organization/3", "roles": []string{"auditor"}})

	row := attack{id: "DESIGN 4", target: "/Observation?_count=5", token: ward, status: 200, ids: []string{"Observation/a"}, released: []string{"Observation/a"}}
	h.ehr.on("GET /Observation", 200, searchset("", mine))
	silent := row
	silent.calls = []string{"GET /metadata", "GET /Observation?_count=5"} // it does not tell what it can
	h.attack(t, []attack{silent})

	h.ehr.on("GET /metadata", 200, searchedBy)
	h.reload(t)
	first, own, any, list := row, row, row, row
	first.calls = []string{"GET /metadata", "GET /Observation?performer=Organization/3&_count=5"}
	own.target, own.calls = "/Observation?performer=Organization/3", []string{"GET /Observation?performer=Organization/3"}
	any.token, any.calls = auditor, []string{"GET /Observation?_count=5"} // by ward or by status
	list.target, list.calls = "/Observation?performer=Organization/3,Organization/4", []string{"GET /Observation?performer=Organization/3,Organization/4&performer=Organization/3"}
	h.attack(t, []attack{first, own, any, list})
	if n := h.alarms(t, "upstream.ignored-narrowing"); n != "" {
		t.Error("alarm", n)
	}

	// What else policy denies among the matches is no fault of the upstream's.
	h.ehr.on("GET /Observation", 200, searchset("", mine, restricted))
	row.calls, row.withheld = first.calls[1:], []string{"Observation/r"}
	h.attack(t, []attack{row})
	if n := h.alarms(t, "upstream.ignored-narrowing"); n != "" {
		t.Error("alarm", n)
	}
	h.ehr.on("GET /Observation", 200, searchset("", mine, other))
	row.withheld = []string{"Observation/b"}
	h.attack(t, []attack{row})
	if n := h.alarms(t, "upstream.ignored-narrowing"); n != "1" {
		t.Error("alarm", n)
	}

	h.ehr.on("GET /Claim", 200, searchset(""))
	h.attack(t, []attack{{id: "FHIR-22", target: "/Claim", token: ward, status: 200, ids: []string{}, calls: []string{"GET /Claim"}}}) // another parameter of that name
}

// Records that name the ward below a former address of the server are found, too.
func TestNarrowedByEveryName(t *testing.T) {
	h := openHouse(t)
	h.write("policy/policy.rego", wardPolicy)
	h.write("gatehouse.yaml", strings.Replace(h.config(), "/r4, fhir", "/r4, aliases: [https://old.example/fhir], fhir", 1))
	h.reload(t)
	h.ehr.on("GET /metadata", 200, searchedBy)
	h.ehr.on("GET /Observation", 200, searchset("", resource("Observation", "a", `"performer":[{"reference":"https://old.example/fhir/Organization/3"}]`)))
	h.attack(t, []attack{{id: "R-01", target: "/Observation", token: h.token(map[string]any{"organization": "Organization/3"}), status: 200,
		calls: []string{"GET /metadata", "GET /Observation?performer=Organization/3,https://old.example/fhir/Organization/3"},
		ids:   []string{"Observation/a"}, released: []string{"Observation/a"}}})
}

// alarms is how often one was raised, "" for never.
func (h *house) alarms(t *testing.T, what string) string {
	t.Helper()
	r, err := http.Get("http://" + h.process.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), `gatehouse_alarms_total{what="`+what+`"} `)
	n, _, _ := strings.Cut(after, "\n")
	return n
}
