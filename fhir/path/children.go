package path

import (
	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// children calls f for every value under i, elements of arrays one by one,
// with its type: of a resource inside its own. The extensions of a primitive,
// which JSON keeps beside it, are its children.
func (e *eval) children(i Item, f func(fhir.ElementInfo, Item)) {
	if i.side > 0 {
		i.Node = i.side
	}
	if i.Node < 0 || e.tree.Nodes[i.Node].Kind != wire.Object {
		return
	}
	for c := range e.tree.Children(i.Node) {
		name := string(e.tree.Name(c))
		value, side := c, -1
		if name[:min(1, len(name))] == "_" {
			if name = name[1:]; e.tree.Get(i.Node, name) >= 0 {
				continue // comes with its value
			}
			value, side = -1, c
		}
		info, ok := e.version.Element(i.Type, name)
		if !ok {
			continue
		}
		if primitive := e.version.Kind(info.Type) == fhir.Primitive; primitive && side < 0 {
			side = e.tree.Get(i.Node, "_"+name)
		} else if !primitive && side >= 0 {
			continue
		}
		e.member(info, value, side, f)
	}
}

// member calls f for each value of an element; where there is none, for what
// stands beside its place.
func (e *eval) member(info fhir.ElementInfo, value, side int, f func(fhir.ElementInfo, Item)) {
	values, sides := e.list(value), e.list(side)
	for k := range max(len(values), len(sides)) {
		var at Item
		switch {
		case k >= len(values):
			at = e.item(sides[k], info.Type)
		case k >= len(sides):
			at = e.item(values[k], info.Type)
		default:
			at = e.item(values[k], info.Type)
			at.side = sides[k]
		}
		f(info, at)
	}
}

func (e *eval) list(i int) []int {
	if i < 0 {
		return nil
	}
	if e.tree.Nodes[i].Kind != wire.Array {
		return []int{i}
	}
	var items []int
	for c := range e.tree.Children(i) {
		items = append(items, c)
	}
	return items
}

func (e *eval) item(n int, typ string) Item {
	if typ == "Resource" {
		if at := e.tree.Get(n, "resourceType"); at >= 0 {
			typ = e.tree.Text(at)
		}
	}
	return Item{Node: n, Type: typ}
}
