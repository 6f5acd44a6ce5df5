package judge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/view"
)

// Limits bound what one answer may hold in memory.
type Limits struct {
	Resource int64 // bytes of one entry
	Window   int64 // bytes read ahead and judged together
	Entries  int   // entries of a window
}

// Expect says what the entries of an answer may be.
type Expect struct {
	Type                string          // "searchset" or "history"
	Matches             string          // the type of a match; "" for any
	Includes            map[string]bool // types that may come as included; nil for any
	History             bool
	Include, RevInclude []fhir.Include             // what was asked to be included
	Within              func(resource []byte) bool // a match must be; nil: no matter
	Part                *Part                      // of the matches; nil: all
	// Current tells for a window of history entries which resources the
	// caller may see as they are now; versions of others are withheld.
	Current func(ctx context.Context, refs []fhir.Ref) (map[fhir.Ref]bool, error)
}

// Reading is a Bundle being judged, window by window; only one window of it is
// in memory.
type Reading struct {
	court    *Court
	expect   Expect
	limits   Limits
	body     io.Closer
	bundle   wire.Bundle
	window   window
	plan     *fhir.EntryPlan
	expected string       // type that the plan reads the facts of
	attached *attachments // nil: nothing is included
	done     bool
	windows  int
	row      int // matches read so far
}

// Window is a judged part of an answer.
type Window struct {
	Items    []*Item // released and withheld, in the upstream's order
	Withheld int
	First    bool
	Last     bool // the document ended well after it
}

// Open begins to judge a Bundle.
func (c *Court) Open(held policy.Unjudged, e Expect, l Limits) (*Reading, error) {
	body, err := held.Open(c.Eval)
	if err != nil {
		return nil, err
	}
	r := readings.Get().(*Reading)
	r.court, r.expect, r.limits, r.body = c, e, l, body
	r.expected, r.plan = e.Matches, planFor(c.Version, e.Matches)
	r.attached = newAttachments(c, e)
	r.bundle.Reset(body, wire.Limits{Entry: l.Resource})
	return r, nil
}

var readings = sync.Pool{New: func() any { return new(Reading) }}

// Close ends the reading; the rest of the answer is not read.
func (r *Reading) Close() error { return r.body.Close() }

// Recycle closes the reading and leaves its memory to others: its windows, their
// items and the bytes of these are void.
func (r *Reading) Recycle() {
	_ = r.Close() // the rest of the answer is thrown away
	if !r.window.small() {
		return
	}
	r.window.holds = false
	r.window.begin()
	r.window.next = Item{}
	*r = Reading{bundle: r.bundle, window: r.window}
	r.bundle.Reset(nil, wire.Limits{})
	readings.Put(r)
}

// Link returns the upstream's link of a relation, once the document has ended.
func (r *Reading) Link(relation string) string { return Link(&r.bundle, relation) }

// Total is what the upstream says that it found, once the document has ended.
// It counts what the caller may not see, too. ok: it says so.
func (r *Reading) Total() (n int, ok bool) {
	n, err := strconv.Atoi(string(r.bundle.Member("total")))
	return n, err == nil && n >= 0
}

// Next reads, judges and returns the next window; io.EOF after the last.
func (r *Reading) Next(ctx context.Context) (*Window, error) {
	if r.done {
		return nil, io.EOF
	}
	if err := r.fill(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if r.done {
		if err := r.checkEnvelope(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	w := &Window{First: r.windows == 0, Last: r.done}
	r.windows++
	if err := r.judge(ctx, w); err != nil {
		return nil, err
	}
	return w, nil
}

// checkEnvelope holds the finished document to what was asked for.
func (r *Reading) checkEnvelope() error {
	if got := r.bundle.Member("resourceType"); string(got) != `"Bundle"` {
		return errors.New("the answer is not a Bundle")
	}
	if got := r.bundle.Member("type"); string(got) != `"`+r.expect.Type+`"` {
		return errors.New("the Bundle is not of type " + r.expect.Type)
	}
	return nil
}

// judge decides on the window's entries together.
func (r *Reading) judge(ctx context.Context, w *Window) error {
	items := r.window.items
	r.window.list = slices.Grow(r.window.list[:0], len(items))[:len(items)]
	w.Items = r.window.list
	for i := range items {
		w.Items[i] = &items[i]
		r.check(&items[i])
	}
	if r.expect.Current != nil {
		if err := r.current(ctx, w.Items); err != nil {
			return err
		}
	}
	r.court.pass(ctx, w, &r.window.room)
	if r.expect.Part != nil {
		r.choose(w)
	}
	if r.attached != nil {
		r.attached.hold(w, r.expect.Part)
	}
	return nil
}

// pass decides on the items of a window and makes what is released of them;
// room is where their views write.
func (c *Court) pass(ctx context.Context, w *Window, room *[]byte) {
	if c.Timed != nil {
		defer c.Timed()()
	}
	c.Weigh(ctx, w.Items)
	c.room = (*room)[:0]
	defer func() { *room, c.room = c.room[:0], nil }()
	for _, it := range w.Items {
		if it.Verdict.Allow && !c.Assured(it.Verdict.Decision.Obligations.StepUp) {
			it.Verdict.Allow, it.Verdict.Reason = false, "policy.step-up"
		}
		if it.Verdict.Allow && c.asksHidden(it) {
			it.Verdict.Allow, it.Verdict.Reason = false, "view.parameter-hidden"
		}
		if it.Verdict.Allow {
			c.releaseOne(it)
		}
		if !it.Verdict.Allow {
			w.Withheld++
		}
	}
}

// releaseOne withholds what its view fails on.
func (c *Court) releaseOne(it *Item) {
	err := c.release(it)
	if err == nil {
		return
	}
	if errors.Is(err, errUnmatched) {
		it.Verdict.Allow, it.Verdict.Reason = false, "view.unmatched"
		return
	}
	if errors.Is(err, view.ErrErased) {
		it.Released, it.Verdict.Allow, it.Verdict.Reason = nil, false, "view.erased"
		return
	}
	c.Alarm("view.failed")
	it.Released, it.ViewErr = nil, err
	it.Verdict.Allow, it.Verdict.Reason = false, "view.failed"
}

// check withholds what was not asked for.
func (r *Reading) check(it *Item) {
	if it.Resource == nil {
		it.Verdict.Reason = "history.deleted" // no content to judge: FHIR-17
		if ref, _, ok := r.court.Bases.ParseRef(it.URL); ok {
			it.Verdict.Facts.Type, it.Verdict.Facts.ID = ref.Type, ref.ID // for the record
		}
		return
	}
	if it.Verdict.Reason != "" {
		r.court.Alarm("upstream.malformed-resource")
		return
	}
	typ := it.Verdict.Facts.Type
	switch {
	case r.expect.History:
		it.Mode = ""
		if r.expect.Matches != "" && typ != r.expect.Matches {
			it.Verdict.Reason = "upstream.not-asked-for"
		}
	case it.Mode == "include":
		if r.expect.Includes != nil && !r.expect.Includes[typ] {
			it.Verdict.Reason = "upstream.not-asked-for"
		}
	case r.expect.Matches == "" || typ == r.expect.Matches:
		it.Mode = "match"
	case r.expect.Includes[typ]:
		it.Mode = "include" // servers that do not mark what they include
	default:
		it.Verdict.Reason = "upstream.not-asked-for"
	}
	if it.Mode == "match" && r.expect.Within != nil && !r.expect.Within(it.Resource) {
		it.Verdict.Reason = "upstream.not-asked-for"
	}
	if it.Verdict.Reason != "" {
		r.court.Alarm(it.Verdict.Reason)
	}
}

// current withholds the versions of resources that the caller may not see as
// they are now.
func (r *Reading) current(ctx context.Context, items []*Item) error {
	var refs []fhir.Ref
	for _, it := range items {
		if it.Verdict.Reason == "" {
			refs = append(refs, fhir.Ref{Type: it.Verdict.Facts.Type, ID: it.Verdict.Facts.ID})
		}
	}
	if len(refs) == 0 {
		return nil
	}
	visible, err := r.expect.Current(ctx, refs)
	if err != nil {
		return fmt.Errorf("judge current versions: %w", err)
	}
	for _, it := range items {
		f := &it.Verdict.Facts
		if it.Verdict.Reason == "" && !visible[fhir.Ref{Type: f.Type, ID: f.ID}] {
			it.Verdict.Reason = "history.current"
		}
	}
	return nil
}

// Link is the url of a relation among a Bundle's links, "" where it has none.
func Link(b *wire.Bundle, relation string) string {
	raw := b.Member("link")
	if raw == nil {
		return ""
	}
	var t wire.Tree
	if t.Parse(raw) != nil {
		return ""
	}
	for i := t.First(0); i < int(t.Nodes[0].Next); i = int(t.Nodes[i].Next) {
		if rel := t.Get(i, "relation"); rel >= 0 && t.Text(rel) == relation {
			if url := t.Get(i, "url"); url >= 0 {
				return t.Text(url)
			}
		}
	}
	return ""
}

// ended tells a document that ended well from one that broke off.
func ended(err error) bool { return err == io.EOF }
