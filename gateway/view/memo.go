package view

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// memo remembers pseudonyms: a page names the same few patients and encounters
// over and over, and sealing costs some microseconds. It is a table of a fixed size
// in which the new take the place of the old, and is read without a lock.
type memo struct {
	table atomic.Pointer[[memoSize]atomic.Pointer[memory]] // made when first needed
}

type memory struct{ label, text, p string }

const memoSize = 16 << 10 // some 4 MiB once it is full

var memoSeed = maphash.MakeSeed()

// memoSlot hashes a text and a label given in parts: the same label is to be given in
// the same parts each time.
func memoSlot(text string, label []string) uint64 {
	h := maphash.String(memoSeed, text)
	for _, part := range label { // of labels there are few
		if n := len(part); n > 0 {
			h ^= uint64(n) | uint64(part[n/2])<<16 | uint64(part[n-1])<<8
		}
		h *= 0x9e3779b97f4a7c15
	}
	return h >> 50
}

// is reports whether m is of the text and the label, given in parts.
func (m *memory) is(text string, label []string) bool {
	if m == nil || m.text != text {
		return false
	}
	rest := m.label
	for _, part := range label {
		after, ok := strings.CutPrefix(rest, part)
		if !ok {
			return false
		}
		rest = after
	}
	return rest == ""
}

func (m *memo) get(text string, label ...string) (string, bool) {
	t := m.table.Load()
	if t == nil {
		return "", false
	}
	slot := memoSlot(text, label)
	for _, at := range [...]uint64{slot, slot ^ 1} {
		if known := t[at].Load(); known.is(text, label) {
			return known.p, true
		}
	}
	return "", false
}

// put remembers p. What is in its place goes next door.
func (m *memo) put(p, text string, label ...string) {
	t := m.table.Load()
	if t == nil {
		m.table.CompareAndSwap(nil, new([memoSize]atomic.Pointer[memory]))
		t = m.table.Load()
	}
	slot := memoSlot(text, label)
	// Joined, cloned: text and p, an id, may lie in a document that is about to be
	// overwritten, and would be another's name then.
	if old := t[slot].Swap(&memory{strings.Join(append(label, ""), ""), strings.Clone(text), strings.Clone(p)}); old != nil {
		t[slot^1].Store(old)
	}
}
