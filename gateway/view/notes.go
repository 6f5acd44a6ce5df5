package view

// notes are what a run asked of the values of a document: enough to ask the same of
// a document that differs from it in some of them (see form). Every value that was
// read is noted; of one that was not and is shown nobody knows why, so it must be the
// same.
type notes struct {
	questions []question
	reads     []reading
	dropped   []extent   // nodes that are not shown
	places    []resource // that steps are in
	place     int        // the one entered last
	part      bool       // the run is about the entry of a Bundle: that is the first place
	step      int32      // under way; -1: none
	shift     *method    // of the dates so far
	base      int32      // length of the output as the run began
	refused   bool       // the run is not to be repeated
}

// question is one that was asked: a method on a leaf, or a guard.
type question struct {
	parent, node int32
	field        *field // nil: a guard
	rule         *rule
	guard        *guard
	place        int
	want         bool  // the answer
	patient      bool  // it depends on who the patient is
	alone        bool  // it depends on more than the document's values: never asked again
	from, to     int32 // what it wrote in the output; -1: nothing that is still there
}

// reading is a value read in a step, -1 outside of any.
type reading struct{ node, step int32 }

// extent is a range of nodes.
type extent struct{ from, to int32 }

func (n *notes) begin(base int) {
	*n = notes{base: int32(base), questions: n.questions[:0], reads: n.reads[:0], dropped: n.dropped[:0], places: n.places[:0], step: -1}
}

func (n *notes) read(node int) { n.reads = append(n.reads, reading{int32(node), n.step}) }

// gone notes that nothing of a node is shown.
func (n *notes) gone(r *run, node int) {
	n.dropped = append(n.dropped, extent{int32(node), r.nodes[node].Next})
}

// cut notes that the output was taken back to at.
func (n *notes) cut(at int) {
	for i := len(n.questions) - 1; i >= 0; i-- {
		s := &n.questions[i]
		if s.from >= 0 && int(s.from) < at {
			return
		}
		s.from, s.to = -1, -1
	}
}

// moved notes that so many bytes were put into the output at a place.
func (n *notes) moved(at, by int) {
	for i := len(n.questions) - 1; i >= 0; i-- {
		if s := &n.questions[i]; int(s.from) >= at {
			s.from, s.to = s.from+int32(by), s.to+int32(by)
		}
	}
}

// enter notes the resource that steps are in from here. What stands inside others
// but is not contained has facts of its own.
func (n *notes) enter(r *run) {
	around := 0
	if n.part {
		around = 1
	}
	n.refused = n.refused || len(n.places) > around && !r.here.contained
	n.place = len(n.places)
	n.places = append(n.places, r.here)
}

// leave goes back to the resource around.
func (n *notes) leave(r *run) {
	for n.place = range n.places {
		if n.places[n.place].node == r.here.node {
			return
		}
	}
}

func (n *notes) start(s question) (outer int32) {
	outer, n.step = n.step, int32(len(n.questions))
	s.place = n.place
	n.questions = append(n.questions, s)
	return outer
}

// guard is g of node at, as a step.
func (n *notes) guard(r *run, g *guard, at int) bool {
	outer := n.start(question{node: int32(at), guard: g, from: -1, to: -1})
	ok := g.met(r.peek(at))
	n.questions[n.step].want = ok
	n.step = outer
	return ok
}

// leafNoted is leaf as a step, where notes are taken.
func (r *run) leafNoted(parent, i int, f *field, ru *rule) bool {
	n := r.notes
	if n == nil || ru.method.hides() || ru.method.name == mask { // which read nothing
		return r.leaf(parent, i, f, ru)
	}
	n.refused = n.refused || !ru.method.repeats()
	r.flush(r.nodes[i].Start)
	outer := n.start(question{parent: int32(parent), node: int32(i), field: f, rule: ru, from: int32(len(r.dst))})
	n.read(i)
	ok := r.leaf(parent, i, f, ru)
	if ok {
		r.flush(r.nodes[i].End)
	}
	s := &n.questions[n.step]
	if s.want, s.to = ok, int32(len(r.dst)); !ok {
		s.from, s.to = -1, -1
	}
	n.step = outer
	return ok
}

// repeats reports methods that depend on the texts that they read by peek and raw, on
// the patient by offset, and on nothing else of the document. What is not known to is
// not repeated.
func (m *method) repeats() bool {
	switch m.name {
	case keep, dateShift, substitute, pseudonymize:
		return true
	case generalize:
		return len(m.cases) == 0 && (m.to == "year" || m.to == "month" || m.to == "zip" || m.to == "age")
	}
	return false
}

// alone notes that the step under way depends on what came before it.
func (r *run) alone() {
	r.lone = true
	if n := r.notes; n != nil && n.step >= 0 {
		n.questions[n.step].alone = true
	}
}

// byPatient notes that the step under way depends on the patient.
func (n *notes) byPatient(r *run, m *method) {
	if n.step >= 0 {
		n.questions[n.step].patient = true
	}
	n.places[n.place].patient = r.patient()
	if r.here.contained && (n.part || !n.places[0].asked) {
		n.refused = true // it is its container's, which is not at hand again
	}
	// A resource has one offset, from the rule that asked first: with two it would
	// matter which that is.
	n.refused = n.refused || n.step < 0 || n.shift != nil && (n.shift.days != m.days || n.shift.weekday != m.weekday)
	n.shift = m
}
