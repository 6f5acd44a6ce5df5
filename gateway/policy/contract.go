package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The three open sets of package gatehouse.
var setNames = []string{"permit", "forbid", "oblige"}

var packageRef = ast.MustParseRef("data.gatehouse")

// Rule is one rule of the three sets, at its place.
type Rule struct {
	Set    string `json:"set"`              // permit, forbid, oblige
	Reason string `json:"reason,omitempty"` // "" where it is computed
	File   string `json:"file"`
	Line   int    `json:"line"`
}

// checkContract holds the modules to DESIGN §6. What it refuses would be
// silently without effect: a set under another name or in another package
// (C-03), a set that is no set.
func checkContract(c *ast.Compiler) ([]Rule, Problems) {
	var ps Problems
	var rules []Rule
	for _, m := range c.Modules {
		inPackage := m.Package.Path.Equal(packageRef)
		for _, r := range m.Rules {
			name := ruleName(r)
			file, line := r.Location.File, r.Location.Row
			switch {
			case !slices.Contains(setNames, name):
				if near := nearest(name, setNames); near != "" && inPackage && r.Head.RuleKind() == ast.MultiValue && !used(c, r) {
					ps.add(file, line, "nothing reads %s: did you mean %s?", name, near)
				}
			case !inPackage:
				ps.add(file, line, "%s is read in package gatehouse alone, and this is %s", name, strings.TrimPrefix(m.Package.Path.String(), "data."))
			case r.Head.RuleKind() != ast.MultiValue || len(r.Head.Ref()) != 1 || r.Default:
				ps.add(file, line, "%s is a set: write `%s contains … if …`", name, name)
			default:
				rules = append(rules, Rule{Set: name, Reason: checkHead(&ps, name, r), File: file, Line: line})
			}
		}
	}
	if !slices.ContainsFunc(rules, func(r Rule) bool { return r.Set == "permit" }) && len(ps) == 0 {
		ps.add("", 0, "no rule says `permit contains …` in package gatehouse: every request would be refused")
	}
	slices.SortFunc(rules, comparePlaces)
	return rules, ps
}

func comparePlaces(a, b Rule) int { return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line) }

func ruleName(r *ast.Rule) string {
	ref := r.Head.Ref()
	if v, ok := ref[0].Value.(ast.Var); ok {
		return string(v)
	}
	return ref[0].String()
}

func used(c *ast.Compiler, r *ast.Rule) bool {
	return len(c.Graph.Dependents(r)) > 0
}

// checkHead looks at what a rule puts into its set, as far as it is known
// without evaluating; it returns a reason that is known.
func checkHead(ps *Problems, set string, r *ast.Rule) string {
	file, line, key := r.Location.File, r.Location.Row, r.Head.Key
	if set == "oblige" {
		if err := checkObligation(key.Value); err != nil {
			ps.add(file, line, "%s", err)
		}
		return ""
	}
	switch v := key.Value.(type) {
	case ast.String:
		if v == "" {
			ps.add(file, line, "%s needs a reason that a person can read", set)
		}
		return string(v)
	case ast.Var, ast.Ref, ast.Call:
		return ""
	}
	ps.add(file, line, "%s contains reasons, which are text", set)
	return ""
}
