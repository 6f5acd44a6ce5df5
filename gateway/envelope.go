package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"

	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
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
