package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/upstream"
)

// maxRefill is how many upstream pages are read for one page of an answer:
// pages on which nothing is visible are passed over, since an empty page
// that is not the last tells that something is hidden.
const maxRefill = 10

// search answers whatever brings a Bundle of resources: searches, histories
// and $everything. The answer is judged window by window; one that fits a
// window is judged whole before its status line is written.
func (x *exchange) search(ctx context.Context, m *matter, out output) error {
	if err := x.countable(m); err != nil {
		return err
	}
	if err := x.hops(ctx, m); err != nil {
		return err
	}
	b := &bundle{x: x, m: m, out: out, kind: bundleType(m.access), buf: buffers.Get().(*bytes.Buffer)}
	defer b.recycle()
	if m.empty {
		return b.finish(ctx, &judge.Window{First: true, Last: true}, "")
	}
	target := m.cursor
	if target == "" {
		m.printed = upstreamForm(m.access).Target()
		target = m.printed
	}
	for range maxRefill {
		next, err := x.onePage(ctx, m, b, target)
		if err != nil {
			return err
		}
		if b.done {
			return nil
		}
		target = next
	}
	return &failure{status: http.StatusUnprocessableEntity, code: "search.too-broad",
		text: "Too little of what matches is visible to you. Narrow the search, for instance by patient or date."}
}

// onePage reads one upstream page into the answer. It returns the target of
// the page after it where nothing of this one was visible.
func (x *exchange) onePage(ctx context.Context, m *matter, b *bundle, target string) (next string, err error) {
	answer, err := x.forward(ctx, m, m.request(target))
	if err != nil {
		return "", err
	}
	if answer.Status != http.StatusOK {
		defer discard(answer)
		if m.access.Interaction == fhir.SearchCompartment && answer.Status == http.StatusNotFound {
			// The patient does not exist: the same as one whose records are
			// all hidden.
			return "", b.finish(ctx, &judge.Window{First: true, Last: true}, "")
		}
		return "", x.searchStatus(answer)
	}
	r, err := x.court(m).Open(answer.Body, x.expect(ctx, m), x.s.windows())
	if err != nil {
		return "", internal(err)
	}
	defer r.Recycle()
	for {
		w, err := r.Next(ctx)
		if err != nil {
			return "", x.brokenPage(b, err)
		}
		x.watchNarrowing(m, w)
		link := ""
		if w.Last {
			link = x.nextTarget(r)
		}
		switch {
		case w.Last && link != "" && !b.began && !visible(w):
			x.noteWindow(w)
			return link, nil
		case w.Last:
			return "", b.finish(ctx, w, link)
		case b.began || visible(w):
			err = b.stream(ctx, w)
		default:
			x.noteWindow(w)
		}
		if err != nil {
			return "", err
		}
	}
}

// request is the search as it is sent. What is too long for a URL is posted;
// an upstream's own page link is followed as it stands.
func (m *matter) request(target string) upstream.Request {
	r := upstream.Request{Method: http.MethodGet, Target: target}
	a := m.access
	if a.Interaction == fhir.Operation {
		if a.Method == http.MethodPost {
			r.Method, r.Body, r.ContentType = http.MethodPost, a.Body, fhirJSON
		}
		return r
	}
	path, query, _ := strings.Cut(target, "?")
	if target == m.printed && len(query) > longURL && a.Type != "" && bundleType(a) == "searchset" {
		r = upstream.Request{Method: http.MethodPost, Target: path + "/_search", Body: []byte(query), ContentType: "application/x-www-form-urlencoded"}
	}
	return r
}

// brokenPage is an answer that ended badly: before the status line it is a
// 502, after it the connection is reset.
func (x *exchange) brokenPage(b *bundle, err error) error {
	if errors.Is(err, judge.ErrMalformed) {
		return badUpstream(err)
	}
	return internal(err)
}

func (x *exchange) searchStatus(a *upstream.Answer) error {
	switch a.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return &failure{status: http.StatusBadRequest, code: "search.unsupported", log: fmt.Errorf("upstream status %d", a.Status),
			text: "The FHIR server behind the gateway does not support this search. Use fewer or other parameters; /metadata lists them."}
	case http.StatusNotFound, http.StatusGone:
		return absent(fmt.Errorf("upstream status %d", a.Status))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return upstreamBusy(a)
	}
	return badUpstream(fmt.Errorf("upstream status %d", a.Status))
}

// countable refuses to say how many rows match where some of them may be
// hidden: two counts that differ by one criterion single out a row.
func (x *exchange) countable(m *matter) error {
	r := m.access.Results
	if r.Total != "accurate" && r.Total != "estimate" && r.Summary != "count" {
		return nil
	}
	if r.Total == "estimate" && r.Summary != "count" {
		return nil // it is left out, which _total=estimate allows
	}
	return &failure{status: http.StatusForbidden, code: "search.count",
		text: "A count would tell of resources that you may not see. Leave out _total and _summary=count; Bundle.total is given where the whole result is yours."}
}

func bundleType(a *fhir.Access) string {
	switch a.Interaction {
	case fhir.HistoryInstance, fhir.HistoryType, fhir.HistorySystem:
		return "history"
	}
	return "searchset"
}

// expect says which entries the answer to a matter may hold.
func (x *exchange) expect(ctx context.Context, m *matter) judge.Expect {
	a := m.access
	e := judge.Expect{Type: bundleType(a), Matches: a.Type}
	switch {
	case a.Interaction == fhir.Operation:
		e.Matches = "" // $everything: any type, each judged by itself
	case e.Type == "history":
		e.History = true
		if a.Interaction != fhir.HistoryInstance {
			e.Current = func(ctx context.Context, refs []fhir.Ref) (map[fhir.Ref]bool, error) {
				return x.currentOf(ctx, m, refs)
			}
		}
	case a.Type != "" && len(a.Results.Include)+len(a.Results.RevInclude) == 0:
		e.Includes = map[string]bool{} // nothing was to be included
	}
	return e
}

func visible(w *judge.Window) bool {
	for _, it := range w.Items {
		if it.Released != nil || it.ViewErr != nil {
			return true
		}
	}
	return false
}

func (x *exchange) noteWindow(w *judge.Window) {
	for _, it := range w.Items {
		if it.Verdict.Allow {
			x.released(it)
		} else {
			x.withheld(it)
		}
	}
}

// nextTarget is the upstream's next page, if it lies on the upstream: a link
// to another host is dropped with an alarm, never followed (H-04).
func (x *exchange) nextTarget(r *judge.Reading) string {
	link := r.Link("next")
	if link == "" {
		return ""
	}
	target, ok := x.s.up.Below(link)
	if !ok {
		x.alarm("upstream.foreign-link")
		return ""
	}
	return target
}

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
	matches int // released, includes apart
	buf     *bytes.Buffer
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
	b.buf.Reset()
	if !b.began {
		b.buf.WriteString(`{"resourceType":"Bundle","type":"` + b.kind + `","entry":[`)
	}
	b.addEntries(w)
	b.matches += matches(w)
	if err := b.x.part(ctx); err != nil {
		return err
	}
	b.charge(w)
	if !b.began {
		b.began = true
		b.w = b.out.begin(head{status: http.StatusOK, contentType: fhirJSON, length: -1})
	}
	_, err := b.w.Write(b.buf.Bytes())
	return clientGone(err)
}

// finish releases the last window and closes the document.
func (b *bundle) finish(ctx context.Context, w *judge.Window, next string) error {
	b.done = true
	links, err := b.links(next)
	if err != nil {
		return err
	}
	b.buf.Reset()
	if b.began {
		b.addEntries(w)
		b.matches += matches(w)
		b.buf.WriteString(`]` + b.total(next) + `,"link":` + links + `}`)
	} else {
		b.whole(w, links, next)
	}
	b.x.outcome(http.StatusOK, "ok")
	if err := b.x.commit(ctx); err != nil {
		return err
	}
	b.charge(w)
	if !b.began {
		b.w = b.out.begin(head{status: http.StatusOK, contentType: fhirJSON, length: int64(b.buf.Len())})
	}
	_, err = b.w.Write(b.buf.Bytes())
	return clientGone(err)
}

// whole composes an answer that is released at once.
func (b *bundle) whole(w *judge.Window, links, next string) {
	b.matches = matches(w)
	b.buf.WriteString(`{"resourceType":"Bundle","type":"` + b.kind + `"` + b.total(next) + `,"link":` + links)
	mark := b.buf.Len()
	b.buf.WriteString(`,"entry":[`)
	if b.addEntries(w); b.entries == 0 {
		b.buf.Truncate(mark) // FHIR allows no empty array
	} else {
		b.buf.WriteByte(']')
	}
	b.buf.WriteByte('}')
}

// total counts what was released, where that is the whole result. Whether it
// is told depends on nothing that is hidden: neither on rows withheld here nor
// on pages that were passed over.
func (b *bundle) total(next string) string {
	if next != "" || b.m.cursor != "" || b.m.access.Results.Total == "none" {
		return ""
	}
	return `,"total":` + strconv.Itoa(b.matches)
}

func matches(w *judge.Window) int {
	n := 0
	for _, it := range w.Items {
		if it.Released != nil && it.Mode != "include" {
			n++
		}
	}
	return n
}

func (b *bundle) charge(w *judge.Window) {
	var patients []string
	n := 0
	for _, it := range w.Items {
		if it.Released != nil {
			n++
			patients = append(patients, it.Verdict.Facts.Patients...)
		}
	}
	b.x.charge(n, b.buf.Len(), patients)
}

const viewFailed = `{"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"suppressed",` +
	`"details":{"coding":[{"system":"` + outcomeSystem + `","code":"view.failed"}],"text":"A resource could not be brought into the form that you may see."}}]},"search":{"mode":"outcome"}}`

// addEntries appends what the window releases, and notes all of it.
func (b *bundle) addEntries(w *judge.Window) {
	b.x.roomFor(len(w.Items))
	for _, it := range w.Items {
		if it.ViewErr != nil {
			b.comma()
			b.buf.WriteString(viewFailed)
		}
		if it.Released == nil {
			b.x.withheld(it)
			continue
		}
		b.comma()
		b.entry(it)
		b.x.released(it)
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
	name := it.Verdict.Facts.Type + "/" + it.PublicID
	b.buf.Grow(len(it.Released) + len(b.x.s.publicURL) + 2*len(name) + 64)
	b.buf.WriteString(`{"fullUrl":`)
	b.buf.Write(wire.Quote(b.buf.AvailableBuffer(), b.x.s.publicURL+"/"+name))
	b.buf.WriteString(`,"resource":`)
	b.buf.Write(it.Released)
	if b.kind == "history" {
		b.history(it, name)
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
