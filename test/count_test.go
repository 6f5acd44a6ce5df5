package test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Q-05, DESIGN §10.5: what matches is counted for those who may see all of it,
// and for nobody else.

const countPolicy = `package gatehouse

permit contains "staff" if "staff" in input.subject.roles

permit contains "of nobody" if count(input.resource.patients) == 0

permit contains "self" if {
	count(input.resource.patients) > 0
	every p in input.resource.patients { p == input.subject.patient }
}

forbid contains "restricted" if {
	"R" in input.resource.labels
	"guest" in input.subject.roles
}
`

// counter is an upstream of Immunizations that heeds what it is told to.
type counter struct {
	rows    map[string]string // by id
	heeds   bool              // patient=
	self    bool              // its self link tells the criteria
	silent  bool              // it says no total
	inflate int               // added to the total
}

// immunizations are n of each patient.
func immunizations(n int, patients ...string) map[string]string {
	rows := map[string]string{}
	for _, p := range patients {
		for i := range n {
			id := fmt.Sprintf("%s-%03d", p, i)
			rows[id] = resource("Immunization", id, `"status":"completed","patient":{"reference":"Patient/`+p+`","display":"`+display(p)+`"}`)
		}
	}
	return rows
}

func display(patient string) string {
	if patient == "A" {
		return "me"
	}
	return "Canary"
}

func (c *counter) serve(h *house) {
	answer := func(w http.ResponseWriter, q url.Values) {
		var found []string
		for id, row := range c.rows {
			if p := strings.TrimPrefix(q.Get("patient"), "Patient/"); p == "" || !c.heeds || strings.HasPrefix(id, p+"-") {
				found = append(found, row)
			}
		}
		slices.Sort(found)
		size, err := strconv.Atoi(q.Get("_count"))
		if err != nil {
			size = 20
		}
		from, _ := strconv.Atoi(q.Get("_from"))
		to, next := min(from+size, len(found)), ""
		if to < len(found) {
			q.Set("_from", strconv.Itoa(to))
			next = h.ehr.url + "/r4/Immunization?" + q.Encode()
		}
		total := fmt.Sprintf(`"total":%d,`, len(found)+c.inflate)
		if c.silent {
			total = ""
		}
		body := strings.Replace(searchset(next, found[from:to]...), `"total":99,`, total, 1)
		if c.self {
			q.Del("_from")
			body = strings.Replace(body, "%BASE%/Observation?secret=1", h.ehr.url+"/r4/Immunization?"+q.Encode(), 1)
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = w.Write([]byte(body))
	}
	h.ehr.handle("GET /Immunization", func(w http.ResponseWriter, r *http.Request) { answer(w, r.URL.Query()) })
}

// told is the total of an answer, -1 where it has none.
func told(a answer) int {
	_, rest, ok := strings.Cut(a.body, `"total":`)
	if !ok {
		return -1
	}
	n, err := strconv.Atoi(rest[:strings.IndexAny(rest, ",}")])
	if err != nil {
		return -1
	}
	return n
}

func TestCountsOfWhatIsAllVisible(t *testing.T) {
	h := openHouse(t)
	h.write("policy/policy.rego", countPolicy)
	h.reload(t)
	me := h.patient("A", "patient/*.rs")
	guest := h.token(map[string]any{"roles": []string{"staff", "guest"}})
	for _, c := range []struct {
		name  string
		up    counter
		token string
		want  int // -1: refused
	}{
		{"own", counter{rows: immunizations(7, "A", "B"), heeds: true}, me, 7},
		{"own, of a server that ignores", counter{rows: immunizations(7, "A", "B")}, me, 7},
		{"own, of a server that ignores and says so", counter{rows: immunizations(7, "A", "B"), self: true}, me, 7},
		{"own, none", counter{rows: immunizations(7, "B"), heeds: true}, me, 0},
		{"own, many, told by the link", counter{rows: immunizations(300, "A", "B"), heeds: true, self: true}, me, 300},
		{"own, many, tried", counter{rows: immunizations(300, "A", "B"), heeds: true}, me, 300},
		{"P-12 many, ignored", counter{rows: immunizations(300, "A", "B")}, me, -1},
		{"P-12 many, ignored, the link lies", counter{rows: immunizations(150, "A", "B"), self: true}, me, -1},
		{"many, no total", counter{rows: immunizations(300, "A"), heeds: true, self: true, silent: true}, me, -1},
		{"more said than sent", counter{rows: immunizations(7, "A"), heeds: true, inflate: 3}, me, 7},
		{"said and not sent", counter{heeds: true, inflate: 3}, me, -1},
		{"staff", counter{rows: immunizations(150, "A", "B")}, h.staff(), 300},
		{"staff, few", counter{rows: immunizations(3, "A", "B")}, h.staff(), 6},
		{"staff, but some labels are hidden", counter{rows: immunizations(3, "A", "B")}, guest, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if len(c.up.rows) >= 300 {
				h.reload(t) // what was tried is forgotten
			}
			c.up.serve(h)
			for _, query := range []string{"_summary=count", "_total=accurate", "_summary=count&patient=A", "_total=accurate&_count=5"} {
				want := c.want
				if strings.Contains(query, "patient=A") && c.token != me {
					continue
				}
				h.ehr.requests()
				got := h.get("/Immunization?"+query, c.token)
				h.noCanaryOf(t, c.token == me, got)
				if want < 0 {
					if got.status != http.StatusForbidden || got.code() != "search.count" {
						t.Errorf("%s: got %d %s", query, got.status, got.body)
					}
					if calls := h.ehr.requests(); c.token == guest && len(calls) > 0 {
						t.Errorf("%s: upstream saw %v", query, calls)
					}
					continue
				}
				if got.status != http.StatusOK || told(got) != want {
					t.Errorf("%s: got %d, total %d, want %d: %.200s", query, got.status, told(got), want, got.body)
				}
				if strings.Contains(query, "_summary") && strings.Contains(got.body, `"entry"`) {
					t.Errorf("%s: entries: %.300s", query, got.body)
				}
				if strings.Contains(got.body, "_count=200") {
					t.Errorf("the self link tells what was added: %.300s", got.body)
				}
			}
		})
	}
}

func (h *house) noCanaryOf(t *testing.T, own bool, got answer) {
	t.Helper()
	if own {
		h.noCanary(t, got)
	}
}

// nobody is told a count of what may hold hidden rows, by whatever name.
func TestCountsRefused(t *testing.T) {
	h := openHouse(t)
	up := counter{rows: immunizations(3, "A", "B")}
	up.serve(h)
	h.ehr.on("GET /Observation", 200, searchset("", obsA, obsB))
	me := h.patient("A", "patient/*.rs")
	var rows []attack
	for _, target := range []string{"/Immunization?_summary=count", "/Immunization?_total=accurate", "/Observation?_summary=count", "/Observation?patient=A&_summary=count",
		"/Patient/A/Immunization?_summary=count", "/Immunization/_history?_summary=count", "/Patient/A/$everything?_total=accurate", "/?_type=Immunization&_summary=count",
		"/Immunization?_summary=count&_include=Immunization:patient", "/Immunization?_summary=count&_total=none", "/Immunization?_total=accurate&_count=0"} {
		rows = append(rows, attack{id: "Q-05", target: target, token: me, status: h.get(target, me).status})
	}
	for i := range rows {
		if s := rows[i].status; s != http.StatusForbidden && s != http.StatusBadRequest {
			t.Errorf("%s: got %d", rows[i].target, s)
		}
	}
	h.attack(t, rows)
}

// H-03, DESIGN §10.8: the count goes with the page links while the policy is the
// one that told it.
func TestCountOnLaterPages(t *testing.T) {
	h := openHouse(t)
	h.write("policy/policy.rego", countPolicy)
	h.reload(t)
	up := counter{rows: immunizations(30, "A", "B"), heeds: true, self: true}
	up.serve(h)
	me := h.patient("A", "patient/*.rs")
	first := h.get("/Immunization?_total=accurate&_count=12", me)
	if told(first) != 30 || len(first.ids(t)) != 12 {
		t.Fatalf("got %.300s", first.body)
	}
	second := h.get(nextLink(t, first), me)
	if told(second) != 30 || len(second.ids(t)) != 12 {
		t.Errorf("got %.300s", second.body)
	}
	h.write("policy/policy.rego", countPolicy+"\nforbid contains \"x\" if input.resource.status == \"x\"\n")
	h.reload(t)
	later := h.get(nextLink(t, second), me)
	if later.status != 200 || told(later) != -1 || len(later.ids(t)) != 6 {
		t.Errorf("got %d %.300s", later.status, later.body)
	}
}

// CONS: where consents decide, a count is for the patient alone, whom none binds.
func TestCountsUnderConsent(t *testing.T) {
	h := openHouse(t, "consent: {source: upstream, default: permit}")
	h.write("policy/policy.rego", countPolicy)
	h.reload(t)
	up := counter{rows: immunizations(3, "A", "B"), heeds: true}
	up.serve(h)
	h.ehr.on("GET /Consent", 200, searchset(""))
	h.ehr.on("GET /Organization", 200, searchset("", `{"resourceType":"Organization","id":"o"}`))
	app := h.token(map[string]any{"scope": "patient/*.rs", "patient": "A", "fhirUser": "Practitioner/7"})
	for target, want := range map[string]map[string]int{
		"/Immunization?_summary=count": {h.patient("A", "patient/*.rs"): 3, h.staff(): -1, app: -1},
		"/Organization?_summary=count": {h.staff(): 1, app: 1, h.patient("A", "patient/*.rs"): 1, h.patient("A", "patient/Patient.rs"): -1},
	} {
		for token, n := range want {
			if got := h.get(target, token); told(got) != n {
				t.Errorf("%s: got %d %s, want %d", target, got.status, got.body, n)
			}
		}
	}
}
