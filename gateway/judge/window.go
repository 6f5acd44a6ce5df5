package judge

import (
	"errors"
	"fmt"
	"sync"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// This file reads an answer's entries, each byte once: what the scan of the
// Bundle passes over it also looks into, for the entry's own members and for
// the facts of its resource.

// The members of an entry that are read beside its resource.
var entryPaths = []string{"resource", "search.mode", "request.method", "request.url", "response.status", "response.lastModified"}

type planKey struct {
	version fhir.Version
	typ     string
}

var plans sync.Map // planKey → *fhir.EntryPlan; as many as there are types

func planFor(v fhir.Version, typ string) *fhir.EntryPlan {
	if !v.KnownType(typ) {
		typ = ""
	}
	key := planKey{v, typ}
	if p, ok := plans.Load(key); ok {
		return p.(*fhir.EntryPlan)
	}
	p, _ := plans.LoadOrStore(key, v.NewEntryPlan(typ, entryPaths...))
	return p.(*fhir.EntryPlan)
}

// window is the memory of the entries that are judged together.
type window struct {
	items []Item
	list  []*Item // of these
	ends  []int   // in bytes, of each item's resource
	bytes []byte  // the resources, one behind the other
	room  []byte  // what views make of them
	hits  []wire.Hit
	next  Item   // read already, of the window to come
	ahead []byte // its resource
	holds bool   // there is a next
}

// keepBytes bounds what a window and the reader under it leave to others.
const keepBytes = 1 << 20

func (w *window) small() bool { return max(cap(w.bytes), cap(w.ahead), cap(w.room)) <= keepBytes }

// begin empties the window but for the item that was read ahead.
func (w *window) begin() {
	clear(w.items)
	w.items, w.ends, w.bytes = w.items[:0], w.ends[:0], w.bytes[:0]
	if w.holds {
		w.holds = false
		w.items = append(w.items, w.next)
		w.add(w.ahead)
	}
}

// add keeps the resource of the last item.
func (w *window) add(resource []byte) {
	w.bytes = append(w.bytes, resource...)
	w.ends = append(w.ends, len(w.bytes))
}

// postpone leaves the last item to the next window.
func (w *window) postpone(resource []byte) {
	last := len(w.items) - 1
	w.next, w.holds = w.items[last], true
	w.items[last] = Item{}
	w.items = w.items[:last]
	w.ahead = append(w.ahead[:0], resource...)
}

// settle points the items at their resources, now that these move no more.
func (w *window) settle() {
	start := 0
	for i, end := range w.ends {
		if w.items[i].Resource != nil {
			w.items[i].Resource = w.bytes[start:end:end]
		}
		start = end
	}
}

// fill reads entries until the window is full or the document has ended.
func (r *Reading) fill() error {
	w := &r.window
	w.begin()
	defer w.settle()
	for {
		entry, err := r.bundle.NextEntry(r.plan.Plan)
		if ended(err) {
			r.done = true
			return nil
		}
		if err != nil {
			return err
		}
		w.items = append(w.items, Item{})
		it := &w.items[len(w.items)-1]
		if err := r.read(it, entry); err != nil {
			return fmt.Errorf("entry: %w", err)
		}
		switch n := len(w.ends); {
		case it.Resource == nil && !r.expect.History || it.Mode == "outcome":
			w.items = w.items[:n] // an upstream's own remarks are not passed on (D-13)
		case n >= r.limits.Entries || n > 0 && int64(len(w.bytes)+len(it.Resource)) > r.limits.Window:
			w.postpone(it.Resource)
			return nil
		default:
			w.add(it.Resource)
		}
	}
}

// read takes what is known of an entry.
func (r *Reading) read(it *Item, e *wire.Entry) error {
	plan := r.plan
	if e.Mold != nil {
		f, ok := e.Mold.Memo.(*form)
		if !ok {
			return errors.New("a form that nobody knows")
		}
		if f.read(it, e, r.court.Mapper) {
			return nil
		}
		plan = f.plan // whose hits these are: by another type's they would be other elements
	}
	it.Verdict.Facts = fhir.Facts{}
	r.window.hits = e.Hits(r.window.hits[:0])
	resource, err := r.members(it, e.Raw, r.window.hits)
	if err != nil || it.Mode == "outcome" || it.Resource == nil {
		return err
	}
	c := r.court
	if it.Verdict.Facts, err = plan.ReadFacts(e.Raw, r.window.hits, resource.Start, resource.End, c.Bases, c.Labels); err != nil {
		it.Verdict = Verdict{Reason: "resource.malformed"}
	}
	if typ := it.Verdict.Facts.Type; typ != r.expected {
		r.expected, r.plan = typ, planFor(c.Version, typ) // entries of a type stand together
	} else if m := r.bundle.Learn(); m != nil {
		m.Memo = &form{plan: plan, first: *it, facts: r.plan.Form(m, resource.Start, resource.End, c.Bases, c.Labels), names: c.Mapper.MayName(it.Resource)}
	}
	return nil
}

// members takes those of the entry itself, and gives where its resource lies.
func (r *Reading) members(it *Item, raw []byte, hits []wire.Hit) (resource wire.Hit, err error) {
	for _, h := range hits {
		v := raw[h.Start:h.End]
		switch h.Path {
		case 0:
			it.Resource, resource = v, h
		case 1:
			it.Mode, err = text(v)
		case 2:
			it.Method, err = text(v)
		case 3:
			it.URL, err = text(v)
		case 4:
			it.Status, err = text(v)
		case 5:
			it.Modified, err = text(v)
		}
		if err != nil {
			return resource, err
		}
	}
	return resource, nil
}

// form is what entries that fit a mold have in common with the first of them.
type form struct {
	plan  *fhir.EntryPlan // that the first was read with
	first Item            // its own members
	facts *fhir.FactForm  // nil: these are read anew
	names bool            // its resource may name the upstream
}

// read takes what is known of an entry that fits, by what has changed; false where
// that is to be found in full.
func (f *form) read(it *Item, e *wire.Entry, m Mapper) bool {
	if f.facts == nil || !f.facts.Read(e, &it.Verdict.Facts) {
		return false
	}
	start, end := f.facts.Resource(e)
	it.Resource = e.Raw[start:end]
	it.Mode, it.Method, it.URL, it.Status, it.Modified = f.first.Mode, f.first.Method, f.first.URL, f.first.Status, f.first.Modified
	it.nameless = !f.names
	for _, c := range e.Changed {
		it.nameless = it.nameless && (c.Start < start || c.Start >= end || !m.MayName(e.Raw[c.Start:c.End]))
	}
	return true
}

// text is a JSON string; those that come with every entry cost nothing.
func text(v []byte) (string, error) {
	switch string(v) {
	case `"match"`:
		return "match", nil
	case `"include"`:
		return "include", nil
	}
	return wire.Unquote(v)
}
