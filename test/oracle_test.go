package test

import (
	"slices"
	"strings"
	"testing"
)

// I-01: what is included for a row that is withheld is withheld with it. The
// judge lets each of these through by itself: that one is there tells of the
// row.
func TestIncludesBelongToWhatIsReleased(t *testing.T) {
	h := openHouse(t)
	org := func(id string) string { return `{"resourceType":"Organization","id":"` + id + `"}` }
	patient := func(id, org string) string {
		return `{"resourceType":"Patient","id":"` + id + `","managingOrganization":{"reference":"Organization/` + org + `"}}`
	}
	bundle := func(matches, includes []string) string {
		var all []string
		for _, m := range matches {
			all = append(all, `{"resource":`+m+`,"search":{"mode":"match"}}`)
		}
		for _, i := range includes {
			all = append(all, `{"resource":`+i+`,"search":{"mode":"include"}}`)
		}
		return `{"resourceType":"Bundle","type":"searchset","entry":[` + strings.Join(all, ",") + `]}`
	}
	token := h.patient("A", "patient/*.rs")
	h.ehr.on("GET /Patient", 200, bundle([]string{patient("A", "1"), patient("B", "2")}, []string{org("1"), org("2")}))
	if got := h.get("/Patient?_include=Patient:organization", token); !slices.Equal(got.ids(t), []string{"Patient/A", "Organization/1"}) {
		t.Errorf("got %s", got.body)
	}
	h.ehr.on("GET /Patient", 200, bundle([]string{patient("B", "2")}, []string{org("2")}))
	if got := h.get("/Patient?_include=Patient:organization", token); len(got.ids(t)) != 0 {
		t.Errorf("got %s", got.body)
	}
	h.ehr.on("GET /Organization", 200, bundle([]string{org("1")}, []string{patient("A", "1"), strings.Replace(obsA, `"subject"`, `"performer":[{"reference":"Organization/2"}],"subject"`, 1)}))
	if got := h.get("/Organization?_revinclude=Patient:organization&_revinclude=Observation:performer", token); !slices.Equal(got.ids(t), []string{"Organization/1", "Patient/A"}) {
		t.Errorf("got %s", got.body)
	}
}

// whether there is a next page does not tell of hidden rows.
func TestNextLinkTellsNothing(t *testing.T) {
	h := openHouse(t)
	token := h.patient("A", "patient/*.rs")
	h.ehr.on("GET /Observation", 200, searchset("%BASE%?_getpages=2", obsA))
	h.ehr.on("GET ?_getpages=2", 200, searchset("%BASE%?_getpages=3", obsB, obsR))
	h.ehr.on("GET ?_getpages=3", 200, searchset("", obsB))
	hidden := h.get("/Observation?_count=1", token)
	h.ehr.on("GET /Observation", 200, searchset("", obsA))
	none := h.get("/Observation?_count=1", token)
	if hidden.status != 200 || hidden.body != none.body || strings.Contains(none.body, `"next"`) {
		t.Errorf("got %s, want %s", hidden.body, none.body)
	}
	h.ehr.on("GET /Observation", 200, searchset("%BASE%?_getpages=2", obsA))
	h.ehr.on("GET ?_getpages=3", 200, searchset("", strings.ReplaceAll(obsA, `"id":"a"`, `"id":"a2"`)))
	first := h.get("/Observation?_count=1", token)
	if got := h.get(nextLink(t, first), token); !slices.Equal(got.ids(t), []string{"Observation/a2"}) {
		t.Errorf("got %s", got.body)
	}
}

// T-18: a body where FHIR has none is refused unread, without a token too.
func TestBodiesWhereThereAreNone(t *testing.T) {
	h := openHouse(t)
	for _, target := range []string{"/metadata", "/Observation/a", "/Observation?code=x"} {
		for _, method := range []string{"GET", "DELETE"} {
			token := h.staff()
			if target == "/metadata" {
				token = ""
			}
			got := h.do(method, target, token, `{"resourceType":"Patient"}`)
			if want := 400; got.status != want && !(target == "/metadata" && method == "DELETE" && got.status == 401) {
				t.Errorf("%s %s: got %d %s", method, target, got.status, got.code())
			}
		}
	}
	if calls := h.ehr.requests(); len(calls) != 0 {
		t.Errorf("upstream saw %v", calls)
	}
}

// A care relation is looked up for what no other rule permits, and where it
// cannot be had nothing else is lost.
func TestCareIsLookedUpWhereItDecides(t *testing.T) {
	h := openHouse(t)
	h.write("policy/policy.rego", `package gatehouse

permit contains "staff" if "staff" in input.subject.roles

permit contains "carer" if {
	some e in input.relation.encounters
	input.subject.fhir_user in e.participants
}
`)
	if err := h.process.Reload(); err != nil {
		t.Fatal(err)
	}
	h.ehr.on("GET /Observation/a", 200, obsA)
	if got := h.get("/Observation/a", h.staff()); got.status != 200 {
		t.Errorf("staff: got %d %s", got.status, got.code())
	}
	if calls := h.ehr.requests(); !slices.Equal(calls, []string{"GET /Observation/a"}) {
		t.Errorf("staff: upstream saw %v", calls)
	}
	carer := h.token(map[string]any{"fhirUser": "Practitioner/7"})
	if got := h.get("/Observation/a", carer); got.status != 404 {
		t.Errorf("carer without a lookup: got %d", got.status)
	}
	h.ehr.on("GET /Encounter", 200, searchset("", `{"resourceType":"Encounter","id":"e","status":"in-progress","subject":{"reference":"Patient/A"},"participant":[{"individual":{"reference":"Practitioner/7"}}]}`))
	h.ehr.on("GET /CareTeam", 200, searchset(""))
	if got := h.get("/Observation/a", carer); got.status != 200 {
		t.Errorf("carer: got %d %s", got.status, got.code())
	}
}
