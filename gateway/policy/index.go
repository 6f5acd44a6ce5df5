package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// manyWays is the number from which a residual's ways are found by index.
const manyWays = 16

// index finds the ways that a resource may take by one fact that each demands,
// so that a decision costs the same however many rules ask for something else.
type index struct {
	rest  []int // ways that demand no such fact
	facts []indexed
}

// indexed are ways by the value that they demand of one fact.
type indexed struct {
	fact expr
	ways map[string][]int
}

// demand is `fact == value`, or `value in fact` where the fact is a list.
type demand struct{ fact, value string }

// demandOf finds a demand among the conditions of a body.
func demandOf(b ast.Body) demand {
	for _, x := range b {
		terms, ok := x.Terms.([]*ast.Term)
		if !ok || x.Negated || len(x.With) > 0 || len(terms) != 3 {
			continue
		}
		a, c := terms[1], terms[2]
		switch name := terms[0].String(); {
		case name == "eq" && isFact(a, text) && isText(c):
			return demand{a.String(), string(c.Value.(ast.String))}
		case name == "eq" && isFact(c, text) && isText(a):
			return demand{c.String(), string(a.Value.(ast.String))}
		case name == "internal.member_2" && isFact(c, list) && isText(a):
			return demand{c.String(), string(a.Value.(ast.String))}
		}
	}
	return demand{}
}

func isFact(t *ast.Term, typ kind) bool {
	r, ok := t.Value.(ast.Ref)
	if !ok {
		return false
	}
	e, ok := unknowns[r.String()]
	return ok && e.typ == typ && e.uses&usesRequest == 0
}

func isText(t *ast.Term) bool {
	_, ok := t.Value.(ast.String)
	return ok
}

func newIndex(demands []demand) *index {
	if len(demands) < manyWays {
		return nil
	}
	x := &index{}
	at := map[string]int{}
	for i, d := range demands {
		if d.fact == "" {
			x.rest = append(x.rest, i)
			continue
		}
		k, ok := at[d.fact]
		if !ok {
			k = len(x.facts)
			at[d.fact] = k
			x.facts = append(x.facts, indexed{unknowns[d.fact], map[string][]int{}})
		}
		x.facts[k].ways[d.value] = append(x.facts[k].ways[d.value], i)
	}
	return x
}

// each calls try with the ways that the resource may take until it says no.
func (x *index) each(f *frame, try func(way int) bool) bool {
	for _, i := range x.rest {
		if !try(i) {
			return false
		}
	}
	for k := range x.facts {
		at := &x.facts[k]
		if at.fact.typ == text {
			s, _ := at.fact.text(f)
			if !all(at.ways[s], try) {
				return false
			}
			continue
		}
		values, _ := at.fact.list(f)
		for _, s := range values {
			if !all(at.ways[s], try) {
				return false
			}
		}
	}
	return true
}

func all(ways []int, try func(int) bool) bool {
	for _, i := range ways {
		if !try(i) {
			return false
		}
	}
	return true
}
