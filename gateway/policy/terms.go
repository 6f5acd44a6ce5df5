package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// term lowers one term; walks over lists that it needs go before it, to steps.
func (l *lowering) term(t *ast.Term, steps *[]step) (expr, error) {
	switch v := t.Value.(type) {
	case ast.Ref:
		return l.ref(v, steps)
	case ast.Var:
		e, ok := l.scope[v]
		if !ok {
			return expr{}, errNotYet
		}
		return e, nil
	case ast.Call:
		return l.call(v[0].String(), v[1:], steps)
	case ast.Null, ast.Boolean, ast.Number, ast.String:
		return constExpr(v), nil
	case *ast.Array, ast.Object, ast.Set:
		if t.IsGround() && isPlain(t) {
			return constExpr(v), nil
		}
	}
	return expr{}, errNotCompiled
}

// isPlain tells a constant from a composite that holds references or
// comprehensions, which are ground too.
func isPlain(t *ast.Term) bool {
	plain := true
	ast.WalkTerms(t, func(x *ast.Term) bool {
		switch x.Value.(type) {
		case ast.Ref, ast.Call, *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
			plain = false
		}
		return !plain
	})
	return plain
}

func (l *lowering) ref(r ast.Ref, steps *[]step) (expr, error) {
	head, ok := r[0].Value.(ast.Var)
	if !ok {
		return expr{}, errNotCompiled
	}
	switch {
	case head == ast.InputRootDocument.Value:
		e, err := l.inputRef(r, steps)
		return l.sure(r, e, err)
	case head == ast.DefaultRootDocument.Value:
		e, err := l.dataRef(r, steps)
		return l.sure(r, e, err)
	}
	e, ok := l.scope[head]
	if !ok {
		return expr{}, errNotYet
	}
	return l.walk(e, r[1:], steps)
}

// sure lets a reference through unless it is in doubt (see lowering.doubtful).
func (l *lowering) sure(r ast.Ref, e expr, err error) (expr, error) {
	if err == nil && l.inside && e.partial && !l.assured[r.String()] && isBelow(r, l.doubtful) {
		return expr{}, errNotCompiled
	}
	return e, err
}

// inputRef is a fact, or a part of the input that was known and that partial
// evaluation left in place (inside `every`).
func (l *lowering) inputRef(r ast.Ref, steps *[]step) (expr, error) {
	for _, u := range l.unknown {
		if r.HasPrefix(u) {
			if e, ok := unknowns[r[:min(3, len(r))].String()]; ok {
				return l.walk(e, r[3:], steps)
			}
			return expr{}, errNotCompiled
		}
		if u.HasPrefix(r) {
			return expr{}, errNotCompiled
		}
	}
	if !r.IsGround() {
		return expr{}, errNotCompiled
	}
	return find(l.known, r[1:]), nil
}

func find(v ast.Value, path ast.Ref) expr {
	found, err := v.Find(path)
	if err != nil {
		return constExpr(nil)
	}
	return constExpr(found)
}

// walk follows a path into an expression. A new variable in it walks the list.
func (l *lowering) walk(e expr, path ast.Ref, steps *[]step) (expr, error) {
	for _, t := range path {
		var err error
		if e, err = l.into(e, t, steps); err != nil {
			return expr{}, err
		}
	}
	return e, nil
}

func (l *lowering) into(e expr, t *ast.Term, steps *[]step) (expr, error) {
	switch e.typ {
	case constant:
		if e.value == nil {
			return e, nil
		}
		if !t.IsGround() {
			return expr{}, errNotCompiled
		}
		return find(e.value, ast.Ref{t}), nil
	case list, encounters:
		return l.index(e, t, steps)
	case encounter, period:
		name, ok := t.Value.(ast.String)
		field := encounterFields[string(name)]
		if !ok || field == nil || (e.typ == period) != (name == "start" || name == "end") {
			return expr{}, errNotCompiled
		}
		return field(e), nil
	}
	return expr{}, errNotCompiled
}

func (l *lowering) index(e expr, t *ast.Term, steps *[]step) (expr, error) {
	if l.unbound(t) {
		loop, at, err := l.newLoop()
		if err != nil {
			return expr{}, err
		}
		*steps = append(*steps, step{size: e.size(), loop: loop, uses: e.uses})
		l.scope[t.Value.(ast.Var)] = at
		return e.element(at).maybe(false), nil
	}
	at, err := l.term(t, steps)
	if err != nil {
		return expr{}, err
	}
	if n, ok := at.asNumber(); ok {
		return e.element(n), nil
	}
	return expr{}, errNotCompiled
}

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
