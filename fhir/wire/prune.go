package wire

import "slices"

// mark is what the edits so far say of a node.
type mark uint8

const (
	removed mark = 1 << iota
	held         // replaced or appended to: never empty
)

// Prune also removes each object and array of which the edits so far leave
// nothing. What was empty before stays, and so does the root.
func (e *Edits) Prune() {
	n := len(e.tree.Nodes)
	e.mark = slices.Grow(e.mark[:0], n)[:n]
	clear(e.mark)
	for _, d := range e.list {
		if d.action == remove {
			e.mark[d.node] |= removed
		} else if d.at >= e.tree.Nodes[d.node].Start { // no renaming
			e.mark[d.node] |= held
		}
	}
	e.prune(0)
}

// prune reports whether the node is gone.
func (e *Edits) prune(node int) bool {
	gone := e.tree.First(node) < int(e.tree.Nodes[node].Next)
	for c := range e.tree.Children(node) {
		if !e.prune(c) {
			gone = false
		}
	}
	if node == 0 || e.mark[node] != 0 {
		return e.mark[node]&removed != 0
	}
	if gone {
		e.Remove(node)
	}
	return gone
}
