package policy

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"golang.org/x/sync/errgroup"

	"gatehouse/fhir"
)

// CellChange is one place of the matrix who × type × action where two policies
// decide otherwise in some representative case.
type CellChange struct {
	Who     string   `json:"who"`   // "role nurse", "a patient's app", "client lab-service"
	Types   []string `json:"types"` // that neither policy tells apart
	Actions []string `json:"actions"`
	Allowed []string `json:"newly_allowed,omitempty"`
	Denied  []string `json:"newly_denied,omitempty"`
	Obliged []string `json:"newly_obliged,omitempty"` // allowed before and after, with other obligations
}

// actions are the columns of the matrix.
var actions = []string{"read", "search", "create", "update", "delete", "operation"}

// party is one row of it.
type party struct {
	name  string
	shape func(*Request, *Resource)
}

func parties(v *vocabulary) []party {
	all := []party{
		{"anybody without a role", func(*Request, *Resource) {}},
		{"a patient's app", func(q *Request, r *Resource) {
			q.Subject.Patient, q.Subject.FHIRUser, q.Subject.Organization = person, person, ""
		}},
	}
	for _, role := range slices.Sorted(maps.Keys(v.roles)) {
		all = append(all, party{"role " + role, func(q *Request, _ *Resource) { q.Subject.Roles = []string{role} }})
	}
	for _, id := range slices.Sorted(maps.Keys(v.clients)) {
		all = append(all, party{"client " + id, func(q *Request, _ *Resource) {
			q.Client.ID, q.Subject.Client, q.Subject.ID = id, id, id
			q.Subject.FHIRUser, q.Subject.Organization = "", ""
		}})
	}
	return all
}

// matrix is what two policies are compared in.
type matrix struct {
	before, after *Engine
	situations    []situation
	purposes      []string // "" is none
	organizations []string // that situations are about
	typed         bool     // some rule asks for the type that the request names
}

func diffMatrix(ctx context.Context, a, b *edition) ([]CellChange, int) {
	v := newVocabulary()
	v.learn(a, "before ")
	v.learn(b, "after ")
	changed, alike := v.toldApart()
	m := &matrix{before: a.engine, after: b.engine, situations: append(situationsOf(v, a, b), inOrganizations(changed, alike, a, b)...),
		organizations: append(changed, alike), purposes: append([]string{""}, slices.Sorted(maps.Keys(v.purposes))...),
		typed: a.engine.reads.mentions("input.request.type") || b.engine.reads.mentions("input.request.type")}
	all, classes, columns := parties(v), v.classes(fhir.R4.ResourceTypes()), v.classes(actions)
	found := make([][]CellChange, len(all))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range all {
		group.Go(func() error {
			hopeless := make([]bool, len(columns))
			for c, column := range columns {
				hopeless[c] = m.hopeless(ctx, p, column[0])
			}
			for _, class := range classes {
				for c, column := range columns {
					found[i] = m.cell(ctx, p, class, column, hopeless[c]).addTo(found[i])
				}
			}
			return nil
		})
	}
	_ = group.Wait() // nothing of it fails
	return slices.Concat(found...), len(all) * len(fhir.R4.ResourceTypes()) * len(actions)
}

// situationsOf are the plain cases, the labels, and those in which the
// askings of the rules that differ hold.
func situationsOf(v *vocabulary, a, b *edition) []situation {
	all := plain()
	for _, labels := range v.classes(slices.Sorted(maps.Keys(v.labels))) {
		all = append(all, labelled(labels))
	}
	seen := map[string]bool{}
	changed := map[string]bool{}
	for _, c := range diffRules(a.rules, b.rules) {
		changed[c.Place] = true
	}
	for _, r := range []*edition{a, b} {
		for _, m := range r.engine.compiler.Modules {
			for _, rule := range m.Rules {
				askings := slices.DeleteFunc(askingsIn(rule), func(c asking) bool { return setters[c.path] == nil })
				key := fmt.Sprint(askings)
				if len(askings) == 0 || seen[key] || !changed[placeOf(rule)] {
					continue
				}
				seen[key] = true
				all = append(all, asRuleAsks(called(rule), askings)...)
			}
		}
	}
	return all
}

// called is a rule in words: its reason where that is written there.
func called(r *ast.Rule) string {
	if r.Head.Key != nil {
		if s, ok := r.Head.Key.Value.(ast.String); ok {
			return fmt.Sprintf("the rule %q", string(s))
		}
	}
	return "the rule at " + place(filepath.Base(r.Location.File), r.Location.Row)
}

func (m *matrix) cell(ctx context.Context, p party, types, actions []string, hopeless bool) CellChange {
	c := CellChange{Who: p.name, Types: types, Actions: actions}
	for _, s := range m.situations {
		if hopeless && !s.asked {
			continue
		}
		allowed, denied, obliged := m.cases(ctx, p, types[0], actions[0], s)
		c.Allowed = m.note(c.Allowed, s.name, allowed)
		c.Denied = m.note(c.Denied, s.name, denied)
		c.Obliged = m.note(c.Obliged, s.name, obliged)
	}
	return c
}

// hopeless tells that neither policy lets the party do this to anything, in
// the cases that differ in the record alone.
func (m *matrix) hopeless(ctx context.Context, p party, action string) bool {
	if m.typed {
		return false
	}
	for _, e := range []*Engine{m.before, m.after} {
		for _, purpose := range m.purposes {
			for _, organization := range append([]string{home}, m.organizations...) {
				q, _ := caseOf(p, "", action, purpose)
				of(q, organization)
				if possible, _ := e.For(ctx, q).Possible(); possible {
					return false
				}
			}
		}
	}
	return true
}

// addTo adds a cell where something changes in it, to the one before where it
// is the same for other actions.
func (c CellChange) addTo(all []CellChange) []CellChange {
	if len(c.Allowed)+len(c.Denied)+len(c.Obliged) == 0 {
		return all
	}
	if n := len(all); n > 0 {
		last := &all[n-1]
		if slices.Equal(last.Types, c.Types) && slices.Equal(last.Allowed, c.Allowed) && slices.Equal(last.Denied, c.Denied) && slices.Equal(last.Obliged, c.Obliged) {
			last.Actions = append(last.Actions, c.Actions...)
			return all
		}
	}
	return append(all, c)
}

// cases are the purposes of use for which a situation is decided otherwise.
func (m *matrix) cases(ctx context.Context, p party, typ, action string, s situation) (allowed, denied, obliged []string) {
	for _, purpose := range m.purposes {
		q, r := caseOf(p, typ, action, purpose)
		s.shape(q, r)
		if !m.typed {
			q.Type = "" // one residual serves all types
		}
		before := m.before.For(ctx, q).decideWith(ctx, "", r, nil)
		after := m.after.For(ctx, q).decideWith(ctx, "", r, nil)
		switch {
		case after.Allow && !before.Allow:
			allowed = append(allowed, purpose)
		case before.Allow && !after.Allow:
			denied = append(denied, purpose)
		case after.Allow && !reflect.DeepEqual(after.Obligations, before.Obligations):
			obliged = append(obliged, purpose)
		}
	}
	return allowed, denied, obliged
}

func caseOf(p party, typ, action, purpose string) (*Request, *Resource) {
	q, r := blank(action, interactionOf(action), typ)
	p.shape(q, r)
	if purpose != "" {
		q.Subject.Purpose = []string{purpose}
	}
	return q, r
}

func interactionOf(action string) string {
	switch action {
	case "search":
		return "search-type"
	case "operation":
		return "$operation"
	}
	return action
}

// note adds a situation in words, with its purposes where not all are meant.
func (m *matrix) note(all []string, name string, purposes []string) []string {
	switch {
	case len(purposes) == 0:
		return all
	case len(purposes) < len(m.purposes):
		words := slices.Clone(purposes)
		for i, p := range words {
			if p == "" {
				words[i] = "no purpose"
			}
		}
		name += ", for " + strings.Join(words, " or ")
	}
	return append(all, name)
}
