package test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// FHIR-24: a search in a compartment is the search of the type that it is, on
// every server, and finds what any of the compartment's parameters finds.
func TestCompartmentSearch(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Immunization", 200, searchset("", resource("Immunization", "i", `"patient":{"reference":"Patient/A"}`), resource("Immunization", "j", `"patient":{"reference":"Patient/B","display":"Canary"}`)))
	h.ehr.on("GET /Encounter", 200, searchset("", resource("Encounter", "e", ref("subject", "Patient/A"))))
	tA := h.patient("A", "patient/*.rs")
	own := []string{"Observation/a"}
	byID := func(ids string) string { return "GET /Observation?code=x&_id=" + ids + "&_sort=-date&_count=5" }
	h.ehr.on("GET /Observation", 200, searchset("", obsA, obsB, obsR))
	h.attack(t, []attack{
		// One parameter ties the type to the compartment, or reads what others read.
		{id: "FHIR-24", target: "/Patient/A/Immunization?status=completed", token: tA, status: 200, ids: []string{"Immunization/i"},
			calls: []string{"GET /Immunization?status=completed&patient=Patient/A"}, released: []string{"Immunization/i"}, withheld: []string{"Immunization/j"}},
		{id: "FHIR-24", target: "/Patient/A/Immunization", token: h.staff(), status: 200, ids: []string{"Immunization/i"},
			calls: []string{"GET /Immunization?patient=Patient/A"}, released: []string{"Immunization/i"}, withheld: []string{"Immunization/j"}},
		{id: "FHIR-24", target: "/Encounter/e/Encounter", token: h.staff(), status: 200, ids: []string{"Encounter/e"},
			calls: []string{"GET /Encounter?_id=e"}, released: []string{"Encounter/e"}},
		// A patient's scope narrows by one of several: no other adds to it.
		{id: "FHIR-24", target: "/Patient/A/Observation?_sort=-date&_count=5", token: tA, status: 200, ids: own,
			calls: []string{"GET /Observation?patient=Patient/A&_sort=-date&_count=5"}, released: own, withheld: []string{"Observation/b", "Observation/r"}},
		{id: "FHIR-24", method: "POST", target: "/Patient/A/Observation/_search", body: "code=x", header: []string{"Content-Type", "application/x-www-form-urlencoded"},
			token: tA, status: 200, ids: own, calls: []string{"GET /Observation?code=x&patient=Patient/A"}, released: own, withheld: []string{"Observation/b", "Observation/r"}},
		// Another patient's compartment: what the server brings of others is not in it.
		{id: "FHIR-24", target: "/Patient/B/Observation", token: tA, status: 200, ids: []string{}, withheld: []string{"Observation/a", "Observation/b", "Observation/r"},
			calls: []string{"GET /Observation?patient=Patient/A&performer=Patient/B&_count=200", "GET /Observation?patient=Patient/A&patient=Patient/B"}},
	})

	// Several parameters: what the others find beyond the first is found, too.
	measured := resource("Observation", "m", `"performer":[{"reference":"Patient/A"}]`)
	both := strings.Replace(obsA, `"subject"`, `"performer":[{"reference":"Patient/A"}],"subject"`, 1)
	foreign := resource("Observation", "f", ref("subject", "Patient/B")+`,"note":[{"text":"Canary"}]`)
	query := "code=x&%s=Patient/A&_count=200"
	h.ehr.on("GET /Observation?"+fmt.Sprintf(query, "performer"), 200, searchset("", both, foreign))
	h.ehr.on("GET /Observation?code=x&patient=Patient/A&_sort=-date&_count=5", 200, searchset("", both))
	target := "/Patient/A/Observation?code=x&_sort=-date&_count=5"
	h.attack(t, []attack{{id: "FHIR-24 nothing beyond", target: target, token: h.staff(), status: 200, ids: own,
		calls: []string{"GET /Observation?" + fmt.Sprintf(query, "performer"), "GET /Observation?code=x&patient=Patient/A&_sort=-date&_count=5"}, released: own}})
	h.ehr.on("GET /Observation?"+fmt.Sprintf(query, "performer"), 200, searchset("", both, foreign, measured))
	h.ehr.on("GET /Observation?"+fmt.Sprintf(query, "patient"), 200, searchset("", both))
	h.ehr.on(byID("m,a"), 200, searchset("", measured, both, foreign))
	h.attack(t, []attack{{id: "FHIR-24 the union", target: target, token: h.staff(), status: 200, ids: []string{"Observation/m", "Observation/a"},
		calls:    []string{"GET /Observation?" + fmt.Sprintf(query, "performer"), "GET /Observation?" + fmt.Sprintf(query, "patient"), byID("m,a")},
		released: []string{"Observation/m", "Observation/a"}, withheld: []string{"Observation/f"}}})
}

// A union that is too large is refused, with what to search by instead.
func TestCompartmentTooLarge(t *testing.T) {
	h := openHouse(t)
	var rows []string
	for i := range 501 {
		rows = append(rows, resource("Observation", fmt.Sprint("m", i), `"performer":[{"reference":"Patient/A"}]`))
	}
	h.ehr.on("GET /Observation", 200, searchset("", rows...))
	got := h.get("/Patient/A/Observation", h.staff())
	if got.status != 422 || got.code() != "search.too-broad" || !strings.Contains(got.body, "patient, performer") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// The pages of a compartment search stay in the compartment.
func TestCompartmentPages(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Immunization", 200, searchset("%BASE%?_getpages=2", resource("Immunization", "i1", `"patient":{"reference":"Patient/A"}`)))
	h.ehr.on("GET ?_getpages=2", 200, searchset("", resource("Immunization", "j", `"patient":{"reference":"Patient/B","display":"Canary"}`), resource("Immunization", "i2", `"patient":{"reference":"Patient/A"}`)))
	first := h.get("/Patient/A/Immunization?_count=1", h.staff())
	if self := "http://gw.example.org/fhir/Patient/A/Immunization?_count=1"; !strings.Contains(first.body, `"`+self+`"`) {
		t.Errorf("got %s", first.body)
	}
	if _, err := url.Parse(nextLink(t, first)); err != nil {
		t.Fatal(err)
	}
	h.attack(t, []attack{{id: "FHIR-24", target: nextLink(t, first), token: h.staff(), status: 200, ids: []string{"Immunization/i2"}, calls: anyCalls,
		released: []string{"Immunization/i2"}, withheld: []string{"Immunization/j"}}})
}
