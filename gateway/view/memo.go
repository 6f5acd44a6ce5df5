package view

import (
	"strings"
	"sync"
)

// memo remembers pseudonyms: a page names the same few patients and encounters
// over and over, and sealing costs some microseconds. It is bounded by two
// generations: when the young one is full it becomes the old one.
type memo struct {
	mu         sync.RWMutex
	young, old map[memoKey]string
}

type memoKey struct{ label, text string }

const memoSize = 16 << 10 // entries of one generation, some 4 MiB

func (m *memo) get(label, text string) (string, bool) {
	k := memoKey{label, text}
	m.mu.RLock()
	p, ok := m.young[k]
	if !ok {
		p, ok = m.old[k]
	}
	m.mu.RUnlock()
	return p, ok
}

func (m *memo) put(label, text, p string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.young == nil || len(m.young) >= memoSize {
		m.young, m.old = make(map[memoKey]string), m.young
	}
	// Cloned: the text may lie in a document that is about to be overwritten.
	m.young[memoKey{strings.Clone(label), strings.Clone(text)}] = p
}
