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
