// Package path compiles the part of FHIRPath that rule files use and evaluates
// it on a wire.Tree.
//
// It has paths with choice elements by their base name, where, exists, ofType,
// is, as, comparison, and, or, in, contains, arithmetic, the common string
// functions, literals, $this, and nodesByType and nodesByName, which find
// descendants and do not look into resources inside. What it does not have is
// an error of Compile, never an empty result.
package path

import (
	"fmt"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// Expr is a compiled expression. It never changes and is safe for concurrent
// use.
type Expr struct {
	version fhir.Version
	root    node
}

// Item is one value of a result: a node of the tree, or a computed value.
type Item struct {
	Node int    // index in the tree, or -1 where it was computed
	Type string // FHIR type: "HumanName", "Patient.contact", "string"

	value value // computed
	side  int   // node of what stands under "_name" beside a primitive; 0 is none
}

// Error says where an expression is not understood; Column counts from 1.
type Error struct {
	Column int
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Reason) }

// Compile reads an expression. The error is an *Error.
func Compile(v fhir.Version, expr string) (*Expr, error) {
	p := &parser{version: v}
	if err := p.lex(expr); err != nil {
		return nil, err
	}
	root, err := p.expression(0, 0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != end {
		return nil, p.fail(t, "unexpected "+t.text)
	}
	return &Expr{v, root}, nil
}

// Eval evaluates the expression on the resource at node ctx. It is an error
// where operands do not go together.
func (e *Expr) Eval(t *wire.Tree, ctx int) ([]Item, error) {
	at := t.Get(ctx, "resourceType")
	if at < 0 {
		return nil, fmt.Errorf("evaluate path: no resourceType")
	}
	ev := &eval{version: e.version, tree: t, root: Item{Node: ctx, Type: t.Text(at)}}
	return e.root.eval(ev, []Item{ev.root})
}

// Bool evaluates a condition: false where it is empty, and an error where it
// is not one truth value.
func (e *Expr) Bool(t *wire.Tree, ctx int) (bool, error) {
	items, err := e.Eval(t, ctx)
	if err != nil {
		return false, err
	}
	return truth(&eval{tree: t}, items)
}
