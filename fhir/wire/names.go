package wire

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// fewNames is up to where a new name is compared with those before it; objects
// with more members are sorted, so that a hundred thousand of them cost no
// quadratic time.
const fewNames = 32

// span is a range of a document.
type span struct{ start, end int32 }

func (s span) of(doc []byte) []byte { return doc[s.start:s.end] }

// key is a number that the same names share and different ones mostly do not:
// made of the first and the last eight bytes. It reads the bytes in place.
func key(doc []byte, start, end int) uint64 {
	if start+8 > len(doc) {
		var b [8]byte
		copy(b[:], doc[start:end])
		return binary.LittleEndian.Uint64(b[:])
	}
	x := binary.LittleEndian.Uint64(doc[start:])
	if end-start < 8 {
		return x & (1<<(uint(end-start)*8&63) - 1)
	}
	return x ^ bits.RotateLeft64(binary.LittleEndian.Uint64(doc[end-8:]), 27)
}

// spread turns a key into a number whose high bits are even over all keys.
func spread(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 }

// filterBit spreads keys over the 64 bits of a filter: names of different bits differ.
func filterBit(key uint64) uint64 { return 1 << (spread(key) >> 58) }

// names are the member names of one object so far. They live on the stack.
type names struct {
	filter uint64
	count  int
	few    [fewNames]span
	more   []span
}

// add takes in a name and reports whether it is new, which for the many names
// of a large object only differ tells.
func (n *names) add(doc []byte, key uint64, name span) bool {
	if n.count == fewNames {
		n.more = append(n.more, name)
		return true
	}
	bit := filterBit(key)
	if n.filter&bit != 0 {
		for _, other := range n.few[:n.count] {
			if bytes.Equal(name.of(doc), other.of(doc)) {
				return false
			}
		}
	}
	n.filter |= bit
	n.few[n.count] = name
	n.count++
	return true
}

// differ reports whether all names differ.
func (n *names) differ(doc []byte) bool {
	return len(n.more) == 0 || distinct(doc, append(n.more, n.few[:]...))
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
