package gateway

import (
	"context"
	"net/http"
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
func (m *matter) thin(w *judge.Window, at place, link string) (place, bool) {
	rows, n := m.rows(w)
	if !w.First || n == rows || w.Last && link == "" || !w.Last && !m.hasAllRows(w) {
		return place{}, false
	}
	size := rows // a server that gives less than it is asked for does so where nothing is hidden, too
	if c := m.access.Results.Count; c != nil {
		size = min(size, *c)
	}
	if at.Size = size; at.Target == "" && (m.access.Interaction != fhir.Operation || m.access.Results.Count != nil) {
		at.Wide = windowEntries
		if n > 0 {
			at.Wide = min(windowEntries, 2*size*rows/n)
		}
	}
	return at, true
}

// rows counts the rows of a window, and those that are shown: what is included
// goes with its match.
func (m *matter) rows(w *judge.Window) (rows, visible int) {
	for _, it := range w.Items {
		if m.including() && it.Mode == "include" {
			continue
		}
		if rows++; it.Shown() {
			visible++
		}
	}
	return rows, visible
}

// hasAllRows tells of the first window of several that what follows is included:
// the matches stand in front.
func (m *matter) hasAllRows(w *judge.Window) bool {
	return m.including() && len(w.Items) > 0 && w.Items[len(w.Items)-1].Mode == "include"
}

func (m *matter) including() bool {
	return len(m.access.Results.Include)+len(m.access.Results.RevInclude) > 0
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
	b.once = map[fhir.Ref]bool{}
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
	part := &judge.Part{Skip: at.Skip, Room: at.Size - b.rows, Bytes: b.x.s.windows().Window - int64(b.buf.Len())}
	r, err := x.partAt(ctx, m, at, part)
	if err != nil || r == nil {
		return place{}, 0, err
	}
	defer r.Recycle()
	for { // to its end: an answer that breaks off is none
		w, err := r.Next(ctx)
		if err != nil {
			return place{}, 0, x.brokenPage(b, err)
		}
		x.watchNarrowing(m, w)
		b.addEntries(w)
		if int64(b.buf.Len()) > maxIncluded*b.x.s.windows().Window {
			return place{}, 0, tooMuchIncluded()
		}
		if rows += len(w.Items); !w.Last {
			continue
		}
		if part.Next > 0 {
			return place{Target: at.Target, Wide: at.Wide, Skip: part.Next}, rows, nil
		}
		if link := x.nextTarget(r); link != "" {
			next = place{Target: link}
		}
		return next, rows, nil
	}
}

// maxIncluded bounds what is held of a page that is filled, in windows. Matches
// fit one; what is included with them need not.
const maxIncluded = 4

func tooMuchIncluded() error {
	return &failure{status: http.StatusUnprocessableEntity, code: "search.too-broad",
		text: "What is included with the matches is too much for one page. Ask for fewer matches by _count."}
}

func (b *bundle) full(size int) bool {
	return b.rows >= size || int64(b.buf.Len()) >= b.x.s.windows().Window
}
