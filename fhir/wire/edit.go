package wire

import (
	"cmp"
	"slices"
)

// Edits are changes to a parsed document. They are collected in any order and
// applied at once; every byte that no edit names is copied as it is. The zero
// Edits needs a Reset.
type Edits struct {
	tree *Tree
	list []edit
	text []byte // what is written in place of what is cut, back to back
}

type action uint8

// In this order edits at the same offset are applied.
const (
	remove action = iota
	rename
	replace
	insert
)

// edit cuts doc[at:end] and writes text[from:to] there.
type edit struct {
	at, end  int32
	order    int32
	action   action
	from, to int32
}

// Reset forgets all edits and begins new ones of t.
func (e *Edits) Reset(t *Tree) { e.tree, e.list, e.text = t, e.list[:0], e.text[:0] }

// Empty reports whether there is nothing to apply.
func (e *Edits) Empty() bool { return len(e.list) == 0 }

// Replace puts raw, one JSON value, in the place of the value of a node. Of
// several replacements of a node the last counts, and edits within the node no
// longer do.
func (e *Edits) Replace(node int, raw []byte) {
	n := &e.tree.Nodes[node]
	from := len(e.text)
	e.text = append(e.text, raw...)
	e.add(replace, n.Start, n.End, from)
}

// Remove takes out a member or element with its comma, and with it whatever
// other edits of it there are. A container that is left empty stays; see Prune.
// The root cannot be removed.
func (e *Edits) Remove(node int) {
	if node == 0 {
		panic("wire: the root cannot be removed")
	}
	e.add(remove, e.tree.begin(node), e.tree.Nodes[node].End, len(e.text))
}

// Rename gives a member another name, which its siblings must not have.
func (e *Edits) Rename(node int, name string) {
	n := &e.tree.Nodes[node]
	from := len(e.text)
	e.text = Quote(e.text, name)
	e.add(rename, n.NameStart-1, n.NameEnd+1, from)
}

// Append adds a member behind all others of an object, which must not have one
// of that name.
func (e *Edits) Append(obj int, name string, raw []byte) {
	from := len(e.text)
	e.text = append(Quote(e.text, name), ':')
	e.text = append(e.text, raw...)
	last := e.tree.last(obj)
	e.add(insert, last, last, from)
}

// AppendElement adds an element behind all others of an array.
func (e *Edits) AppendElement(arr int, raw []byte) {
	from := len(e.text)
	e.text = append(e.text, raw...)
	last := e.tree.last(arr)
	e.add(insert, last, last, from)
}

func (e *Edits) add(a action, at, end int32, from int) {
	order := int32(len(e.list))
	if a == replace || a == rename {
		order = -order // the last comes first, and covers the others
	}
	e.list = append(e.list, edit{at, end, order, a, int32(from), int32(len(e.text))})
}

// begin is where a member or element begins, its name included.
func (t *Tree) begin(node int) int32 {
	if n := &t.Nodes[node]; n.NameStart == 0 {
		return n.Start
	}
	return t.Nodes[node].NameStart - 1
}

// last is where the last child of a container ends, or behind its opening bracket.
func (t *Tree) last(node int) int32 { return back(t.Doc, t.Nodes[node].End-1) }

// back is the end of what stands before the white space before i.
func back(doc []byte, i int32) int32 {
	for doc[i-1] <= ' ' {
		i--
	}
	return i
}

// Prune also removes each object and array of which the removals so far leave
// nothing and to which nothing was appended. The root stays.
func (e *Edits) Prune() {
	gone := make(map[int32]bool)
	for _, d := range e.list {
		if d.action == remove {
			gone[d.at] = true
		} else if d.action == insert {
			gone[d.at] = false
		}
	}
	for c := range e.tree.Children(0) {
		e.prune(c, gone)
	}
}

// prune reports whether the node is removed now.
func (e *Edits) prune(node int, gone map[int32]bool) bool {
	t := e.tree
	if gone[t.begin(node)] {
		return true
	}
	empty := t.First(node) < int(t.Nodes[node].Next)
	for c := range t.Children(node) {
		if !e.prune(c, gone) {
			empty = false
		}
	}
	if _, appended := gone[t.last(node)]; empty && !appended {
		e.Remove(node)
		return true
	}
	return false
}

// Apply appends the edited document to dst.
func (e *Edits) Apply(dst []byte) []byte {
	slices.SortFunc(e.list, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.action, b.action), cmp.Compare(a.order, b.order))
	})
	doc := e.tree.Doc
	var done int32    // doc[:done] is written or cut
	var leading int32 // where the removal ended that left nothing before it in its container, or 0
	var joined int32  // where the last insertion was
	for _, d := range e.list {
		if d.at < done && d.action != remove || d.end <= done && d.action != insert {
			continue
		}
		switch d.action {
		case remove:
			before := back(doc, d.at)
			first := doc[before-1] != ','
			if !first && leading != 0 && back(doc, before-1) == leading {
				first = true
			}
			if first {
				leading = d.end
				dst = append(dst, doc[done:max(done, d.at)]...)
				if next := int32(space(doc, int(d.end))); doc[next] == ',' {
					done = int32(space(doc, int(next+1)))
				} else {
					done = d.end
				}
				continue
			}
			dst = append(dst, doc[done:max(done, back(doc, before-1))]...)
			done = d.end
		case insert:
			dst = append(dst, doc[done:d.at]...)
			c := doc[d.at-1]
			if joined == d.at || leading != d.at && c != '{' && c != '[' {
				dst = append(dst, ',')
			}
			joined = d.at
			dst = append(dst, e.text[d.from:d.to]...)
			done = d.at
		default:
			dst = append(dst, doc[done:d.at]...)
			dst = append(dst, e.text[d.from:d.to]...)
			done = d.end
		}
	}
	return append(dst, doc[done:]...)
}
