package wire

import (
	"bytes"
	"slices"
)

// fewNames is up to where a new name is compared with those before it; objects
// with more members are sorted, so that a hundred thousand of them cost no
// quadratic time.
const fewNames = 32

// span is a range of a document.
type span struct{ start, end int32 }

func (s span) of(doc []byte) []byte { return doc[s.start:s.end] }

// tag spreads names over the 64 bits of a filter: two names with different
// bits differ.
func tag(name []byte) uint64 {
	h := uint64(len(name))
	for _, c := range name {
		h = h*31 + uint64(c)
	}
	return 1 << (h * 0x9e3779b97f4a7c15 >> 58)
}

// names are the member names of one object so far.
type names struct {
	seen  uint64
	count int
	few   [fewNames]span
	more  []span
}

// add reports whether the name is new. Names past fewNames are looked at by distinct.
func (n *names) add(doc []byte, name span) bool {
	if n.count >= fewNames {
		n.more = append(n.more, name)
		return true
	}
	t := tag(name.of(doc))
	if n.seen&t != 0 {
		for _, other := range n.few[:n.count] {
			if bytes.Equal(name.of(doc), other.of(doc)) {
				return false
			}
		}
	}
	n.seen |= t
	n.few[n.count] = name
	n.count++
	return true
}

// distinct reports whether all names differ; it is asked when the object ends.
func (n *names) distinct(doc []byte) bool {
	if len(n.more) == 0 {
		return true
	}
	return distinct(doc, append(n.more, n.few[:]...))
}

// distinct sorts the names and reports whether no two are the same.
func distinct(doc []byte, names []span) bool {
	slices.SortFunc(names, func(a, b span) int {
		if d := (a.end - a.start) - (b.end - b.start); d != 0 {
			return int(d)
		}
		return bytes.Compare(a.of(doc), b.of(doc))
	})
	for i := 1; i < len(names); i++ {
		if bytes.Equal(names[i-1].of(doc), names[i].of(doc)) {
			return false
		}
	}
	return true
}
