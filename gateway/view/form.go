package view

import (
	"bytes"
	"slices"
	"strings"

	"gatehouse/fhir/wire"
)

// Records look alike: the same members in the same order, and many values the same
// too. What the rules made of one is made of another that differs in values alone by
// asking again what was asked of those (see notes), and copying the rest of the
// output. Where an answer is another one than before, the rules would have gone
// another way: the document is then walked like any other. There is no way by which a
// form could show what the walk would not: TestForms and FuzzForms hold them to the
// same bytes.

// form is a document that was shown, and how.
type form struct {
	view  *View
	ctx   Context // of the reader that it was shown to
	day   int     // on which: ages depend on it
	era   int64   // of the erasures
	mold  wire.Mold
	head  []byte // what a like document begins with
	tree  wire.Tree
	nodes []wire.Node // of the tree, where they lie in the document under way
	out   []byte

	questions []question
	places    []resource
	scalars   []scalar
	asked     []int32 // steps, by scalar
	due       []bool  // of steps: to be asked again
	part      bool    // it is the entry of a Bundle
	labels    label   // that its Bundle has of it
	id        spot
	version   spot
	used      uint64 // when, as the forms count
}

// scalar is a value that may differ.
type scalar struct {
	node     int32
	fate     fate
	from, to int32 // of asked: who reads it
}

// fate is what it means that a value differs.
type fate uint8

const (
	pinned fate = iota // the document is to be walked
	free               // nothing
	asking             // steps are to be asked again
)

// maxForm is the longest document that a form is made of.
const maxForm = 16 << 10

// make makes f the form of what r has just shown and noted.
func (f *form) make(r *run, n *notes, out []byte) {
	f.view, f.ctx, f.day, f.era = r.view, r.ctx, r.today, r.era
	f.ctx.Patient, f.part, f.labels = "", r.part, r.here.labels // who it is stands with the places
	f.mold.Make(r.doc)
	f.tree = wire.Tree{Doc: f.mold.Doc(), Nodes: append(f.tree.Nodes[:0], r.nodes...)}
	f.nodes = append(f.nodes[:0], r.nodes...)
	f.out = append(f.out[:0], out...)
	f.questions = append(f.questions[:0], n.questions...)
	for i := range f.questions {
		if q := &f.questions[i]; q.from >= 0 {
			q.from, q.to = q.from-n.base, q.to-n.base
		}
	}
	f.places = append(f.places[:0], n.places...)
	for i := range f.places { // who said so may overwrite it
		f.places[i].patient = strings.Clone(f.places[i].patient)
	}
	f.due = append(f.due[:0], make([]bool, len(f.questions))...)
	f.weigh(n)
	s := Shown{Doc: f.out}
	if s.find() != nil {
		s.ID, s.Version = Span{}, Span{} // to be looked for in each
	}
	f.id, f.version = spot{was: s.ID}, spot{was: s.Version}
	f.head = f.mold.Doc()
	for _, s := range f.scalars[:1] {
		f.head = f.head[:f.nodes[s.node].Start]
		if s.fate == pinned {
			f.head = f.mold.Doc()[:f.nodes[s.node].End]
		}
	}
}

// weigh finds what each scalar's difference would mean.
func (f *form) weigh(n *notes) {
	at := make([]int32, len(f.nodes)) // of a node, among the scalars
	f.scalars = f.scalars[:0]
	for i := range f.nodes {
		if f.nodes[i].Kind < wire.Array {
			at[i] = int32(len(f.scalars))
			f.scalars = append(f.scalars, scalar{node: int32(i)})
		}
	}
	for _, d := range n.dropped {
		for i := d.from; i < d.to; i++ {
			if f.nodes[i].Kind < wire.Array {
				f.scalars[at[i]].fate = free
			}
		}
	}
	slices.SortStableFunc(n.reads, func(a, b reading) int { return int(a.node - b.node) })
	f.asked = f.asked[:0]
	for k := 0; k < len(n.reads); {
		node := n.reads[k].node
		s := scalar{node: node, fate: asking, from: int32(len(f.asked))}
		for ; k < len(n.reads) && n.reads[k].node == node; k++ {
			if step := n.reads[k].step; step < 0 || f.questions[step].alone {
				s.fate = pinned
			} else {
				f.asked = append(f.asked, step)
			}
		}
		s.to = int32(len(f.asked))
		if f.nodes[node].Kind < wire.Array {
			f.scalars[at[node]] = s
		}
	}
}

// serves reports whether what it showed is what the reader of r would be shown.
func (f *form) serves(r *run) bool {
	return f.view == r.view && f.part == r.part && f.ctx.ask == r.ctx.ask && f.ctx.Domain == r.ctx.Domain && f.ctx.Base == r.ctx.Base && f.ctx.Own == r.ctx.Own &&
		f.day == r.today && f.era == r.era && bytes.HasPrefix(r.doc, f.head)
}

// mark finds the steps to ask again; false where a difference means more.
func (f *form) mark(r *run) bool {
	clear(f.due)
	for _, c := range r.changed {
		s := &f.scalars[c.Scalar]
		if s.fate == pinned || !alike(f.tree.Nodes[s.node].Kind, r.doc[c.Start]) {
			return false
		}
		for _, step := range f.asked[s.from:s.to] {
			f.due[step] = true
		}
	}
	return true
}

// alike reports whether a scalar that begins so is of a kind, true and false being one.
func alike(k wire.Kind, first byte) bool {
	switch first {
	case '"':
		return k == wire.String
	case 't', 'f':
		return k == wire.True || k == wire.False
	case 'n':
		return k == wire.Null
	}
	return k == wire.Number
}

// locate says where in the document the values lie: all of them, since by what it
// reads now a step may come to one that it did not read before (see age).
func (f *form) locate(r *run) {
	shift, next := int32(0), 0
	for k := range f.scalars {
		node := f.scalars[k].node
		was, is := &f.tree.Nodes[node], &f.nodes[node]
		if next < len(r.changed) && r.changed[next].Scalar == k {
			c := &r.changed[next]
			next++
			shift = c.End - was.End
			is.Start, is.End = c.Start, c.End
			is.Plain = was.Kind == wire.String && wire.IsPlain(r.doc[c.Start:c.End])
		} else {
			is.Start, is.End, is.Plain = was.Start+shift, was.End+shift, was.Plain
		}
	}
}

// repeat shows the document, which differs from the form's in r.changed.
func (r *run) repeat(f *form) bool {
	if !f.mark(r) {
		return false
	}
	f.locate(r)
	own := r.tree
	defer func() { r.tree = own }()
	r.tree, r.nodes = f.tree, f.nodes
	r.frags, r.lone = r.frags[:0], false
	r.place(f, 0)
	f.id.is, f.version.is = f.id.was, f.version.was
	base := len(r.dst)
	done, place := int32(0), 0
	for k := range f.questions {
		s := &f.questions[k]
		if !f.due[k] && !s.patient {
			continue
		}
		if s.place != place {
			place = s.place
			r.place(f, place)
		}
		if !f.due[k] && r.patient() == f.places[place].patient {
			continue
		}
		if s.from >= 0 {
			r.dst = append(r.dst, f.out[done:s.from]...)
			done = s.to
		}
		start := len(r.dst) - base
		if !r.ask(s) {
			return false
		}
		if s.from >= 0 {
			f.id.pass(s, start, len(r.dst)-base)
			f.version.pass(s, start, len(r.dst)-base)
		}
	}
	r.dst = append(r.dst, f.out[done:]...)
	r.form = f
	return true
}

// place is where the questions to come are.
func (r *run) place(f *form, k int) {
	r.here = f.places[k]
	r.here.patient, r.here.known, r.here.labels = r.ctx.Patient, false, 0
	if !r.here.asked { // its facts may be read
		was := &f.tree.Nodes[r.here.node]
		n := &r.nodes[r.here.node]
		n.Start, n.End = f.at(r, was.Start), f.at(r, was.End)
	}
}

// at is where in the document lies what begins, or ends, at this place of the form.
func (f *form) at(r *run, place int32) int32 {
	shift := int32(0)
	for _, c := range r.changed {
		was := f.tree.Nodes[f.scalars[c.Scalar].node].End
		if was > place {
			break
		}
		shift = c.End - was
	}
	return place + shift
}

// ask puts a question again. false: the answer is not what it was.
func (r *run) ask(s *question) bool {
	if s.guard != nil {
		return s.guard.met(r.peek(int(s.node))) == s.want
	}
	n, start := &r.nodes[s.node], len(r.dst)
	r.from = n.Start
	ok := r.leaf(int(s.parent), int(s.node), s.field, s.rule)
	if ok != s.want || r.lone || r.err != nil {
		return false
	}
	r.flush(n.End)
	if s.from < 0 {
		r.dst = r.dst[:start]
	}
	return true
}
