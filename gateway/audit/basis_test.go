package audit

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"
)

// replayable adds what policy read, partly the same for neighbours.
func replayable(r *Record) *Record {
	r.Asked = []byte("asked by Jane Canary")
	for i := range r.Entries {
		r.Entries[i].Basis = fmt.Appendf(nil, "facts %d", i/2)
	}
	return r
}

// What policy read comes back with the record, whoever it is about.
func TestBasisComesBack(t *testing.T) {
	mixed := searchPage(5)
	mixed.Entries[1].Patients = []string{"Patient/0000", "Patient/0003"}
	mixed.Entries[2].Patients = nil
	mixed.Entries[4].Patients = nil
	one := smallRead(1)
	one.Entries = append(one.Entries, one.Entries[0], one.Entries[0])
	nobody := &Record{Kind: Outcome, Request: "x", Time: time.Unix(5, 0).UTC(), Interaction: "search-type", Type: "Location"}
	for range 3 {
		nobody.Entries = append(nobody.Entries, Entry{Effect: Released, Type: "Location", ID: "l"})
	}
	for name, want := range map[string]*Record{"read": smallRead(1), "several of one patient": one, "page": searchPage(100), "mixed": mixed,
		"nobody": nobody, "refused early": {Kind: Outcome, Request: "r", Time: time.Unix(1, 0).UTC(), Type: "Patient", Interaction: "read"},
		"refused early, of a patient": {Kind: Outcome, Request: "r", Time: time.Unix(1, 0).UTC(), Type: "Patient", ID: "p", Interaction: "read"}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := mustOpen(t, testOptions(dir))
			mustAppend(t, l, replayable(want))
			got := mustRead(t, dir)
			got[0].Index = 0
			if !reflect.DeepEqual(got[0], want) {
				t.Errorf("got  %+v\nwant %+v", got[0], want)
			}
			mustClose(t, l)
			checkVerified(t, dir)
		})
	}
}

// An intent keeps nothing that its outcome keeps too.
func TestIntentKeepsNoBasis(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, testOptions(dir))
	defer mustClose(t, l)
	r := replayable(smallRead(1))
	r.Kind = Intent
	mustAppend(t, l, r)
	if got := mustRead(t, dir)[0]; got.Asked != nil || got.Entries[0].Basis != nil {
		t.Errorf("kept %q, %q", got.Asked, got.Entries[0].Basis)
	}
}

// Erasing a patient erases what policy read about that patient, and nobody
// else's; and what the request named with it.
func TestEraseTakesTheBasis(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, testOptions(dir))
	defer mustClose(t, l)
	mustAppend(t, l, replayable(searchPage(4)))
	if err := l.Erase(context.Background(), "Patient/0001"); err != nil {
		t.Fatal(err)
	}
	r := mustRead(t, dir)[0]
	if !r.Erased || r.Asked != nil || r.Entries[1].Basis != nil || string(r.Entries[0].Basis) != "facts 0" || string(r.Entries[3].Basis) != "facts 1" {
		t.Errorf("%+v", r)
	}
}

// What the caller has in common with a patient comes back, with and without what
// policy read, and leaves with the patient (issue 7.7, 7.8).
func TestSameIsThePatients(t *testing.T) {
	for name, asked := range map[string]bool{"alone": false, "behind what policy read": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := mustOpen(t, testOptions(dir))
			defer mustClose(t, l)
			r := searchPage(5)
			r.Entries[1].Patients = []string{"Patient/0000", "Patient/0003"}
			r.Entries[2].Patients = nil
			if asked {
				replayable(r)
			}
			r.Entries[0].Same, r.Entries[1].Same, r.Entries[4].Same = SameSurname, SameAddress, SameSurname|SameAddress
			mustAppend(t, l, r)
			got := mustRead(t, dir)[0]
			if got.Index = 0; !reflect.DeepEqual(got, r) {
				t.Errorf("got  %+v\nwant %+v", got, r)
			}
			if err := l.Erase(context.Background(), r.Entries[0].Patients[0]); err != nil {
				t.Fatal(err)
			}
			got = mustRead(t, dir)[0]
			if got.Entries[0].Same != 0 || got.Entries[1].Same != 0 || got.Entries[4].Same == 0 {
				t.Errorf("after the erasure: %+v", got.Entries)
			}
		})
	}
}
