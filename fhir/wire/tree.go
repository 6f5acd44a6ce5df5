package wire

import (
	"bytes"
	"iter"
	"math"
)

// Kind is the JSON type of a value.
type Kind uint8

// The kinds of JSON values.
const (
	Null Kind = iota
	False
	True
	Number
	String
	Array
	Object
)

// Node is one value of a Tree. Offsets are into Tree.Doc.
type Node struct {
	Kind               Kind
	Plain              bool  // a string without escapes
	NameStart, NameEnd int32 // the name without quotes; both 0 if the value is no member
	Start, End         int32 // the value, with quotes or brackets
	Next               int32 // index of the node behind this one and all within it
}

// Tree is a document of which every value has a node. Nodes stand in document
// order, so the children of node i are i+1 and then Next by Next until
// Nodes[i].Next. Node 0 is the root. The zero Tree is ready for Parse.
type Tree struct {
	Doc   []byte
	Nodes []Node
	open  []frame
	large []span
}

// frame is a container whose end has not been read yet.
type frame struct {
	node  int32
	count int32
	seen  uint64
}

// Parse reads a document of one JSON value, refusing duplicate names at every
// level. It keeps doc, which must not change while the tree is in use, and
// reuses the memory of the last Parse. The error is an *Error; the tree is
// then empty.
func (t *Tree) Parse(doc []byte) error {
	t.Doc, t.Nodes, t.open = doc, t.Nodes[:0], t.open[:0]
	if len(doc) > math.MaxInt32 {
		return tooLong.at(math.MaxInt32)
	}
	i, f := t.parse(space(doc, 0))
	if f == none {
		if i = space(doc, i); i != len(doc) {
			f = trailing
		}
	}
	if f != none {
		t.Nodes = t.Nodes[:0]
		return f.at(i)
	}
	return nil
}

func (t *Tree) parse(i int) (int, fault) {
	doc := t.Doc
	n := Node{}
	for {
		var f fault
		if n.Start = int32(i); at(doc, i) == '{' || at(doc, i) == '[' {
			if len(t.open) == maxDepth {
				return i, tooDeep
			}
			n.Kind = Array
			if at(doc, i) == '{' {
				n.Kind = Object
			}
			t.open = append(t.open, frame{node: int32(len(t.Nodes))})
			t.Nodes = append(t.Nodes, n)
			closer := at(doc, i) + 2
			i = space(doc, i+1)
			if at(doc, i) != closer {
				if n, i, f = t.member(i); f != none {
					return i, f
				}
				continue
			}
		} else {
			if n.Kind, n.Plain, i, f = t.scalar(i); f != none {
				return i, f
			}
			n.End = int32(i)
			n.Next = int32(len(t.Nodes) + 1)
			t.Nodes = append(t.Nodes, n)
		}
		for {
			if len(t.open) == 0 {
				return i, none
			}
			i = space(doc, i)
			c := at(doc, i)
			if c == ',' {
				i = space(doc, i+1)
				break
			}
			top := t.open[len(t.open)-1]
			at := &t.Nodes[top.node]
			if c != doc[at.Start]+2 {
				return i, unexpected(doc, i)
			}
			if at.Kind == Object && top.count > fewNames && !t.distinct(int(top.node)) {
				return i, duplicateName
			}
			i++
			at.End, at.Next = int32(i), int32(len(t.Nodes))
			t.open = t.open[:len(t.open)-1]
		}
		if n, i, f = t.member(i); f != none {
			return i, f
		}
	}
}

// member begins the node of the next child of the innermost container.
func (t *Tree) member(i int) (Node, int, fault) {
	top := &t.open[len(t.open)-1]
	if t.Nodes[top.node].Kind == Array {
		return Node{}, i, none
	}
	start, end, value, f := scanName(t.Doc, i)
	if f != none {
		return Node{}, value, f
	}
	top.count++
	if top.count <= fewNames {
		tag := uint64(1) << (spread(key(t.Doc, start, end)) >> 58)
		if top.seen&tag != 0 && t.sibling(int(top.node), t.Doc[start:end]) {
			return Node{}, start, duplicateName
		}
		top.seen |= tag
	}
	return Node{NameStart: int32(start), NameEnd: int32(end)}, value, none
}

// sibling reports whether the open container already has such a member.
func (t *Tree) sibling(parent int, name []byte) bool {
	for i := parent + 1; i < len(t.Nodes); i = int(t.Nodes[i].Next) {
		if bytes.Equal(t.Name(i), name) {
			return true
		}
	}
	return false
}

func (t *Tree) distinct(parent int) bool {
	t.large = t.large[:0]
	for i := parent + 1; i < len(t.Nodes); i = int(t.Nodes[i].Next) {
		t.large = append(t.large, span{t.Nodes[i].NameStart, t.Nodes[i].NameEnd})
	}
	return distinct(t.Doc, t.large)
}

func (t *Tree) scalar(i int) (Kind, bool, int, fault) {
	switch at(t.Doc, i) {
	case '"':
		end, f := scanString(t.Doc, i+1)
		return String, f == none && bytes.IndexByte(t.Doc[i:end], '\\') < 0, end, f
	case 't':
		end, f := scanLiteral(t.Doc, i, "true")
		return True, false, end, f
	case 'f':
		end, f := scanLiteral(t.Doc, i, "false")
		return False, false, end, f
	case 'n':
		end, f := scanLiteral(t.Doc, i, "null")
		return Null, false, end, f
	}
	end, f := scanNumber(t.Doc, i)
	return Number, false, end, f
}

// Name is the name of member i, without quotes; nil if node i is no member.
func (t *Tree) Name(i int) []byte {
	n := &t.Nodes[i]
	if n.NameStart == 0 {
		return nil
	}
	return t.Doc[n.NameStart:n.NameEnd]
}

// Raw is the value of node i as it stands in the document.
func (t *Tree) Raw(i int) []byte { return t.Doc[t.Nodes[i].Start:t.Nodes[i].End] }

// Text is the text of string i, and "" if node i is no string.
func (t *Tree) Text(i int) string {
	n := &t.Nodes[i]
	if n.Kind != String {
		return ""
	}
	if n.Plain {
		return string(t.Doc[n.Start+1 : n.End-1])
	}
	s, _ := Unquote(t.Raw(i)) // Parse has accepted it
	return s
}

// First is the index of the first child of i. If there is none it is
// Nodes[i].Next, where a walk over siblings ends.
func (t *Tree) First(i int) int { return i + 1 }

// Children are the members or elements of node i in document order.
func (t *Tree) Children(i int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for c, end := i+1, int(t.Nodes[i].Next); c < end; c = int(t.Nodes[c].Next) {
			if !yield(c) {
				return
			}
		}
	}
}

// Get is the member of object i with that name, or -1.
func (t *Tree) Get(i int, name string) int {
	if t.Nodes[i].Kind != Object {
		return -1
	}
	for c, end := i+1, int(t.Nodes[i].Next); c < end; c = int(t.Nodes[c].Next) {
		if string(t.Name(c)) == name {
			return c
		}
	}
	return -1
}
