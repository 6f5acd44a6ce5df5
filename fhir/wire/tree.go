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
	parts *parts
}

// parts are elements that somebody else reads.
type parts struct {
	name string
	read func(i int) (end int, err error)
	err  error
}

// frame is a container whose end has not been read yet.
type frame struct {
	node   int32
	count  int32  // of the names in an object
	seen   uint64 // a filter of them
	object bool
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

// ParseParts is Parse, but the objects in the root's array of that name are read by
// read, which is given where in doc one begins and tells where it ends: they are nodes
// without children.
func (t *Tree) ParseParts(doc []byte, name string, read func(i int) (end int, err error)) error {
	t.parts = &parts{name: name, read: read}
	err := t.Parse(doc)
	if t.parts.err != nil {
		err = t.parts.err
	}
	t.parts = nil
	return err
}

// ParsePart reads the one value that doc begins with and keeps it alone.
func (t *Tree) ParsePart(doc []byte) error {
	t.Doc, t.Nodes, t.open = doc, t.Nodes[:0], t.open[:0]
	if len(doc) > math.MaxInt32 {
		doc = doc[:math.MaxInt32]
	}
	end, f := t.parse(0)
	if f != none {
		t.Nodes = t.Nodes[:0]
		return f.at(end)
	}
	t.Doc = doc[:end]
	return nil
}

// part reads an element that is not read here. It is one if it begins at i in an array
// of the root that has the name.
func (t *Tree) part(n *Node, i int) (end int, is bool) {
	if len(t.open) != 2 || t.open[1].object || string(t.Name(int(t.open[1].node))) != t.parts.name {
		return i, false
	}
	if end, t.parts.err = t.parts.read(i); t.parts.err != nil {
		return i, true
	}
	n.Kind, n.End, n.Next = Object, int32(end), int32(len(t.Nodes)+1)
	return end, true
}

// parse reads the value at i and all within it.
func (t *Tree) parse(i int) (int, fault) {
	var nameStart, nameEnd int
	var f fault
	for {
		if len(t.Nodes) == maxValues {
			return i, tooMany
		}
		n := Node{NameStart: int32(nameStart), NameEnd: int32(nameEnd), Start: int32(i)}
		c := at(t.Doc, i)
		fresh, part := c == '{' || c == '[', false
		if t.parts != nil && c == '{' {
			i, part = t.part(&n, i)
			if fresh = !part; t.parts.err != nil {
				return i, badEntry
			}
		}
		if fresh {
			if len(t.open) == maxDepth {
				return i, tooDeep
			}
			n.Kind = Array
			if c == '{' {
				n.Kind = Object
			}
			t.open = append(t.open, frame{node: int32(len(t.Nodes)), object: c == '{'})
			i = space(t.Doc, i+1)
		} else if !part {
			if n.Kind, n.Plain, i, f = scanPlain(t.Doc, i); f != none {
				return i, f
			}
			n.End, n.Next = int32(i), int32(len(t.Nodes)+1)
		}
		t.Nodes = append(t.Nodes, n)
		if i, f = t.ascend(i, fresh); f != none || len(t.open) == 0 {
			return i, f
		}
		nameStart, nameEnd = 0, 0
		if top := &t.open[len(t.open)-1]; top.object {
			if nameStart, nameEnd, i, f = t.name(i, top); f != none {
				return i, f
			}
		}
	}
}

// ascend closes the containers that end at i, and steps over the comma behind
// them; fresh tells that the innermost has just been opened.
func (t *Tree) ascend(i int, fresh bool) (int, fault) {
	for len(t.open) > 0 {
		top := &t.open[len(t.open)-1]
		n := &t.Nodes[top.node]
		i = space(t.Doc, i)
		switch c := at(t.Doc, i); {
		case c == '}' && top.object, c == ']' && !top.object:
		case fresh:
			return i, none
		case c == ',':
			return space(t.Doc, i+1), none
		default:
			return i, unexpected(t.Doc, i)
		}
		if top.count > fewNames && !t.distinct(int(top.node)) {
			return i, duplicateName
		}
		i++
		n.End, n.Next = int32(i), int32(len(t.Nodes))
		t.open = t.open[:len(t.open)-1]
		fresh = false
	}
	return i, none
}

// name reads the name of a new member of the object on top.
func (t *Tree) name(i int, top *frame) (start, end, value int, f fault) {
	if start, end, value, f = scanName(t.Doc, i); f != none {
		return start, end, value, f
	}
	if top.count++; top.count > fewNames {
		return start, end, value, none // distinct will see
	}
	bit := filterBit(key(t.Doc, start, end))
	if top.seen&bit != 0 && t.sibling(int(top.node), t.Doc[start:end]) {
		return start, end, start, duplicateName
	}
	top.seen |= bit
	return start, end, value, none
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

// scanPlain reads a value without children; plain tells that it is a string
// without escapes.
func scanPlain(doc []byte, i int) (kind Kind, plain bool, end int, f fault) {
	switch at(doc, i) {
	case '"':
		end, seen := run(doc, i+1)
		plain = at(doc, end) == '"'
		if plain && seen&highs == 0 {
			return String, true, end + 1, none
		}
		end, f = scanRich(doc, i+1, end, seen)
		return String, plain, end, f
	case 't':
		kind = True
	case 'f':
		kind = False
	case 'n':
		kind = Null
	default:
		kind = Number
	}
	end, f = scanScalar(doc, i)
	return kind, false, end, f
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
