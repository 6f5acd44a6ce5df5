package test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pager is an upstream of rows that pages by _count, 20 where there is none.
type pager struct {
	rows  []string
	pages int // that were asked for
	limit int // of a page, whatever _count says
}

func (p *pager) serve(h *house) {
	answer := func(w http.ResponseWriter, from, size int) {
		p.pages++
		to, next := min(from+min(size, p.limit), len(p.rows)), ""
		if to < len(p.rows) {
			next = fmt.Sprintf("%s/r4?_getpages=%d-%d", h.ehr.url, to, size)
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = w.Write([]byte(searchset(next, p.rows[from:to]...)))
	}
	h.ehr.handle("GET /Observation", func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.Atoi(r.URL.Query().Get("_count"))
		if err != nil {
			size = 20
		}
		answer(w, 0, size)
	})
	h.ehr.handle("GET ", func(w http.ResponseWriter, r *http.Request) {
		from, size, _ := strings.Cut(r.URL.Query().Get("_getpages"), "-")
		start, _ := strconv.Atoi(from)
		n, _ := strconv.Atoi(size)
		answer(w, start, n)
	})
}

// walk follows the pages and gives their sizes and all ids.
func (h *house) walk(t *testing.T, target, token string) (sizes []int, ids []string, last answer) {
	t.Helper()
	for range 500 {
		last = h.get(target, token)
		if last.status != http.StatusOK {
			return sizes, ids, last
		}
		page := last.ids(t)
		sizes, ids = append(sizes, len(page)), append(ids, page...)
		if !strings.Contains(last.body, `"next"`) {
			return sizes, ids, last
		}
		target = nextLink(t, last)
	}
	t.Fatal("the pages do not end")
	return nil, nil, last
}

// Issue 4.2, Q-06: pages are full whatever is withheld, hold each row once and
// in order, and are made of few of the upstream's.
func TestPagesAreFull(t *testing.T) {
	h := openHouse(t, "limits: {address: {rate: 10000/s, burst: 10000}}")
	token := h.patient("A", "user/*.rs")
	for _, c := range []struct {
		name    string
		visible func(i int) bool
		limit   int
	}{
		{"all", func(int) bool { return true }, 1000},
		{"two of three", func(i int) bool { return i%3 != 0 }, 1000},
		{"one of seven", func(i int) bool { return i%7 == 6 }, 1000},
		{"one of seven, small pages", func(i int) bool { return i%7 == 6 }, 40},
		{"one of forty", func(i int) bool { return i%40 == 39 }, 1000},
		{"the first", func(i int) bool { return i == 0 }, 1000},
		{"the last", func(i int) bool { return i == 299 }, 1000},
		{"the first half", func(i int) bool { return i < 150 }, 1000},
		{"the second half", func(i int) bool { return i >= 150 }, 1000},
		{"none", func(int) bool { return false }, 1000},
	} {
		up := &pager{limit: c.limit}
		var want []string
		for i := range 300 {
			patient := "Patient/B"
			if c.visible(i) {
				patient = "Patient/A"
				want = append(want, fmt.Sprint("Observation/o", i))
			}
			up.rows = append(up.rows, resource("Observation", fmt.Sprint("o", i), ref("subject", patient)+`,"status":"final"`))
		}
		up.serve(h)
		for _, count := range []int{3, 5, 20, 50, 0} {
			target, size := fmt.Sprint("/Observation?_count=", count), count
			if count == 0 {
				target, size = "/Observation", 20
			}
			up.pages = 0
			sizes, ids, last := h.walk(t, target, token)
			if last.status != http.StatusOK || !slices.Equal(ids, want) {
				t.Errorf("%s, %d: %d, got %v, want %v", c.name, count, last.status, ids, want)
			}
			for i, n := range sizes {
				if n != size && i < len(sizes)-1 {
					t.Errorf("%s, %d: page %d has %d", c.name, count, i+1, n)
				}
			}
			if asked := up.pages; asked > 2*len(sizes)+100 {
				t.Errorf("%s, %d: %d pages took %d of the upstream's", c.name, count, len(sizes), asked)
			}
			if len(sizes) == 1 && !strings.Contains(last.body, fmt.Sprintf(`"total":%d,`, len(want))) {
				t.Errorf("%s, %d: a whole result without its total: %.200s", c.name, count, last.body)
			}
		}
	}
}

// FHIR-08, FHIR-20: of a page that is made of several nothing is released where one
// of them breaks off.
func TestFilledPageBreaks(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation", 200, searchset("%BASE%?_getpages=2", obsA, obsB))
	h.ehr.on("GET ?_getpages=2", 200, strings.TrimSuffix(searchset("", obsA, obsB), "}"))
	h.attack(t, []attack{{id: "FHIR-20", target: "/Observation", token: h.patient("A", "user/*.rs"), status: 502, calls: anyCalls,
		withheld: []string{"Observation/b"}}})
}

// I-01: what is included stays beside its match.
func TestIncludesAreNotMoved(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation", 200, searchset("%BASE%?_getpages=2", obsA, obsB))
	h.ehr.on("GET ?_getpages=2", 200, searchset("", obsB))
	h.attack(t, []attack{{id: "I-01", target: "/Observation?_include=Observation:subject&_count=2", token: h.patient("A", "user/*.rs"), status: 200,
		calls: []string{"GET /Observation?_count=2&_include=Observation:subject", "GET ?_getpages=2"}, ids: []string{"Observation/a"},
		released: []string{"Observation/a"}, withheld: []string{"Observation/b"}}})
}
