package policy

import (
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// negation is `not x`, whose own variables are "some such": not even one fits.
func (l *lowering) negation(x *ast.Expr, in ast.Body) ([]step, error) {
	if l.awaits(x, in) {
		return nil, errNotYet
	}
	x = x.ComplementNoWith()
	steps, err := l.hoist(x)
	if err != nil {
		return nil, err
	}
	outer := l.scope
	l.scope = cloneScope(outer)
	defer func() { l.scope = outer }()
	inside := l.inside
	_, bare := x.Terms.(*ast.Term)
	l.inside = inside || bare || x.IsEquality()
	inner, err := l.condition(x)
	l.inside = inside
	if err != nil {
		return nil, err
	}
	return append(steps, step{test: func(f *frame) bool { return !match(inner, f) }, uses: usesOf(inner)}), nil
}

// hoist evaluates the operands of a negated literal before the negation, as
// OPA does: `not f(x)` is undefined, not true, where x is. The plain operands
// of an equality alone stay inside.
func (l *lowering) hoist(x *ast.Expr) ([]step, error) {
	var steps []step
	out := func(t *ast.Term) (*ast.Term, error) {
		e, err := l.term(t, &steps)
		if err != nil || e.typ == constant && e.value != nil {
			return t, err
		}
		l.hoisted++
		v := ast.VarTerm(fmt.Sprintf("hoisted%d", l.hoisted))
		l.scope[v.Value.(ast.Var)] = e
		steps = append(steps, step{test: e.defined(), uses: e.uses})
		return v, nil
	}
	var err error
	switch terms := x.Terms.(type) {
	case []*ast.Term:
		replaced := slices.Clone(terms)
		for i := 1; i < len(terms) && err == nil; i++ {
			if _, plain := terms[i].Value.(ast.Ref); plain && x.IsEquality() {
				continue
			}
			replaced[i], err = out(terms[i])
		}
		x.Terms = replaced
	case *ast.Every:
		every := *terms
		every.Domain, err = out(terms.Domain)
		x.Terms = &every
	case *ast.Term:
		if _, ok := terms.Value.(ast.Call); ok {
			err = errNotCompiled
		}
	}
	return steps, err
}

// awaits tells whether a negated literal mentions a variable that another
// literal of its body binds and has not bound yet. Variables of its own alone
// are "some such": not even one may fit.
func (l *lowering) awaits(x *ast.Expr, in ast.Body) bool {
	for v := range varsOf(x) {
		if _, bound := l.scope[v]; bound {
			continue
		}
		for _, other := range in {
			if other != x && varsOf(other).Contains(v) {
				return true
			}
		}
	}
	return false
}

func varsOf(x *ast.Expr) ast.VarSet {
	visitor := ast.NewVarVisitor().WithParams(ast.VarVisitorParams{SkipRefCallHead: true})
	visitor.Walk(x)
	vars := visitor.Vars()
	return vars.Diff(ast.ReservedVars)
}

// every is `every k, v in list {body}`: the list is defined, and for each
// element the body holds.
func (l *lowering) every(x *ast.Every) ([]step, error) {
	var steps []step
	domain, err := l.term(x.Domain, &steps)
	if err != nil {
		return nil, err
	}
	if domain.typ != list && domain.typ != encounters {
		return nil, errNotCompiled
	}
	outer := l.scope
	l.scope = cloneScope(outer)
	defer func() { l.scope = outer }()
	loop, at, err := l.newLoop()
	if err != nil {
		return nil, err
	}
	if x.Key != nil {
		l.scope[x.Key.Value.(ast.Var)] = at
	}
	l.scope[x.Value.Value.(ast.Var)] = domain.element(at)
	inside := l.inside
	l.inside = true
	body, whole := l.body(x.Body)
	l.inside = inside
	if !whole {
		return nil, errNotCompiled
	}
	size, defined := domain.size(), domain.defined()
	test := func(f *frame) bool {
		if !defined(f) {
			return false
		}
		for k := range size(f) {
			f.index[loop] = k
			if !match(body, f) {
				return false
			}
		}
		return true
	}
	return append(steps, step{test: test, uses: usesLoop | domain.uses | usesOf(body)}), nil
}

// assuredBy lists the input references that the body's own conditions demand to
// be defined.
func assuredBy(b ast.Body, outer map[string]bool) map[string]bool {
	all := map[string]bool{}
	for r := range outer {
		all[r] = true
	}
	for _, x := range b {
		if x.Negated {
			continue
		}
		switch terms := x.Terms.(type) {
		case *ast.Term:
			if r, ok := terms.Value.(ast.Ref); ok {
				all[r.String()] = true
			}
		case []*ast.Term:
			for _, t := range terms[1:] {
				if r, ok := t.Value.(ast.Ref); ok {
					all[r.String()] = true
				}
			}
		}
	}
	return all
}
