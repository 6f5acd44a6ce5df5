package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// named are the rules behind a reference without arguments or further path,
// nil where the term is no such thing.
func (l *lowering) named(t *ast.Term) []*ast.Rule {
	r, ok := t.Value.(ast.Ref)
	if !ok || !r.HasPrefix(ast.DefaultRootRef) || !r.IsGround() {
		return nil
	}
	if made := l.support[r.String()]; made != nil {
		return made
	}
	return l.compiler.GetRulesExact(r)
}

// either is rules as a condition: one of their bodies holds, and what bind adds
// to it. A default of false and an undefined rule are the same to a condition,
// negated or not.
func (l *lowering) either(rules []*ast.Rule, bind func(*ast.Rule) ([]step, error)) ([]step, error) {
	if l.depth > 16 {
		return nil, errNotCompiled
	}
	l.depth++
	defer func() { l.depth-- }()
	var ways [][]step
	var u uses
	for _, r := range rules {
		if r.Default && isBoolean(r, false) {
			continue
		}
		steps, err := l.way(r, bind)
		if err != nil {
			return nil, err
		}
		ways, u = append(ways, steps), u|usesOf(steps)
	}
	test := func(f *frame) bool {
		for _, w := range ways {
			if match(w, f) {
				return true
			}
		}
		return false
	}
	return []step{{test: test, uses: u}}, nil
}

// way lowers one rule in a scope of its own.
func (l *lowering) way(r *ast.Rule, bind func(*ast.Rule) ([]step, error)) ([]step, error) {
	if r.Else != nil || r.Default || bind == nil && !isPlainTruth(r) {
		return nil, errNotCompiled
	}
	outer, inside := l.scope, l.inside
	l.scope, l.inside = map[ast.Var]expr{}, false
	defer func() { l.scope, l.inside = outer, inside }()
	if bind == nil {
		bind = func(*ast.Rule) ([]step, error) { return nil, nil }
	}
	if r.Head.RuleKind() == ast.MultiValue {
		steps, whole := l.body(r.Body)
		if !whole {
			return nil, errNotCompiled
		}
		more, err := bind(r)
		return append(steps, more...), never(err)
	}
	steps, err := bind(r)
	if err != nil {
		return nil, never(err)
	}
	more, whole := l.body(r.Body)
	if !whole {
		return nil, errNotCompiled
	}
	return append(steps, more...), nil
}

// never turns a variable that is bound further on into one that never is: a
// rule's body is all that binds its variables.
func never(err error) error {
	if err == errNotYet {
		return errNotCompiled
	}
	return err
}

func isBoolean(r *ast.Rule, want bool) bool {
	return r.Head.RuleKind() == ast.SingleValue && r.Head.Value != nil && r.Head.Value.Value.Compare(ast.Boolean(want)) == 0
}

func isPlainTruth(r *ast.Rule) bool {
	return len(r.Head.Args) == 0 && isBoolean(r, true)
}

// function is a call of a function that is true or undefined.
func (l *lowering) function(rules []*ast.Rule, args []*ast.Term) ([]step, error) {
	steps, values, err := l.operands(args)
	if err != nil {
		return nil, err
	}
	more, err := l.either(rules, func(r *ast.Rule) ([]step, error) {
		if !isBoolean(r, true) || len(r.Head.Args) != len(values) {
			return nil, errNotCompiled
		}
		var bound []step
		for i, a := range r.Head.Args {
			same, err := l.unifyWith(values[i], a)
			if err != nil {
				return nil, err
			}
			bound = append(bound, same...)
		}
		return bound, nil
	})
	return append(steps, more...), err
}

// inSet is `x in set` where rules make up the set.
func (l *lowering) inSet(rules []*ast.Rule, x *ast.Term) ([]step, error) {
	steps, values, err := l.operands([]*ast.Term{x})
	if err != nil {
		return nil, err
	}
	more, err := l.either(rules, func(r *ast.Rule) ([]step, error) {
		if r.Head.RuleKind() != ast.MultiValue || len(r.Head.Args) > 0 {
			return nil, errNotCompiled
		}
		return l.unifyWith(values[0], r.Head.Key)
	})
	return append(steps, more...), err
}

// operands lowers the operands of a call, each of which must be defined.
func (l *lowering) operands(args []*ast.Term) (steps []step, values []expr, err error) {
	for _, a := range args {
		e, err := l.term(a, &steps)
		if err != nil {
			return nil, nil, err
		}
		values = append(values, e)
		steps = append(steps, step{test: e.defined(), uses: e.uses})
	}
	return steps, values, nil
}
