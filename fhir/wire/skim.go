package wire

import (
	"bytes"
	"math"
	"sync"
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
	s := skims.Get().(*skim)
	s.begin(doc, hits)
	i, f := s.value(space(doc, 0), 0, p.root, 0)
	hits = s.hits
	s.begin(nil, nil) // the pool keeps nobody's record
	skims.Put(s)
	if f == none {
		if i = space(doc, i); i != len(doc) {
			f = trailing
		}
	}
	if f != none {
		return hits, f.at(i)
	}
	return hits, nil
}

var skims = sync.Pool{New: func() any { return new(skim) }}

// skim is one run of a plan over a document.
type skim struct {
	doc    []byte
	hits   []Hit
	names  []span // of the open objects, one behind the other
	groups int32
	count  int // of the hits
}

func (s *skim) begin(doc []byte, hits []Hit) {
	s.doc, s.hits, s.names, s.groups, s.count = doc, hits, s.names[:0], 0, 0
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
	return end, f
}

func (s *skim) open(i, depth int, n *node, group int32) (int, fault) {
	c := at(s.doc, i)
	if c == '{' && n.children != nil {
		base := len(s.names)
		end, f := s.object(i, depth+1, n, group)
		s.names = s.names[:base]
		return end, f
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
	base, filter := len(s.names), uint64(0)
	for {
		start, end, value, f := scanName(s.doc, i)
		if f != none {
			return value, f
		}
		k := key(s.doc, start, end)
		bit := uint64(1) << (spread(k) >> 58)
		if filter&bit != 0 && s.repeats(base, start, end) {
			return start, duplicateName
		}
		filter |= bit
		s.names = append(s.names, span{int32(start), int32(end)})
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
			return s.close(i, base)
		}
		i = space(s.doc, i+1)
	}
}

// repeats reports whether an object whose names begin at base has that name
// already; it leaves the names of large objects to close.
func (s *skim) repeats(base, start, end int) bool {
	if len(s.names)-base > fewNames {
		return false
	}
	name := s.doc[start:end]
	for _, other := range s.names[base:] {
		if bytes.Equal(other.of(s.doc), name) {
			return true
		}
	}
	return false
}

// close ends an object at i.
func (s *skim) close(i, base int) (int, fault) {
	if at(s.doc, i) != '}' {
		return i, unexpected(s.doc, i)
	}
	if names := s.names[base:]; len(names) > fewNames && !distinct(s.doc, names) {
		return i, duplicateName
	}
	return i + 1, none
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
