package view

import (
	"sync"

	"gatehouse/fhir/wire"
)

// forms are those of a view that one run has met. They go from run to run; the
// collector takes what is not used.
type forms struct {
	list   []*form
	now    uint64
	credit int         // forms that may be made without one being met again
	rest   int         // documents without credit
	shapes [256]uint64 // of documents that no form was made of; nobody meets all zeros
	eager  bool        // forms are made of the first of a shape: for tests
	notes  notes
}

// maxForms bounds the forms of a view and run: half a MiB, as records are.
const maxForms = 16

// restForms is after how many documents without a form another one is tried.
const restForms = 64

func newForms() *sync.Pool {
	return &sync.Pool{New: func() any { return &forms{credit: maxForms} }}
}

// show repeats what was done with a like document.
func (fs *forms) show(r *run) bool {
	if fs.now++; fs.credit == 0 && fs.rest%8 > 0 {
		return false // none was like another for long: to compare is as dear as to walk
	}
	start, doc := len(r.dst), r.doc
	for k, f := range fs.list {
		if !f.serves(r) {
			continue
		}
		var like bool
		var end int
		if end, r.changed, like = f.mold.Follow(doc, r.changed[:0]); !like || !r.part && end < len(doc) {
			continue
		}
		r.doc = doc[:end]
		if r.repeat(f) {
			f.used, fs.credit = fs.now, min(fs.credit+1, 2*maxForms)
			fs.list[0], fs.list[k] = fs.list[k], fs.list[0] // the next is like it, as a rule
			return true
		}
		r.err, r.dst, r.doc = nil, r.dst[:start], doc
	}
	return false
}

// learns tells whether to make a form of the document: not where none is met again,
// and not of the first that has its shape, since a form takes as long as two walks.
func (fs *forms) learns(nodes []wire.Node) bool {
	shape := shapeOf(nodes)
	if place := &fs.shapes[shape%uint64(len(fs.shapes))]; *place != shape && !fs.eager {
		*place = shape
		return false
	}
	if fs.credit == 0 {
		if fs.rest++; fs.rest < restForms {
			return false
		}
		fs.rest, fs.credit = 0, 1
	}
	fs.credit--
	return true
}

// shapeOf hashes the kinds of values and where they stand, as like documents share them.
func shapeOf(nodes []wire.Node) uint64 {
	h := uint64(len(nodes))
	for i := range nodes {
		n := &nodes[i]
		h = (h ^ uint64(n.Kind) ^ uint64(n.NameEnd-n.NameStart)<<4 ^ uint64(n.Next)<<16) * 0x9e3779b97f4a7c15
	}
	return h ^ h>>32
}

// keep makes a form in the place of the one unused for longest.
func (fs *forms) keep(r *run, out []byte) {
	if len(fs.list) < maxForms {
		fs.list = append(fs.list, new(form))
	}
	oldest := fs.list[len(fs.list)-1]
	for _, f := range fs.list {
		if f.used < oldest.used {
			oldest = f
		}
	}
	oldest.make(r, &fs.notes, out)
	oldest.used = fs.now
}
