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

	includes []string // by row
	path     string   // "/Observation" where empty
	form     func(bundle string) string
}

func (p *pager) serve(h *house) {
	answer := func(w http.ResponseWriter, from, size int) {
		p.pages++
		to, next := min(from+min(size, p.limit), len(p.rows)), ""
		if to < len(p.rows) {
			next = fmt.Sprintf("%s/r4?_getpages=%d-%d", h.ehr.url, to, size)
		}
		body := searchset(next, p.rows[from:to]...)
		if p.includes != nil {
			included := slices.Sorted(slices.Values(p.includes[from:to]))
			for _, one := range slices.Compact(included) {
				body = strings.TrimSuffix(body, "]}") + `,{"resource":` + one + `,"search":{"mode":"include"}}]}`
			}
		}
		if p.form != nil {
			body = p.form(body)
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = w.Write([]byte(body))
	}
	h.ehr.handle("GET "+or(p.path, "/Observation"), func(w http.ResponseWriter, r *http.Request) {
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
		{"all, small pages", func(int) bool { return true }, 40},
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
		for _, count := range []int{3, 5, 20, 50, 200, 0} {
			target, size := fmt.Sprint("/Observation?_count=", count), count
			if count == 0 {
				target, size = "/Observation", 20
			}
			size = min(size, c.limit) // as where nothing is hidden
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

// I-01, Q-06: pages of a search that includes are full of matches, each with what
// is included for it and nothing else.
func TestPagesWithIncludesAreFull(t *testing.T) {
	h := openHouse(t, "limits: {address: {rate: 10000/s, burst: 10000}}")
	token := h.patient("A", "user/*.rs")
	const kinds = 7
	for name, visible := range map[string]func(i int) bool{
		"all":          func(int) bool { return true },
		"one of three": func(i int) bool { return i%3 == 2 },
		"one of forty": func(i int) bool { return i%40 == 39 },
		"the last":     func(i int) bool { return i == 149 },
		"none":         func(int) bool { return false },
	} {
		up := &pager{limit: 1000}
		var want []string
		for i := range 150 {
			patient, org := "Patient/B", fmt.Sprint("Organization/hidden", i)
			if visible(i) {
				patient, org = "Patient/A", fmt.Sprint("Organization/o", i%kinds)
				want = append(want, fmt.Sprint("Observation/o", i))
			}
			up.rows = append(up.rows, resource("Observation", fmt.Sprint("o", i), ref("subject", patient)+`,"performer":[{"reference":"`+org+`"}]`))
			up.includes = append(up.includes, resource("Organization", strings.TrimPrefix(org, "Organization/"), ""))
		}
		up.serve(h)
		for _, count := range []int{1, 4, 25, 0} {
			target, size := fmt.Sprint("/Observation?_include=Observation:performer&_count=", count), count
			if count == 0 {
				target, size = "/Observation?_include=Observation:performer", 20
			}
			up.pages = 0
			pages := 0
			var got []string
			for target != "" {
				page := h.get(target, token)
				if page.status != http.StatusOK {
					t.Fatalf("%s, %d: %d %s", name, count, page.status, page.body)
				}
				pages++
				matches, included := checkIncludes(t, page, kinds)
				got = append(got, matches...)
				if target = ""; strings.Contains(page.body, `"next"`) {
					target = nextLink(t, page)
				}
				if target != "" && len(matches) != size {
					t.Errorf("%s, %d: page %d has %d matches and %d included", name, count, pages, len(matches), included)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %d: got %v, want %v", name, count, got, want)
			}
			if up.pages > 2*pages+100 {
				t.Errorf("%s, %d: %d pages took %d of the upstream's", name, count, pages, up.pages)
			}
		}
	}
}

// checkIncludes holds that a page includes the organizations of its matches, once.
func checkIncludes(t *testing.T, page answer, kinds int) (matches []string, included int) {
	t.Helper()
	want, got := map[string]bool{}, map[string]int{}
	for _, id := range page.ids(t) {
		if n, ok := strings.CutPrefix(id, "Observation/o"); ok {
			i, _ := strconv.Atoi(n)
			want[fmt.Sprint("Organization/o", i%kinds)] = true
			matches = append(matches, id)
			continue
		}
		got[id]++
	}
	for id, n := range got {
		if n > 1 || !want[id] {
			t.Errorf("%s is included %d times with %v", id, n, matches)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%v come with %v", got, matches)
	}
	return matches, len(got)
}

// I-01: an include stays beside its match, and more of the upstream's pages are
// asked for where rows are withheld.
func TestIncludesAreNotMoved(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation", 200, searchset("%BASE%?_getpages=2", obsA, obsB))
	h.ehr.on("GET ?_getpages=2", 200, searchset("", obsB))
	h.attack(t, []attack{{id: "I-01", target: "/Observation?_include=Observation:subject&_count=2", token: h.patient("A", "user/*.rs"), status: 200,
		calls: []string{"GET /Observation?_count=2&_include=Observation:subject", "GET /Observation?_count=8&_include=Observation:subject", "GET ?_getpages=2"}, ids: []string{"Observation/a"},
		released: []string{"Observation/a"}, withheld: []string{"Observation/b", "Observation/b"}}})
}

// Q-06, H-06: pages of histories and of $everything are full, too.
func TestOtherPagesAreFull(t *testing.T) {
	h := openHouse(t, "operations: {allow: [$everything]}", "limits: {address: {rate: 10000/s, burst: 10000}}")
	token := h.patient("A", "patient/*.rs")
	patA := resource("Patient", "A", "")
	var mine, all []string
	up := &pager{limit: 1000}
	for i := range 120 {
		patient := "Patient/B"
		if i%5 == 2 {
			patient = "Patient/A"
			mine = append(mine, fmt.Sprint("Observation/o", i))
		}
		up.rows = append(up.rows, resource("Observation", fmt.Sprint("o", i), ref("subject", patient)))
		all = append(all, up.rows[i])
	}
	h.ehr.on("GET /Patient/A", 200, patA)
	h.ehr.on("GET /Observation/x", 200, resource("Observation", "x", ref("subject", "Patient/A")))
	form := func(history bool) func(string) string {
		return func(bundle string) string {
			if !history {
				return bundle
			}
			bundle = strings.ReplaceAll(bundle, `"searchset"`, `"history"`)
			return strings.ReplaceAll(bundle, `"search":{"mode":"match"}`, `"request":{"method":"PUT","url":"Observation/Canary"},"response":{"status":"200"}`)
		}
	}
	for _, c := range []struct {
		target  string
		history bool
	}{{"/Patient/A/$everything", false}, {"/Observation/_history", true}, {"/_history", true}} {
		up.form, up.path = form(c.history), c.target
		up.serve(h)
		if c.history { // what the gateway asks of today's state
			h.ehr.on("GET /Observation", 200, searchset("", all...))
		}
		for _, query := range []string{"?_count=1", "?_count=10", ""} {
			size := 20
			if _, n, ok := strings.Cut(query, "="); ok {
				size, _ = strconv.Atoi(n)
			}
			sizes, ids, last := h.walk(t, c.target+query, token)
			if !slices.Equal(ids, mine) {
				t.Fatalf("%s%s: %d, got %v, want %v", c.target, query, last.status, ids, mine)
			}
			for i, n := range sizes[:len(sizes)-1] {
				if n != size {
					t.Errorf("%s%s: page %d has %d", c.target, query, i+1, n)
				}
			}
		}
	}
}
