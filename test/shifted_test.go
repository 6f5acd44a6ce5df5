package test

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

var shownDate = regexp.MustCompile(`"effectiveDateTime":"(\d{4}-\d{2}-\d{2})`)

// day writes a day some days from one.
func day(t *testing.T, date string, days int) string {
	t.Helper()
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		t.Fatal(err)
	}
	return d.AddDate(0, 0, days).Format(time.DateOnly)
}

// Q-04, DEIDENTIFICATION §2: shifted dates are searched in the client's own
// time, exactly where one patient is named, else by what is shown. The upstream
// ignores every date, as a careless one may.
func TestShiftedDatesAreSearched(t *testing.T) {
	h := openResearch(t)
	h.ehr.on("GET /Observation", 200, searchset("", observationSeen))
	study := h.researcher("study")
	got := h.get("/Observation", study)
	m := shownDate.FindStringSubmatch(got.body)
	if m == nil {
		t.Fatalf("got %s", got.body)
	}
	shown, real, one := m[1], "2026-03-04", []string{idPattern.FindStringSubmatch(got.body)[1]}
	p := h.pseudonym(t, study)
	for _, c := range []struct {
		query, upstream string
		found           bool
	}{
		{"patient=" + p + "&date=" + shown, "patient=Patient/mrn-19700101&date=" + real, true},
		{"patient=" + p + "&date=ge" + shown, "patient=Patient/mrn-19700101&date=ge" + real, true},
		{"patient=" + p + "&date=lt" + shown, "patient=Patient/mrn-19700101&date=lt" + real, false},
		{"patient=" + p + "&date=" + day(t, shown, 1) + "," + shown, "patient=Patient/mrn-19700101&date=" + day(t, real, 1) + "," + real, true},
		{"date=" + shown, "", true},
		{"date=" + real, "", false},
		{"date=ge" + shown, "", true},
		{"date=gt" + shown, "", false},
		{"date=le" + shown, "", true},
		{"date=eb" + shown, "", false},
		{"date=ge" + shown[:7] + "&date=le" + shown[:4], "", true},
	} {
		h.ehr.requests()
		got := h.get("/Observation?"+c.query, study)
		calls := strings.NewReplacer("%2F", "/", "%2C", ",").Replace(strings.Join(h.ehr.requests(), " "))
		h.noReal(t, answer{status: got.status, header: got.header, body: strings.ReplaceAll(got.body, "date="+real, "")})
		if ids := got.ids(t); got.status != 200 || (len(ids) == len(one)) != c.found || strings.Contains(got.body, `"total"`) {
			t.Errorf("%s: got %d %s", c.query, got.status, got.body)
		}
		if c.upstream != "" && calls != "GET /Observation?"+c.upstream {
			t.Errorf("%s: upstream got %s, want %s", c.query, calls, c.upstream)
		}
		if c.upstream == "" && strings.Contains(calls, shown) {
			t.Errorf("%s: upstream got %s: not wider than asked", c.query, calls)
		}
	}
	h.attack(t, []attack{
		{id: "finer than shown", target: "/Observation?date=ge" + shown + "T10:00:00Z", token: study, status: 400, code: "view.parameter-hidden"},
		{id: "count", target: "/Observation?date=ge" + shown + "&_summary=count", token: study, status: 403},
		{id: "count", target: "/Observation?date=ge" + shown + "&_total=accurate", token: study, status: 403},
		{id: "sort", target: "/Observation?date=ge" + shown + "&_sort=date", token: study, status: 400},
		{id: "missing", target: "/Observation?date:missing=true", token: study, status: 400},
		{id: "reverse chain", target: "/Patient?_has:Observation:patient:date=ge" + shown, token: study, status: 400},
	})
}

// a date that is shown as its year is searched by year.
func TestCoarseDatesAreSearched(t *testing.T) {
	h := openHouse(t, `clients:
  harbor: {view: safe-harbor, domain: s}`)
	h.ehr.on("GET /Patient", 200, searchset("", patientSeen, strings.ReplaceAll(strings.ReplaceAll(patientSeen, "1970-01-01", "1971-12-31"), "mrn-19700101", "mrn-2")))
	token := h.researcher("harbor")
	for query, want := range map[string]int{"birthdate=1970": 1, "birthdate=ge1970": 2, "birthdate=gt1970": 1, "birthdate=1970,1971": 2, "birthdate=1969": 0} {
		if got := h.get("/Patient?"+query, token); got.status != 200 || len(got.ids(t)) != want {
			t.Errorf("%s: got %d %s", query, got.status, got.body)
		}
	}
	for _, query := range []string{"birthdate=ge2001-05", "birthdate=1970-01-01", "_sort=birthdate"} {
		if got := h.get("/Patient?"+query, token); got.status != 400 {
			t.Errorf("%s: got %d", query, got.status)
		}
	}
}

// D-04, DEIDENTIFICATION §2: a part of a resource is cut from what is shown of
// it, and says that it is a part; the upstream sends it whole.
func TestPartsUnderView(t *testing.T) {
	h := openResearch(t)
	study := h.researcher("study")
	p := h.pseudonym(t, study)
	for _, target := range []string{"/Patient?_elements=name,birthDate", "/Patient?_summary=text", "/Patient?_summary=true", "/Patient/" + p + "?_elements=birthDate,identifier"} {
		h.ehr.requests()
		got := h.get(target, study)
		h.noReal(t, got)
		if got.status != 200 || !strings.Contains(got.body, "SUBSETTED") || strings.Contains(got.body, "generalPractitioner") {
			t.Errorf("%s: got %d %s", target, got.status, got.body)
		}
		if calls := strings.Join(h.ehr.requests(), " "); strings.Contains(calls, "_elements") || strings.Contains(calls, "_summary") {
			t.Errorf("%s: upstream got %s", target, calls)
		}
	}
	whole := h.get("/Patient/"+p, study)
	date := regexp.MustCompile(`"birthDate":"[^"]+"`).FindString(whole.body)
	if got := h.get("/Patient/"+p+"?_elements=birthDate", study); date == "" || !strings.Contains(got.body, date) {
		t.Errorf("the part shows another date than the whole: %s, %s", got.body, date)
	}
}

// Law 5, issue 6.6: a client with a view is told what it may ask.
func TestCapabilitiesUnderView(t *testing.T) {
	h := openResearch(t)
	h.ehr.on("GET /metadata", 200, `{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","rest":[{"mode":"server","resource":[{"type":"Patient","updateCreate":true,
"interaction":[{"code":"read"},{"code":"update"},{"code":"delete"},{"code":"search-type"}],"searchInclude":["Patient:general-practitioner","Patient:link"],
"searchParam":[{"name":"family","type":"string"},{"name":"birthdate","type":"date"},{"name":"identifier","type":"token"},{"name":"gender","type":"token"},{"name":"address-city","type":"string"},{"name":"_lastUpdated","type":"date"}]}]}]}`)
	whole := h.get("/metadata", "").body
	for _, token := range []string{"", "no-token", h.staff()} {
		if got := h.get("/metadata", token); got.status != 200 || got.body != whole || !strings.Contains(whole, `"family"`) {
			t.Errorf("without a view: got %d %s", got.status, got.body)
		}
	}
	for range 2 { // made, and kept
		got := h.get("/metadata", h.researcher("study"))
		for _, word := range []string{`"family"`, `"address-city"`, `"_lastUpdated"`, `"update"`, `"delete"`, `"transaction"`, "updateCreate"} {
			if strings.Contains(got.body, word) {
				t.Errorf("%s is offered: %s", word, got.body)
			}
		}
		for _, word := range []string{`"birthdate"`, `"identifier"`, `"gender"`, `"read"`, `"batch"`, "Patient:general-practitioner"} {
			if !strings.Contains(got.body, word) {
				t.Errorf("%s is missing: %s", word, got.body)
			}
		}
	}
}
