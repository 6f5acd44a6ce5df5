package auth

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// blocks is the list of what is revoked before its time.
type blocks struct {
	epoch atomic.Uint64 // rises when something is added
	mu    sync.RWMutex
	until map[block]time.Time // zero: for ever
}

type block struct{ kind, value string }

func newBlocks() *blocks {
	b := &blocks{until: make(map[block]time.Time)}
	b.epoch.Store(1) // no entry has been checked at its zero
	return b
}

// Revoke refuses, from the next request on and until the given time (zero: for
// ever), every token with that jti, sub, fhirUser, client or sid; a sub may be that of
// one issuer alone, as PrincipalOf writes it. A time that is past lifts the block.
func (a *Authenticator) Revoke(kind, value string, until time.Time) error {
	switch kind {
	case "jti", "sub", "fhirUser", "client", "sid":
	default:
		return fmt.Errorf("cannot revoke by %q: write jti, sub, fhirUser, client or sid", kind)
	}
	if value == "" {
		return fmt.Errorf("cannot revoke by an empty %s", kind)
	}
	a.blocks.set(block{kind, value}, until, a.now())
	return nil
}

// PrincipalOf writes the sub of one issuer: a namesake at another is somebody else.
func PrincipalOf(issuer, sub string) string { return issuer + "|" + sub }

func (b *blocks) set(what block, until, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, t := range b.until {
		if over(t, now) {
			delete(b.until, k)
		}
	}
	if over(until, now) {
		delete(b.until, what)
		return
	}
	b.until[what] = until
	b.epoch.Add(1)
}

func over(until, now time.Time) bool { return !until.IsZero() && !now.Before(until) }

// check refuses a blocked token. An entry that passed is looked up again only
// when something was added since.
func (b *blocks) check(e *entry, now time.Time) *failure {
	epoch := b.epoch.Load()
	if e.checked.Load() == epoch {
		return nil
	}
	s := e.subject
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, k := range [...]block{{"jti", s.TokenID}, {"sub", s.ID}, {"sub", PrincipalOf(s.Issuer, s.ID)}, {"fhirUser", s.FHIRUser}, {"client", s.Client}, {"sid", s.Session}} {
		if until, ok := b.until[k]; ok && !over(until, now) {
			return fail(CodeRevoked, "blocked by %s", k.kind)
		}
	}
	e.checked.Store(epoch)
	return nil
}
