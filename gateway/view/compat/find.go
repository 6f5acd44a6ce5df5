package compat

import "slices"

// find are the nodes of resource n that a selector names.
func (r *run) find(s *selector, n *node) ([]*node, error) {
	switch {
	case s.whole:
		return []*node{n}, nil
	case s.expr != nil:
		return r.evaluate(s, n)
	}
	found := []*node{n}
	for _, st := range s.steps {
		found = r.step(st, found)
	}
	return found, nil
}

func (r *run) step(st step, from []*node) (out []*node) {
	for _, n := range from {
		switch st.kind {
		case child:
			for _, k := range n.kids {
				if k.name == st.name {
					out = append(out, k)
				}
			}
		case ofType:
			if n.instanceType(r.version) == st.name {
				out = append(out, n)
			}
		default:
			// Microsoft's index of a resource has the resources in it, but not
			// itself; everywhere else it is the other way round.
			index := st.all && r.tool == Microsoft
			if !index && r.matches(st, n) {
				out = append(out, n)
			}
			out = r.descend(st, n, index, out)
		}
	}
	if len(from) < 2 || st.kind == child || st.kind == ofType {
		return out
	}
	return unique(out)
}

func (r *run) matches(st step, n *node) bool {
	if st.kind == byName {
		return n.name == st.name
	}
	return n.instanceType(r.version) == st.name
}

func (r *run) descend(st step, n *node, inner bool, out []*node) []*node {
	for _, k := range n.kids {
		if k.resource && !inner {
			continue
		}
		if r.matches(st, k) {
			out = append(out, k)
		}
		if !k.resource {
			out = r.descend(st, k, inner, out)
		}
	}
	return out
}

func unique(nodes []*node) (out []*node) {
	for _, n := range nodes {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// evaluate asks the FHIRPath engine, which reads a document: the resource as
// the rules before have left it.
func (r *run) evaluate(s *selector, n *node) (found []*node, err error) {
	c := &r.copy
	if c.of != n || c.changes != r.changes {
		w := writer{places: map[int]*node{}}
		w.node(n)
		c.of, c.changes, c.places = n, r.changes, w.places
		if err := c.tree.Parse(w.out); err != nil {
			return nil, err
		}
	}
	items, err := s.expr.Eval(&c.tree, 0)
	if err != nil {
		return nil, err
	}
	for _, i := range items {
		if i.Node < 0 {
			continue
		}
		if at := c.places[int(c.tree.Nodes[i.Node].Start)]; at != nil {
			found = append(found, at)
		}
	}
	return found, nil
}
