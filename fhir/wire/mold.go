package wire

import (
	"encoding/binary"
	"math/bits"
)

// The entries of a page look alike: the same members in the same order, and many
// values are the same too. A mold is made of one of them; another that differs
// from it in scalars alone (strings, numbers and literals) has been checked once
// these are, since all that its syntax, its names and its depth depend on is the
// same to the byte. What is equal is passed 32 bytes at a time.

// Mold is the form of an entry, and the entry that it was made of.
type Mold struct {
	Memo    any // what whoever reads the entries knows of this one
	doc     []byte
	scalars []span // of doc, in order
	hits    []Hit
}

// Entry is one element of a Bundle's entry. It is void once the next is read.
type Entry struct {
	Raw []byte
	// Mold is one that the entry fits, nil where there is none. It differs from
	// what the mold was made of in Changed, and nowhere else.
	Mold    *Mold
	Changed []Change

	hits []Hit // where it fits no mold
}

// Change is a scalar of an entry that is not as in its mold.
type Change struct {
	Scalar     int   // its number among the mold's Scalars
	Start, End int32 // where it lies in the entry, with quotes if it is a string
	was        int32 // where it ended in the mold
}

// Doc is the entry that the mold was made of.
func (m *Mold) Doc() []byte { return m.doc }

// Make makes m the mold of a whole document that has been parsed; it keeps a copy.
func (m *Mold) Make(doc []byte) {
	m.Memo, m.hits = nil, m.hits[:0]
	m.doc = append(m.doc[:0], doc...)
	m.scalars = scalarsOf(m.doc, m.scalars[:0])
}

// Follow checks what doc begins with, up to end. ok: it differs from the mold in what
// is appended to list, and nowhere else; else nothing is known of it.
func (m *Mold) Follow(doc []byte, list []Change) (end int, changed []Change, ok bool) {
	return m.follow(doc, 0, list)
}

// Hits are those in Doc of the plan that it was read with.
func (m *Mold) Hits() []Hit { return m.hits }

// Scalars calls f with where each scalar of Doc begins, in order.
func (m *Mold) Scalars(f func(start int32)) {
	for _, s := range m.scalars {
		f(s.start)
	}
}

// Hits appends the hits of the plan that the entry was read with.
func (e *Entry) Hits(list []Hit) []Hit {
	if e.Mold == nil {
		return append(list, e.hits...)
	}
	for _, h := range e.Mold.hits {
		h.Start, h.End = e.At(h.Start), e.At(h.End)
		list = append(list, h)
	}
	return list
}

// At is where in the entry lies what begins, or ends, at this place of its mold.
func (e *Entry) At(place int32) int32 {
	shift := int32(0)
	for i := range e.Changed {
		if e.Changed[i].was > place {
			break
		}
		shift = e.Changed[i].End - e.Changed[i].was
	}
	return place + shift
}

// follow checks the entry that begins at doc[i]. It is false where that has
// another form, or is not whole or not well formed: it is then to be read in full.
func (m *Mold) follow(doc []byte, i int, changed []Change) (end int, list []Change, ok bool) {
	next, k, start := 0, 0, int32(i)
	for {
		n := common(m.doc[k:], doc[i:])
		k, i = k+n, i+n
		if k == len(m.doc) {
			return i, changed, true
		}
		for next < len(m.scalars) && int(m.scalars[next].end) < k {
			next++
		}
		if next == len(m.scalars) || int(m.scalars[next].start) > k {
			return i, changed, false
		}
		s := m.scalars[next]
		begin := i - (k - int(s.start)) // up to here they are the same
		if c := at(doc, begin); c == '{' || c == '[' {
			return i, changed, false
		}
		var f fault
		if i, f = pass(doc, begin, 0); f != none {
			return i, changed, false
		}
		changed = append(changed, Change{next, int32(begin) - start, int32(i) - start, s.end})
		k = int(s.end)
		next++
	}
}

// common is how many bytes a and b begin with in common.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	i := 0
	for len(a) >= 32 && len(b) >= 32 { // half of what string comparison takes, which is a call each time
		x := binary.LittleEndian.Uint64(a) ^ binary.LittleEndian.Uint64(b)
		x |= binary.LittleEndian.Uint64(a[8:]) ^ binary.LittleEndian.Uint64(b[8:])
		x |= binary.LittleEndian.Uint64(a[16:]) ^ binary.LittleEndian.Uint64(b[16:])
		x |= binary.LittleEndian.Uint64(a[24:]) ^ binary.LittleEndian.Uint64(b[24:])
		if x != 0 {
			break
		}
		a, b = a[32:], b[32:]
		i += 32
	}
	for len(a) >= 8 && len(b) >= 8 {
		if x := binary.LittleEndian.Uint64(a) ^ binary.LittleEndian.Uint64(b); x != 0 {
			return i + bits.TrailingZeros64(x)>>3
		}
		a, b = a[8:], b[8:]
		i += 8
	}
	for k := range a {
		if a[k] != b[k] {
			return i + k
		}
	}
	return n
}

// scalarsOf appends the scalars of a document that has been checked.
func scalarsOf(doc []byte, list []span) []span {
	for i := 0; i < len(doc); {
		end := i + 1
		switch doc[i] {
		case '{', '}', '[', ']', ',', ':', ' ', '\n', '\r', '\t':
		case '"':
			end, _ = scanString(doc, i+1)
			if at(doc, space(doc, end)) != ':' {
				list = append(list, span{int32(i), int32(end)})
			}
		default:
			end, _ = scanScalar(doc, i)
			list = append(list, span{int32(i), int32(end)})
		}
		i = end
	}
	return list
}

// maxMold is the longest entry that a mold is made of.
const maxMold = 32 << 10

// molds are the forms of the entries of one Bundle so far.
type molds struct {
	list   [4]Mold
	made   int
	last   int // the one that fitted last
	credit int // entries that may yet fit none before it is given up
}

// reset forgets them, and keeps their memory.
func (m *molds) reset() {
	for i := range m.list {
		m.list[i].Memo = nil
	}
	m.made, m.last, m.credit = 0, 0, 2*len(m.list)
}

// find is the mold that the entry at doc[i] fits.
func (m *molds) find(doc []byte, i int, changed []Change) (fits *Mold, list []Change, end int) {
	if m.credit == 0 {
		return nil, changed, i
	}
	for k := range m.made {
		at := (m.last + k) % m.made
		end, list, ok := m.list[at].follow(doc, i, changed[:0])
		if changed = list; ok {
			m.last, m.credit = at, min(m.credit+1, 2*len(m.list))
			return &m.list[at], changed, end
		}
	}
	return nil, changed, i
}

// Learn makes a mold of the entry that was read last and fits none, for later
// entries to fit; nil where that is not worth it.
func (b *Bundle) Learn() *Mold {
	e, m := &b.entry, &b.molds
	if e.Mold != nil || m.credit == 0 || len(e.Raw) > maxMold {
		return nil
	}
	m.credit--
	if m.last = (m.last + 1) % len(m.list); m.made < len(m.list) {
		m.last = m.made
		m.made++
	}
	one := &m.list[m.last]
	one.Make(e.Raw)
	one.hits = append(one.hits, e.hits...)
	return one
}
