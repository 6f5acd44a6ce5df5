package emergency

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Book is what this process knows of the stored grants: those that are open, by
// whom they are bound to, and those that await their review. It is safe for
// concurrent use.
type Book struct {
	opened  atomic.Int64 // entries of open: most gateways, most of the time, have none
	mu      sync.RWMutex
	open    map[string][]*Grant // by Bind
	waiting map[string]*Grant   // by ID
}

// NewBook makes an empty Book.
func NewBook() *Book { return &Book{open: map[string][]*Grant{}, waiting: map[string]*Grant{}} }

// Learn takes the stored form of a grant; nil: it is no more. What cannot be
// read opens nothing.
func (b *Book) Learn(id string, value []byte, now time.Time) error {
	var g *Grant
	var err error
	if value != nil {
		g, err = Decode(value)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.waiting, id)
	b.forget(id, now)
	if g != nil && g.ID == id {
		if g.Running(now) {
			b.open[g.Bind] = append(b.open[g.Bind], g)
		}
		if g.Reviewed == nil {
			b.waiting[id] = g
		}
	}
	n := 0
	for _, list := range b.open {
		n += len(list)
	}
	b.opened.Store(int64(n))
	return err
}

// forget drops a grant from those that are open, and all whose time is over.
// Lists are replaced: readers may hold the old ones.
func (b *Book) forget(id string, now time.Time) {
	for bind, list := range b.open {
		kept := slices.DeleteFunc(slices.Clone(list), func(g *Grant) bool { return g.ID == id || !g.Running(now) })
		if len(kept) == 0 {
			delete(b.open, bind)
			continue
		}
		b.open[bind] = kept
	}
}

// Of gives the open grants that are bound so.
func (b *Book) Of(bind string, now time.Time) []*Grant {
	if b.opened.Load() == 0 || bind == "" {
		return nil
	}
	b.mu.RLock()
	list := b.open[bind]
	b.mu.RUnlock()
	over := func(g *Grant) bool { return !g.Running(now) }
	if slices.ContainsFunc(list, over) {
		return slices.DeleteFunc(slices.Clone(list), over)
	}
	return list
}

// Waiting counts the grants that await their review, and of them those whose
// review is overdue.
func (b *Book) Waiting(now time.Time) (all, overdue int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, g := range b.waiting {
		if g.Overdue(now) {
			overdue++
		}
	}
	return len(b.waiting), overdue
}

// Owes tells whether a grant that the person opened is overdue for review.
func (b *Book) Owes(p Person, now time.Time) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, g := range b.waiting {
		if g.By.Same(p) && g.Overdue(now) {
			return true
		}
	}
	return false
}

// Running lists every open grant, oldest first.
func (b *Book) Running(now time.Time) []*Grant {
	b.mu.RLock()
	defer b.mu.RUnlock()
	all := []*Grant{}
	for _, list := range b.open {
		for _, g := range list {
			if g.Running(now) {
				all = append(all, g)
			}
		}
	}
	slices.SortFunc(all, func(a, b *Grant) int {
		if c := a.Opened.Compare(b.Opened); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}
