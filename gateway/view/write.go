package view

import "gatehouse/fhir/wire"

// This file is how a run writes what is shown, and goes back.

// mark is a point to go back to when what follows turns out to be empty.
type mark struct {
	dst  int
	from int32
}

func (r *run) mark() mark { return mark{len(r.dst), r.from} }
func (r *run) restore(m mark) {
	r.dst, r.from = r.dst[:m.dst], m.from
	if r.notes != nil {
		r.notes.cut(m.dst)
	}
}

// flush copies what is decided and untouched.
func (r *run) flush(to int32) {
	if to > r.from {
		r.dst = append(r.dst, r.doc[r.from:to]...)
		r.from = to
	}
}

// value puts raw in the place of node i.
func (r *run) value(i int, raw []byte) bool {
	r.flush(r.nodes[i].Start)
	r.dst = append(r.dst, raw...)
	r.from = r.nodes[i].End
	return true
}

// instead puts raw in the place of node i, of which nothing is shown.
func (r *run) instead(i int, raw []byte) bool {
	if r.notes != nil {
		r.notes.gone(r, i)
	}
	return r.value(i, raw)
}

// quoted puts a text in the place of node i.
func (r *run) quoted(i int, text string) bool {
	r.flush(r.nodes[i].Start)
	r.dst = wire.Quote(r.dst, text)
	r.from = r.nodes[i].End
	return true
}

// handle puts a text of ours in the place of node i: nothing in it needs an
// escape.
func (r *run) handle(i int, text string) bool {
	r.flush(r.nodes[i].Start)
	r.dst = append(append(append(r.dst, '"'), text...), '"')
	r.from = r.nodes[i].End
	return true
}

// drop leaves out member or element c, of which nothing is shown: before is where it
// began, prev the end of what stands in front of it.
func (r *run) drop(c int, before mark, prev int32) {
	r.restore(before)
	r.flush(prev)
	r.from = r.nodes[c].End
	if r.notes != nil {
		r.notes.gone(r, c)
	}
}
