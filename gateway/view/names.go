package view

import (
	"encoding/binary"
	"math/bits"
)

// nameTable finds a member name among the few that a type has: one multiply,
// one load, one compare. The seed is chosen so that no two names collide.
type nameTable struct {
	seed  uint64
	shift uint8
	slots []int16 // index of the name, or -1
	names []string
}

func newNameTable(names []string) nameTable {
	t := nameTable{names: names, shift: 64}
	if len(names) == 0 {
		return t
	}
	size := 1 << bits.Len(uint(2*len(names)-1))
	for seed := uint64(0x9E3779B97F4A7C15); ; seed = seed*6364136223846793005 + 1442695040888963407 {
		t.seed = seed | 1
		t.shift = uint8(64 - bits.Len(uint(size-1)))
		if t.fill(size) {
			return t
		}
		if seed&31 == 0 { // unlucky: more room
			size *= 2
		}
	}
}

func (t *nameTable) fill(size int) bool {
	t.slots = make([]int16, size)
	for i := range t.slots {
		t.slots[i] = -1
	}
	for i, n := range t.names {
		slot := &t.slots[t.hash([]byte(n))]
		if *slot >= 0 {
			return false
		}
		*slot = int16(i)
	}
	return true
}

func (t *nameTable) hash(name []byte) uint64 {
	var a, b uint64
	switch n := len(name); {
	case n > 16: // the middle too: long names may share both ends
		a = binary.LittleEndian.Uint64(name) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(name[n/2-4:]), 41)
		b = binary.LittleEndian.Uint64(name[n-8:])
	case n >= 8:
		a, b = binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[n-8:])
	case n >= 4:
		a, b = uint64(binary.LittleEndian.Uint32(name)), uint64(binary.LittleEndian.Uint32(name[n-4:]))
	case n > 0:
		a, b = uint64(name[0]), uint64(name[n/2])<<8|uint64(name[n-1])
	}
	return ((a ^ bits.RotateLeft64(b, 23) ^ uint64(len(name))<<59) * t.seed) >> t.shift
}

// find is the index of name, or -1.
func (t *nameTable) find(name []byte) int {
	if len(t.slots) == 0 {
		return -1
	}
	i := int(t.slots[t.hash(name)])
	if i < 0 || t.names[i] != string(name) {
		return -1
	}
	return i
}
