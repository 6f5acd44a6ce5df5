package fhir

import (
	"fmt"

	"gatehouse/fhir/wire"
)

// EntryPlan finds in one pass over a Bundle's entry members of the entry itself
// and the facts of its resource, if that is of the type that was expected.
type EntryPlan struct {
	*wire.Plan
	version Version
	facts   *factPlan // nil: no type is expected
	own     int32     // paths of the entry itself; those of the facts come after
}

// NewEntryPlan makes a plan of an entry's own paths, whose hits keep the
// numbers that wire.NewPlan would give them, and of the facts of a type; typ ""
// or one that has no facts expects none.
func (v Version) NewEntryPlan(typ string, own ...string) *EntryPlan {
	p := &EntryPlan{version: v, facts: v.factPlan([]byte(typ)), own: int32(len(own))}
	paths := own[:len(own):len(own)]
	if p.facts != nil {
		for _, name := range p.facts.names {
			paths = append(paths, "resource."+name)
		}
	}
	p.Plan = wire.NewPlan(paths...)
	return p
}

// ReadFacts is Version.ReadFacts, or ReadLabelled, of the resource entry[start:end], by the hits
// of the plan in the entry. A resource of another type than the expected one is
// read by a pass of its own.
// by may be nil.
func (p *EntryPlan) ReadFacts(entry []byte, hits []wire.Hit, start, end int32, base *BaseSet, by Labeller) (Facts, error) {
	resource := entry[start:end]
	r := factReaders.Get().(*factReader)
	defer r.release()
	r.labeller = by
	if !r.expected(p, entry, hits, start) {
		return p.version.readFacts(r, resource, base)
	}
	r.version, r.doc, r.base, r.plan = p.version, resource, base, p.facts
	if err := r.collect(); err != nil {
		return Facts{}, fmt.Errorf("read facts of a %s: %w", r.plan.typ, err)
	}
	return r.facts()
}

// expected takes over the hits of the facts, as if the resource had been
// skimmed alone. It is false where the type is another.
func (r *factReader) expected(p *EntryPlan, entry []byte, hits []wire.Hit, start int32) bool {
	if p.facts == nil || entry[start] != '{' {
		return false
	}
	known := false
	r.hits = r.hits[:0]
	for _, h := range hits {
		if h.Path < p.own {
			continue
		}
		h.Path -= p.own
		if p.facts.paths[h.Path].part == partType {
			if string(entry[h.Start+1:h.End-1]) != p.facts.typ || entry[h.Start] != '"' {
				return false
			}
			known = true
		}
		h.Start, h.End = h.Start-start, h.End-start
		r.hits = append(r.hits, h)
	}
	return known
}
