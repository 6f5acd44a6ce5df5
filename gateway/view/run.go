package view

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"gatehouse/fhir/wire"
)

// run is one pass over one document. It copies what it keeps by the range: up
// to `from` everything is decided, and bytes move only where something before
// them was taken out or replaced.
type run struct {
	view    *View
	ctx     Context
	tree    wire.Tree
	doc     []byte
	today   int // see dayOf
	nodes   []wire.Node
	dst     []byte
	from    int32
	here    resource
	over    map[int32]int // node → rule, from rules that needed FHIRPath
	names   []string      // see known; nil until asked
	muddled bool          // what is being shown means something else without what was hidden of it
	second  bool          // an overlay's turn: what the first view mapped stays
	err     error         // why the resource cannot be shown at all
	frags   []string      // ids of contained resources, in order of appearance
	notes   *notes        // of what is asked of values; nil: none are taken
	form    *form         // by which the document was shown; nil: walked
	bundle  bool          // its entries are shown by themselves
	parts   parts         // these
	part    bool          // it is itself about one
	lone    bool          // see alone
	era     int64         // of the erasures, as it begins
	changed []wire.Change // of a document that is like one that was shown before
}

// resource is what methods need to know of the resource around a leaf.
type resource struct {
	typ                  string
	idNode               int // -1: none
	node                 int
	patient              string // "Patient/1"; "" where there is none or several, or it was not asked yet
	asked                bool
	offset               int // days, once known
	known                bool
	labels               label
	contained            bool
	metaEnd, securityEnd int // where in dst labels can be put in; 0: not there
}

var runs = sync.Pool{New: func() any { return new(run) }}

var (
	errType    = errors.New("resource has no type that this release knows")
	errRemoved = errors.New("the view removes this resource")
)

// resource walks a resource, nested or not. false: nothing of it is shown.
func (r *run) resource(i int, inside *resource, contained bool) bool {
	typ := ""
	if at := r.tree.Get(i, "resourceType"); at >= 0 {
		typ = r.peek(at)
	}
	s := r.view.auto.starts[typ]
	if s == nil || r.nodes[i].Kind != wire.Object {
		if inside == nil || !contained {
			r.err = errType
		}
		return false
	}
	if r.view.auto.rules[s.inherited].method.name == remove && s.dead {
		return false
	}
	if contained && r.view.shifts {
		r.patient() // which is its container's
	}
	outer := r.here
	r.here = resource{typ: s.typ, idNode: r.tree.Get(i, "id"), node: i, patient: r.ctx.Patient, asked: inside == nil && !r.ctx.ask, contained: contained}
	if !contained {
		r.frags = r.frags[:0] // a fragment leads nowhere else
	}
	if contained {
		r.here.patient, r.here.asked = outer.patient, outer.asked
		r.here.offset, r.here.known = outer.offset, outer.known
	}
	if r.notes != nil {
		r.notes.enter(r)
	}
	ok := r.object(i, s, true)
	if inside != nil {
		outer.labels |= r.here.labels
		r.here = outer
		if r.notes != nil {
			r.notes.leave(r)
		}
	}
	return ok
}

// object walks the members of object i. false: nothing in it survives, and
// nothing has been written.
func (r *run) object(i int, s *state, root bool) bool {
	start := r.mark()
	var kept, gone, beside uint64 // required elements: there, taken out, there as "_name"
	n := 0
	prev := r.nodes[i].Start + 1
	for c, end := i+1, int(r.nodes[i].Next); c < end && r.err == nil; c = int(r.nodes[c].Next) {
		node := &r.nodes[c]
		before := r.mark()
		if n == 0 && r.from >= prev { // all before it were taken out, and so is the comma
			r.from = node.NameStart - 1
		}
		f, side, ok := r.member(i, c, s, root)
		if r.muddled {
			return r.meaningless(start, root)
		}
		if ok {
			n++
		} else {
			r.drop(c, before, prev)
		}
		if f != nil && f.bit >= 0 {
			bit := uint64(1) << f.bit
			switch {
			case ok && side:
				beside |= bit
			case ok:
				kept |= bit
			default:
				gone |= bit
			}
		}
		prev = node.End
	}
	if n == 0 && !root || s.typ == "Extension" && !r.wholeExtension(i, kept, n) {
		r.restore(start)
		return false
	}
	if missing := gone &^ kept &^ beside; missing != 0 {
		r.absent(i, s, missing, n, prev)
	}
	if root && !r.here.contained {
		r.label(i, prev)
	}
	return true
}

// member decides one member of object i.
func (r *run) member(i, c int, s *state, root bool) (f *field, side, ok bool) {
	name := r.doc[r.nodes[c].NameStart:r.nodes[c].NameEnd]
	if root && string(name) == "resourceType" {
		return nil, false, true
	}
	if len(name) > 0 && name[0] == '_' {
		name, side = name[1:], true
	}
	at := s.table.find(name)
	if at < 0 {
		r.here.labels |= labelRedacted
		r.muddled = r.muddled || modifies(string(name))
		return nil, side, false
	}
	f = s.fields[at]
	switch {
	case side:
		ok = f.leaf && r.side(i, c, f)
	case f.modifier:
		ok = r.modifier(i, c, f)
	case f.info.Array:
		ok = r.array(i, c, f)
	default:
		ok = r.one(i, c, f)
	}
	if !ok {
		r.here.labels |= labelRedacted
	} else if root && string(name) == "meta" && !side {
		r.flush(r.nodes[c].End - 1)
		r.here.metaEnd = len(r.dst)
	} else if s.typ == "Meta" && string(name) == "security" {
		r.flush(r.nodes[c].End - 1)
		r.here.securityEnd = len(r.dst)
	}
	return f, side, ok
}

// array walks the elements of a repeating element.
func (r *run) array(parent, i int, f *field) bool {
	if r.nodes[i].Kind != wire.Array {
		return false
	}
	start := r.mark()
	n, lost := 0, false
	prev := r.nodes[i].Start + 1
	for c, end := i+1, int(r.nodes[i].Next); c < end; c = int(r.nodes[c].Next) {
		node := &r.nodes[c]
		before := r.mark()
		if n == 0 && r.from >= prev {
			r.from = node.Start
		}
		ok := f.leaf && node.Kind == wire.Null || r.one(parent, c, f)
		if ok {
			n++
		} else {
			lost = true
			r.drop(c, before, prev)
		}
		prev = node.End
	}
	// "_given" tells by position which name it is about: a list of primitives
	// that lost some would shift the rest.
	if n == 0 || lost && f.leaf && r.tree.Get(parent, "_"+f.info.Name) >= 0 {
		r.restore(start)
		return false
	}
	if lost {
		r.here.labels |= labelRedacted
	}
	return true
}

// one decides a single value. parent is the object it belongs to.
func (r *run) one(parent, i int, f *field) bool {
	if r.bundle && parent == 0 && f.owner == "Bundle" && f.info.Name == "entry" && r.nodes[i].Kind == wire.Object {
		return r.shownPart(i)
	}
	w := r.choose(parent, i, f)
	switch kind := r.nodes[i].Kind; {
	case f.nested:
		return r.nested(i, f, w)
	case f.leaf:
		return f.kind.fits(kind) && r.leafNoted(parent, i, f, w.rule)
	case kind != wire.Object:
		return false
	case w.rule.method.name == substitute:
		return r.instead(i, w.rule.method.with)
	case w.rule.method.name == mask:
		return r.masked(i)
	case r.over == nil && w.next.dead:
		return f.info.Type == "Extension" && r.absentReason(i)
	}
	if f.info.Type == "Extension" && r.absentReason(i) {
		return true
	}
	return r.object(i, w.next, false)
}

// nested is a resource inside: judged by its own type, unless a rule about the
// place takes it away.
func (r *run) nested(i int, f *field, w *way) bool {
	if w.rule.at != nowhere && w.rule.method.hides() {
		return false
	}
	outer := r.here
	if f.owner == "Bundle.entry" {
		return r.entry(i, &outer)
	}
	return r.resource(i, &outer, f.info.Name == "contained")
}

// side is the "_name" beside a primitive: its id and extensions, one object or
// a list with nulls.
func (r *run) side(parent, i int, f *field) bool {
	if !f.info.Array {
		w := r.choose(parent, i, f)
		return r.nodes[i].Kind == wire.Object && r.object(i, w.side, false)
	}
	if r.nodes[i].Kind != wire.Array {
		return false
	}
	start, any := r.mark(), false
	for c, end := i+1, int(r.nodes[i].Next); c < end; c = int(r.nodes[c].Next) {
		w := r.choose(parent, c, f)
		if r.nodes[c].Kind == wire.Object && r.object(c, w.side, false) {
			any = true
			continue
		}
		r.value(c, []byte("null")) // keeps the place of those behind it
	}
	if !any {
		r.restore(start)
	}
	return any
}

// fragment gives the contained resources of a document new local ids, in order
// of appearance: not derived from the old ones, and short.
func (r *run) fragment(id string) string {
	r.alone()
	for k, known := range r.frags {
		if known == id {
			return fmt.Sprintf("c%d", k+1)
		}
	}
	r.frags = append(r.frags, strings.Clone(id))
	return fmt.Sprintf("c%d", len(r.frags))
}
