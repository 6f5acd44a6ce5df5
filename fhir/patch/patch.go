// Package patch applies FHIR's patches to a resource's bytes: JSON Patch (RFC
// 6902) and FHIRPath Patch (https://hl7.org/fhir/R4/fhirpatch.html) with simple
// paths. What no operation touches keeps its bytes.
package patch

import (
	"errors"
	"fmt"
	"mime"
	"slices"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// Error is a patch that cannot be applied; Op is the operation's place in the
// list. Its text names neither paths nor values of the resource.
type Error struct {
	Op     int
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("operation %d: %s", e.Op+1, e.Reason) }

// ErrMediaType is a patch of a form that is not applied here.
var ErrMediaType = errors.New("patches are application/json-patch+json or a FHIR Parameters resource")

// maxOps bounds the operations of one patch: each reads the resource again.
// maxSize bounds what becomes of it: a copy into itself doubles it.
const (
	maxOps  = 200
	maxSize = 16 << 20
)

// Patch is a patch that was read. It can be applied many times.
type Patch struct {
	ops   []operation
	reads bool
}

// operation is one change of a resource.
type operation interface {
	apply(doc []byte) ([]byte, error)
	touches(path []string) bool
}

// Parse reads a patch. Errors are *Error, *wire.Error or ErrMediaType.
func Parse(v fhir.Version, body []byte, contentType string) (*Patch, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, ErrMediaType
	}
	var t wire.Tree
	switch kind {
	case "application/json-patch+json":
		if err := t.Parse(body); err != nil {
			return nil, err
		}
		return readOps(&t)
	case "application/fhir+json":
		if err := t.Parse(body); err != nil {
			return nil, err
		}
		return readParameters(v, &t)
	}
	return nil, ErrMediaType
}

// Reads tells whether the patch, by what it does or by whether it can be done,
// shows values of the resource to whoever sends it: a test, and a copy or move
// to where it can be seen.
func (p *Patch) Reads() bool { return p.reads }

// Touches tells whether some operation reads or changes the element at a path
// from the root, what stands in it or what it stands in. Adding to it in a way
// that does not show whether it is there is no touch.
func (p *Patch) Touches(path ...string) bool {
	return slices.ContainsFunc(p.ops, func(o operation) bool { return o.touches(path) })
}

func overlap(a, b []string) bool {
	n := min(len(a), len(b))
	return slices.Equal(a[:n], b[:n])
}

func (o *op) touches(path []string) bool {
	return overlap(o.path, path) || o.from != nil && overlap(o.from, path)
}

func (c *change) touches(path []string) bool {
	var at []string
	for _, p := range c.path[1:] {
		at = append(at, p.name)
	}
	if c.kind != "add" {
		return overlap(at, path)
	}
	at = append(at, c.name)
	return overlap(at, path) && !slices.Equal(at, path)
}

// Apply applies the patch to doc, a JSON object, and returns the patched form.
// doc is not changed. Errors are *Error.
func (p *Patch) Apply(doc []byte) ([]byte, error) {
	var err error
	for i, op := range p.ops {
		if doc, err = op.apply(doc); err != nil {
			return nil, &Error{i, err.Error()}
		}
		if len(doc) > maxSize {
			return nil, &Error{i, "the resource becomes too large"}
		}
	}
	return doc, nil
}

type op struct {
	name       string
	path, from pointer
	value      []byte
}

func readOps(t *wire.Tree) (*Patch, error) {
	if t.Nodes[0].Kind != wire.Array {
		return nil, &Error{0, "a JSON Patch is a list of operations"}
	}
	p := &Patch{}
	for i := range t.Children(0) {
		if len(p.ops) == maxOps {
			return nil, &Error{len(p.ops), "too many operations"}
		}
		o, err := readOp(t, i)
		if err != nil {
			return nil, &Error{len(p.ops), err.Error()}
		}
		p.ops = append(p.ops, &o)
		p.reads = p.reads || slices.Contains([]string{"test", "copy", "move"}, o.name)
	}
	return p, nil
}

func readOp(t *wire.Tree, node int) (op, error) {
	if t.Nodes[node].Kind != wire.Object {
		return op{}, errors.New("it is not an object")
	}
	var o op
	var err error
	if i := t.Get(node, "op"); i >= 0 {
		o.name = t.Text(i)
	}
	if o.path, err = member(t, node, "path"); err != nil {
		return op{}, err
	}
	switch o.name {
	case "add", "replace", "test":
		i := t.Get(node, "value")
		if i < 0 {
			return op{}, errors.New("it needs a value")
		}
		o.value = t.Raw(i)
	case "move", "copy":
		if o.from, err = member(t, node, "from"); err != nil {
			return op{}, err
		}
		if len(o.from) == 0 || o.name == "move" && o.path.within(o.from) {
			return op{}, errors.New("from is a part of path, or the whole")
		}
	case "remove":
	default:
		return op{}, errors.New("op is one of add, remove, replace, move, copy, test")
	}
	if len(o.path) == 0 && o.name != "test" {
		return op{}, errors.New("the whole resource cannot be the path: send it with PUT")
	}
	return o, nil
}

func (o *op) apply(doc []byte) ([]byte, error) {
	var t wire.Tree
	if err := t.Parse(doc); err != nil {
		return nil, errors.New("the resource is not valid JSON")
	}
	switch o.name {
	case "add":
		return add(&t, o.path, o.value)
	case "remove":
		return remove(&t, o.path)
	case "replace":
		return replace(&t, o.path, o.value)
	case "test":
		return doc, test(&t, o.path, o.value)
	}
	from, err := o.from.find(&t)
	if err != nil {
		return nil, err
	}
	value := append([]byte(nil), t.Raw(from)...)
	if o.name == "copy" {
		return add(&t, o.path, value)
	}
	if doc, err = remove(&t, o.from); err != nil {
		return nil, err
	}
	if err := t.Parse(doc); err != nil {
		return nil, errors.New("the resource is not valid JSON")
	}
	return add(&t, o.path, value)
}

func add(t *wire.Tree, p pointer, value []byte) ([]byte, error) {
	parent, last, err := p.parent(t)
	if err != nil {
		return nil, err
	}
	var e wire.Edits
	e.Reset(t)
	if t.Nodes[parent].Kind == wire.Object {
		if i := t.Get(parent, last); i >= 0 {
			e.Replace(i, value)
		} else {
			e.Append(parent, last, value)
		}
		return e.Apply(nil), nil
	}
	i, err := index(t, parent, last, true)
	if err != nil {
		return nil, err
	}
	if i < 0 {
		e.AppendElement(parent, value)
	} else {
		e.Replace(i, append(append(append([]byte(nil), value...), ','), t.Raw(i)...)) // before the element that is there
	}
	return e.Apply(nil), nil
}

func remove(t *wire.Tree, p pointer) ([]byte, error) {
	i, err := p.find(t)
	if err != nil {
		return nil, err
	}
	var e wire.Edits
	e.Reset(t)
	e.Remove(i)
	e.Prune() // FHIR allows no empty list and no empty object
	return e.Apply(nil), nil
}

func replace(t *wire.Tree, p pointer, value []byte) ([]byte, error) {
	i, err := p.find(t)
	if err != nil {
		return nil, err
	}
	var e wire.Edits
	e.Reset(t)
	e.Replace(i, value)
	return e.Apply(nil), nil
}

func test(t *wire.Tree, p pointer, value []byte) error {
	i, err := p.find(t)
	if err != nil {
		return err
	}
	var want wire.Tree
	if err := want.Parse(value); err != nil {
		return errors.New("the value is not valid JSON")
	}
	if !equal(t, i, &want, 0) {
		return errors.New("the test does not hold")
	}
	return nil
}
