package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"gatehouse/gateway/demo"
)

// The same access by every way that there is gives the same visible set: reads,
// batches, histories, searches by GET and POST and page by page, in compartments,
// with includes either way, $everything and $export. What is visible is what a
// read gives; the data is as untidy as a hospital's.

// equivalents are a gateway with the shipped rules before a store of patients.
type equivalents struct {
	*house
	store *demo.Store
	refs  []string // of all that is in the store
	types []string
	rand  *rand.Rand
}

const equivalentPatients = 16

func openEquivalents(t *testing.T) *equivalents {
	h := openHouse(t, "consent: {source: upstream, default: deny, max_staleness: 5s}", "operations: {allow: [$everything, $export]}",
		"limits: {address: {rate: 100000/s, burst: 100000}}", "clients: {research-app: {view: research, domain: study-17, purposes: [HRESCH]}}")
	store, err := demo.NewStore(h.ehr.url + "/r4")
	if err != nil {
		t.Fatal(err)
	}
	e := &equivalents{house: h, store: store, rand: rand.New(rand.NewPCG(3, 5))}
	resources := demo.Patients(equivalentPatients)
	if err := store.Load(resources); err != nil {
		t.Fatal(err)
	}
	h.ehr.others = store
	e.index(t, resources)
	e.exports(resources)
	h.write("tables/agreements.yaml", `agreements:
  laboratory: [{reason: Laboratory., types: [Observation, DiagnosticReport, Patient], actions: [read, search], purposes: [TREAT], until: 2099-12-31}]
`)
	config := strings.Replace(h.config("consent: {source: upstream, default: deny, max_staleness: 5s}", "operations: {allow: [$everything, $export]}",
		"limits: {address: {rate: 100000/s, burst: 100000}}", "clients: {research-app: {view: research, domain: study-17, purposes: [HRESCH]}}"),
		"policy: {dir: policy}", "policy: {data: [tables/*.yaml]}", 1)
	h.write("gatehouse.yaml", strings.Replace(config, ", fhir_version", `, aliases: ["`+demo.FormerBase+`"], fhir_version`, 1))
	if err := h.process.Reload(); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *equivalents) index(t *testing.T, resources [][]byte) {
	types := map[string]bool{}
	for _, raw := range resources {
		var r struct{ ResourceType, ID string }
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
		e.refs = append(e.refs, r.ResourceType+"/"+r.ID)
		types[r.ResourceType] = true
	}
	slices.Sort(e.refs)
	e.types = slices.Sorted(maps.Keys(types))
}

// exports makes the store export all of a type in a file.
func (e *equivalents) exports(resources [][]byte) {
	files := map[string]string{}
	for _, raw := range resources {
		var r struct{ ResourceType string }
		_ = json.Unmarshal(raw, &r) // index has read it
		files[r.ResourceType] += strings.ReplaceAll(string(raw), "\n", " ") + "\n"
	}
	var list []string
	for typ, text := range files {
		list = append(list, typ, text)
	}
	e.onExport("GET /$export", list...)
}

// direct asks the store itself.
func (e *equivalents) direct(t *testing.T, target string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for target != "" {
		w := httptest.NewRecorder()
		e.store.ServeHTTP(w, httptest.NewRequest(http.MethodGet, e.ehr.url+"/r4"+target, nil))
		b := modesOf(t, w.Body.String())
		maps.Copy(found, b.modes)
		target = strings.TrimPrefix(b.next, e.ehr.url+"/r4")
	}
	return found
}

// moded is what a Bundle holds, by search mode, and where it goes on.
type moded struct {
	modes   map[string]string
	matches int
	next    string
}

func modesOf(t *testing.T, body string) moded {
	t.Helper()
	var b struct {
		Link  []struct{ Relation, URL string }
		Entry []struct {
			Resource struct{ ResourceType, ID string }
			Search   struct{ Mode string }
		}
	}
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		t.Fatalf("not a Bundle: %v: %.300s", err, body)
	}
	m := moded{modes: map[string]string{}}
	for _, x := range b.Entry {
		if x.Resource.ResourceType != "OperationOutcome" { // stands for one that a view cannot show
			m.modes[x.Resource.ResourceType+"/"+x.Resource.ID] = x.Search.Mode
		}
		if x.Search.Mode != "include" {
			m.matches++
		}
	}
	for _, l := range b.Link {
		if l.Relation == "next" {
			m.next = l.URL
		}
	}
	return m
}

// all follows the pages of a target from a first answer on, and holds them to be
// full. It gives what is there by search mode.
func (e *equivalents) all(t *testing.T, name, token string, first answer, size int) map[string]string {
	t.Helper()
	found, page := map[string]string{}, first
	for range 1000 {
		if page.status != http.StatusOK {
			t.Errorf("%s: got %d %s", name, page.status, page.body)
			return found
		}
		m := modesOf(t, page.body)
		for ref, mode := range m.modes {
			if found[ref] == "match" && mode == "match" {
				t.Errorf("%s: %s comes twice", name, ref)
			}
			if found[ref] != "match" {
				found[ref] = mode
			}
		}
		if m.next == "" {
			return found
		}
		if size > 0 && m.matches != size {
			t.Errorf("%s: a page of %d has %d and is not the last", name, size, m.matches)
		}
		page = e.get(below(t, m.next), token)
	}
	t.Errorf("%s does not end", name)
	return found
}

// size is a page size by chance, 0 for none.
func (e *equivalents) size() (n int, query string) {
	n = []int{0, 1, 3, 17, 50, 200}[e.rand.IntN(6)]
	if n == 0 {
		return 0, ""
	}
	return n, fmt.Sprint("_count=", n)
}

// of are the refs of a type.
func of(refs []string, typ string) (some []string) {
	for _, r := range refs {
		if strings.HasPrefix(r, typ+"/") {
			some = append(some, r)
		}
	}
	return some
}

func same(t *testing.T, name string, got map[string]string, mode string, want []string) {
	t.Helper()
	var list []string
	for ref, m := range got {
		if mode == "" || m == mode {
			list = append(list, ref)
		}
	}
	slices.Sort(list)
	if !slices.Equal(list, want) {
		t.Errorf("%s: got %v, and not %v; %d for %d", name, lacking(list, want), lacking(want, list), len(list), len(want))
	}
}

// lacking are those of some that others lack.
func lacking(some, others []string) []string {
	return slices.DeleteFunc(slices.Clone(some), func(s string) bool { return slices.Contains(others, s) })
}

func TestEveryWaySeesTheSame(t *testing.T) {
	e := openEquivalents(t)
	ward := map[string]any{"client_id": "ward-app", "roles": []string{"clinician"}, "organization": "ward-3", "fhirUser": "Practitioner/dr-1", "purpose_of_use": "TREAT"}
	with := func(claims map[string]any, scope string) string {
		all := maps.Clone(claims)
		all["scope"] = scope
		return e.token(all)
	}
	me := map[string]any{"client_id": "patient-app", "patient": "p008", "fhirUser": "Patient/p008"}
	other := map[string]any{"client_id": "patient-app", "patient": "p006", "fhirUser": "Patient/p006"}
	relative := map[string]any{"client_id": "patient-app", "patient": "p013", "fhirUser": "RelatedPerson/x"}
	laboratory := map[string]any{"client_id": "laboratory", "purpose_of_use": "TREAT"}
	for _, c := range []struct {
		name, token string
		least       int
	}{
		{"patient", with(me, "patient/*.rs"), 20},
		{"patient without consent", with(other, "patient/*.rs"), 15},
		{"patient, granular", with(me, "patient/Observation.rs?category=vital-signs patient/Condition.rs patient/Patient.rs"), 3},
		{"relative", with(relative, "patient/*.rs"), 15},
		{"clinician", with(ward, "user/*.rs"), 60},
		{"clinician, granular", with(ward, "user/Observation.rs?category=laboratory user/Patient.rs user/Encounter.rs"), 15},
		{"clinician in a patient's context", with(merged(ward, map[string]any{"patient": "p012"}), "patient/*.rs"), 10},
		{"laboratory", with(laboratory, "system/Observation.rs system/DiagnosticReport.rs system/Patient.rs"), 50},
		{"nobody", with(map[string]any{"client_id": "ward-app"}, "user/*.rs"), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := e.readable(t, c.token)
			if len(seen) < c.least || len(seen) > len(e.refs)*9/10 {
				t.Errorf("%d of %d resources are visible", len(seen), len(e.refs))
			}
			e.byBatch(t, c.token, seen)
			e.byHistory(t, c.token, seen)
			e.bySearch(t, c.token, seen)
			e.byCompartment(t, c.token, seen)
			e.byInclude(t, c.token, seen)
			e.byEverything(t, c.token, seen)
		})
	}
	t.Run("researcher", func(t *testing.T) {
		e.byView(t, with(map[string]any{"client_id": "research-app", "roles": []string{"researcher"}, "organization": "university", "purpose_of_use": "HRESCH"}, "user/*.rs"))
	})
	t.Run("export", func(t *testing.T) {
		token := with(laboratory, "system/Observation.rs system/DiagnosticReport.rs system/Patient.rs")
		e.byExport(t, token, e.readable(t, token))
	})
}

func merged(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// readable reads one after the other.
func (e *equivalents) readable(t *testing.T, token string) (seen []string) {
	for _, ref := range e.refs {
		switch got := e.get("/"+ref, token); got.status {
		case http.StatusOK:
			seen = append(seen, ref)
		case http.StatusNotFound, http.StatusForbidden:
		default:
			t.Fatalf("read %s: %d %s", ref, got.status, got.body)
		}
	}
	return seen
}
