package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Issue 6, seen by: a researcher's notebook. It reads a cohort through research,
// follows every reference, and finds stays and ages at admission as they are;
// nothing in it is of the original, and a second study shares no id with it.
func TestResearchersNotebook(t *testing.T) {
	h := openHouse(t, `consent: {source: none}
clients:
  study: {view: research, domain: study-17}
  other: {view: research, domain: study-18}`)
	cohort := newCohort(h)
	first, second := h.notebook(t, h.researcher("study")), h.notebook(t, h.researcher("other"))
	for i, c := range cohort {
		found := false
		for _, s := range first.stays {
			found = found || s == c
		}
		if !found {
			t.Errorf("stay %d: %+v is not among %+v", i, c, first.stays)
		}
	}
	for id := range first.ids {
		if second.ids[id] {
			t.Errorf("X-02: both studies have %s", id)
		}
	}
	if len(first.ids) != 2*len(cohort)+1 || len(first.stays) != len(cohort) {
		t.Errorf("%d ids, %d stays of %d", len(first.ids), len(first.stays), len(cohort))
	}
}

// stay is what the study is about.
type stay struct{ days, age int }

type notebook struct {
	ids   map[string]bool
	stays []stay
}

func newCohort(h *house) (stays []stay) {
	day := func(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }
	var patients, encounters []string
	for i := range 12 {
		born, in := day(1940+5*i, 1+i, 3+2*i), day(2019, 1+i, 28)
		length := 2 * i
		p := fmt.Sprintf(`{"resourceType":"Patient","id":"mrn-44%d","name":[{"family":"Canary%d"}],"birthDate":"%s","generalPractitioner":[{"reference":"Practitioner/drcanary1","display":"Dr Canary"}]}`, i, i, born.Format(time.DateOnly))
		e := fmt.Sprintf(`{"resourceType":"Encounter","id":"encCanary%d","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"},"subject":{"reference":"Patient/mrn-44%d"},"participant":[{"individual":{"reference":"Practitioner/drcanary1"}}],"period":{"start":"%sT23:10:00-05:00","end":"%sT06:00:00-05:00"}}`,
			i, i, in.Format(time.DateOnly), in.AddDate(0, 0, length).Format(time.DateOnly))
		patients, encounters = append(patients, p), append(encounters, e)
		h.ehr.on(fmt.Sprintf("GET /Patient/mrn-44%d", i), 200, p)
		stays = append(stays, stay{length, int(in.Sub(born).Hours() / 24)})
	}
	h.ehr.on("GET /Patient", 200, searchset("", patients...))
	h.ehr.on("GET /Encounter", 200, searchset("%BASE%?_getpages=2", encounters[:6]...))
	h.ehr.on("GET ?_getpages=2", 200, searchset("", encounters[6:]...))
	h.ehr.on("GET /Practitioner/drcanary1", 200, `{"resourceType":"Practitioner","id":"drcanary1","name":[{"family":"Canary"}],"active":true}`)
	return stays
}

var refPattern = regexp.MustCompile(`"reference":"([A-Za-z]+/[A-Za-z0-9.-]+)"`)

// notebook reads all encounters, page by page, and all that they refer to.
func (h *house) notebook(t *testing.T, token string) notebook {
	t.Helper()
	n := notebook{ids: map[string]bool{}}
	read := func(target string) string {
		got := h.get(target, token)
		h.noCanary(t, got)
		for _, word := range []string{"mrn-44", "drcanary", "encCanary", "T23:10", "getpages"} {
			if got.status != http.StatusOK || strings.Contains(got.body, word) {
				t.Fatalf("%s: %d, %q in %s", target, got.status, word, got.body)
			}
		}
		for _, m := range idPattern.FindAllStringSubmatch(got.body, -1) {
			n.ids[m[1]] = true
		}
		return got.body
	}
	followed := map[string]string{}
	follow := func(ref string) string {
		if followed[ref] == "" {
			followed[ref] = read("/" + ref)
		}
		return followed[ref]
	}
	for next := "/Encounter"; next != ""; {
		body := read(next)
		var page struct {
			Link  []struct{ Relation, URL string }
			Entry []struct {
				Resource struct {
					Subject struct{ Reference string }
					Period  struct{ Start, End string }
				}
			}
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(err)
		}
		for _, m := range refPattern.FindAllStringSubmatch(body, -1) {
			for _, inner := range refPattern.FindAllStringSubmatch(follow(m[1]), -1) {
				follow(inner[1])
			}
		}
		for _, e := range page.Entry {
			born := birthOf(t, follow(e.Resource.Subject.Reference))
			n.stays = append(n.stays, stay{days(t, e.Resource.Period.Start, e.Resource.Period.End), days(t, born, e.Resource.Period.Start)})
		}
		next = ""
		for _, l := range page.Link {
			if l.Relation == "next" {
				next = strings.TrimPrefix(l.URL, "http://gw.example.org/fhir")
			}
		}
	}
	return n
}

func days(t *testing.T, from, to string) int {
	t.Helper()
	a, err1 := time.Parse(time.DateOnly, from[:min(10, len(from))])
	b, err2 := time.Parse(time.DateOnly, to[:min(10, len(to))])
	if err1 != nil || err2 != nil {
		t.Fatalf("%s, %s", from, to)
	}
	return int(b.Sub(a).Hours() / 24)
}
