package patch

import (
	"errors"
	"strconv"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// change is one operation of a FHIRPath Patch.
type change struct {
	version     fhir.Version
	kind        string // add, insert, delete, replace, move
	path        []place
	name        string // of the element to add
	value       value
	index       int // of an insert
	source, end int // of a move
}

// value is what an operation puts in, in JSON, with its FHIR type; a backbone
// element has none and is made once it is known which one it is.
type value struct {
	typ   string // as it stands behind "value", "Quantity"
	raw   []byte
	parts []part
}

// part is one element of a backbone value.
type part struct {
	name  string
	value value
}

var errOperation = errors.New("each parameter is named operation and has parts: type, path, name, value, index, source, destination")

// readParameters reads the Parameters of a FHIRPath Patch.
func readParameters(v fhir.Version, t *wire.Tree) (*Patch, error) {
	if i := t.Get(0, "resourceType"); i < 0 || t.Text(i) != "Parameters" {
		return nil, ErrMediaType
	}
	p := &Patch{}
	list := t.Get(0, "parameter")
	if list < 0 || t.Nodes[list].Kind != wire.Array {
		return p, nil
	}
	for i := range t.Children(list) {
		if len(p.ops) == maxOps {
			return nil, &Error{len(p.ops), "too many operations"}
		}
		c, err := readChange(v, t, i)
		if err != nil {
			return nil, &Error{len(p.ops), err.Error()}
		}
		p.ops = append(p.ops, c)
	}
	return p, nil
}

func readChange(v fhir.Version, t *wire.Tree, node int) (*change, error) {
	if text(t, node, "name") != "operation" {
		return nil, errOperation
	}
	list := t.Get(node, "part")
	if list < 0 || t.Nodes[list].Kind != wire.Array {
		return nil, errOperation
	}
	c := &change{version: v, index: -1, source: -1, end: -1}
	seen := map[string]bool{}
	for i := range t.Children(list) {
		name := text(t, i, "name")
		if seen[name] {
			return nil, errors.New("a part stands twice")
		}
		seen[name] = true
		if err := c.part(t, i, name); err != nil {
			return nil, err
		}
	}
	return c, c.complete(seen)
}

// part reads one part of an operation.
func (c *change) part(t *wire.Tree, node int, name string) (err error) {
	one, err := readValue(t, node)
	if err != nil {
		return err
	}
	plain := ""
	if len(one.raw) > 0 && one.raw[0] == '"' {
		if plain, err = wire.Unquote(one.raw); err != nil {
			return errOperation
		}
	}
	switch name {
	case "type":
		c.kind = plain
	case "path":
		c.path, err = readPath(plain)
	case "name":
		c.name = plain
	case "value":
		c.value = one
	case "index":
		c.index, err = number(one.raw)
	case "source":
		c.source, err = number(one.raw)
	case "destination":
		c.end, err = number(one.raw)
	default:
		return errOperation
	}
	return err
}

// complete holds the operation to the parts that its type takes.
func (c *change) complete(seen map[string]bool) error {
	want := map[string][]string{"add": {"name", "value"}, "insert": {"index", "value"}, "delete": {}, "replace": {"value"}, "move": {"source", "destination"}}
	parts, known := want[c.kind]
	if !known {
		return errors.New("type is one of add, insert, delete, replace, move")
	}
	for _, name := range append(parts, "path") {
		if !seen[name] {
			return errors.New("it needs a " + name)
		}
	}
	if len(seen) != len(parts)+2 {
		return errors.New("it has a part that its type does not take")
	}
	if len(c.path) == 1 && c.kind != "add" {
		return errors.New("the whole resource cannot be the path: send it with PUT, or DELETE it")
	}
	return nil
}

// readValue reads the value[x] of a parameter, or its parts.
func readValue(t *wire.Tree, node int) (value, error) {
	var v value
	for i := range t.Children(node) {
		name := string(t.Name(i))
		switch {
		case name == "name" || name == "id":
		case name == "part" && v.typ == "" && t.Nodes[i].Kind == wire.Array:
			for p := range t.Children(i) {
				inner, err := readValue(t, p)
				if err != nil {
					return v, err
				}
				v.parts = append(v.parts, part{text(t, p, "name"), inner})
			}
		case strings.HasPrefix(name, "value") && len(name) > 5 && v.typ == "" && v.parts == nil:
			v.typ, v.raw = name[5:], t.Raw(i)
		default:
			return v, errors.New("a part has one value, or parts of its own")
		}
	}
	if v.typ == "" && v.parts == nil || string(v.raw) == "null" {
		return v, errors.New("a part has no value")
	}
	return v, nil
}

func text(t *wire.Tree, node int, name string) string {
	if t.Nodes[node].Kind != wire.Object {
		return ""
	}
	if i := t.Get(node, name); i >= 0 {
		return t.Text(i)
	}
	return ""
}

func number(raw []byte) (int, error) {
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < 0 || n > 1<<20 {
		return 0, errors.New("an index is a number from 0 up")
	}
	return n, nil
}

// json is the value as the element info takes it.
func (v value) json(version fhir.Version, info fhir.ElementInfo) ([]byte, error) {
	if v.parts != nil {
		return v.object(version, info.Type)
	}
	primitive := version.Kind(info.Type) == fhir.Primitive
	if object := v.raw[0] == '{'; object == primitive || v.raw[0] == '[' {
		return nil, errType
	}
	if !primitive && v.typ != info.Type {
		return nil, errType
	}
	return v.raw, nil
}

var errType = errors.New("the value is of another type than the element")

// object makes a backbone element of its parts.
func (v value) object(version fhir.Version, typ string) ([]byte, error) {
	if k := version.Kind(typ); k != fhir.Backbone && k != fhir.Complex {
		return nil, errType
	}
	names := []string{}
	values := map[string][][]byte{}
	arrays := map[string]bool{}
	for _, p := range v.parts {
		info, err := element(version, typ, p.name, p.value)
		if err != nil {
			return nil, err
		}
		raw, err := p.value.json(version, info)
		if err != nil {
			return nil, err
		}
		if len(values[info.Name]) == 0 {
			names = append(names, info.Name)
		} else if !info.Array {
			return nil, errors.New("an element of the value stands twice")
		}
		values[info.Name], arrays[info.Name] = append(values[info.Name], raw), info.Array
	}
	out := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(wire.Quote(out, name), ':')
		out = append(out, list(values[name], arrays[name])...)
	}
	return append(out, '}'), nil
}

func list(values [][]byte, array bool) []byte {
	if !array {
		return values[0]
	}
	out := []byte{'['}
	for i, raw := range values {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, raw...)
	}
	return append(out, ']')
}

// element is the one of typ with a FHIRPath name that takes the value: of a
// choice the one whose JSON name says the value's type.
func element(version fhir.Version, typ, name string, v value) (fhir.ElementInfo, error) {
	info, ok := version.Element(typ, name)
	if !ok || info.Choice && info.Type != "" { // "valueQuantity" is no FHIRPath name
		return info, errElement
	}
	if info.Choice {
		if info, ok = version.Element(typ, name+v.typ); !ok || v.typ == "" {
			return info, errType
		}
	}
	return info, nil
}

var errElement = errors.New("FHIR defines no such element there")
