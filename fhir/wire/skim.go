package wire

import (
	"math"
)

// Hit is one value that a path of the plan led to: doc[Start:End], with quotes
// if it is a string.
type Hit struct {
	Path       int32 // index among the arguments of NewPlan
	Start, End int32
	// Group numbers the innermost array element on the way, counted through the
	// whole document, 0 if there was none: two hits with the same Group come
	// from the same element.
	Group int32
}

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

// SkimSome is Skim that ends with the nth hit. What is behind it is not checked:
// it is for documents that have been, or were made here.
func (p *Plan) SkimSome(doc []byte, hits []Hit, n int) ([]Hit, error) {
	s := skim{doc: doc, hits: hits, enough: n}
	if i, f := s.value(space(doc, 0), 0, p.root, 0); f != none && f != enough {
		return s.hits, f.at(i)
	}
	return s.hits, nil
}

// skim is one run of a plan over a document.
type skim struct {
	doc    []byte
	hits   []Hit
	count  int // of the hits
	enough int // of them; 0: all are looked for
	groups int32
}

// value reads the value at i, of which the plan wants n.
func (s *skim) value(i, depth int, n *node, group int32) (end int, f fault) {
	if n.path < 0 {
		return s.open(i, depth, n, group)
	}
	hit := len(s.hits)
	if s.count++; s.count > maxValues {
		return i, tooMany
	}
	s.hits = append(s.hits, Hit{n.path, int32(i), 0, group})
	end, f = s.open(i, depth, n, group)
	s.hits[hit].End = int32(end)
	if f == none && s.count == s.enough {
		f = enough
	}
	return end, f
}

func (s *skim) open(i, depth int, n *node, group int32) (int, fault) {
	c := at(s.doc, i)
	if c == '{' && n.children != nil {
		return s.object(i, depth+1, n, group)
	}
	if c == '[' && n.element != nil {
		return s.array(i, depth+1, n.element)
	}
	return pass(s.doc, i, depth)
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
		k := key(s.doc, start, end)
		if !seen.add(s.doc, k, span{int32(start), int32(end)}) {
			return start, duplicateName
		}
		if child := n.find(k, s.doc[start:end]); child != nil {
			i, f = s.value(value, depth, child, group)
		} else {
			i, f = pass(s.doc, value, depth)
		}
		if f != none {
			return i, f
		}
		i = space(s.doc, i)
		if c := at(s.doc, i); c != ',' {
			if c != '}' {
				return i, unexpected(s.doc, i)
			}
			if !seen.differ(s.doc) {
				return i, duplicateName
			}
			return i + 1, none
		}
		i = space(s.doc, i+1)
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
	for {
		s.groups++
		var f fault
		if i, f = s.value(i, depth, n, s.groups); f != none {
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
