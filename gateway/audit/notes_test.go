package audit

import (
	"reflect"
	"testing"
)

// Notes, and what policy was asked, both end the part of the log; whichever of
// them a record has, it reads as it was written.
func TestNotesBesideBases(t *testing.T) {
	nobody := Entry{Effect: Released, Type: "Practitioner", ID: "7"}
	somebody := Entry{Effect: Released, Type: "Observation", ID: "1", Patients: []string{"Patient/1"}}
	based := nobody
	based.Basis = []byte("basis")
	notes := []Note{{"emergency", "e1"}, {"what", ""}}
	for name, want := range map[string]*Record{
		"notes alone":                       {Kind: Outcome, Notes: notes},
		"an intent":                         {Kind: Intent, Notes: notes, Patients: []string{"Patient/1"}},
		"of nobody":                         {Kind: Outcome, Notes: notes, Entries: []Entry{nobody, nobody}},
		"of somebody and of nobody":         {Kind: Outcome, Notes: notes, Entries: []Entry{somebody, nobody}},
		"beside a basis":                    {Kind: Outcome, Notes: notes, Asked: []byte("asked"), Entries: []Entry{based, nobody}},
		"beside a basis, of somebody":       {Kind: Outcome, Notes: notes, Asked: []byte("asked"), Entries: []Entry{somebody, based}},
		"a basis alone":                     {Kind: Outcome, Asked: []byte("asked"), Entries: []Entry{based}},
		"neither":                           {Kind: Outcome, Entries: []Entry{nobody}},
		"a notice":                          {Kind: Notice, Notes: notes},
		"a notice about somebody":           {Kind: Notice, Notes: notes, Patients: []string{"Patient/1"}},
		"an outcome of a part of the trail": {Kind: Part, Notes: notes, Entries: []Entry{nobody}},
	} {
		dir := t.TempDir()
		l := mustOpen(t, testOptions(dir))
		mustAppend(t, l, want)
		mustClose(t, l)
		r, err := OpenReader(dir, testKey)
		if err != nil {
			t.Fatal(err)
		}
		var list []*Record
		for rec, err := range r.All() {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			list = append(list, rec)
		}
		got := list[1] // behind audit.opened
		if !reflect.DeepEqual(got.Notes, want.Notes) || string(got.Asked) != string(want.Asked) || len(got.Entries) != len(want.Entries) {
			t.Errorf("%s: %+v", name, got)
		}
		for i := range got.Entries {
			if string(got.Entries[i].Basis) != string(want.Entries[i].Basis) || got.Entries[i].ID != want.Entries[i].ID {
				t.Errorf("%s: entry %d is %+v", name, i, got.Entries[i])
			}
		}
	}
}
