package scope

import (
	"slices"

	"gatehouse/fhir"
)

// chains asks, of each type that a chain or _has looks at, for a grant on all
// its resources that the search can reach. What such a hop meets never comes
// back, so nobody can judge it afterwards: a constraint, or a patient's
// compartment that the link does not keep to, would be passed by (Q-02, FHIR-06).
func (g *Grants) chains(a *fhir.Access) *Denial {
	if len(a.Criteria) == 0 {
		return nil
	}
	types := a.Types()
	bound := len(types) == 1 && g.bound(types[0])
	for i := range a.Criteria {
		if d := g.chain(&a.Criteria[i], types, bound); d != nil {
			return d
		}
	}
	return nil
}

// chain follows one criterion, evaluated on types; bound tells that those
// resources are of the launch patient alone.
func (g *Grants) chain(p *fhir.Param, types []string, bound bool) *Denial {
	if p.Has != nil {
		tied := bound && slices.Equal(types, []string{"Patient"}) && g.ties(p.Has.Type, p.Has.Ref)
		if d := g.looksAt(p.Has.Type, tied); d != nil {
			return d
		}
		return g.chain(p.Has.Then, []string{p.Has.Type}, tied)
	}
	for i := 1; i < len(p.Chain); i++ {
		from, to := p.Chain[i-1], p.Chain[i]
		tied := bound && slices.Equal(to.Types, []string{"Patient"})
		for _, typ := range from.Types {
			tied = tied && g.ties(typ, from.Name)
		}
		for _, typ := range to.Types {
			if d := g.looksAt(typ, tied); d != nil {
				return d
			}
		}
		bound = tied
	}
	return nil
}

// looksAt asks for a bare grant of s or r on typ. In a patient's context that
// is enough for shared reference data and where the link is tied to the patient.
func (g *Grants) looksAt(typ string, tied bool) *Denial {
	granted := false
	for i := range g.grants {
		one := &g.grants[i]
		if g.cut(one, typ)&(read|search) == 0 {
			continue
		}
		granted = true
		if one.matcher == nil && (one.context != "patient" || shared[typ] || tied) {
			return nil
		}
	}
	d := g.denial(typ, read|search)
	if granted {
		return &Denial{Code: codeChain, Needed: "user/" + typ + ".s"}
	}
	return d
}

// bound reports whether all that a search of typ opens is the launch patient's.
func (g *Grants) bound(typ string) bool {
	for i := range g.grants {
		if g.cut(&g.grants[i], typ)&search != 0 && g.grants[i].context != "patient" {
			return false
		}
	}
	return g.patient != "" && inCompartment(g.version, typ)
}

// ties reports whether the reference parameter is one by which typ belongs to a
// patient's compartment, so that in a resource of one patient it names that one.
func (g *Grants) ties(typ, param string) bool {
	params, _ := g.version.Compartment("Patient", typ)
	return typ != "Patient" && (slices.Contains(params, param) || param == "patient" && len(params) > 0)
}
