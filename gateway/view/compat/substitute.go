package compat

import (
	"fmt"
	"slices"

	"gatehouse/fhir/wire"
)

// substitute replaces a primitive by a text, and a structure by another of its
// type, child by child: what a rule before has decided stays (D7).
func (r *run) substitute(n *node, m *method) (done, error) {
	with := &node{primitive: true}
	switch {
	case n.primitive && !m.empty:
		with.typ = n.typ
		with.literal(m.with)
	case !n.primitive && !m.empty:
		var err error
		if with, err = r.replacement(n, m.with); err != nil {
			return done{}, err
		}
	}
	r.merge(n, with)
	n.decide()
	return done{substituted: true}, nil
}

// replacement reads JSON as the type of n.
func (r *run) replacement(n *node, text string) (*node, error) {
	var t wire.Tree
	if err := t.Parse([]byte(text)); err != nil {
		return nil, fmt.Errorf("replaceWith is no %s: %w", n.typ, err)
	}
	with := &node{typ: n.typ, resource: n.resource}
	b := &builder{version: r.version, tree: &t}
	if t.Nodes[0].Kind != wire.Object {
		return nil, fmt.Errorf("replaceWith is no %s", n.typ)
	}
	if err := b.members(with, 0); err != nil || b.dropped {
		return nil, fmt.Errorf("replaceWith is no %s", n.typ)
	}
	return with, nil
}

// merge makes n like with, but for what is decided in it.
func (r *run) merge(n, with *node) {
	if n.visited {
		return
	}
	var kids []*node
	used := map[string]int{} // of the replacements, by name
	for _, k := range n.kids {
		targets := with.named(k.name)
		i := used[k.name]
		used[k.name] = i + 1
		switch {
		case k.visited:
		case i < len(targets):
			k.json, k.typ, k.primitive = targets[i].json, targets[i].typ, targets[i].primitive
			r.merge(k, targets[i])
		case k.decided():
			r.merge(k, &node{})
		default:
			continue
		}
		kids = append(kids, k)
	}
	n.kids = kids
	for i, t := range with.kids {
		if i > 0 && slices.ContainsFunc(with.kids[:i], func(o *node) bool { return o.name == t.name }) {
			continue
		}
		for _, extra := range with.named(t.name)[min(used[t.name], len(with.named(t.name))):] {
			n.insert(extra)
		}
	}
	n.raw = with.raw
}

func (n *node) named(name string) (found []*node) {
	for _, k := range n.kids {
		if k.name == name {
			found = append(found, k)
		}
	}
	return found
}

// decided reports that a rule has decided n or something in it.
func (n *node) decided() bool {
	return n.visited || slices.ContainsFunc(n.kids, (*node).decided)
}
