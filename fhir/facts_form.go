package fhir

import (
	"math/bits"
	"slices"
	"strings"

	"gatehouse/fhir/wire"
)

// FactForm gives the facts of entries that fit a mold. What they have in common
// with the one that the mold was made of was read when that was. It is used by one
// goroutine at a time.
type FactForm struct {
	plan       *factPlan
	start, end int32 // of the resource in the mold
	facts      Facts
	items      []item
	text       string // that their extents are of
	self       string // "Type/id"
	roles      []role // by scalar

	r factReader // for an entry: its items are those above, but while one differs
}

// role is what a change of a scalar means: from 0 on, that this item changes.
type role int16

const (
	roleNone    role = -1 - iota // no fact is made of it
	roleAll                      // the facts are to be read anew
	roleID                       // the resource's id
	roleVersion                  // its version
)

// Form makes ready to read entries that fit the mold; the resource of the entry
// that it was made of lies at start and end. It is nil where facts depend on more
// of the resource than a few scalars.
func (p *EntryPlan) Form(m *wire.Mold, start, end int32, base *BaseSet, by Labeller) *FactForm {
	entry, hits := m.Doc(), m.Hits()
	r := factReaders.Get().(*factReader)
	defer r.release()
	r.labeller = by
	if !r.expected(p, entry, hits, start) || hasInlineLabel(entry) {
		return nil
	}
	r.version, r.doc, r.base, r.plan = p.version, entry[start:end], base, p.facts
	if r.collect() != nil {
		return nil
	}
	f := &FactForm{plan: p.facts, start: start, end: end}
	var err error
	if f.facts, err = r.facts(); err != nil || f.facts.Unnamed || r.deep || slices.Contains(f.facts.Labels, "PROCESSINLINELABEL") {
		return nil
	}
	for i := range r.items {
		if strings.HasPrefix(r.items[i].value, "#") {
			return nil // it counts what it contains
		}
	}
	f.items, f.text = slices.Clone(r.items), string(r.text)
	f.r = factReader{version: p.version, base: base, plan: p.facts, given: r.given, items: slices.Clone(r.items)}
	if r.id.end > 0 {
		f.self = f.text[int(r.id.start)-len(f.facts.Type)-1 : r.id.end]
	}
	m.Scalars(func(at int32) {
		is := roleNone
		for ; len(hits) > 0 && hits[0].Start <= at; hits = hits[1:] {
			if hits[0].Start == at {
				is = f.roleOf(p, hits[0])
			}
		}
		f.roles = append(f.roles, is)
	})
	return f
}

// easy are the facts that no other depends on.
const easy uint16 = ^uint16(1<<factLabels | 1<<factCategories)

func (f *FactForm) roleOf(p *EntryPlan, h wire.Hit) role {
	if h.Path < p.own {
		return roleAll
	}
	switch at := f.plan.paths[h.Path-p.own]; at.part {
	case partID:
		return roleID
	case partVersion:
		return roleVersion
	case partReference, partText:
		if e := &f.plan.elements[at.element]; e.gives&^easy == 0 && !e.coded {
			if i := slices.IndexFunc(f.items, func(it item) bool { return it.element == at.element && it.at == h.Start-f.start }); i >= 0 {
				return role(i)
			}
		}
	}
	return roleAll
}

// Resource is where the resource lies in an entry that fits.
func (f *FactForm) Resource(e *wire.Entry) (start, end int32) { return e.At(f.start), e.At(f.end) }

// Read is EntryPlan.ReadFacts for an entry that fits; false where that is to be
// asked.
func (f *FactForm) Read(e *wire.Entry, facts *Facts) (ok bool) {
	r := &f.r
	r.doc, r.text, r.id, r.ver = e.Raw, r.text[:0], extent{}, extent{}
	*facts = f.facts
	if s := &facts.Security; s[1] > 0 {
		start := e.At(f.start)
		s[0], s[1] = e.At(s[0]+f.start)-start, e.At(s[1]+f.start)-start
	}
	ok = true
	for i := range e.Changed {
		ok = ok && f.take(&e.Changed[i])
	}
	ok = ok && (len(r.text) == 0 || f.put(e, facts))
	for i := range e.Changed {
		if is := f.roles[e.Changed[i].Scalar]; is >= 0 {
			r.items[is] = f.items[is]
		}
	}
	return ok
}

// take copies what a change says for the facts.
func (f *FactForm) take(c *wire.Change) (ok bool) {
	r := &f.r
	if c.End-c.Start > int32(len(inlineLabel)) && hasInlineLabel(r.doc[c.Start:c.End]) { // no shorter one can spell it
		return false
	}
	is := f.roles[c.Scalar]
	if is == roleNone {
		return true
	}
	if is == roleAll {
		return false
	}
	if c.End-c.Start <= int32(len(`""`)) {
		return false // an empty text, or none
	}
	hit := wire.Hit{Start: c.Start, End: c.End}
	var err error
	switch is {
	case roleID:
		r.text = append(append(r.text, f.plan.typ...), '/')
		r.id, err = r.copy(hit)
	case roleVersion:
		r.ver, err = r.copy(hit)
	default:
		it := &r.items[is]
		start := int32(len(r.text))
		if f.plan.elements[it.element].form != formReference {
			r.text = append(r.text, '|')
		}
		var value extent
		value, err = r.copy(hit)
		it.text, it.code, it.value, it.ref = extent{start, value.end}, value.start, "", Ref{}
	}
	return err == nil
}

// put sets the facts that changes are about.
func (f *FactForm) put(e *wire.Entry, facts *Facts) (ok bool) {
	r := &f.r
	text, self, some := string(r.text), f.self, uint16(0)
	if r.id.end > 0 {
		facts.ID, self = text[r.id.start:r.id.end], text[int(r.id.start)-len(facts.Type)-1:r.id.end]
		if some = f.plan.self; !ValidID(facts.ID) {
			return false
		}
	}
	if r.ver.end > 0 {
		facts.VersionID = text[r.ver.start:r.ver.end]
	}
	for i := range e.Changed {
		is := f.roles[e.Changed[i].Scalar]
		if is < 0 {
			continue
		}
		it := &r.items[is]
		it.value = text[it.text.start:it.text.end]
		of := &f.plan.elements[it.element]
		if some |= of.gives; of.form != formReference {
			continue
		}
		if strings.HasPrefix(it.value, "#") {
			return false
		}
		typ := f.text[it.typ.start:it.typ.end]
		r.resolve(it, typ)
		if of.ranks[factPatients] > 0 && r.unnamed(it, of.strict, typ) {
			return false
		}
	}
	r.fill(facts, some, make([]string, 0, bits.OnesCount16(some&listFacts)), self)
	return true
}
