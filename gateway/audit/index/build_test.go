package index

import (
	"errors"
	"fmt"
	"testing"

	"gatehouse/gateway/audit"
)

// A page may speak of hundreds of patients: what one transaction holds in memory is
// bounded by what it adds, not by the records that it is from.
func TestAdditionIsBounded(t *testing.T) {
	var everybody []string
	for i := range 500 {
		everybody = append(everybody, fmt.Sprint("Patient/", i))
	}
	page := &audit.Record{Kind: audit.Part, Entries: []audit.Entry{{Effect: audit.Released, Patients: everybody}}}
	a := addition{x: newWorld(t).index(), tags: map[string]int64{}}
	for range chunk {
		err := a.batch(audit.Batch{Records: []*audit.Record{page}})
		if errors.Is(err, errEnough) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.postings); n < most || n > most+len(everybody)+8 {
		t.Errorf("%d rows of %d records are one transaction", n, a.records)
	}
}
