package demo

import (
	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// included adds what includes name, round by round where they iterate.
func (s *Store) included(matches []*version, r fhir.Results) (added []*version) {
	seen := map[fhir.Ref]bool{}
	for _, v := range matches {
		seen[v.ref] = true
	}
	round := matches
	for depth := 0; len(round) > 0 && depth < 8; depth++ {
		var next []*version
		for _, v := range s.includeOnce(round, r, depth > 0) {
			if !seen[v.ref] {
				seen[v.ref] = true
				next = append(next, v)
			}
		}
		added = append(added, next...)
		round = next
	}
	return added
}

func (s *Store) includeOnce(from []*version, r fhir.Results, again bool) (found []*version) {
	for _, inc := range r.Include {
		if again && !inc.Iterate {
			continue
		}
		for _, v := range from {
			if inc.Source == v.ref.Type || inc.Source == "*" {
				found = append(found, s.pointedTo(v, inc)...)
			}
		}
	}
	at := map[fhir.Ref]bool{}
	for _, v := range from {
		at[v.ref] = true
	}
	for _, inc := range r.RevInclude {
		if !again || inc.Iterate {
			found = append(found, s.pointingAt(at, inc)...)
		}
	}
	return found
}

func (s *Store) pointedTo(v *version, inc fhir.Include) (found []*version) {
	var t wire.Tree
	if t.Parse(v.body) != nil {
		return nil
	}
	for _, ref := range s.references(&t, v.ref.Type, inc.Param) {
		if target := s.get(ref); target != nil && (inc.Target == "" || inc.Target == ref.Type) {
			found = append(found, target)
		}
	}
	return found
}

func (s *Store) pointingAt(targets map[fhir.Ref]bool, inc fhir.Include) []*version {
	var among []*record
	for target := range targets {
		among = append(among, s.links[target]...)
	}
	return s.scan(inOrder(inc.Source, among), func(t *wire.Tree, _ *version) bool {
		for _, ref := range s.references(t, inc.Source, inc.Param) {
			if targets[ref] && (inc.Target == "" || inc.Target == ref.Type) {
				return true
			}
		}
		return false
	})
}
