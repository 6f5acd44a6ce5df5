package policy

import (
	"context"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// walk goes through the bodies of rules condition by condition, on past those
// that do not hold, to tell what is missing.
type walk struct {
	ctx    context.Context
	engine *Engine
	input  *ast.Term
	open   []ast.Ref // input that is not known yet: a condition on it is not missing
	txn    storage.Transaction
	asked  int
	err    error
}

const (
	maxAsked      = 20_000 // conditions evaluated for one explanation
	maxCandidates = 256    // ways through one body
	maxMissing    = 4      // conditions that a way may lack before it is left
	maxNested     = 3      // rules that ask rules
)

func newWalk(ctx context.Context, e *Engine, input ast.Object, open []ast.Ref) (*walk, error) {
	txn, err := e.store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	return &walk{ctx: ctx, engine: e, input: ast.NewTerm(input), open: open, txn: txn}, nil
}

func (w *walk) close() { w.engine.store.Abort(w.ctx, w.txn) }

// env are variables with their values.
type env map[ast.Var]*ast.Term

// candidate is one way through a body so far.
type candidate struct {
	env     env
	lost    ast.VarSet // variables that a condition would have bound that did not hold
	missing []Lack
	depends []Lack
	unseen  int // conditions on what was lost
}

// through lists the ways through a body that lack least: for each row that the
// body goes through, what does not hold of it.
func (w *walk) through(body ast.Body, start env, depth int) []candidate {
	all := []candidate{{env: start, lost: ast.NewVarSet()}}
	for _, x := range body {
		var next []candidate
		for _, c := range all {
			next = append(next, w.step(c, x, depth)...)
		}
		if len(next) > maxCandidates {
			next = next[:maxCandidates]
		}
		all = next
	}
	return slices.DeleteFunc(all, func(c candidate) bool { return len(c.missing) == 0 && len(c.depends) == 0 })
}

// step takes one candidate past one condition.
func (w *walk) step(c candidate, x *ast.Expr, depth int) []candidate {
	vars := varsOf(x)
	if len(vars.Intersect(c.lost)) > 0 {
		c.unseen++
		return []candidate{c.without(vars)}
	}
	if found := w.solve(ast.NewBody(x), c.env); len(found) > 0 {
		var all []candidate
		for _, e := range found {
			next := c
			next.env = e
			all = append(all, next)
		}
		return all
	}
	next := c.without(vars)
	lack := w.lack(x, c.env, depth)
	if w.isOpen(x) {
		next.depends = addLack(c.depends, lack)
	} else if next.missing = addLack(c.missing, lack); len(next.missing) > maxMissing {
		return nil
	}
	return []candidate{next}
}

// without is the candidate after a condition that bound nothing.
func (c candidate) without(vars ast.VarSet) candidate {
	c.lost = c.lost.Copy()
	for v := range vars {
		if c.env[v] == nil {
			c.lost.Add(v)
		}
	}
	return c
}

// addLack leaves out the parts into which the compiler has cut a condition that
// is there already.
func addLack(all []Lack, l Lack) []Lack {
	if slices.ContainsFunc(all, func(k Lack) bool { return k.File == l.File && k.Line == l.Line && k.Condition == l.Condition }) {
		return all
	}
	return append(slices.Clone(all), l)
}

// solve lists the values of the variables with which the body holds.
func (w *walk) solve(body ast.Body, start env) []env {
	if w.asked++; w.asked > maxAsked || w.err != nil {
		return nil
	}
	var whole ast.Body
	vars := ast.NewVarSet()
	for _, x := range body {
		vars.Update(varsOf(x))
	}
	for v := range vars {
		if value := start[v]; value != nil {
			whole = append(whole, ast.Equality.Expr(ast.NewTerm(v), value))
		}
	}
	whole = append(whole, body...)
	for i, x := range whole {
		if x.Index != i {
			x = x.Copy()
			x.Index = i
			whole[i] = x
		}
	}
	var found []env
	err := topdown.NewQuery(whole).WithCompiler(w.engine.compiler).WithStore(w.engine.store).WithTransaction(w.txn).WithInput(w.input).WithCancel(newBudget(w.ctx, w.engine.steps)).
		Iter(w.ctx, func(r topdown.QueryResult) error {
			if len(found) < maxCandidates {
				e := maps.Clone(start)
				if e == nil {
					e = env{}
				}
				maps.Copy(e, r)
				found = append(found, e)
			}
			return nil
		})
	if err != nil {
		if w.ctx.Err() != nil {
			w.err = w.ctx.Err()
		}
		return nil // an error in a condition: it does not hold
	}
	return found
}

// isOpen tells whether a condition reads what is not known yet, by itself or
// through the rules that it asks.
func (w *walk) isOpen(x *ast.Expr) bool {
	if len(w.open) == 0 {
		return false
	}
	return reaches(w.engine.compiler, x, func(ref ast.Ref) bool {
		return slices.ContainsFunc(w.open, func(o ast.Ref) bool { return ref.HasPrefix(o) || o.HasPrefix(ref) })
	})
}
