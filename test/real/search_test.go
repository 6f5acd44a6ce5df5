//go:build real

package real

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestSearchSeesWhatMayBeSeen(t *testing.T) {
	got, count := pages(t, "/Patient?_count=7", user(t, "ann", userReads))
	want := visible()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if count < 5 {
		t.Errorf("%d pages of 7 for %d patients", count, len(want))
	}
}

// A patient's search is narrowed, so that its pages are full.
func TestPatientSearchIsNarrowed(t *testing.T) {
	token := patient(t, patientApp)
	b := get(t, "/Observation?_count=2", token).bundle(t)
	if len(b.Entry) != 2 {
		t.Errorf("%d entries on a page of 2", len(b.Entry))
	}
	got, _ := pages(t, "/Observation?_count=2", token)
	slices.Sort(got)
	// restricted: R is not for patients' apps; sealed: for nobody
	if want := []string{"Observation/o1a", "Observation/o1b"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, _ := pages(t, "/Patient", token); !slices.Equal(got, []string{"Patient/p1"}) {
		t.Errorf("patients: %v", got)
	}
	if got, _ := pages(t, "/Patient?_id=p2", token); len(got) != 0 {
		t.Errorf("another patient: %v", got)
	}
	if got, _ := pages(t, "/Observation?patient=p2", token); len(got) != 0 {
		t.Errorf("another patient's: %v", got)
	}
}

func TestSearchByPost(t *testing.T) {
	ann := user(t, "ann", userReads)
	a := send(t, http.MethodPost, "/Patient/_search?gender=female", ann, "identifier=http%3A%2F%2Fhospital.example%2Fmrn%7CMRN-3", "Content-Type", "application/x-www-form-urlencoded")
	b := a.bundle(t)
	if len(b.Entry) != 1 || b.Entry[0].Resource.ID != "p3" {
		t.Errorf("%s", a.body)
	}
}

func TestIncludes(t *testing.T) {
	ann := user(t, "ann", userReads)
	modes := func(b bundle) (out []string) {
		for _, e := range b.Entry {
			out = append(out, e.Search.Mode+" "+e.Resource.ref())
		}
		slices.Sort(out)
		return out
	}
	got := modes(get(t, "/Observation?_id=o1a&_include=Observation:subject&_include=Observation:encounter", ann).bundle(t))
	if want := []string{"include Encounter/e1", "include Patient/p1", "match Observation/o1a"}; !slices.Equal(got, want) {
		t.Errorf("_include: %v", got)
	}
	got = modes(get(t, "/Patient?_id=p4&_revinclude=Observation:subject", ann).bundle(t))
	if want := []string{"include Observation/o4a", "include Observation/o4b", "match Patient/p4"}; !slices.Equal(got, want) {
		t.Errorf("_revinclude: %v", got)
	}
	// a scope for observations alone does not include patients
	narrow := patient(t, "launch/patient fhirUser patient/Observation.rs")
	get(t, "/Observation?_include=Observation:subject", narrow).want(t, http.StatusForbidden)
}

func TestChainsAndModifiers(t *testing.T) {
	ann := user(t, "ann", userReads)
	for target, want := range map[string][]string{
		"/Observation?subject:Patient.identifier=MRN-6":                                    {"Observation/o6a", "Observation/o6b"},
		"/Patient?_has:Observation:subject:_id=o8a":                                        {"Patient/p8"},
		"/Patient?family:exact=" + family + "9":                                            {"Patient/p9"},
		"/Patient?birthdate=eq1945-03-04":                                                  {"Patient/p15"},
		"/Observation?code=http://loinc.org%7C8867-4&subject=Patient/p5&date=ge2026-01-01": {"Observation/o5a", "Observation/o5b"},
	} {
		got, _ := pages(t, target, ann)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", target, got, want)
		}
	}
	get(t, "/Patient?favourite-colour=blue", ann).want(t, http.StatusBadRequest)
	get(t, "/Patient?name:frobnicate=x", ann).want(t, http.StatusBadRequest)
}

// A page link is bound to its caller (law 9).
func TestPageLinkIsForItsCaller(t *testing.T) {
	next := get(t, "/Patient?_count=3", user(t, "ann", userReads)).bundle(t).next()
	if !strings.HasPrefix(next, gate.base+"/_page/") {
		t.Fatalf("next link %q", next)
	}
	get(t, next, user(t, "stella", userReads)).want(t, http.StatusNotFound)
	get(t, next, "").want(t, http.StatusUnauthorized)
	get(t, next, user(t, "ann", userReads)).want(t, http.StatusOK)
}

func TestServiceSearchesByAgreement(t *testing.T) {
	got, _ := pages(t, "/Observation?_count=50", backend(t))
	if len(got) < 2*(people-2) {
		t.Errorf("%d observations", len(got))
	}
	if slices.Contains(got, "Observation/o39a") || slices.Contains(got, "Observation/o40a") || slices.Contains(got, "Observation/restricted") {
		t.Errorf("what consent or label withholds is among %v", got)
	}
}

// A clerk's search is narrowed to the one organization that the role opens, by
// what HAPI says that it can be searched by.
func TestClerkSearchIsNarrowed(t *testing.T) {
	got, count := pages(t, "/Patient?_count=5", user(t, "bill", userReads))
	want := visible()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || count != (len(want)+4)/5 {
		t.Errorf("got %v on %d pages\nwant %v", got, count, want)
	}
}
