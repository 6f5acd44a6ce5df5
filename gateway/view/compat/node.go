package compat

import (
	"errors"
	"fmt"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// node is one FHIR element: a primitive together with what its "_name" holds,
// a structure, or a resource. Rules change it in place.
type node struct {
	name   string // in FHIRPath: "value"
	json   string // in JSON: "valueQuantity"
	typ    string // "Quantity", "Patient.contact", "date"
	parent *node
	raw    []byte // of a primitive, as JSON; nil where it has no value
	kids   []*node

	repeats   bool // an element of a list
	primitive bool
	resource  bool
	visited   bool // a rule has decided it
}

var (
	errType    = errors.New("resource has no type that this release knows")
	errUnknown = errors.New("resource holds what this release does not define")
)

// builder makes nodes of a parsed document.
type builder struct {
	version fhir.Version
	tree    *wire.Tree
	dropped bool // something that FHIR does not define was left out
}

func (b *builder) resource(i int, parent *node) (*node, error) {
	if b.tree.Nodes[i].Kind != wire.Object {
		return nil, errType
	}
	at := b.tree.Get(i, "resourceType")
	if at < 0 || !b.version.KnownType(b.tree.Text(at)) {
		return nil, errType
	}
	n := &node{typ: b.tree.Text(at), parent: parent, resource: true}
	return n, b.members(n, i)
}

// members reads object i into n.
func (b *builder) members(n *node, i int) error {
	for c := range b.tree.Children(i) {
		name := string(b.tree.Name(c))
		if n.resource && name == "resourceType" {
			continue
		}
		beside := -1
		if bare, is := strings.CutPrefix(name, "_"); is {
			if b.tree.Get(i, bare) >= 0 {
				continue // read with its value
			}
			name, beside = bare, c
		} else {
			beside = b.tree.Get(i, "_"+name)
		}
		info, ok := b.version.Element(n.typ, name)
		if !ok || info.Type == "" {
			// The tools refuse such input. No rule by type could find it, so
			// it may not stay either.
			b.dropped = true
			continue
		}
		value := c
		if value == beside {
			value = -1
		}
		if err := b.member(n, info, value, beside); err != nil {
			return fmt.Errorf("%s.%s: %w", n.typ, name, err)
		}
	}
	return nil
}

// member reads one element: the value at node value and its extensions at
// beside, -1 where there are none.
func (b *builder) member(n *node, info fhir.ElementInfo, value, beside int) error {
	if b.kind(value) != wire.Array && b.kind(beside) != wire.Array {
		return b.element(n, info, value, beside, false)
	}
	values, sides := b.list(value), b.list(beside)
	for k := range max(len(values), len(sides)) {
		v, s := -1, -1
		if k < len(values) {
			v = values[k]
		}
		if k < len(sides) {
			s = sides[k]
		}
		if err := b.element(n, info, v, s, true); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) kind(i int) wire.Kind {
	if i < 0 {
		return wire.Null
	}
	return b.tree.Nodes[i].Kind
}

func (b *builder) list(i int) (items []int) {
	if b.kind(i) == wire.Array {
		for c := range b.tree.Children(i) {
			items = append(items, c)
		}
	} else if i >= 0 {
		items = append(items, i)
	}
	return items
}

func (b *builder) element(parent *node, info fhir.ElementInfo, value, beside int, repeats bool) (err error) {
	n := &node{name: info.Path, json: info.Name, typ: info.Type, parent: parent, repeats: repeats}
	kind := b.kind(value)
	switch {
	case info.Type == "Resource":
		if n, err = b.resource(max(value, 0), parent); value < 0 || err != nil {
			return errType
		}
		n.name, n.json, n.repeats = info.Path, info.Name, repeats
	case b.version.Kind(info.Type) != fhir.Primitive:
		if kind != wire.Object && kind != wire.Null || beside >= 0 {
			return errUnknown
		}
		if kind == wire.Object {
			err = b.members(n, value)
		}
	case kind == wire.Object || kind == wire.Array:
		return errUnknown
	default:
		n.primitive = true
		if kind != wire.Null {
			n.raw = b.tree.Raw(value)
		}
		if b.kind(beside) == wire.Object {
			err = b.members(n, beside)
		} else if b.kind(beside) != wire.Null {
			return errUnknown
		}
	}
	parent.kids = append(parent.kids, n)
	return err
}

// text is the value of a primitive as the tools see it.
func (n *node) text() string {
	switch {
	case len(n.raw) == 0:
		return ""
	case n.raw[0] == '"':
		s, _ := wire.Unquote(n.raw) // parsed before
		return s
	case n.raw[0] == 't':
		return "True" // as .NET writes it
	case n.raw[0] == 'f':
		return "False"
	}
	return string(n.raw)
}

// set puts a text in the place of a value.
func (n *node) set(text string) { n.raw = wire.Quote(nil, text) }

// instanceType is the type by which rules know a node: structures inside a
// definition have none of their own.
func (n *node) instanceType(v fhir.Version) string {
	dot := strings.IndexByte(n.typ, '.')
	if dot < 0 {
		return n.typ
	}
	if v.KnownType(n.typ[:dot]) {
		return "BackboneElement"
	}
	return "Element"
}

// child is the first with that name, or nil.
func (n *node) child(name string) *node {
	for _, k := range n.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}

// insert adds a child behind the others of its name, or at the end.
func (n *node) insert(k *node) {
	k.parent = n
	at := len(n.kids)
	for i := len(n.kids) - 1; i >= 0; i-- {
		if n.kids[i].json == k.json {
			at = i + 1
			break
		}
	}
	n.kids = append(n.kids[:at], append([]*node{k}, n.kids[at:]...)...)
}
