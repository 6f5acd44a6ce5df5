//go:build real

package real

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the server holds, by reference, and what each refers to.
type linked struct {
	resource
	Encounter struct{ Reference string }
}

var kinds = []string{"Patient", "Observation", "Encounter", "DocumentReference", "Organization"}

// held asks the server itself for all of a target.
func held(t *testing.T, target string) map[string]linked {
	t.Helper()
	all := map[string]linked{}
	for target = hapi.url + target; target != ""; {
		text, err := directly(http.MethodGet, target, "")
		if err != nil {
			t.Fatal(err)
		}
		var b struct {
			Link  []struct{ Relation, URL string }
			Entry []struct{ Resource linked }
		}
		answer{body: text}.into(t, &b)
		for _, e := range b.Entry {
			all[e.Resource.ref()] = e.Resource
		}
		target = ""
		for _, l := range b.Link {
			if l.Relation == "next" {
				target = l.URL
			}
		}
	}
	return all
}

// The same access by every way shows the same: what a read gives. The stub's
// equivalence test is wider; this one is about a server that pages, includes and
// exports in its own way.
func TestEveryWaySeesTheSame(t *testing.T) {
	all := map[string]linked{}
	for _, kind := range kinds {
		maps.Copy(all, held(t, "/"+kind+"?_count=200"))
	}
	for _, c := range []struct {
		name, token string
		least       int
	}{
		{"patient", patient(t, patientApp), 4},
		{"clinician", user(t, "ann", userReads), 140},
		{"service", backend(t), 150},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &ways{all: all, token: c.token}
			e.read(t)
			if len(e.seen) < c.least || len(e.seen) == len(all) {
				t.Errorf("%d of %d are visible", len(e.seen), len(all))
			}
			e.batch(t)
			e.search(t)
			e.histories(t)
			e.includes(t)
			e.everything(t)
			if c.name == "service" {
				e.export(t)
			}
		})
	}
}

// ways are one caller's to what the server holds.
type ways struct {
	all   map[string]linked
	token string
	seen  []string
}

// of are those that are visible and that keep says are meant, in order.
func (e *ways) of(keep func(linked) bool) (refs []string) {
	for _, ref := range e.seen {
		if keep(e.all[ref]) {
			refs = append(refs, ref)
		}
	}
	return refs
}

func (e *ways) kind(kind string) []string {
	return e.of(func(r linked) bool { return r.ResourceType == kind })
}

func equal(t *testing.T, way string, got, want []string) {
	t.Helper()
	got = slices.Compact(slices.Sorted(slices.Values(got)))
	without := func(some, others []string) []string {
		return slices.DeleteFunc(slices.Clone(some), func(s string) bool { return slices.Contains(others, s) })
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v more, and lacks %v; %d for %d", way, without(got, want), without(want, got), len(got), len(want))
	}
}

func (e *ways) read(t *testing.T) {
	for ref := range e.all {
		switch a := get(t, "/"+ref, e.token); a.status {
		case http.StatusOK:
			e.seen = append(e.seen, ref)
		case http.StatusNotFound, http.StatusForbidden:
		default:
			t.Fatalf("read %s: %d %.300s", ref, a.status, a.body)
		}
	}
	slices.Sort(e.seen)
}

// inBatch sends requests as one batch and gives its entries.
func (e *ways) inBatch(t *testing.T, urls []string) bundle {
	t.Helper()
	entries := make([]string, len(urls))
	for i, u := range urls {
		entries[i] = `{"request":{"method":"GET","url":"` + u + `"}}`
	}
	return send(t, http.MethodPost, "", e.token, `{"resourceType":"Bundle","type":"batch","entry":[`+strings.Join(entries, ",")+`]}`).bundle(t)
}

func (e *ways) batch(t *testing.T) {
	var got []string
	for some := range slices.Chunk(slices.Sorted(maps.Keys(e.all)), 100) {
		for i, x := range e.inBatch(t, some).Entry {
			if strings.HasPrefix(x.Response.Status, "200") && x.Resource.ref() == some[i] {
				got = append(got, some[i])
			}
		}
	}
	equal(t, "batch", got, e.seen)
}

func (e *ways) search(t *testing.T) {
	for _, kind := range kinds {
		posted := send(t, http.MethodPost, "/"+kind+"/_search", e.token, "_count=37", "Content-Type", "application/x-www-form-urlencoded")
		counted := get(t, "/"+kind+"?_summary=count", e.token)
		if a := get(t, "/"+kind, e.token); a.status == http.StatusForbidden {
			posted.want(t, http.StatusForbidden)
			counted.want(t, http.StatusForbidden)
			equal(t, kind+" refused", nil, e.kind(kind))
			continue
		}
		got, _ := pages(t, "/"+kind+"?_count=7", e.token)
		equal(t, kind+" by GET", got, e.kind(kind))
		b := posted.bundle(t)
		got = nil
		for _, x := range b.Entry {
			got = append(got, x.Resource.ref())
		}
		if next := b.next(); next != "" {
			more, _ := pages(t, next, e.token)
			got = append(got, more...)
		}
		equal(t, kind+" by POST", got, e.kind(kind))
		if counted.status == http.StatusOK && *counted.bundle(t).Total != len(e.kind(kind)) {
			t.Errorf("%s: %d are counted of %d", kind, *counted.bundle(t).Total, len(e.kind(kind)))
		}
	}
	for _, patient := range []string{"p1", "p2", "p39", "p50"} {
		want := e.of(func(r linked) bool {
			return r.ResourceType == "Observation" && r.Subject.Reference == "Patient/"+patient
		})
		for _, target := range []string{"/Observation?patient=" + patient, "/Patient/" + patient + "/Observation", "/Observation?subject:Patient._id=" + patient} {
			if a := get(t, target, e.token); a.status == http.StatusForbidden {
				equal(t, target+" refused", nil, want)
				continue
			}
			got, _ := pages(t, target, e.token)
			equal(t, target, got, want)
		}
	}
}

func (e *ways) histories(t *testing.T) {
	var got, want []string
	for i, ref := range slices.Sorted(maps.Keys(e.all)) {
		if i%5 != 0 {
			continue
		}
		if slices.Contains(e.seen, ref) {
			want = append(want, ref)
		}
		if get(t, "/"+ref+"/_history/1", e.token).status == http.StatusOK != slices.Contains(e.seen, ref) {
			t.Errorf("vread of %s is not as its read", ref)
		}
		if a := get(t, "/"+ref+"/_history", e.token); a.status == http.StatusOK {
			for _, x := range a.bundle(t).Entry {
				got = append(got, x.Resource.ref())
			}
		}
	}
	equal(t, "histories", got, want)
	if len(e.kind("Patient")) == 0 {
		return
	}
	got, _ = pages(t, "/Patient/_history?_count=20", e.token)
	equal(t, "history of patients", got, e.kind("Patient"))
}

func (e *ways) includes(t *testing.T) {
	meant := map[string]bool{}
	for _, ref := range e.kind("Observation") {
		meant[ref], meant[e.all[ref].Subject.Reference], meant[e.all[ref].Encounter.Reference] = true, true, true
	}
	target := "/Observation?_count=50&_include=Observation:subject:Patient&_include=Observation:encounter"
	if get(t, target, e.token).status == http.StatusForbidden { // some type is not for this caller
		delete(meant, "")
		for ref := range meant {
			meant[ref] = !strings.HasPrefix(ref, "Encounter/")
		}
		target = "/Observation?_count=50&_include=Observation:subject:Patient"
	}
	got, _ := pages(t, target, e.token)
	equal(t, "_include", got, e.of(func(r linked) bool { return meant[r.ref()] }))
	got, _ = pages(t, "/Patient?_count=10&_revinclude=Observation:subject", e.token)
	equal(t, "_revinclude", got, e.of(func(r linked) bool {
		return r.ResourceType == "Patient" || r.ResourceType == "Observation" && slices.Contains(e.seen, r.Subject.Reference)
	}))
}

func (e *ways) everything(t *testing.T) {
	for _, patient := range []string{"p1", "p2", "p39", "p50"} {
		a := get(t, "/Patient/"+patient+"/$everything", e.token)
		if a.status != http.StatusOK {
			if slices.Contains(e.seen, "Patient/"+patient) && a.status != http.StatusForbidden {
				t.Errorf("$everything of %s: %d %.300s", patient, a.status, a.body)
			}
			continue
		}
		got, _ := pages(t, "/Patient/"+patient+"/$everything", e.token)
		got = slices.DeleteFunc(got, func(ref string) bool { _, known := e.all[ref]; return !known }) // of other types
		inside := held(t, "/Patient/"+patient+"/$everything?_count=200")
		equal(t, "$everything of "+patient, got, e.of(func(r linked) bool { _, in := inside[r.ref()]; return in }))
	}
}

// export follows a bulk export from its kick-off to its files.
func (e *ways) export(t *testing.T) {
	kickoff := send(t, http.MethodGet, "/$export?_type=Observation,Patient", e.token, "", "Prefer", "respond-async", "Accept", "application/fhir+json").want(t, http.StatusAccepted)
	job := kickoff.header.Get("Content-Location")
	if !strings.HasPrefix(job, gate.base+"/") {
		t.Fatalf("the job is at %q", job)
	}
	get(t, job, user(t, "stella", userReads)).want(t, http.StatusNotFound) // a handle is for its client
	var manifest struct{ Output []struct{ Type, URL string } }
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Second) {
		a := get(t, job, e.token)
		if a.status == http.StatusAccepted && time.Now().Before(deadline) {
			continue
		}
		a.want(t, http.StatusOK).into(t, &manifest)
		break
	}
	var got []string
	for _, f := range manifest.Output {
		a := send(t, http.MethodGet, f.URL, e.token, "", "Accept", "application/fhir+ndjson").want(t, http.StatusOK)
		for line := range strings.Lines(a.body) {
			var r resource
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%s: %v", f.Type, err)
			}
			got = append(got, r.ref())
		}
	}
	equal(t, "export", got, e.seen)
}
