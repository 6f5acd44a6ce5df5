package path

import "gatehouse/fhir/wire"

// EvalAt evaluates the expression on one element: a value of type typ at node
// ctx, which $this and names at the head of a path mean.
func (e *Expr) EvalAt(t *wire.Tree, ctx int, typ string) ([]Item, error) {
	at := Item{Node: ctx, Type: typ}
	return e.root.eval(&eval{version: e.version, tree: t, root: at}, []Item{at})
}

// HoldsAt evaluates a condition on one element. Unlike with Bool, an empty
// result holds, as in the predicates of rule files.
func (e *Expr) HoldsAt(t *wire.Tree, ctx int, typ string) (bool, error) {
	items, err := e.EvalAt(t, ctx, typ)
	if err != nil || len(items) != 1 {
		return err == nil, err
	}
	v := (&eval{tree: t}).value(items[0])
	return v.kind != isBool || v.text == "true", nil
}

// Text is the value of a primitive as text, and "" of a structure.
func (i Item) Text(t *wire.Tree) string { return (&eval{tree: t}).value(i).text }
