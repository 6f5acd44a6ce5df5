package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/emergency"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/state"
)

// This file is the periodic review of access: who holds what, what ends, and what
// nobody uses. It names people who asked, and no patient.

// Review is the report of AccessReview.
type Review struct {
	Since   time.Time      `json:"since"`
	Until   time.Time      `json:"until"`
	Policy  string         `json:"policy"`  // revision in force
	Records int64          `json:"records"` // of the trail since
	People  []ReviewHolder `json:"people"`  // who was seen with which role, by role
	Ending  []ReviewEnd    `json:"ending"`  // agreements and emergency accesses that have expired or soon will
	Rules   []ReviewRule   `json:"unused_rules"`
	Rows    []ReviewRule   `json:"unused_rows"`
	Scopes  []ReviewScope  `json:"unused_scopes"`
	Clients []ReviewClient `json:"clients"` // that are configured or were seen
	Silent  []string       `json:"not_told,omitempty"`
}

// ReviewHolder is a person or service with a role that its tokens said.
type ReviewHolder struct {
	Role     string    `json:"role"` // "" of who has none
	Issuer   string    `json:"issuer"`
	Subject  string    `json:"subject"`
	Name     string    `json:"name,omitempty"`
	User     string    `json:"user,omitempty"` // "Practitioner/7"
	Clients  []string  `json:"clients"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Requests int64     `json:"requests"`
}

// ReviewEnd is what ends, or ended.
type ReviewEnd struct {
	What    string `json:"what"` // agreement, emergency access
	Who     string `json:"who"`
	Detail  string `json:"detail"`
	Until   string `json:"until"`
	Expired bool   `json:"expired"`
}

// ReviewRule is a rule, or a row of a table, that decided nothing.
type ReviewRule struct {
	Set    string `json:"set"` // permit, forbid, or the table's name
	Reason string `json:"reason"`
	Place  string `json:"place"`
}

// ReviewScope is a scope that a client's tokens carried and no request needed.
type ReviewScope struct {
	Client string `json:"client"`
	Scope  string `json:"scope"`
	Last   string `json:"last_granted"` // day
	Unused string `json:"unused"`       // letters of it that were not used, of "cruds"
}

// ReviewClient is a client of the configuration or of the trail.
type ReviewClient struct {
	ID         string    `json:"id"`
	Configured bool      `json:"configured"`
	Last       time.Time `json:"last,omitzero"` // zero: not seen
	Requests   int64     `json:"requests"`
}

// soon is how far ahead what ends is told.
const soon = 30 * 24 * time.Hour

// AccessReview reads the trail since a time, the policy in force and the state
// store of a configuration. The gateway may be running.
func AccessReview(ctx context.Context, cfg *config.Config, since, now time.Time) (*Review, error) {
	o, err := LivePolicy(cfg)
	if err != nil {
		return nil, err
	}
	covering, err := policy.NewCoverage(o)
	if err != nil {
		return nil, err
	}
	v := &reviewer{ctx: ctx, since: since, holders: map[holderKey]*ReviewHolder{}, clients: map[string]*ReviewClient{}, reasons: map[string]bool{}, used: map[useKey]bool{}}
	v.out = Review{Since: since, Until: now, Policy: covering.Engine().Revision()}
	if err := eachRecord(cfg, v.record); errors.Is(err, ErrNoPast) {
		v.out.Silent = append(v.out.Silent, err.Error())
	} else if err != nil {
		return nil, err
	}
	v.unused(covering)
	v.ends(covering, now)
	if err := v.stored(cfg, now); err != nil {
		return nil, err
	}
	v.sorted(cfg)
	return &v.out, nil
}

type holderKey struct{ role, issuer, subject string }

// useKey is what a client did: to records of a type, by the letter of a scope.
type useKey struct {
	client, typ string
	letter      byte
}

type reviewer struct {
	ctx     context.Context
	since   time.Time
	out     Review
	holders map[holderKey]*ReviewHolder
	clients map[string]*ReviewClient
	reasons map[string]bool
	used    map[useKey]bool
}

func (v *reviewer) record(r *audit.Record) error {
	if err := v.ctx.Err(); err != nil {
		return err
	}
	if r.Time.Before(v.since) || r.Kind != audit.Part && r.Kind != audit.Outcome {
		return nil
	}
	v.out.Records++
	for _, reason := range slices.Concat(r.Decision.Permits, r.Decision.Forbids) {
		v.reasons[reason] = true
	}
	for i := range r.Entries {
		v.entry(r, &r.Entries[i])
	}
	if r.Kind == audit.Outcome && r.Caller.Subject != "" && r.Interaction != audit.ReadingInteraction {
		v.caller(r)
	}
	return nil
}

func (v *reviewer) entry(r *audit.Record, e *audit.Entry) {
	for _, reason := range slices.Concat(e.Permits, e.Forbids) {
		v.reasons[reason] = true
	}
	if e.Effect != audit.Withheld {
		for _, letter := range lettersOf(r.Interaction) {
			v.used[useKey{r.Caller.Client, e.Type, byte(letter)}] = true
		}
	}
}

// lettersOf are the permissions of a scope that an interaction may have needed.
func lettersOf(interaction string) string {
	switch {
	case strings.HasPrefix(interaction, "search"):
		return "s"
	case interaction == "create":
		return "c"
	case interaction == "update", interaction == "patch":
		return "u"
	case interaction == "delete":
		return "d"
	case interaction == "batch", interaction == "transaction", strings.HasPrefix(interaction, "$"):
		return "cruds" // what of it, the record does not say
	case strings.HasPrefix(interaction, "history"):
		return "rs"
	}
	return "r"
}

func (v *reviewer) caller(r *audit.Record) {
	c := &r.Caller
	client := v.clients[c.Client]
	if client == nil {
		client = &ReviewClient{ID: c.Client}
		v.clients[c.Client] = client
	}
	client.Requests++
	client.Last = laterOf(client.Last, r.Time)
	roles := c.Roles
	if len(roles) == 0 {
		roles = []string{""}
	}
	for _, role := range roles {
		key := holderKey{role, c.Issuer, c.Subject}
		h := v.holders[key]
		if h == nil {
			h = &ReviewHolder{Role: role, Issuer: c.Issuer, Subject: c.Subject, First: r.Time}
			v.holders[key] = h
		}
		h.Requests++
		h.Last, h.Name, h.User = laterOf(h.Last, r.Time), cmp.Or(c.Name, h.Name), cmp.Or(c.User, h.User)
		if !slices.Contains(h.Clients, c.Client) {
			h.Clients = append(h.Clients, c.Client)
		}
	}
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// unused are the rules and rows whose reason is in no record. A rule that computes
// its reason is told by its rows.
func (v *reviewer) unused(c *policy.Coverage) {
	all := c.Covering()
	told := func(list []policy.Covered) (unused []ReviewRule) {
		for _, r := range list {
			if r.Reason != "" && r.Set != "oblige" && !v.reasons[r.Reason] {
				unused = append(unused, ReviewRule{r.Set, r.Reason, fmt.Sprintf("%s:%d", r.File, r.Line)})
			}
		}
		return unused
	}
	v.out.Rules, v.out.Rows = told(all.Rules), told(all.Rows)
}

func (v *reviewer) ends(c *policy.Coverage, now time.Time) {
	horizon, today := now.Add(soon).UTC().Format(time.DateOnly), now.UTC().Format(time.DateOnly)
	for _, e := range c.Endings() {
		if e.Until <= horizon {
			v.out.Ending = append(v.out.Ending, ReviewEnd{"agreement", e.Path, e.Reason + " (" + e.Place + ")", e.Until, e.Until < today})
		}
	}
}

// stored reads the state store: emergency accesses, and the scopes that tokens
// carried. To look is not to make one.
func (v *reviewer) stored(cfg *config.Config, now time.Time) error {
	if _, err := os.Stat(filepath.Join(cfg.State.Dir, "state.db")); cfg.State.URL == "" && errors.Is(err, fs.ErrNotExist) {
		v.out.Silent = append(v.out.Silent, "there is no state store yet: nothing is known of emergency accesses and scopes")
		return nil
	}
	return withState(cfg, func(st *state.Store) error {
		return errors.Join(st.List(v.ctx, emergencyKind, func(r state.Row) error {
			g, err := emergency.Decode(r.Value)
			if err == nil && (!g.Opened.Before(v.since) || g.Running(now)) {
				v.out.Ending = append(v.out.Ending, endOf(g, now))
			}
			return err
		}), st.List(v.ctx, grantedKind, v.scopes))
	})
}

func endOf(g *emergency.Grant, now time.Time) ReviewEnd {
	until := g.Until
	if !g.Ended.IsZero() {
		until = g.Ended // by a review, say: it did not last as long as it might have
	}
	e := ReviewEnd{What: "emergency access", Who: g.By.Subject, Until: until.UTC().Format(time.RFC3339), Expired: !g.Running(now)}
	switch {
	case g.Reviewed != nil:
		e.Detail = "reviewed"
	case g.Overdue(now):
		e.Detail = "not reviewed, overdue"
	default:
		e.Detail = "not reviewed yet"
	}
	return e
}

func (v *reviewer) sorted(cfg *config.Config) {
	for id := range cfg.Clients {
		if id == "*" {
			continue
		}
		if v.clients[id] == nil {
			v.clients[id] = &ReviewClient{ID: id}
		}
		v.clients[id].Configured = true
	}
	for _, id := range slices.Sorted(maps.Keys(v.clients)) {
		v.out.Clients = append(v.out.Clients, *v.clients[id])
	}
	for _, h := range v.holders {
		slices.Sort(h.Clients)
		v.out.People = append(v.out.People, *h)
	}
	slices.SortFunc(v.out.People, func(a, b ReviewHolder) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Subject, b.Subject))
	})
	slices.SortStableFunc(v.out.Ending, func(a, b ReviewEnd) int { return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Until, b.Until)) })
	slices.SortFunc(v.out.Scopes, func(a, b ReviewScope) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Scope, b.Scope))
	})
}
