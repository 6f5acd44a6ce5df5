package judge

import (
	"context"
	"errors"
	"fmt"
	"io"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/policy"
)

// Limits bound what one answer may hold in memory.
type Limits struct {
	Resource int64 // bytes of one entry
	Window   int64 // bytes read ahead and judged together
	Entries  int   // entries of a window
}

// Expect says what the entries of an answer may be.
type Expect struct {
	Type     string          // "searchset" or "history"
	Matches  string          // the type of a match; "" for any
	Includes map[string]bool // types that may come as included; nil for any
	History  bool
	// Current tells for a window of history entries which resources the
	// caller may see as they are now; versions of others are withheld.
	Current func(ctx context.Context, refs []fhir.Ref) (map[fhir.Ref]bool, error)
}

// Reading is a Bundle being judged, window by window; only one window of it is
// in memory.
type Reading struct {
	court  *Court
	expect Expect
	limits Limits
	body   io.Closer
	bundle *wire.Bundle
	ahead  []byte // an entry read beyond the window, its copy
	buf    []byte // the bytes of the window's entries
	ends   []int
	done   bool

	windows int
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
	return &Reading{court: c, expect: e, limits: l, body: body,
		bundle: wire.NewBundle(body, wire.Limits{Entry: l.Resource})}, nil
}

// Close ends the reading; the rest of the answer is not read.
func (r *Reading) Close() error { return r.body.Close() }

// Link returns the upstream's link of a relation, once the document has ended.
func (r *Reading) Link(relation string) string { return Link(r.bundle, relation) }

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

// fill reads entries until the window is full or the document has ended.
func (r *Reading) fill() error {
	r.buf = append(r.buf[:0], r.ahead...)
	r.ends = r.ends[:0]
	if len(r.ahead) > 0 {
		r.ends = append(r.ends, len(r.buf))
	}
	r.ahead = r.ahead[:0]
	for {
		raw, err := r.bundle.Next()
		if ended(err) {
			r.done = true
			return nil
		}
		if err != nil {
			return err
		}
		if len(r.ends) >= r.limits.Entries || (len(r.ends) > 0 && int64(len(r.buf)+len(raw)) > r.limits.Window) {
			r.ahead = append(r.ahead, raw...)
			return nil
		}
		r.buf = append(r.buf, raw...)
		r.ends = append(r.ends, len(r.buf))
	}
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

var entryPlan = wire.NewPlan("resource", "search.mode", "request.method", "request.url", "response.status", "response.lastModified", "fullUrl")

// judge reads the window's entries and decides on them together.
func (r *Reading) judge(ctx context.Context, w *Window) error {
	items := make([]Item, len(r.ends))
	w.Items = make([]*Item, 0, len(items))
	start := 0
	var hits []wire.Hit
	for i, end := range r.ends {
		it := &items[i]
		var err error
		if hits, err = r.readEntry(it, r.buf[start:end], hits[:0]); err != nil {
			return fmt.Errorf("%w: entry: %w", ErrMalformed, err)
		}
		start = end
		if it.Resource == nil && !r.expect.History || it.Mode == "outcome" {
			continue // an upstream's own remarks are not passed on (D-13)
		}
		w.Items = append(w.Items, it)
		r.facts(it)
	}
	if r.expect.Current != nil {
		if err := r.current(ctx, w.Items); err != nil {
			return err
		}
	}
	r.court.Weigh(ctx, w.Items)
	for _, it := range w.Items {
		if it.Verdict.Allow && !r.court.Assured(it.Verdict.Decision.Obligations.StepUp) {
			it.Verdict.Allow, it.Verdict.Reason = false, "policy.step-up"
		}
		if it.Verdict.Allow {
			r.release(it)
		}
		if !it.Verdict.Allow {
			w.Withheld++
		}
	}
	return nil
}

func (r *Reading) release(it *Item) {
	err := r.court.release(it)
	if err == nil {
		return
	}
	r.court.Alarm("view.failed")
	it.Released, it.ViewErr = nil, err
	it.Verdict.Allow, it.Verdict.Reason = false, "view.failed"
}

func (r *Reading) readEntry(it *Item, raw []byte, hits []wire.Hit) ([]wire.Hit, error) {
	hits, err := entryPlan.Skim(raw, hits)
	if err != nil {
		return hits, err
	}
	for _, h := range hits {
		v := raw[h.Start:h.End]
		switch h.Path {
		case 0:
			it.Resource = v
		case 1:
			it.Mode, err = wire.Unquote(v)
		case 2:
			it.Method, err = wire.Unquote(v)
		case 3:
			it.URL, err = wire.Unquote(v)
		case 4:
			it.Status, err = wire.Unquote(v)
		case 5:
			it.Modified, err = wire.Unquote(v)
		}
		if err != nil {
			return hits, err
		}
	}
	return hits, nil
}

// facts reads what is known of an entry's resource and withholds what was not
// asked for.
func (r *Reading) facts(it *Item) {
	if it.Resource == nil {
		it.Verdict.Reason = "history.deleted" // no content to judge: FHIR-17
		if ref, _, ok := r.court.Bases.ParseRef(it.URL); ok {
			it.Verdict.Facts.Type, it.Verdict.Facts.ID = ref.Type, ref.ID // for the record
		}
		return
	}
	v, err := r.court.Read(it.Resource)
	it.Verdict = v
	if err != nil {
		r.court.Alarm("upstream.malformed-resource")
		return
	}
	typ := v.Facts.Type
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
