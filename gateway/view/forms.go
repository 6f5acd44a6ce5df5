package view

import "sync"

// forms are those of a view that one run has met. They go from run to run; the
// collector takes what is not used.
type forms struct {
	list   []*form
	now    uint64
	credit int // forms that may be made without one being met again
	rest   int // documents without credit
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

// learns tells whether to make a form of the document: not where none is met again.
func (fs *forms) learns() bool {
	if fs.credit == 0 {
		if fs.rest++; fs.rest < restForms {
			return false
		}
		fs.rest, fs.credit = 0, 1
	}
	fs.credit--
	return true
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
