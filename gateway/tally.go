package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gatehouse/gateway/audit"
	"gatehouse/gateway/policy"
)

// tally counts where a candidate policy decides otherwise than the one that
// decided.
type tally struct {
	engine  *policy.Engine // the candidate
	live    *policy.Engine
	out     Replay
	changes map[changeKey]*ReplayChange
	gaps    map[string]int64
}

type changeKey struct{ change, rule, client, roles, typ, action string }

func newTally(candidate, live *policy.Engine) *tally {
	return &tally{engine: candidate, live: live, changes: map[changeKey]*ReplayChange{}, gaps: map[string]int64{}, out: Replay{Candidate: candidate.Revision()}}
}

// unknownBecause says why the candidate's answer is not known, "" where it is.
func unknownBecause(d policy.Rejudged, err error, missing string) string {
	switch {
	case err != nil:
		return "a rule of the candidate failed: " + err.Error()
	case len(d.Missing) > 0:
		return missing + strings.Join(d.Missing, ", ")
	}
	return ""
}

// compare counts one resource that was given or withheld by policy. The change
// is "" where there is none.
func (t *tally) compare(r *audit.Record, typ string, given bool, permitted []string, d policy.Rejudged, why string) (change, rule string) {
	if why != "" {
		t.gap(why)
		return "", ""
	}
	t.out.Decisions++
	switch {
	case d.Allow == given:
		t.out.Same++
		return "", ""
	case d.Allow:
		t.out.Allowed++
		change, rule = NewlyAllowed, t.named(d.Permits)
	case len(d.Forbids) > 0:
		t.out.Denied++
		change, rule = NewlyDenied, t.named(d.Forbids)
	default:
		t.out.Denied++
		change, rule = NewlyDenied, "no longer permitted: "+t.named(permitted)
	}
	t.change(r, change, typ, d.Action, rule)
	return change, rule
}

// compareEarly counts a request that was refused before any resource was looked
// at.
func (t *tally) compareEarly(r *audit.Record, d policy.Rejudged, why string) (change, rule string) {
	if why != "" {
		t.gap(why)
		return "", ""
	}
	t.out.Decisions++
	if !d.Possible {
		t.out.Same++
		return "", ""
	}
	t.out.Looked++
	rule = "some resources may be permitted"
	t.change(r, NewlyLooked, r.Type, d.Action, rule)
	return NewlyLooked, rule
}

// named are reasons as a report may tell them: one that a rule computes may hold
// what it read.
func (t *tally) named(reasons []string) string {
	names := make([]string, len(reasons))
	for i, r := range reasons {
		if names[i] = r; !t.engine.Wrote(r) && !t.live.Wrote(r) {
			names[i] = "(a reason that is computed)"
		}
	}
	return strings.Join(slices.Compact(names), " ")
}

const (
	fewExamples = 5
	// manyChanges bounds a report: beyond it changes are told by kind and rule.
	manyChanges = 10_000
)

func (t *tally) change(r *audit.Record, change, typ, action, rule string) {
	c := &r.Caller
	key := changeKey{change, rule, c.Client, strings.Join(c.Roles, ", "), typ, action}
	if t.changes[key] == nil && len(t.changes) >= manyChanges {
		key = changeKey{change: change, rule: rule, client: "others"}
	}
	at := t.changes[key]
	if at == nil {
		at = &ReplayChange{Change: change, Rule: rule, Client: key.client, Roles: key.roles, Type: key.typ, Action: key.action}
		t.changes[key] = at
	}
	at.Count++
	at.Users = example(at.Users, asker(c))
	at.Requests = example(at.Requests, r.Request)
}

// asker names who asked; a patient is not named.
func asker(c *audit.Caller) string {
	if strings.HasPrefix(c.User, "Patient/") || strings.HasPrefix(c.User, "RelatedPerson/") {
		return "a patient, or somebody who acts for one"
	}
	return cmp.Or(c.Name, c.User, c.Subject)
}

func example(few []string, one string) []string {
	if len(few) >= fewExamples || slices.Contains(few, one) {
		return few
	}
	return append(few, one)
}

func (t *tally) gap(why string) { t.gaps[why]++ }

// report is a copy of what was counted, most frequent first.
func (t *tally) report() *Replay {
	out := t.out
	out.Changes, out.Unknown = []ReplayChange{}, []ReplayGap{}
	for _, c := range t.changes {
		one := *c
		one.Users, one.Requests = slices.Clone(c.Users), slices.Clone(c.Requests)
		out.Changes = append(out.Changes, one)
	}
	for why, n := range t.gaps {
		out.Unknown = append(out.Unknown, ReplayGap{why, n})
	}
	out.sort()
	return &out
}

func (r *Replay) sort() {
	slices.SortFunc(r.Changes, func(a, b ReplayChange) int {
		return cmp.Or(cmp.Compare(a.Change, b.Change), cmp.Compare(b.Count, a.Count),
			cmp.Compare(fmt.Sprint(a.Rule, a.Client, a.Roles, a.Type, a.Action), fmt.Sprint(b.Rule, b.Client, b.Roles, b.Type, b.Action)))
	})
	slices.SortFunc(r.Unknown, func(a, b ReplayGap) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Why, b.Why)) })
}
