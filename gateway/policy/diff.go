package policy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Difference is what one policy changes against another.
type Difference struct {
	From   string       `json:"from"` // revision
	To     string       `json:"to"`
	Rules  []RuleChange `json:"rules"`
	Tables []RowChange  `json:"tables"`
	Cells  []CellChange `json:"cells"`
	Asked  int          `json:"cells_compared"` // who × type × action
}

// The words for what became of a rule, a row or a cell.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// RuleChange is one rule that came, went or has another text. Of a helper the
// Set is "" and the Reason its name.
type RuleChange struct {
	Change string `json:"change"`
	Set    string `json:"set,omitempty"` // permit, forbid, oblige
	Reason string `json:"reason"`        // as it is written: a text, or where it is computed from
	Place  string `json:"place"`         // file:line, of the new one where there is one
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Diff compares two policies, in their text and in what they decide.
func Diff(ctx context.Context, a, b Options) (*Difference, error) {
	before, err := readEdition(a)
	if err != nil {
		return nil, err
	}
	after, err := readEdition(b)
	if err != nil {
		return nil, err
	}
	if before.engine.revision == after.engine.revision { // the same bytes
		return &Difference{From: before.engine.revision, To: after.engine.revision}, nil
	}
	d := &Difference{From: before.engine.revision, To: after.engine.revision,
		Rules: diffRules(before.rules, after.rules), Tables: diffTables(before.tables, after.tables)}
	d.Cells, d.Asked = diffMatrix(ctx, before, after)
	return d, nil
}

// edition is a policy with its text.
type edition struct {
	engine *Engine
	rules  map[string][]*ast.Rule // by what a person calls them
	tables map[string]table
}

func readEdition(o Options) (*edition, error) {
	engine, err := Load(o)
	if err != nil {
		return nil, err
	}
	files, shipped, own, err := gather(o)
	if err != nil {
		return nil, err
	}
	r := &edition{engine: engine, rules: map[string][]*ast.Rule{}}
	r.tables, _ = loadTables(shipped, own) // Load has shown its problems
	for _, f := range files {
		m, err := ast.ParseModuleWithOpts(f.name, string(f.text), ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: capabilities()})
		if err != nil {
			return nil, fmt.Errorf("read policy: %w", err)
		}
		for _, rule := range m.Rules {
			key := keyOf(m, rule)
			r.rules[key] = append(r.rules[key], rule)
		}
	}
	return r, nil
}

// keyOf is how a rule is found again in another policy: the member that it adds
// to its set, or the name of a helper.
func keyOf(m *ast.Module, r *ast.Rule) string {
	name := ruleName(r)
	if m.Package.Path.Equal(packageRef) && slices.Contains(setNames, name) && r.Head.Key != nil {
		return name + " " + r.Head.Key.String()
	}
	return strings.TrimPrefix(m.Package.Path.String(), "data.") + "." + name
}

func diffRules(a, b map[string][]*ast.Rule) (all []RuleChange) {
	for _, key := range union(a, b) {
		from, to := without(a[key], b[key]), without(b[key], a[key])
		for i := range max(len(from), len(to)) {
			c := RuleChange{Change: Changed, Reason: key}
			if set, member, ok := strings.Cut(key, " "); ok {
				c.Set, c.Reason = set, strings.Trim(member, `"`)
			}
			if i >= len(from) {
				c.Change = Added
			} else {
				c.Before, c.Place = textOf(from[i]), placeOf(from[i])
			}
			if i >= len(to) {
				c.Change = Removed
			} else {
				c.After, c.Place = textOf(to[i]), placeOf(to[i])
			}
			all = append(all, c)
		}
	}
	return all
}

// without are the rules that the others do not hold; layout and comments make
// no difference.
func without(rules, others []*ast.Rule) []*ast.Rule {
	known := map[string]int{}
	for _, r := range others {
		known[r.String()]++
	}
	return slices.DeleteFunc(slices.Clone(rules), func(r *ast.Rule) bool {
		known[r.String()]--
		return known[r.String()] >= 0
	})
}

func textOf(r *ast.Rule) string { return strings.TrimSpace(string(r.Location.Text)) }

func placeOf(r *ast.Rule) string { return place(r.Location.File, r.Location.Row) }

// union are the keys of both, sorted.
func union[V any](a, b map[string]V) []string {
	keys := slices.Collect(maps.Keys(a))
	for key := range b {
		if _, both := a[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
