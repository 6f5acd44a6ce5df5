package policy

import (
	"errors"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

var (
	errNotCompiled = errors.New("left to OPA")
	errNotYet      = errors.New("a variable is bound further on")
)

// step is one condition of a body, or a walk over a list that binds index[loop]
// for the conditions after it.
type step struct {
	test func(*frame) bool
	size func(*frame) int
	loop int
	uses uses
}

// match tells whether some walk through the lists meets all conditions.
func match(steps []step, f *frame) bool {
	for i := range steps {
		s := &steps[i]
		if s.test != nil {
			if !s.test(f) {
				return false
			}
			continue
		}
		for k := range s.size(f) {
			f.index[s.loop] = k
			if match(steps[i+1:], f) {
				return true
			}
		}
		return false
	}
	return true
}

// lowering turns the residual of a partial evaluation into Go. What it cannot
// say exactly as OPA would it leaves to OPA.
type lowering struct {
	known    ast.Object             // the input that the residual was made with
	unknown  []ast.Ref              // the input that it was made without
	data     ast.Value              // tables
	lookups  lookups                // of which partial evaluation did not know these
	compiler *ast.Compiler          // of the rules that the residual still names
	support  map[string][]*ast.Rule // rules that partial evaluation made
	loops    int
	depth    int
	hoisted  int
	scope    map[ast.Var]expr

	// Partial evaluation forgets that `x := input.a` demands input.a to be
	// defined where it puts input.a for x into a negated equality or an `every`.
	// Inside those, a reference that may be undefined and that some rule uses so
	// is compiled only where another condition assures it.
	doubtful []ast.Ref
	inside   bool
	assured  map[string]bool
}

// body lowers literals in order up to the first that must stay with OPA, which
// whole=false tells. Stopping there keeps OPA's own order: what follows is asked
// of OPA only where everything before it holds, as OPA would.
func (l *lowering) body(b ast.Body) (steps []step, whole bool) {
	outer := l.assured
	l.assured = assuredBy(b, outer)
	defer func() { l.assured = outer }()
	pending := slices.Clone([]*ast.Expr(b))
	for len(pending) > 0 {
		progress := false
		for i, x := range pending {
			before := cloneScope(l.scope)
			more, err := l.literal(x, b)
			if err != nil {
				l.scope = before // a variable bound by half a literal is not bound
			}
			if err == errNotYet {
				continue
			}
			if err != nil {
				return steps, false
			}
			steps = append(steps, more...)
			pending = slices.Delete(pending, i, i+1)
			progress = true
			break
		}
		if !progress {
			return steps, false
		}
	}
	return steps, true
}

func (l *lowering) literal(x *ast.Expr, in ast.Body) ([]step, error) {
	if len(x.With) > 0 {
		return nil, errNotCompiled
	}
	if !x.Negated {
		return l.condition(x)
	}
	return l.negation(x, in)
}

func (l *lowering) condition(x *ast.Expr) ([]step, error) {
	var steps []step
	switch terms := x.Terms.(type) {
	case *ast.Term:
		if rules := l.named(terms); rules != nil {
			return l.either(rules, nil)
		}
		e, err := l.term(terms, &steps)
		if err != nil {
			return nil, err
		}
		return append(steps, step{test: e.truth(), uses: e.uses}), nil
	case []*ast.Term:
		return l.callLiteral(terms)
	case *ast.Every:
		return l.every(terms)
	}
	return nil, errNotCompiled
}

func (l *lowering) callLiteral(terms []*ast.Term) ([]step, error) {
	var steps []step
	name, args := terms[0].String(), terms[1:]
	if name == "eq" {
		return l.unify(args[0], args[1])
	}
	if rules := l.named(terms[0]); rules != nil {
		return l.function(rules, args)
	}
	if name == "internal.member_2" {
		if l.unbound(args[0]) {
			return nil, errNotYet
		}
		if rules := l.named(args[1]); rules != nil {
			return l.inSet(rules, args[0])
		}
	}
	arity := arityOf(name)
	if arity < 0 || len(args) < arity {
		return nil, errNotCompiled
	}
	value, err := l.call(name, args[:arity], &steps)
	if err != nil {
		return nil, err
	}
	if len(args) == arity {
		return append(steps, step{test: value.truth(), uses: value.uses}), nil
	}
	more, err := l.unifyWith(value, args[arity])
	return append(steps, more...), err
}

func arityOf(name string) int {
	b, ok := ast.BuiltinMap[name]
	if !ok || calls[name] == nil {
		return -1
	}
	return b.Decl.Arity()
}

func (l *lowering) call(name string, args []*ast.Term, steps *[]step) (expr, error) {
	compile := calls[name]
	if compile == nil || arityOf(name) != len(args) {
		return expr{}, errNotCompiled
	}
	values := make([]expr, len(args))
	for i, a := range args {
		var err error
		if values[i], err = l.term(a, steps); err != nil {
			return expr{}, err
		}
	}
	return compile(values)
}

func (l *lowering) unbound(t *ast.Term) bool {
	v, ok := t.Value.(ast.Var)
	if !ok {
		return false
	}
	_, bound := l.scope[v]
	return !bound
}

// unify is `a = b`: it binds a side that is a new variable, or compares.
func (l *lowering) unify(a, b *ast.Term) ([]step, error) {
	if l.unbound(a) {
		a, b = b, a
	}
	if l.unbound(a) {
		return nil, errNotYet
	}
	var steps []step
	value, err := l.term(a, &steps)
	if err != nil {
		return nil, err
	}
	more, err := l.unifyWith(value, b)
	return append(steps, more...), err
}

func (l *lowering) unifyWith(value expr, t *ast.Term) ([]step, error) {
	if l.unbound(t) {
		l.scope[t.Value.(ast.Var)] = value
		return []step{{test: value.defined(), uses: value.uses}}, nil
	}
	var steps []step
	other, err := l.term(t, &steps)
	if err != nil {
		return nil, err
	}
	same, err := equality([]expr{value, other})
	if err != nil {
		return nil, err
	}
	return append(steps, step{test: same.truth(), uses: same.uses}), nil
}

// newLoop takes a place for a walk's index.
func (l *lowering) newLoop() (int, expr, error) {
	if l.loops == maxLoops {
		return 0, expr{}, errNotCompiled
	}
	loop := l.loops
	l.loops++
	return loop, numberExpr(usesLoop, func(f *frame) (int64, bool) { return int64(f.index[loop]), true }), nil
}

func cloneScope(s map[ast.Var]expr) map[ast.Var]expr {
	c := make(map[ast.Var]expr, len(s))
	for v, e := range s {
		c[v] = e
	}
	return c
}

func usesOf(steps []step) (u uses) {
	for _, s := range steps {
		u |= s.uses
	}
	return u
}
