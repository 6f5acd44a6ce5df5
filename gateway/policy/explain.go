package policy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Explanation is a decision with the rules behind it, for people: it holds
// patient data.
type Explanation struct {
	Decision Decision
	Held     []Rule // rules that put something into their set, once for each reason
	Near     []Near // where nothing was permitted: the permits that came nearest, best first
}

// Near is a permit that nearly held: a rule, or one row of a table that it goes
// through.
type Near struct {
	Rule
	Missing []Lack `json:"missing"`
	Depends []Lack `json:"depends,omitempty"` // conditions that a resource would settle, where none is at hand
	unseen  int
}

// Lack is a condition that does not hold.
type Lack struct {
	Condition string   `json:"condition"` // as it is written
	File      string   `json:"file"`
	Line      int      `json:"line"`
	Words     string   `json:"words"`          // with the values that were looked at
	Ways      [][]Lack `json:"ways,omitempty"` // where it asks other rules: what each of them lacks in turn
}

// Explain goes through the policy rule by rule, for people: it is slow, and its
// answer is not for the client. Without a resource it tells what the request
// alone settles.
func (v *Evaluation) Explain(ctx context.Context, res *Resource) (*Explanation, error) {
	if v.outlook.Err != nil {
		return nil, v.outlook.Err
	}
	x := &Explanation{Decision: v.outlook}
	input, open := requestInput(v.request), v.open()
	if res != nil {
		if err := res.check(); err != nil {
			return nil, err
		}
		full, err := fullInput(v.request, res, v.engine.reads.content)
		if err != nil {
			return nil, err
		}
		x.Decision, input, open = v.Decide(ctx, res), full, nil
	} else if v.request.Type != "" && v.request.Operation == "" {
		input = withType(input, v.request.Type)
	}
	w, err := newWalk(ctx, v.engine, input, open)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	defer w.close()
	for _, r := range v.engine.ordered() {
		x.add(w, r)
	}
	if len(x.Decision.Permits) > 0 {
		x.Near = nil
	}
	x.Near = best(x.Near)
	return x, w.err
}

// open are the parts of the input that only a resource fills.
func (v *Evaluation) open() []ast.Ref {
	open := []ast.Ref{ast.MustParseRef("input.relation"), ast.MustParseRef("input.consent")}
	if v.request.Type == "" || v.request.Operation != "" {
		return append(open, ast.MustParseRef("input.resource"))
	}
	return append(open, factRefs...)
}

// add tells of one rule.
func (x *Explanation) add(w *walk, r *ast.Rule) {
	rule := Rule{Set: ruleName(r), File: r.Location.File, Line: r.Location.Row}
	held := map[string]bool{}
	for _, found := range w.solve(r.Body, nil) {
		reason := reasonOf(r, found)
		if !held[reason] {
			held[reason] = true
			rule.Reason = reason
			x.Held = append(x.Held, rule)
		}
	}
	if len(held) > 0 || rule.Set != "permit" {
		return
	}
	for _, c := range w.through(r.Body, nil, 0) {
		rule.Reason = reasonOf(r, c.env)
		x.Near = append(x.Near, Near{Rule: rule, Missing: c.missing, Depends: c.depends, unseen: c.unseen})
	}
}

// kept is how many near ones are told.
const kept = 5

// best are those that lack least. What was seen whole comes before what may
// lack more than it tells.
func best(all []Near) []Near {
	slices.SortStableFunc(all, func(a, b Near) int { return cmp.Or(len(a.Missing)-len(b.Missing), a.unseen-b.unseen) })
	for i := range all {
		if i == kept || len(all[i].Missing) > len(all[0].Missing) || all[0].unseen == 0 && all[i].unseen > 0 {
			return all[:i]
		}
	}
	return all
}

// ordered are the rules of the three sets by their places.
func (e *Engine) ordered() []*ast.Rule {
	var all []*ast.Rule
	for _, m := range e.compiler.Modules {
		if !m.Package.Path.Equal(packageRef) {
			continue
		}
		for _, r := range m.Rules {
			if slices.Contains(setNames, ruleName(r)) {
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, func(a, b *ast.Rule) int {
		return cmp.Or(strings.Compare(a.Location.File, b.Location.File), a.Location.Row-b.Location.Row)
	})
	return all
}

// reasonOf is what the rule puts into its set, "" where that was never reached.
func reasonOf(r *ast.Rule, found env) string {
	key := r.Head.Key
	if v, ok := key.Value.(ast.Var); ok {
		if key = found[v]; key == nil {
			return ""
		}
	}
	if s, ok := key.Value.(ast.String); ok {
		return string(s)
	}
	return key.String()
}
