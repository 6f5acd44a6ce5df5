package scope

import (
	"slices"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// What is asked of a resource that is not a match of the interaction itself:
// one that was included takes s or r, one that an operation returned r and s.
const (
	Included byte = 'i'
	Returned byte = 'o'
)

// Judge reports whether the scopes open one resource for a letter (c, r, u, d,
// s, Included or Returned): in a patient's context it must be that patient's
// and nobody else's, and it must match the constraint of a granular scope. Of a
// write both images are judged (SMART-18). resource is the whole of it; it is
// read only where a constraint asks.
func (g *Grants) Judge(letter byte, f *fhir.Facts, resource []byte) bool {
	if g == nil || f == nil || off[f.Type] {
		return false
	}
	if g.unbound {
		return true
	}
	j := judgement{g: g, facts: f, resource: resource}
	switch letter {
	case Included:
		return j.opened(search) || j.opened(read)
	case Returned:
		return j.opened(search) && j.opened(read)
	}
	return j.opened(lettersOf(letter))
}

// Plain tells that no grant asks for more of a resource than its type and whose
// it is: Judge then says of resources alike in these the same.
func (g *Grants) Plain() bool {
	return g == nil || !slices.ContainsFunc(g.grants, func(one grant) bool { return one.matcher != nil })
}

// judgement is one resource in question.
type judgement struct {
	g        *Grants
	facts    *fhir.Facts
	resource []byte
	tree     *wire.Tree // of resource, once a constraint has asked
	broken   bool
}

func (j *judgement) opened(need letters) bool {
	for i := range j.g.grants {
		one := &j.g.grants[i]
		if j.g.cut(one, j.facts.Type)&need == 0 || one.context == "patient" && !j.inContext() {
			continue
		}
		if one.matcher == nil || j.matches(one) {
			return true
		}
	}
	return false
}

// inContext reports whether the resource is the launch patient's alone, or is
// shared reference data (B-06, B-08, SMART-20).
func (j *judgement) inContext() bool {
	if shared[j.facts.Type] {
		return true
	}
	if j.facts.Unnamed || len(j.facts.Patients) == 0 {
		return false
	}
	for _, p := range j.facts.Patients {
		if p != j.g.patient {
			return false
		}
	}
	return true
}

func (j *judgement) matches(one *grant) bool {
	if j.tree == nil && !j.broken {
		j.tree = &wire.Tree{}
		j.broken = j.tree.Parse(j.resource) != nil
	}
	if j.broken {
		return false
	}
	ok, err := one.matcher.Match(j.tree)
	return ok && err == nil
}
