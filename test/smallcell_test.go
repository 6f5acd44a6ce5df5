package test

import (
	"fmt"
	"strings"
	"testing"
)

// X-06, issue 6.10: criteria single nobody out where the view sets a smallest cell.
func TestSmallestCell(t *testing.T) {
	h := newHouse(t, "R4")
	h.write("policy/policy.rego", "package gatehouse\n\npermit contains \"staff\" if \"staff\" in input.subject.roles\n")
	h.write("cells.yaml", "extends: research\nsmallest_cell: 5\n")
	h.write("gatehouse.yaml", h.config(`views: {cells: {file: cells.yaml}}
consent: {source: none}
clients:
  study: {view: cells, domain: d}`))
	h.start()
	patients := func(n int) (list []string) {
		for i := range n {
			list = append(list, strings.ReplaceAll(patientSeen, "mrn-19700101", fmt.Sprintf("mrn-%d", 100+i)))
		}
		return list
	}
	study := h.researcher("study")
	h.ehr.on("GET /Observation", 200, searchset(""))
	h.ehr.on("GET /Patient", 200, searchset("", patients(7)...))
	p := idPattern.FindStringSubmatch(h.get("/Patient", study).body)[1]
	if got := h.get("/Patient?gender=female&_count=1", study); got.status != 200 || strings.Contains(got.body, `"total"`) {
		t.Errorf("seven: got %d %s", got.status, got.body)
	}
	if got := h.get("/Patient?gender=female&_summary=count", study); got.status != 200 || !strings.Contains(got.body, `"total":5`) {
		t.Errorf("a count is rounded down: got %d %s", got.status, got.body)
	}
	for _, n := range []int{0, 1, 4} {
		h.ehr.on("GET /Patient", 200, searchset("", patients(n)...))
		for _, query := range []string{"gender=female", "gender=female&_count=1", "gender=female&_summary=count", "birthdate=ge1900", "_has:Observation:patient:code=http://loinc.org%7C1-8"} {
			if got := h.get("/Patient?"+query, study); got.status != 403 || !strings.Contains(got.body, "view.small-cell") {
				t.Errorf("%d by %s: got %d %s", n, query, got.status, got.body)
			}
		}
	}
	// A practitioner that is known names no patient.
	doctor := refPattern.FindStringSubmatch(h.get("/Patient?_id="+p, study).body)
	h.ehr.on("GET /Patient", 200, searchset("", patients(1)...))
	if got := h.get("/Patient?general-practitioner="+doctor[1], study); got.status != 403 {
		t.Errorf("by %s: got %d %s", doctor[1], got.status, got.body)
	}
	for _, query := range []string{"", "?_id=" + p} { // nothing is singled out, and who is known already
		if got := h.get("/Patient"+query, study); got.status != 200 || len(got.ids(t)) != 1 {
			t.Errorf("%q: got %d %s", query, got.status, got.body)
		}
	}
}

// an export picks nobody out by filters, which no count goes before.
func TestSmallestCellOfExports(t *testing.T) {
	h := newHouse(t, "R4")
	h.write("cells.yaml", "extends: research\nsmallest_cell: 5\n")
	h.write("when.yaml", "default: keep\nsmallest_cell: 5\nrules:\n  - {path: Patient.name, method: redact}\n") // shows when records changed
	h.write("gatehouse.yaml", h.config("views: {cells: {file: cells.yaml}, when: {file: when.yaml}}", "clients:\n  study: {view: cells, domain: d}\n  when: {view: when}\n  whole: {view: research, domain: e}", "operations: {allow: [$export]}"))
	h.start()
	h.ehr.on("GET /$export", 202, "", "Content-Location", "%BASE%/job/1")
	export := func(client, filter string) answer {
		token := h.token(map[string]any{"roles": []string{"staff"}, "client_id": client, "sub": client, "scope": "system/*.rs"})
		return h.do("GET", "/$export?_type=Patient"+filter, token, "", "Prefer", "respond-async")
	}
	const filter = "&_typeFilter=Patient%3Fgender%3Dfemale"
	if got := export("study", filter); got.status != 403 || !strings.Contains(got.body, "view.small-cell") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if calls := h.ehr.requests(); len(calls) > 0 {
		t.Errorf("the upstream got %q", calls)
	}
	if got := export("when", "&_since=2026-01-01T00:00:00Z"); got.status != 403 || !strings.Contains(got.body, "view.small-cell") {
		t.Errorf("since: got %d %s", got.status, got.body)
	}
	for client, filter := range map[string]string{"study": "", "whole": filter} {
		if got := export(client, filter); got.status != 202 {
			t.Errorf("%s: got %d %s", client, got.status, got.body)
		}
	}
}

// what changed since when, and who is in a Group, are criteria too.
func TestSmallestCellOfOthers(t *testing.T) {
	h := newHouse(t, "R4")
	h.write("policy/policy.rego", "package gatehouse\n\npermit contains \"staff\" if \"staff\" in input.subject.roles\n")
	h.write("when.yaml", "default: keep\nsmallest_cell: 3\nrules:\n  - {path: Patient.name, method: redact}\n")
	h.write("gatehouse.yaml", h.config("views: {when: {file: when.yaml}}", "consent: {source: none}", "clients:\n  when: {view: when}", "operations: {allow: [$export, $lastn]}"))
	h.start()
	var patients, last []string
	for i := range 4 {
		patients = append(patients, resource("Patient", fmt.Sprintf("p%d", i), ""))
		last = append(last, resource("Observation", fmt.Sprintf("o%d", i), fmt.Sprintf(`"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]},"subject":{"reference":"Patient/p%d"},"effectiveDateTime":"2026-01-0%d"`, i, i+1)))
	}
	group := func(n int) string {
		members := []string{`{"entity":{"reference":"Patient/gone"},"inactive":true}`, `{"entity":{"reference":"Device/1"}}`}
		for i := range n {
			members = append(members, fmt.Sprintf(`{"entity":{"reference":"Patient/p%d"}}`, i%4))
		}
		return resource("Group", "g", `"type":"person","actual":true,"member":[`+strings.Join(members, ",")+`]`)
	}
	h.ehr.on("GET /Group/g/$export", 202, "", "Content-Location", "%BASE%/job/1")
	token := h.token(map[string]any{"roles": []string{"staff"}, "client_id": "when", "sub": "when", "scope": "system/*.rs"})
	for _, c := range []struct {
		target  string
		seen, n int // of the members the server has, and that there are
		status  int
	}{
		{"/Group/g/$export", 2, 2, 403}, {"/Group/g/$export", 0, 0, 403}, {"/Group/g/$export", 2, 4, 403}, {"/Group/g/$export", 3, 8, 202},
		{"/Observation/_history?_since=2026-01-01T00:00:00Z", 4, 0, 403}, {"/Observation/$lastn?code=http://loinc.org%7C1-8", 2, 0, 403},
		{"/Observation/$lastn?code=http://loinc.org%7C1-8", 3, 0, 200}, {"/Observation/$lastn?patient=p1", 1, 0, 200},
	} {
		h.ehr.on("GET /Group/g", 200, group(c.n))
		h.ehr.on("GET /Patient", 200, searchset("", patients[:c.seen]...))
		h.ehr.on("GET /Observation", 200, searchset("", last[:c.seen]...))
		got := h.do("GET", c.target, token, "", "Prefer", "respond-async")
		if got.status != c.status || (c.status == 403) != strings.Contains(got.body, "view.small-cell") {
			t.Errorf("%s, %d of %d: got %d %s", c.target, c.seen, c.n, got.status, got.body)
		}
	}
}

// a practitioner's compartment, the system of a number and what comes with a
// practitioner pick patients as a parameter does.
func TestSmallestCellByOtherWays(t *testing.T) {
	h := newHouse(t, "R4")
	h.write("policy/policy.rego", "package gatehouse\n\npermit contains \"staff\" if \"staff\" in input.subject.roles\n")
	h.write("cells.yaml", "default: keep\nsmallest_cell: 2\nrules:\n  - {path: Patient.name, method: redact}\n")
	h.write("gatehouse.yaml", h.config("views: {cells: {file: cells.yaml}}", "consent: {source: none}", "clients:\n  study: {view: cells}"))
	h.start()
	token := h.token(map[string]any{"roles": []string{"staff"}, "client_id": "study", "scope": "user/*.rs"})
	doctor := resource("Practitioner", "7", "")
	of := func(match string, included ...string) string {
		body := strings.TrimSuffix(searchset("", match), "]}")
		for _, one := range included {
			body += `,{"resource":` + one + `,"search":{"mode":"include"}}`
		}
		return body + "]}"
	}
	for n := 1; n <= 2; n++ {
		var patients []string
		for i := range n {
			patients = append(patients, resource("Patient", fmt.Sprintf("p%d", i), `"generalPractitioner":[{"reference":"Practitioner/7"}]`))
		}
		h.ehr.on("GET /Patient", 200, searchset("", patients...))
		h.ehr.on("GET /Practitioner", 200, of(doctor, patients...))
		for _, target := range []string{"/Practitioner/7/Patient", "/Practitioner/7/Patient?gender=male", "/Patient?identifier=http://registry.example.org%7C",
			"/Practitioner?_id=7&_revinclude=Patient:general-practitioner"} {
			if got := h.get(target, token); (got.status == 403) != (n == 1) || (n == 1) != strings.Contains(got.body, "view.small-cell") {
				t.Errorf("%d by %s: got %d %s", n, target, got.status, got.body)
			}
		}
		for _, target := range []string{"/Practitioner?_id=7", "/Patient?identifier=http://registry.example.org%7C1", "/Practitioner/7/Patient?_id=p0"} {
			if got := h.get(target, token); got.status != 200 {
				t.Errorf("%d by %s: got %d %s", n, target, got.status, got.body)
			}
		}
	}
	h.ehr.on("GET /Patient", 200, of(resource("Patient", "p0", `"generalPractitioner":[{"reference":"Practitioner/7"}]`), doctor))
	if got := h.get("/Patient?_id=p0&_include=Patient:general-practitioner&_revinclude:iterate=Patient:general-practitioner", token); got.status != 403 {
		t.Errorf("over the practitioner of who is named: got %d %s", got.status, got.body)
	}
}
