package wire

import (
	"cmp"
	"slices"
)

// Edits are changes to a parsed document. They are collected in any order and
// applied at once; every byte that no edit names is copied as it is. Reset
// begins them.
type Edits struct {
	tree *Tree
	list []edit
	text []byte // what is written, back to back
	mark []mark // of each node, for Prune
}

// edit cuts doc[at:end] and writes text[from:to] there.
type edit struct {
	action   action
	node     int32
	at, end  int32
	from, to int32
	turn     int32
}

// action is what an edit does. At the same offset they are applied in this order.
type action uint8

const (
	remove action = iota
	replace
	insert
)

// Reset forgets all edits and begins new ones of t.
func (e *Edits) Reset(t *Tree) { e.tree, e.list, e.text = t, e.list[:0], e.text[:0] }

// Empty reports whether there is nothing to apply.
func (e *Edits) Empty() bool { return len(e.list) == 0 }

// Replace puts raw, one JSON value, in the place of a node's value. Of several
// replacements of a node the last counts; other edits within it do not.
func (e *Edits) Replace(node int, raw []byte) {
	from := len(e.text)
	e.text = append(e.text, raw...)
	n := &e.tree.Nodes[node]
	e.add(replace, node, n.Start, n.End, from)
}

// Remove takes out a member or element with its comma; other edits of it or
// within it do not count. An object or array that is left empty stays, but see
// Prune. The root cannot be removed.
func (e *Edits) Remove(node int) {
	if node == 0 {
		panic("wire: the root cannot be removed")
	}
	e.add(remove, node, e.tree.begin(node), e.tree.Nodes[node].End, len(e.text))
}

// Rename gives a member another name, which none of its siblings may have.
func (e *Edits) Rename(node int, name string) {
	from := len(e.text)
	e.text = Quote(e.text, name)
	n := &e.tree.Nodes[node]
	e.add(replace, node, n.NameStart-1, n.NameEnd+1, from)
}

// Append adds a member behind all others of an object, none of which may have
// that name.
func (e *Edits) Append(obj int, name string, raw []byte) {
	from := len(e.text)
	e.text = append(Quote(e.text, name), ':')
	e.text = append(e.text, raw...)
	e.insert(obj, from)
}

// AppendElement adds an element behind all others of an array.
func (e *Edits) AppendElement(arr int, raw []byte) {
	from := len(e.text)
	e.text = append(e.text, raw...)
	e.insert(arr, from)
}

func (e *Edits) insert(container, from int) {
	at := int32(back(e.tree.Doc, int(e.tree.Nodes[container].End-1)))
	e.add(insert, container, at, at, from)
}

func (e *Edits) add(a action, node int, at, end int32, from int) {
	turn := int32(len(e.list))
	if a == replace {
		turn = -turn // so that the last comes first, and hides the others
	}
	e.list = append(e.list, edit{a, int32(node), at, end, int32(from), int32(len(e.text)), turn})
}

// begin is where a member or element begins, its name included.
func (t *Tree) begin(node int) int32 {
	n := &t.Nodes[node]
	if n.NameStart > 0 {
		return n.NameStart - 1
	}
	return n.Start
}

// back is the end of what stands before i, white space passed over. Inside a
// container there is always something.
func back(doc []byte, i int) int {
	for doc[i-1] <= ' ' {
		i--
	}
	return i
}

// Apply appends the edited document to dst.
func (e *Edits) Apply(dst []byte) []byte {
	slices.SortFunc(e.list, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.action, b.action), cmp.Compare(a.turn, b.turn))
	})
	s := splice{doc: e.tree.Doc, out: dst, bare: -1, filled: -1}
	for _, d := range e.list {
		switch {
		case int(d.end) < s.seen || d.action != insert && int(d.end) == s.seen:
			// within something that is gone
		case d.action == remove:
			s.remove(int(d.at), int(d.end))
		case d.action == insert:
			s.insert(int(d.at), e.text[d.from:d.to])
		default:
			s.replace(int(d.at), int(d.end), e.text[d.from:d.to])
		}
	}
	s.copy(len(s.doc))
	return s.out
}

// splice writes a document with changes, from its beginning to its end.
type splice struct {
	doc, out []byte
	done     int // doc[:done] is written or left out
	seen     int // the end of the last node that was removed or replaced
	bare     int // the end of the last removed node with none left before it in its container, or -1
	filled   int // where the last insertion was, or -1
}

func (s *splice) copy(to int) {
	if to > s.done {
		s.out = append(s.out, s.doc[s.done:to]...)
		s.done = to
	}
}

func (s *splice) replace(at, end int, text []byte) {
	s.copy(at)
	s.out = append(s.out, text...)
	s.done, s.seen = end, end
}

// remove cuts a child with the comma before it or, if no child is left before
// it, with the comma behind it.
func (s *splice) remove(at, end int) {
	before := back(s.doc, at)
	s.seen = end
	if s.doc[before-1] == ',' {
		if before = back(s.doc, before-1); before != s.bare {
			s.copy(before)
			s.done = end
			return
		}
	}
	s.bare = end
	s.copy(at)
	s.done = end
	if next := space(s.doc, end); s.doc[next] == ',' {
		s.done = space(s.doc, next+1)
	}
}

// insert writes a child behind the last one, which ended at at.
func (s *splice) insert(at int, text []byte) {
	s.copy(at)
	if c := s.doc[at-1]; at == s.filled || at != s.bare && c != '{' && c != '[' {
		s.out = append(s.out, ',')
	}
	s.filled = at
	s.out = append(s.out, text...)
}
