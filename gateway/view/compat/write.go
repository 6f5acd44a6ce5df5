package compat

import "gatehouse/fhir/wire"

// prune takes out what has neither value nor children, from the bottom up.
// Resources stay, however empty.
func (n *node) prune() {
	left := n.kids[:0]
	for _, k := range n.kids {
		k.prune()
		if len(k.kids) > 0 || k.raw != nil || k.resource {
			left = append(left, k)
		}
	}
	n.kids = left
}

// writer writes nodes as compact JSON. With places, it remembers where each
// node's value begins.
type writer struct {
	out    []byte
	places map[int]*node
}

func (w *writer) node(n *node) {
	if w.places != nil {
		w.places[len(w.out)] = n
	}
	if n.raw != nil {
		w.out = append(w.out, n.raw...)
		return
	}
	w.object(n)
}

// object writes the children of n: of a resource with its type.
func (w *writer) object(n *node) {
	w.out = append(w.out, '{')
	first := true
	if n.resource {
		w.out = wire.Quote(append(w.out, `"resourceType":`...), n.typ)
		first = false
	}
	for i := 0; i < len(n.kids); {
		end := i + 1
		for end < len(n.kids) && n.kids[end].json == n.kids[i].json {
			end++
		}
		first = w.member(n.kids[i:end], first)
		i = end
	}
	w.out = append(w.out, '}')
}

// member writes all children of one name: their values, and what stands beside
// them under "_name".
func (w *writer) member(kids []*node, first bool) bool {
	values, sides := false, false
	for _, k := range kids {
		values = values || k.raw != nil || !k.primitive
		sides = sides || k.primitive && len(k.kids) > 0
	}
	if values || !sides {
		first = w.name("", kids[0].json, first)
		w.list(kids, w.value)
	}
	if sides {
		first = w.name("_", kids[0].json, first)
		w.list(kids, w.side)
	}
	return first
}

func (w *writer) name(prefix, name string, first bool) bool {
	if !first {
		w.out = append(w.out, ',')
	}
	w.out = append(wire.Quote(w.out, prefix+name), ':')
	return false
}

func (w *writer) list(kids []*node, write func(*node)) {
	if !kids[0].repeats {
		write(kids[0])
		return
	}
	w.out = append(w.out, '[')
	for i, k := range kids {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		write(k)
	}
	w.out = append(w.out, ']')
}

func (w *writer) value(n *node) {
	if n.primitive && n.raw == nil {
		if w.places != nil {
			w.places[len(w.out)] = n
		}
		w.out = append(w.out, "null"...)
		return
	}
	w.node(n)
}

func (w *writer) side(n *node) {
	if len(n.kids) == 0 {
		w.out = append(w.out, "null"...)
		return
	}
	if w.places != nil && n.raw == nil {
		w.places[len(w.out)] = n
	}
	w.object(n)
}
