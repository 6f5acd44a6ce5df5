package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// mayConflict lists the rules that could give two values at once. OPA's
// evaluation then fails, and the failure denies (C-04); its partial evaluation
// would copy each definition to where it is used and never notice, so these
// are kept out of it.
func mayConflict(c *ast.Compiler) []ast.Ref {
	groups := map[string][]*ast.Rule{}
	for _, m := range c.Modules {
		for _, r := range m.Rules {
			if r.Head.RuleKind() == ast.SingleValue && !r.Default {
				name := r.Ref().GroundPrefix().String()
				groups[name] = append(groups[name], r)
			}
		}
	}
	var torn []ast.Ref
	for _, rules := range groups {
		if !agree(rules) && (len(rules) > 1 || many(rules[0])) {
			torn = append(torn, rules[0].Ref().GroundPrefix())
		}
	}
	return torn
}

// agree tells that all definitions give one constant, else branches included.
func agree(rules []*ast.Rule) bool {
	first := rules[0].Head.Value
	for _, r := range rules {
		if !r.Head.Ref().IsGround() {
			return false
		}
		for ; r != nil; r = r.Else {
			if v := r.Head.Value; v == nil || !v.IsGround() || !isPlain(v) || !v.Equal(first) {
				return false
			}
		}
	}
	return true
}

// many tells that one definition may give several values: it makes an object,
// or walks something.
func many(r *ast.Rule) bool {
	if !r.Head.Ref().IsGround() {
		return true
	}
	bound := ast.NewVarSet()
	for _, a := range r.Head.Args {
		ast.WalkVars(a, func(v ast.Var) bool { bound.Add(v); return false })
	}
	ast.WalkExprs(r, func(x *ast.Expr) bool {
		bindsOf(x, bound)
		return false
	})
	walks := false
	ast.WalkRefs(r, func(ref ast.Ref) bool {
		for _, t := range ref[1:] {
			v, ok := t.Value.(ast.Var)
			walks = walks || ok && !bound.Contains(v)
		}
		return walks
	})
	return walks
}

// bindsOf adds the variables to which x gives one value: a side of an equality
// whose other side is no variable, and the result of a call.
func bindsOf(x *ast.Expr, bound ast.VarSet) {
	terms, ok := x.Terms.([]*ast.Term)
	if !ok {
		return
	}
	if x.IsEquality() {
		for i := range 2 {
			v, isVar := x.Operand(i).Value.(ast.Var)
			if _, other := x.Operand(1 - i).Value.(ast.Var); isVar && !other {
				bound.Add(v)
			}
		}
		return
	}
	if v, ok := terms[len(terms)-1].Value.(ast.Var); ok {
		bound.Add(v)
	}
}
