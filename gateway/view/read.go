package view

import (
	"unsafe"

	"gatehouse/fhir/wire"
)

// This file is how a run reads values, and finds the rule for them.

// choose picks the rule that governs value i.
func (r *run) choose(parent, i int, f *field) *way {
	last := len(f.choices) - 1
	w := &f.choices[last]
	for k := 0; k < last; k++ {
		if r.holds(&f.choices[k].rule.when, parent, i) {
			w = &f.choices[k]
			break
		}
	}
	if r.over != nil {
		if k, ok := r.over[int32(i)]; ok && k < w.rule.index {
			auto := r.view.auto
			return &way{auto.rules[k], auto.under(w.next, k), auto.under(w.side, k)}
		}
	}
	return w
}

// peek is the text of string i without a copy where it has no escapes: valid
// while the document is, so never to be kept. "" where i is no string.
func (r *run) peek(i int) string {
	n := &r.nodes[i]
	if n.Kind != wire.String {
		return "" // in all documents of a form
	}
	raw := r.raw(i)
	switch {
	case len(raw) < 3:
		return ""
	case n.Plain:
		return unsafe.String(&raw[1], len(raw)-2)
	}
	s, _ := wire.Unquote(raw) // what is parsed is well formed
	return s
}

// raw is value i as it stands. Whatever is read of a value is read by this, so that
// the notes of a run are whole.
func (r *run) raw(i int) []byte {
	if r.notes != nil {
		r.notes.read(i)
	}
	n := &r.nodes[i]
	return r.doc[n.Start:n.End]
}

// holds evaluates a guard. Where a member is missing nothing is known of it,
// so it is in no list.
func (r *run) holds(g *guard, parent, i int) bool {
	if g.member == "" {
		return true
	}
	at := i
	if g.member != "$this" {
		if r.nodes[i].Kind != wire.Object {
			i = parent
		}
		if at = r.tree.Get(i, g.member); at < 0 {
			return g.not
		}
	}
	if r.notes != nil {
		return r.notes.guard(r, g, at)
	}
	return g.met(r.peek(at))
}

// id is that of the resource here.
func (r *run) id() string {
	if r.here.idNode < 0 {
		return ""
	}
	return r.peek(r.here.idNode)
}
