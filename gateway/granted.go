package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/scope"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
)

// This file keeps which scopes the tokens of a client carried, for the review of
// access: the trail tells what was done, not what could have been.

const (
	grantedKind = "scopes-granted"
	grantedLife = 400 * 24 * time.Hour // of a client that is not heard of
	// What one client, and all, can make the gateway keep.
	grantedScopes  = 200
	grantedClients = 5000
)

// granted are scopes by client, with the last day on which a token carried them.
type granted struct {
	mu   sync.Mutex
	seen map[string]map[string]string
	news map[string]bool // clients with something that the store does not have
}

// note is called once per token.
func (g *granted) note(client string, scopes []string, now time.Time) {
	day := now.UTC().Format(time.DateOnly)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seen == nil {
		g.seen, g.news = map[string]map[string]string{}, map[string]bool{}
	}
	of := g.seen[client]
	if of == nil {
		if len(g.seen) >= grantedClients {
			return
		}
		of = map[string]string{}
		g.seen[client] = of
	}
	for _, s := range scopes {
		if of[s] == day || of[s] == "" && (len(of) >= grantedScopes || len(s) > 500) {
			continue
		}
		of[s] = day
		g.news[client] = true
	}
}

// take gives what is new since the last call.
func (g *granted) take() map[string]map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	news := map[string]map[string]string{}
	for client := range g.news {
		news[client] = map[string]string{}
		for s, day := range g.seen[client] {
			news[client][s] = day
		}
	}
	clear(g.news)
	return news
}

const grantedEvery = 10 * time.Second

// keepGranted writes them to the state store until ctx ends.
func (p *Process) keepGranted(ctx context.Context) error {
	tick := time.NewTicker(grantedEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			p.saveGranted(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			p.saveGranted(ctx)
		}
	}
}

func (p *Process) saveGranted(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stale)
	defer cancel()
	for client, scopes := range p.stores.granted.take() {
		if err := saveGranted(ctx, p.stores.shared, client, scopes, p.now()); err != nil {
			p.log.Error("the scopes that a client was granted could not be kept", zap.Error(err))
			return
		}
	}
}

// saveGranted adds to what other replicas and earlier days have stored.
func saveGranted(ctx context.Context, st *state.Store, client string, scopes map[string]string, now time.Time) error {
	row, err := st.Get(ctx, grantedKind, client)
	known := grantedTo{Client: client, Scopes: map[string]string{}}
	if err == nil {
		err = json.Unmarshal(row.Value, &known)
	} else if errors.Is(err, state.ErrNone) {
		err = nil
	}
	if err != nil {
		return err
	}
	for s, day := range scopes {
		if day > known.Scopes[s] && (known.Scopes[s] != "" || len(known.Scopes) < 2*grantedScopes) {
			known.Scopes[s] = day
		}
	}
	value, err := json.Marshal(known)
	if err != nil {
		return fmt.Errorf("write scopes of a client: %w", err)
	}
	return st.Put(ctx, grantedKind, client, value, now.Add(grantedLife))
}

// grantedTo is the row.
type grantedTo struct {
	Client string            `json:"client"`
	Scopes map[string]string `json:"scopes"` // to the last day
}

// scopes tells which of a client's scopes of records no request needed.
func (v *reviewer) scopes(row state.Row) error {
	var g grantedTo
	if err := json.Unmarshal(row.Value, &g); err != nil {
		return fmt.Errorf("read scopes of a client: %w", err)
	}
	since := v.since.UTC().Format(time.DateOnly)
	for s, day := range g.Scopes {
		if day < since {
			continue
		}
		for _, e := range scope.Parse(fhir.R4, []string{s}, "Patient/any", nil).Explain() {
			if unused := v.lettersUnused(g.Client, e); e.Grants && unused != "" {
				v.out.Scopes = append(v.out.Scopes, ReviewScope{g.Client, s, day, unused})
			}
		}
	}
	return nil
}

// lettersUnused are the permissions of a scope that the client did not use.
func (v *reviewer) lettersUnused(client string, e scope.Explanation) (unused string) {
	for _, letter := range []byte(e.Letters) {
		used := v.used[useKey{client, e.Type, letter}]
		if e.Type == "*" {
			used = slices.ContainsFunc(fhir.R4.ResourceTypes(), func(t string) bool { return v.used[useKey{client, t, letter}] })
		}
		if !used {
			unused += string(letter)
		}
	}
	return unused
}
