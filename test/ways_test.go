package test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// The ways to what is visible; see equivalence_test.go.

func (e *equivalents) byBatch(t *testing.T, token string, seen []string) {
	found := map[string]string{}
	for some := range slices.Chunk(e.refs, 90) {
		var entries []string
		for _, ref := range some {
			entries = append(entries, `{"request":{"method":"GET","url":"`+ref+`"}}`)
		}
		got := e.do(http.MethodPost, "", token, `{"resourceType":"Bundle","type":"batch","entry":[`+strings.Join(entries, ",")+`]}`)
		for ref := range modesOf(t, got.body).modes {
			if strings.HasSuffix(ref, "/") {
				continue // a refused entry's outcome is apart
			}
			found[ref] = "match"
		}
	}
	same(t, "batch", found, "", seen)
}

func (e *equivalents) byHistory(t *testing.T, token string, seen []string) {
	found := map[string]string{}
	for _, ref := range e.refs {
		if got := e.get("/"+ref+"/_history", token); got.status == http.StatusOK {
			maps.Copy(found, modesOf(t, got.body).modes)
		}
		if got := e.get("/"+ref+"/_history/"+e.version(t, ref, token), token); (got.status == http.StatusOK) != slices.Contains(seen, ref) {
			t.Errorf("vread %s: %d", ref, got.status)
		}
	}
	same(t, "instance histories", found, "", seen)
	for _, typ := range e.types {
		n, query := e.size()
		first := e.get("/"+typ+"/_history?"+query, token)
		if first.status == http.StatusForbidden {
			same(t, typ+" history refused", nil, "", of(seen, typ))
			continue
		}
		same(t, typ+" history by "+query, e.all(t, typ+" history", token, first, n), "", of(seen, typ))
	}
}

// version is the one that the caller knows of a resource.
func (e *equivalents) version(t *testing.T, ref, token string) string {
	var r struct{ Meta struct{ VersionID string } }
	if got := e.get("/"+ref, token); got.status != http.StatusOK {
		return "1"
	} else if err := json.Unmarshal([]byte(got.body), &r); err != nil || r.Meta.VersionID == "" {
		t.Errorf("%s has no version: %v", ref, err)
	}
	return r.Meta.VersionID
}

func (e *equivalents) bySearch(t *testing.T, token string, seen []string) {
	for _, typ := range e.types {
		n, query := e.size()
		byGet, byPost := e.get("/"+typ+"?"+query, token), e.do(http.MethodPost, "/"+typ+"/_search", token, query, "Content-Type", "application/x-www-form-urlencoded")
		if byGet.status == http.StatusForbidden && byPost.status == http.StatusForbidden {
			same(t, typ+" refused", nil, "", of(seen, typ))
			continue
		}
		same(t, typ+" by "+query, e.all(t, typ, token, byGet, n), "match", of(seen, typ))
		same(t, typ+" posted by "+query, e.all(t, typ, token, byPost, n), "match", of(seen, typ))
		if got := e.get("/"+typ+"?_summary=count", token); got.status == http.StatusOK && told(got) != len(of(seen, typ)) {
			t.Errorf("%s: %d are counted, %d are visible", typ, told(got), len(of(seen, typ)))
		}
		entry := `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"` + typ + `?_count=1000"}}]}`
		var b struct {
			Entry []struct{ Resource json.RawMessage }
		}
		if err := json.Unmarshal([]byte(e.do(http.MethodPost, "", token, entry).body), &b); err != nil || len(b.Entry) != 1 {
			t.Fatalf("batch of a search: %v", err)
		}
		same(t, typ+" in a batch", modesOf(t, string(b.Entry[0].Resource)).modes, "match", of(seen, typ))
	}
}

func (e *equivalents) byCompartment(t *testing.T, token string, seen []string) {
	for _, patient := range of(e.refs, "Patient") {
		for _, typ := range []string{"Observation", "Condition", "CareTeam", "Appointment", "Patient"} {
			n, query := e.size()
			first := e.get("/"+patient+"/"+typ+"?"+query, token)
			want := e.visibleOf(t, "/"+patient+"/"+typ+"?_count=1000", seen)
			if first.status == http.StatusForbidden {
				same(t, patient+"/"+typ+" refused", nil, "", want)
				continue
			}
			same(t, patient+"/"+typ+" by "+query, e.all(t, patient+"/"+typ, token, first, n), "match", want)
		}
	}
}

// visibleOf is what the store itself finds, as far as it is visible.
func (e *equivalents) visibleOf(t *testing.T, target string, seen []string) []string {
	t.Helper()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(e.direct(t, target))), func(ref string) bool { return !slices.Contains(seen, ref) })
}

func (e *equivalents) byInclude(t *testing.T, token string, seen []string) {
	for _, query := range []string{"Observation?_include=Observation:subject", "Observation?_include=Observation:performer&_include=Observation:encounter",
		"Patient?_revinclude=Observation:subject", "Patient?_revinclude=Condition:subject&_revinclude=Encounter:subject",
		"Observation?_include=Observation:encounter&_include:iterate=Encounter:service-provider", "Organization?_revinclude=Encounter:service-provider"} {
		n, size := e.size()
		first := e.get("/"+query+"&"+size, token)
		if first.status == http.StatusForbidden {
			continue // a type that the scopes do not name, or policy never allows
		}
		typ, params, _ := strings.Cut(query, "?")
		got := e.all(t, query, token, first, n)
		same(t, query+" matches", got, "match", of(seen, typ))
		want := map[string]bool{}
		for _, ref := range of(seen, typ) {
			_, id, _ := strings.Cut(ref, "/")
			for included, mode := range e.direct(t, "/"+typ+"?_id="+url.QueryEscape(id)+"&"+params) {
				if mode == "include" && slices.Contains(seen, included) && !slices.Contains(of(seen, typ), included) {
					want[included] = true
				}
			}
		}
		same(t, query+" by "+size, got, "include", slices.Sorted(maps.Keys(want)))
	}
}

func (e *equivalents) byEverything(t *testing.T, token string, seen []string) {
	for _, patient := range of(e.refs, "Patient") {
		_, query := e.size()
		first := e.get("/"+patient+"/$everything?"+query, token)
		if first.status != http.StatusOK {
			if slices.Contains(seen, patient) && first.status != http.StatusForbidden {
				t.Errorf("%s/$everything: %d %s", patient, first.status, first.body)
			}
			continue
		}
		if !slices.Contains(seen, patient) {
			t.Errorf("%s/$everything is there", patient)
		}
		same(t, patient+"/$everything", e.all(t, patient+"/$everything", token, first, 0), "", e.visibleOf(t, "/"+patient+"/$everything", seen))
	}
}

func (e *equivalents) byExport(t *testing.T, token string, seen []string) {
	m := e.manifest(t, e.begin(t, "/$export", token), token)
	found := map[string]string{}
	for _, f := range m.Output {
		for line := range strings.Lines(e.get(below(t, f.URL), token).body) {
			var r struct{ ResourceType, ID string }
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%s: %v", f.Type, err)
			}
			found[r.ResourceType+"/"+r.ID] = "match"
		}
	}
	same(t, "export", found, "", seen)
}

// byView goes by what a search shows: a view gives other ids, by which the same
// is found again, and by no others.
func (e *equivalents) byView(t *testing.T, token string) {
	viewed := *e
	viewed.refs = nil
	for _, typ := range e.types {
		n, query := e.size()
		if first := e.get("/"+typ+"?"+query, token); first.status == http.StatusOK {
			viewed.refs = append(viewed.refs, slices.Collect(maps.Keys(e.all(t, typ, token, first, n)))...)
		}
	}
	slices.Sort(viewed.refs)
	if len(viewed.refs) < 100 {
		t.Errorf("%d resources are visible", len(viewed.refs))
	}
	same(t, "reads", listed(viewed.readable(t, token)), "", viewed.refs)
	viewed.byBatch(t, token, viewed.refs)
	viewed.byHistory(t, token, viewed.refs)
	viewed.bySearch(t, token, viewed.refs)
	viewed.aroundPatients(t, token)
	if real := e.readable(t, token); len(lacking(real, viewed.refs)) > 0 {
		t.Errorf("real ids lead to %v", real)
	}
}

func listed(refs []string) map[string]string {
	m := map[string]string{}
	for _, r := range refs {
		m[r] = "match"
	}
	return m
}

// aroundPatients holds searches of one patient's resources against each other.
func (e *equivalents) aroundPatients(t *testing.T, token string) {
	observed := map[string]string{}
	for _, patient := range of(e.refs, "Patient") {
		n, query := e.size()
		byParam := e.all(t, "by patient", token, e.get("/Observation?patient="+patient+"&"+query, token), n)
		maps.Copy(observed, byParam)
		inside := e.all(t, "in the compartment", token, e.get("/"+patient+"/Observation?"+query, token), n)
		want := slices.Sorted(maps.Keys(inside)) // those that the patient made of others among them
		if more := lacking(slices.Collect(maps.Keys(byParam)), want); len(more) > 0 {
			t.Errorf("the compartment lacks %v", more)
		}
		everything := slices.Sorted(maps.Keys(e.all(t, "$everything", token, e.get("/"+patient+"/$everything", token), 0)))
		same(t, "observations of everything", listed(of(everything, "Observation")), "", want)
		if more := lacking(everything, e.refs); len(more) > 0 {
			t.Errorf("$everything has %v", more)
		}
	}
	n, query := e.size()
	got := e.all(t, "included", token, e.get("/Observation?_include=Observation:subject&"+query, token), n)
	same(t, "including", got, "match", of(e.refs, "Observation"))
	for _, patient := range of(e.refs, "Patient") {
		if len(e.all(t, "of one", token, e.get("/Observation?_count=1&patient="+patient, token), 1)) > 0 != (got[patient] == "include") {
			t.Errorf("%s is included: %q", patient, got[patient])
		}
	}
	if more := lacking(slices.Collect(maps.Keys(observed)), of(e.refs, "Observation")); len(more) > 0 {
		t.Errorf("of patients: %v", more)
	}
}
