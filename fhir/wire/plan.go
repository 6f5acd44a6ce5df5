package wire

import (
	"math"
	"strings"
)

// Plan is a set of member paths to look for. It is made once, never changes
// and may be used by many goroutines.
type Plan struct{ root *node }

// node is a place in a document that paths lead through or to.
type node struct {
	path     int32 // the path that ends here, or -1
	each     int32 // the path that ends at each element of an array here, or -1
	children map[string]*node
}

// Hit is one value that a path of the plan led to: Doc[Start:End], with quotes
// if it is a string.
type Hit struct {
	Path       int32 // index among the arguments of NewPlan
	Start, End int32
	// Group numbers the innermost array element on the way, counted through the
	// whole document, 0 if there was none: two hits with the same Group come
	// from the same element.
	Group int32
}

// NewPlan makes a plan of dotted paths such as "subject.reference". An array on
// the way is transparent: each of its elements is visited. An array at the end
// is one hit, or, if the path ends in "[]", one hit for each element.
// It panics on a bad path, since plans are program text.
func NewPlan(paths ...string) *Plan {
	root := newNode()
	for i, path := range paths {
		dotted, each := strings.CutSuffix(path, "[]")
		at := root
		for name := range strings.SplitSeq(dotted, ".") {
			if name == "" || strings.ContainsAny(name, "[]\"\\") {
				panic("wire: bad path " + path)
			}
			if at.children[name] == nil {
				at.children[name] = newNode()
			}
			at = at.children[name]
		}
		end := &at.path
		if each {
			end = &at.each
		}
		if *end >= 0 {
			panic("wire: path given twice: " + path)
		}
		*end = int32(i)
	}
	return &Plan{root}
}

func newNode() *node { return &node{path: -1, each: -1, children: map[string]*node{}} }

// Skim checks the syntax of a whole document of one JSON value and appends a
// Hit for each value that a path leads to, in document order. Duplicate names
// are refused in each object that a path leads through, and not looked for in
// what is skipped. The error is an *Error; the hits are then void.
func (p *Plan) Skim(doc []byte, hits []Hit) ([]Hit, error) {
	if len(doc) > math.MaxInt32 {
		return hits, tooLong.at(math.MaxInt32)
	}
	s := skim{doc: doc, hits: hits}
	i, f := s.value(space(doc, 0), 0, p.root, 0)
	if f == none {
		if i = space(doc, i); i != len(doc) {
			f = trailing
		}
	}
	if f != none {
		return s.hits, f.at(i)
	}
	return s.hits, nil
}

// skim is one run of a plan over a document.
type skim struct {
	doc    []byte
	hits   []Hit
	groups int32
}

// value reads the value at i, where n is what the plan wants of it.
func (s *skim) value(i, depth int, n *node, group int32) (int, fault) {
	hit := len(s.hits)
	if n.path >= 0 {
		s.hits = append(s.hits, Hit{n.path, int32(i), 0, group})
	}
	var end int
	var f fault
	switch c := at(s.doc, i); {
	case c == '{' && len(n.children) > 0:
		end, f = s.object(i, depth+1, n, group)
	case c == '[' && (len(n.children) > 0 || n.each >= 0):
		end, f = s.array(i, depth+1, n)
	default:
		end, f = skip(s.doc, i, depth)
	}
	if n.path >= 0 {
		s.hits[hit].End = int32(end)
	}
	return end, f
}

func (s *skim) object(i, depth int, n *node, group int32) (int, fault) {
	if depth > maxDepth {
		return i, tooDeep
	}
	i = space(s.doc, i+1)
	if at(s.doc, i) == '}' {
		return i + 1, none
	}
	var seen names
	for {
		start, end, value, f := scanName(s.doc, i)
		if f != none {
			return value, f
		}
		if !seen.add(s.doc, span{int32(start), int32(end)}) {
			return start, duplicateName
		}
		if child := n.children[string(s.doc[start:end])]; child != nil {
			i, f = s.value(value, depth, child, group)
		} else {
			i, f = skip(s.doc, value, depth)
		}
		if f != none {
			return i, f
		}
		i = space(s.doc, i)
		switch at(s.doc, i) {
		case ',':
			i = space(s.doc, i+1)
		case '}':
			if !seen.distinct(s.doc) {
				return i, duplicateName
			}
			return i + 1, none
		default:
			return i, unexpected(s.doc, i)
		}
	}
}

func (s *skim) array(i, depth int, n *node) (int, fault) {
	if depth > maxDepth {
		return i, tooDeep
	}
	i = space(s.doc, i+1)
	if at(s.doc, i) == ']' {
		return i + 1, none
	}
	element := node{path: n.each, each: n.each, children: n.children}
	for {
		s.groups++
		var f fault
		if i, f = s.value(i, depth, &element, s.groups); f != none {
			return i, f
		}
		i = space(s.doc, i)
		switch at(s.doc, i) {
		case ',':
			i = space(s.doc, i+1)
		case ']':
			return i + 1, none
		default:
			return i, unexpected(s.doc, i)
		}
	}
}
