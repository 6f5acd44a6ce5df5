package policy

import (
	"encoding/json"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/fhir/wire"
)

// contentInput reads the whole resource. A duplicate member at any depth is an
// error: the policy would judge one value and the client read the other. Its
// numbers keep their digits.
func contentInput(content []byte) (*ast.Term, error) {
	var t wire.Tree
	if err := t.Parse(content); err != nil {
		return nil, fmt.Errorf("read the resource's content for policy: %w", err)
	}
	if t.Nodes[0].Kind != wire.Object {
		return nil, fmt.Errorf("read the resource's content for policy: it is no object")
	}
	return contentTerm(&t, 0), nil
}

func contentTerm(t *wire.Tree, i int) *ast.Term {
	switch t.Nodes[i].Kind {
	case wire.Object:
		o := ast.NewObject()
		for c := range t.Children(i) {
			o.Insert(ast.StringTerm(string(t.Name(c))), contentTerm(t, c))
		}
		return ast.NewTerm(o)
	case wire.Array:
		var all []*ast.Term
		for c := range t.Children(i) {
			all = append(all, contentTerm(t, c))
		}
		return ast.ArrayTerm(all...)
	case wire.String:
		return ast.StringTerm(t.Text(i))
	case wire.Number:
		return ast.NumberTerm(json.Number(t.Raw(i)))
	case wire.True, wire.False:
		return ast.BooleanTerm(t.Nodes[i].Kind == wire.True)
	}
	return ast.NullTerm()
}
