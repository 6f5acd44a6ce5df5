package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/view"
)

// bundle writes the answer's envelope.
type bundle struct {
	x       *exchange
	m       *matter
	out     output
	kind    string
	w       io.Writer
	began   bool
	done    bool
	entries int
	rows    int               // of these, what is included apart
	matches int               // released, includes apart
	once    map[fhir.Ref]bool // what was included before, where a page is made of several
	buf     *bytes.Buffer
	base    string    // how each fullUrl begins, quoted
	mark    watermark // of what was released

	uncharged int      // released, and not yet taken off the caller's limits
	patients  []string // of these
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// recycle leaves the buffer to another answer; a large one is let go.
func (b *bundle) recycle() {
	if b.buf.Reset(); b.buf.Cap() <= 1<<20 {
		buffers.Put(b.buf)
	}
}

// stream releases one window of an answer that is longer.
func (b *bundle) stream(ctx context.Context, w *judge.Window) error {
	if !b.began {
		b.buf.WriteString(`{"resourceType":"Bundle","type":"` + b.kind + `","entry":[`)
	}
	b.addEntries(w)
	if err := b.x.part(ctx); err != nil {
		return err
	}
	b.charge()
	if !b.began {
		b.began = true
		b.w = b.out.begin(head{status: http.StatusOK, contentType: fhirJSON, length: -1, notice: b.mark.header()})
	}
	_, err := b.w.Write(b.buf.Bytes())
	b.buf.Reset()
	return clientGone(err)
}

// close releases the entries that are left and ends the document. What was not
// streamed is released at once, total and links first.
func (b *bundle) close(ctx context.Context, next place) error {
	b.done = true
	links, err := b.links(next)
	if err != nil {
		return err
	}
	b.notices()
	first := ""
	switch {
	case b.began:
		b.buf.WriteString(`]` + b.mark.meta(b.x.caller.marks.Show) + b.total(next) + `,"link":` + links + `}`)
	case b.entries == 0: // FHIR allows no empty array
		b.buf.WriteString(b.opening(next, links) + `}`)
	default:
		first = b.opening(next, links) + `,"entry":[`
		b.buf.WriteString(`]}`)
	}
	b.x.outcome(http.StatusOK, "ok")
	if err := b.x.commit(ctx); err != nil {
		return err
	}
	b.charge()
	if !b.began {
		b.w = b.out.begin(head{status: http.StatusOK, contentType: fhirJSON, length: int64(len(first) + b.buf.Len()), notice: b.mark.header()})
	}
	if _, err = io.WriteString(b.w, first); err == nil {
		_, err = b.w.Write(b.buf.Bytes())
	}
	return clientGone(err)
}

func (b *bundle) opening(next place, links string) string {
	return `{"resourceType":"Bundle"` + b.mark.meta(b.x.caller.marks.Show) + `,"type":"` + b.kind + `"` + b.total(next) + `,"link":` + links
}

// total counts what was released, where that is the whole result, or what was
// counted. Whether it is told depends on nothing that is hidden: neither on rows
// withheld here nor on pages that were passed over. What was asked of the
// upstream wider than by the client is never counted.
func (b *bundle) total(next place) string {
	n, r := b.matches, b.m.access.Results
	switch whole := next == (place{}) && b.m.at == (place{}); {
	case b.m.count != nil && (!whole || r.Summary == "count"):
		n = *b.m.count
	case !whole, r.Total == "none", len(b.m.shown) > 0, b.m.view.SmallestCell() > 0:
		return ""
	}
	return `,"total":` + strconv.Itoa(n)
}

// charge takes what is released off the caller's limits.
func (b *bundle) charge() {
	b.x.charge(b.uncharged, b.buf.Len(), b.patients)
	b.uncharged, b.patients = 0, nil
}

const viewFailed = `{"resource":` + view.Withheld + `,"search":{"mode":"outcome"}}`

// addEntries appends what the window releases, and notes all of it.
func (b *bundle) addEntries(w *judge.Window) {
	b.x.roomFor(len(w.Items))
	b.patients = slices.Grow(b.patients, len(w.Items))
	for _, it := range w.Items {
		b.add(it)
	}
}

func (b *bundle) add(it *judge.Item) {
	if it.Beyond || b.hasIncluded(it) {
		return
	}
	if it.Shown() && !(b.m.including() && it.Mode == "include") {
		b.rows++
	}
	if it.ViewErr != nil {
		b.comma()
		b.buf.WriteString(viewFailed)
	}
	if it.Released == nil {
		b.x.withheld(it)
		return
	}
	b.comma()
	b.entry(it)
	b.mark.add(&it.Verdict.Facts)
	b.x.released(it)
	if it.Mode != "include" {
		b.matches++
	}
	b.uncharged++
	for _, p := range it.Verdict.Facts.Patients {
		if n := len(b.patients); n == 0 || b.patients[n-1] != p { // repeats count once
			b.patients = append(b.patients, p)
		}
	}
}

// hasIncluded tells of what comes with another page of the upstream's again.
func (b *bundle) hasIncluded(it *judge.Item) bool {
	if b.once == nil || it.Mode != "include" || it.Released == nil {
		return false
	}
	ref := fhir.Ref{Type: it.Verdict.Facts.Type, ID: it.Verdict.Facts.ID}
	had := b.once[ref]
	b.once[ref] = true
	return had
}

// notices ends a searchset with those of what it holds. A history has no place for
// them: there the header tells, and the labels of each version.
func (b *bundle) notices() {
	if b.kind != "searchset" {
		return
	}
	for _, text := range b.mark.notices {
		b.comma()
		b.buf.WriteString(`{"resource":`)
		b.buf.Write(noticeOutcome(text))
		b.buf.WriteString(`,"search":{"mode":"outcome"}}`)
	}
}

func (b *bundle) comma() {
	if b.entries++; b.entries > 1 {
		b.buf.WriteByte(',')
	}
}

// entry writes an entry anew: of the upstream's own nothing but the resource,
// the search mode and a history's times are taken over.
func (b *bundle) entry(it *judge.Item) {
	typ, id := it.Verdict.Facts.Type, it.PublicID
	b.buf.Grow(len(it.Released) + len(b.x.s.publicURL) + 2*(len(typ)+len(id)) + 64)
	b.buf.WriteString(`{"fullUrl":`)
	if b.base == "" {
		b.base = strings.TrimSuffix(string(wire.Quote(nil, b.x.s.publicURL)), `"`)
	}
	if b.buf.WriteString(b.base); fhir.ValidID(id) {
		b.buf.WriteByte('/')
		b.buf.WriteString(typ)
		b.buf.WriteByte('/')
		b.buf.WriteString(id)
		b.buf.WriteByte('"')
	} else {
		b.buf.Write(wire.Quote(b.buf.AvailableBuffer(), "/"+typ+"/"+id)[1:])
	}
	b.buf.WriteString(`,"resource":`)
	b.buf.Write(it.Released)
	if b.kind == "history" {
		b.history(it, typ+"/"+id)
	} else {
		b.buf.WriteString(`,"search":{"mode":"`)
		b.buf.WriteString(it.Mode)
		b.buf.WriteString(`"}`)
	}
	b.buf.WriteByte('}')
}

func (b *bundle) history(it *judge.Item, name string) {
	method, status := "PUT", "200"
	if it.Method == http.MethodPost {
		method, name, status = it.Method, it.Verdict.Facts.Type, "201"
	}
	b.buf.WriteString(`,"request":{"method":"` + method + `","url":`)
	b.buf.Write(wire.Quote(nil, name))
	b.buf.WriteString(`},"response":{"status":"` + status + `"}`)
}
