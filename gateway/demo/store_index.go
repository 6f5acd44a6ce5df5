package demo

import (
	"bytes"
	"slices"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// index notes what a version refers to, by whatever element. Nothing is ever taken
// out: the index says where to look, and the search what is there.
func (s *Store) index(r *record, v *version) {
	var t wire.Tree
	if v.body == nil || t.Parse(v.body) != nil {
		return
	}
	for i := range t.Nodes {
		if t.Nodes[i].Kind != wire.String || !bytes.ContainsRune(t.Raw(i), '/') {
			continue
		}
		if ref, _, ok := s.bases.ParseRef(t.Text(i)); ok && !slices.Contains(s.links[ref], r) {
			s.links[ref] = append(s.links[ref], r)
		}
	}
}

// candidates are the records of a type among which all matches are.
func (s *Store) candidates(typ string, a *fhir.Access) []*record {
	best := s.types[typ]
	consider := func(some []*record) {
		if some = inOrder(typ, some); len(some) < len(best) {
			best = some
		}
	}
	for _, p := range a.Criteria {
		if some, ok := s.pointedAt(typ, p); ok {
			consider(some)
		}
	}
	if a.Interaction == fhir.SearchCompartment {
		some := slices.Clone(s.links[a.Compartment])
		if r := s.records[a.Compartment]; r != nil {
			some = append(some, r)
		}
		consider(some)
	}
	return best
}

// pointedAt are the records that a criterion by id or reference leaves; not ok
// where it does not name resources.
func (s *Store) pointedAt(typ string, p fhir.Param) (some []*record, ok bool) {
	if p.Modifier != "" || len(p.Chain) > 0 || p.Has != nil || p.Name != "_id" && p.Type != "reference" {
		return nil, false
	}
	for _, value := range p.Values {
		if p.Name == "_id" {
			if r := s.records[fhir.Ref{Type: typ, ID: value}]; r != nil {
				some = append(some, r)
			}
			continue
		}
		ref, _, ok := s.bases.ParseRef(value)
		if !ok {
			return nil, false
		}
		some = append(some, s.links[ref]...)
	}
	return some, true
}

// inOrder keeps the records of a type, each once, in the order in which they came.
func inOrder(typ string, some []*record) []*record {
	some = slices.DeleteFunc(slices.Clone(some), func(r *record) bool { return r.ref.Type != typ })
	slices.SortFunc(some, func(a, b *record) int { return a.place - b.place })
	return slices.Compact(some)
}
