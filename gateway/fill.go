package gateway

import (
	"context"
	"slices"

	"gatehouse/fhir"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/judge"
)

// place is where a page of an answer begins among the upstream's pages.
type place struct {
	Target string `json:"t,omitempty"` // the upstream's page link; "" is the search itself
	Size   int    `json:"n,omitempty"` // entries of the client's page, where pages are filled
	Wide   int    `json:"w,omitempty"` // rows that the search itself asks for then
	Skip   int    `json:"k,omitempty"` // rows of the upstream's page that are done
}

// targetAt is what is asked of the upstream for a place.
func (m *matter) targetAt(at place) string {
	if at.Target != "" {
		return at.Target
	}
	up := upstreamForm(m.access)
	if at.Wide > 0 {
		wide := *up
		wide.Results.Count = &at.Wide
		up = &wide
	}
	m.printed = up.Target()
	return m.printed
}

// thin tells of an upstream page that withholding leaves short, while there
// are more, where to begin so that the client's page is filled all the same:
// with the search itself on pages as much larger as rows are withheld, or with
// a page link that the upstream gave before.
func (m *matter) thin(w *judge.Window, at place) (place, bool) {
	if !m.fills() {
		return place{}, false
	}
	size, n := len(w.Items), shown(w)
	if c := m.access.Results.Count; c != nil {
		size = *c
	}
	if n == len(w.Items) || size > windowEntries {
		return place{}, false
	}
	if at.Size = size; at.Target == "" {
		at.Wide = windowEntries
		if n > 0 {
			at.Wide = min(windowEntries, 2*size*len(w.Items)/n)
		}
	}
	return at, true
}

// fills tells whether rows of several upstream pages may share a page: what is
// included belongs to the matches beside it.
func (m *matter) fills() bool {
	switch m.access.Interaction {
	case fhir.SearchType, fhir.SearchCompartment, fhir.SearchSystem:
		return len(m.access.Results.Include)+len(m.access.Results.RevInclude) == 0
	}
	return false
}

// One page of an answer is made of at most maxRows of the upstream's, where a
// page counts as leastRows at least.
const (
	maxRows   = maxRefill * windowEntries
	leastRows = 20
)

// fill makes one page of what is visible on several of the upstream's.
func (x *exchange) fill(ctx context.Context, m *matter, b *bundle, at place) error {
	size := at.Size
	for rows := 0; rows < maxRows; {
		next, n, err := x.fillFrom(ctx, m, b, at)
		if err != nil {
			x.unreleased()
			return err
		}
		rows += max(n, leastRows)
		if next != (place{}) {
			next.Size = size
		}
		if at = next; at == (place{}) || at.Skip > 0 || b.full(size) {
			return b.close(ctx, x.lookAhead(ctx, m, at))
		}
	}
	if b.entries > 0 {
		return b.close(ctx, at)
	}
	return tooLittle()
}

// unreleased takes back what was noted of entries that do not go out after all.
func (x *exchange) unreleased() {
	x.record.Entries = slices.DeleteFunc(x.record.Entries, func(e audit.Entry) bool { return e.Effect == audit.Released })
}

// fillFrom adds the rows of one upstream page, as far as there is room. It
// returns the place of the row that follows, none after the last, and how many
// rows the page had.
func (x *exchange) fillFrom(ctx context.Context, m *matter, b *bundle, at place) (next place, rows int, err error) {
	r, err := x.pageAt(ctx, m, at)
	if err != nil || r == nil {
		return place{}, 0, err
	}
	defer r.Recycle()
	for full := false; ; { // to its end: an answer that breaks off is none
		w, err := r.Next(ctx)
		if err != nil {
			return place{}, 0, x.brokenPage(b, err)
		}
		x.watchNarrowing(m, w)
		done := min(max(at.Skip-rows, 0), len(w.Items))
		if !full {
			done += b.take(w.Items[done:], at.Size)
			if full = done < len(w.Items); full {
				next = place{Target: at.Target, Wide: at.Wide, Skip: rows + done}
			}
		}
		if rows += len(w.Items); !w.Last {
			continue
		}
		if link := x.nextTarget(r); link != "" && !full {
			next = place{Target: link}
		}
		return next, rows, nil
	}
}

// take adds items until one that is shown finds no room, and tells how many.
func (b *bundle) take(items []*judge.Item, size int) int {
	b.x.roomFor(len(items))
	for i, it := range items {
		if isShown(it) && b.full(size) {
			return i
		}
		b.add(it)
	}
	return len(items)
}

func (b *bundle) full(size int) bool {
	return b.entries >= size || int64(b.buf.Len()) >= b.x.s.windows().Window
}
