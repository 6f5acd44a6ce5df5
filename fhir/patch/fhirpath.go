package patch

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// place is one step of a simple path: an element, and which of a list.
type place struct {
	name  string
	index int // -1: not said
}

var errSimple = errors.New("paths here are simple: Type.element[0].element, without functions or conditions")

// readPath reads a simple FHIRPath. Whatever else FHIRPath can say is refused:
// a server could read it otherwise (W-05).
func readPath(s string) ([]place, error) {
	var path []place
	for _, part := range strings.Split(s, ".") {
		p := place{name: part, index: -1}
		if name, rest, ok := strings.Cut(part, "["); ok {
			digits, closed := strings.CutSuffix(rest, "]")
			n, err := strconv.Atoi(digits)
			if !closed || err != nil || n < 0 || strconv.Itoa(n) != digits {
				return nil, errSimple
			}
			p = place{name, n}
		}
		if p.name == "" || !alphanumeric(p.name) {
			return nil, errSimple
		}
		path = append(path, p)
	}
	if path[0].index >= 0 {
		return nil, errSimple
	}
	return path, nil
}

func alphanumeric(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') }) < 0
}

// spot is where a path leads in a resource.
type spot struct {
	parent int              // the object that has the element
	info   fhir.ElementInfo // what is there
	member int              // its member, -1 where there is none
	item   int              // the value: the member, or one of its list; -1 where there is none
}

// find follows the path. The last element may be missing, those before it may not.
func (c *change) find(t *wire.Tree) (spot, error) {
	i := t.Get(0, "resourceType")
	if i < 0 || t.Text(i) != c.path[0].name {
		return spot{}, errors.New("the path begins with another type than the resource's")
	}
	at := spot{parent: -1, info: fhir.ElementInfo{Type: c.path[0].name}, item: 0}
	for n, p := range c.path[1:] {
		if at.item < 0 || t.Nodes[at.item].Kind != wire.Object {
			return at, errNoPlace
		}
		typ := at.info.Type
		if typ == "Resource" {
			typ = text(t, at.item, "resourceType")
		}
		next, err := c.step(t, at.item, typ, p)
		if err != nil {
			return at, err
		}
		if at = next; at.item < 0 && n < len(c.path)-2 {
			return at, errNoPlace
		}
	}
	return at, nil
}

// step goes from an object to one of its elements.
func (c *change) step(t *wire.Tree, node int, typ string, p place) (spot, error) {
	info, ok := c.version.Element(typ, p.name)
	if !ok || info.Choice && info.Type != "" {
		return spot{}, errElement
	}
	s := spot{parent: node, info: info, member: t.Get(node, p.name), item: -1}
	if info.Choice {
		s.member = -1
		for m := range t.Children(node) {
			if one, ok := c.version.Element(typ, string(t.Name(m))); ok && one.Choice && one.Path == p.name {
				s.member, s.info = m, one
			}
		}
	}
	if s.member < 0 {
		return s, nil
	}
	if t.Nodes[s.member].Kind != wire.Array {
		if s.item = s.member; p.index > 0 || info.Array {
			return s, errNoPlace
		}
		return s, nil
	}
	return s.within(t, p)
}

// within picks one value of a list; without an index there must be only one,
// and of more none is picked.
func (s spot) within(t *wire.Tree, p place) (spot, error) {
	items := slices.Collect(t.Children(s.member))
	switch {
	case p.index >= len(items):
		return s, errNoPlace
	case p.index >= 0:
		s.item = items[p.index]
	case len(items) == 1:
		s.item = items[0]
	}
	return s, nil
}

func (c *change) apply(doc []byte) ([]byte, error) {
	var t wire.Tree
	if err := t.Parse(doc); err != nil {
		return nil, errors.New("the resource is not valid JSON")
	}
	at, err := c.find(&t)
	if err != nil && (c.kind != "delete" || err != errNoPlace) { // nothing to delete is no error in FHIR
		return nil, err
	}
	if err != nil {
		return doc, nil
	}
	var e wire.Edits
	e.Reset(&t)
	switch c.kind {
	case "add":
		err = c.add(&t, &e, at)
	case "replace":
		err = c.replace(&t, &e, at)
	case "delete":
		err = c.remove(&t, &e, at)
	default:
		err = c.arrange(&t, &e, at)
	}
	if err != nil {
		return nil, err
	}
	return e.Apply(nil), nil
}

func (c *change) add(t *wire.Tree, e *wire.Edits, at spot) error {
	if at.item < 0 || t.Nodes[at.item].Kind != wire.Object {
		return errNoPlace
	}
	typ := at.info.Type
	if typ == "Resource" {
		typ = text(t, at.item, "resourceType")
	}
	to, err := c.step(t, at.item, typ, place{c.name, -1})
	if err != nil {
		return err
	}
	info, err := element(c.version, typ, c.name, c.value)
	if err != nil {
		return err
	}
	raw, err := c.value.json(c.version, info)
	switch {
	case err != nil:
		return err
	case to.member < 0:
		e.Append(at.item, info.Name, list([][]byte{raw}, info.Array))
	case !info.Array:
		return errors.New("the element is there already, and cannot repeat: replace it")
	default:
		if err := aligned(t, at.item, info.Name); err != nil {
			return err
		}
		e.AppendElement(to.member, raw)
	}
	return nil
}

// aligned refuses to change a list of primitive values that have extensions:
// those stand in a second list that goes with it, place by place.
func aligned(t *wire.Tree, object int, name string) error {
	if t.Get(object, "_"+name) >= 0 {
		return errors.New("values of the list have extensions: use a JSON Patch")
	}
	return nil
}

func (c *change) replace(t *wire.Tree, e *wire.Edits, at spot) error {
	if at.item < 0 {
		return errNoPlace
	}
	info := at.info
	if info.Choice {
		var ok bool
		if info, ok = c.version.Element(c.typeAt(t, at), info.Path+c.value.typ); !ok || c.value.typ == "" {
			return errType
		}
	}
	raw, err := c.value.json(c.version, info)
	if err != nil {
		return err
	}
	if info.Name != at.info.Name { // another type of a choice
		if err := aligned(t, at.parent, at.info.Name); err != nil {
			return err
		}
		e.Rename(at.item, info.Name)
	}
	e.Replace(at.item, raw)
	return nil
}

// typeAt is the type of the object that has the element.
func (c *change) typeAt(t *wire.Tree, at spot) string {
	up := *c
	up.path = c.path[:len(c.path)-1]
	parent, err := up.find(t)
	if err != nil || parent.info.Type != "Resource" {
		return parent.info.Type
	}
	return text(t, at.parent, "resourceType")
}

func (c *change) remove(t *wire.Tree, e *wire.Edits, at spot) error {
	switch {
	case at.member < 0:
		return nil // nothing to delete is no error in FHIR
	case at.item < 0:
		return errors.New("the path names more than one value: say which, as in name[0]")
	}
	if beside := t.Get(at.parent, "_"+at.info.Name); beside >= 0 {
		if at.item != at.member {
			return aligned(t, at.parent, at.info.Name)
		}
		e.Remove(beside)
	}
	e.Remove(at.item)
	e.Prune() // FHIR allows no empty list and no empty object
	return nil
}

// arrange inserts into a list, or moves within it.
func (c *change) arrange(t *wire.Tree, e *wire.Edits, at spot) error {
	last := c.path[len(c.path)-1]
	if at.member < 0 || t.Nodes[at.member].Kind != wire.Array || last.index >= 0 {
		return errors.New("the path must name a list")
	}
	if err := aligned(t, at.parent, at.info.Name); err != nil {
		return err
	}
	var items [][]byte
	for i := range t.Children(at.member) {
		items = append(items, t.Raw(i))
	}
	if c.kind == "insert" {
		raw, err := c.value.json(c.version, at.info)
		if err != nil || c.index > len(items) {
			return errors.Join(err, outside(c.index > len(items)))
		}
		items = slices.Insert(items, c.index, raw)
	} else {
		if c.source >= len(items) || c.end >= len(items) {
			return outside(true)
		}
		moved := items[c.source]
		items = slices.Insert(slices.Delete(items, c.source, c.source+1), c.end, moved)
	}
	e.Replace(at.member, list(items, true))
	return nil
}

func outside(is bool) error {
	if !is {
		return nil
	}
	return errors.New("an index lies outside of the list")
}
