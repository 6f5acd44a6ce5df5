package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
)

// This file is what a running gateway does about blocks that it hears of.

// learnBlock acts on a block, from the next request on.
func (g *Gateway) learnBlock(r state.Row) {
	what, value, _ := strings.Cut(r.ID, "\x00")
	now := g.now()
	until := r.Expires
	if r.Value == nil {
		until = now // lifted, or over
	}
	if what == "patient" {
		g.blocked.set(value, until, now)
		return
	}
	if err := revoke(g.live.Load().auth, what, value, until); err != nil {
		g.metrics.alarm("state.malformed")
		g.log.Error("a block cannot be read", zap.Error(err))
	}
}

func revoke(a *auth.Authenticator, what, value string, until time.Time) error {
	kind := map[string]string{"client": "client", "user": "sub", "session": "sid", "token": "jti"}[what]
	if what == "user" && strings.Contains(value, "/") && !strings.Contains(value, "|") { // an issuer's name has slashes too
		kind = "fhirUser"
	}
	return a.Revoke(kind, value, until)
}

// learnBlockEvent records what was decided, by whomever and wherever, once in
// the trail of each gateway: what it had recorded before it was stopped, the
// state store tells.
func (p *Process) learnBlockEvent(r state.Row) {
	b := new(Block)
	if r.Value == nil || json.Unmarshal(r.Value, b) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), recordWait)
	defer cancel()
	if !p.heard.known {
		row, err := p.stores.shared.Get(ctx, blockHeardKind, p.place)
		if err != nil && !errors.Is(err, state.ErrNone) {
			p.metrics.alarm("state.unavailable")
			p.stores.again(blockEventKind, r)
			return
		}
		p.heard.version, _ = strconv.ParseInt(string(row.Value), 10, 64) // 0 where there is none
		p.heard.known = true
	}
	if r.Version <= p.heard.version {
		return
	}
	if p.recorded(b.record()) != nil { // which raises its alarm
		p.stores.again(blockEventKind, r)
		return
	}
	p.heard.version = r.Version
	version := []byte(strconv.FormatInt(r.Version, 10))
	if err := p.stores.shared.Put(ctx, blockHeardKind, p.place, version, time.Time{}); err != nil {
		p.metrics.alarm("state.unavailable")
	}
}

// heard is up to which version of the state store this gateway's trail tells
// what was blocked. The listener alone uses it.
type heard struct {
	known   bool
	version int64
}

// patientBlocks are the patients of whom nobody sees anything.
type patientBlocks struct {
	n     atomic.Int64 // entries of until: most gateways have none
	mu    sync.RWMutex
	until map[string]time.Time // zero: for ever
}

func (b *patientBlocks) set(patient string, until, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until == nil {
		b.until = map[string]time.Time{}
	}
	b.until[patient] = until
	for p, t := range b.until {
		if !t.IsZero() && !now.Before(t) {
			delete(b.until, p)
		}
	}
	b.n.Store(int64(len(b.until)))
}

// any tells whether one of the patients is blocked.
func (b *patientBlocks) any(patients []string, now time.Time) bool {
	if b.n.Load() == 0 {
		return false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.ContainsFunc(patients, func(p string) bool {
		t, ok := b.until[p]
		return ok && (t.IsZero() || now.Before(t))
	})
}
