package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// doubtfulRefs lists the references to input and tables whose value some rule takes into a
// variable and then uses inside a negation or an `every`, or hands to a rule
// that might (see lowering.doubtful).
func doubtfulRefs(c *ast.Compiler) []ast.Ref {
	var all []ast.Ref
	for _, m := range c.Modules {
		ast.WalkRules(m, func(r *ast.Rule) bool {
			all = append(all, doubtfulIn(r)...)
			return false
		})
	}
	return all
}

// origins are the references that a variable's value comes from.
type origins map[ast.Var][]ast.Ref

func doubtfulIn(r *ast.Rule) []ast.Ref {
	from := originsIn(r)
	var all []ast.Ref
	doubt := func(x any) {
		ast.WalkVars(x, func(v ast.Var) bool {
			all = append(all, from[v]...)
			return false
		})
	}
	doubt(r.Head)
	ast.WalkExprs(r, func(x *ast.Expr) bool {
		terms, isCall := x.Terms.([]*ast.Term)
		_, isTerm := x.Terms.(*ast.Term)
		switch {
		case isCall && x.IsCall() && terms[0].Value.(ast.Ref).HasPrefix(ast.DefaultRootRef):
			doubt(x)
		case isCall && x.Negated && x.IsEquality(), isTerm && x.Negated, !isCall && !isTerm:
			doubt(x)
		}
		return false
	})
	ast.WalkClosures(r, func(x any) bool { doubt(x); return false })
	return all
}

// originsIn follows `x = input.a`, `y = x`, `z = x.b` and `f(x, y)`, in any
// order.
func originsIn(r *ast.Rule) origins {
	from := origins{}
	for grown := true; grown; {
		grown = false
		ast.WalkExprs(r, func(x *ast.Expr) bool {
			terms, ok := x.Terms.([]*ast.Term)
			if !ok {
				return false
			}
			for i, t := range terms[1:] {
				v, isVar := t.Value.(ast.Var)
				if result := i == len(terms)-2; !isVar || !result && !x.IsEquality() {
					continue
				}
				for k, source := range terms[1:] {
					grown = k != i && from.add(v, source) || grown
				}
			}
			return false
		})
	}
	return from
}

func (o origins) add(v ast.Var, source *ast.Term) bool {
	var refs []ast.Ref
	switch s := source.Value.(type) {
	case ast.Var:
		refs = o[s]
	case ast.Ref:
		if s.HasPrefix(ast.InputRootRef) || s.HasPrefix(ast.DefaultRootRef) {
			refs = []ast.Ref{s.GroundPrefix()}
		} else if head, ok := s[0].Value.(ast.Var); ok {
			refs = o[head]
		}
	}
	grown := false
	for _, r := range refs {
		if !slices.ContainsFunc(o[v], func(known ast.Ref) bool { return known.Equal(r) }) {
			o[v] = append(o[v], r)
			grown = true
		}
	}
	return grown
}

func isBelow(r ast.Ref, some []ast.Ref) bool {
	return slices.ContainsFunc(some, r.HasPrefix)
}
