package compat

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// readYAML reads a rule file from its syntax tree, so that scalars keep their
// text and cases their order.
func readYAML(name string, data []byte) (v *value, err error) {
	// The parser is known to panic on some broken input.
	defer func() {
		if recover() != nil {
			v, err = nil, fmt.Errorf("%s:1:1: is not YAML", name)
		}
	}()
	f, err := parser.ParseBytes(bytes.TrimPrefix(data, []byte(bom)), 0)
	if err != nil {
		return nil, yamlError(name, err)
	}
	var body ast.Node
	for _, d := range f.Docs {
		if d.Body == nil {
			continue
		}
		if body != nil {
			return nil, fmt.Errorf("%s: has more than one document", name)
		}
		body = d.Body
	}
	if body == nil {
		return nil, fmt.Errorf("%s:1:1: is empty", name)
	}
	return fromYAML(name, body)
}

// yamlError gives the place that the library knows, without its excerpt: the
// file holds keys.
func yamlError(name string, err error) error {
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil {
		at := y.GetToken().Position
		return fmt.Errorf("%s:%d:%d: %s", name, at.Line, at.Column, y.GetMessage())
	}
	return fmt.Errorf("%s: is not YAML", name)
}

func fromYAML(file string, n ast.Node) (*value, error) {
	v := &value{line: 1, column: 1}
	if t := n.GetToken(); t != nil && t.Position != nil {
		v.line, v.column = t.Position.Line, t.Position.Column
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		v.kind = object
		for _, m := range n.Values {
			if err := v.addYAML(file, m); err != nil {
				return nil, err
			}
		}
	case *ast.MappingValueNode:
		v.kind = object
		if err := v.addYAML(file, n); err != nil {
			return nil, err
		}
	case *ast.SequenceNode:
		v.kind = array
		for _, e := range n.Values {
			part, err := fromYAML(file, e)
			if err != nil {
				return nil, err
			}
			v.parts = append(v.parts, part)
		}
	case *ast.StringNode:
		v.kind, v.text, v.quoted = scalar, n.Value, true
	case *ast.LiteralNode:
		v.kind, v.text, v.quoted = scalar, n.Value.Value, true
	case *ast.NullNode:
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		v.kind, v.text = scalar, n.GetToken().Value
	default:
		return nil, v.errorf(file, "anchors, aliases and tags are not supported; write the value out")
	}
	return v, nil
}

func (v *value) addYAML(file string, m *ast.MappingValueNode) error {
	part, err := fromYAML(file, m.Value)
	if err != nil {
		return err
	}
	key, err := fromYAML(file, m.Key)
	if err != nil {
		return err
	}
	if key.kind != scalar {
		return key.errorf(file, "a name must be text")
	}
	part.line, part.column = key.line, key.column
	if len(v.parts) == 0 { // an object begins where its first name does
		v.line, v.column = key.line, key.column
	}
	return v.add(file, key.text, part)
}
