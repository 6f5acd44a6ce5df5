package policy

import (
	"context"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Explanation is a decision with the rules behind it, as OPA went through them.
type Explanation struct {
	Decision Decision
	Held     []Rule // rules that put something into their set
	Missed   []Miss // rules that did not
	Input    string // what the rules saw, as JSON: it holds patient data
}

// Miss is a rule that did not hold, and the condition at which it stopped.
type Miss struct {
	Rule
	Condition string // as it is written
	At        int    // its line
}

// Explain evaluates the policy for one resource in full, for people: it is
// slow, and its answer is not for the client.
func (v *Evaluation) Explain(ctx context.Context, res *Resource) (*Explanation, error) {
	if v.outlook.Err != nil {
		return nil, v.outlook.Err
	}
	if err := res.check(); err != nil {
		return nil, err
	}
	e := v.engine
	input, err := fullInput(v.request, res, e.reads.content)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	w := &witness{rules: e.rules, entered: map[uint64]*ast.Rule{}, stopped: map[int]*ast.Expr{}, held: map[int]string{}}
	if _, err := e.whole.Eval(ctx, rego.EvalParsedInput(input), rego.EvalQueryTracer(w), rego.EvalRuleIndexing(false)); err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	x := &Explanation{Decision: v.Decide(ctx, res), Input: input.String()}
	for i, r := range e.rules {
		if reason, ok := w.held[i]; ok {
			r.Reason = reason
			x.Held = append(x.Held, r)
			continue
		}
		miss := Miss{Rule: r}
		if at := w.stopped[i]; at != nil {
			miss.Condition, miss.At = string(at.Location.Text), at.Location.Row
		}
		x.Missed = append(x.Missed, miss)
	}
	return x, nil
}

// witness notes which rules of the three sets held, and how far the others got.
type witness struct {
	rules   []Rule
	entered map[uint64]*ast.Rule
	stopped map[int]*ast.Expr
	held    map[int]string
}

func (w *witness) Enabled() bool { return true }

func (w *witness) Config() topdown.TraceConfig { return topdown.TraceConfig{PlugLocalVars: true} }

func (w *witness) TraceEvent(ev topdown.Event) {
	switch node := ev.Node.(type) {
	case *ast.Rule:
		if ev.Op == topdown.EnterOp {
			w.entered[ev.QueryID] = node
		}
		if i := w.find(node); i >= 0 && ev.Op == topdown.ExitOp {
			w.held[i] = reasonOf(node, &ev)
		}
	case *ast.Expr:
		i := w.find(w.entered[ev.QueryID])
		if ev.Op != topdown.FailOp || i < 0 || node.Location == nil {
			return
		}
		if far := w.stopped[i]; far == nil || far.Location.Offset <= node.Location.Offset {
			w.stopped[i] = node
		}
	}
}

func (w *witness) find(r *ast.Rule) int {
	if r == nil || r.Location == nil {
		return -1
	}
	return slices.IndexFunc(w.rules, func(known Rule) bool {
		return known.File == r.Location.File && known.Line == r.Location.Row && known.Set == ruleName(r)
	})
}

// reasonOf is what the rule put into its set.
func reasonOf(r *ast.Rule, ev *topdown.Event) string {
	key := r.Head.Key
	if v, ok := key.Value.(ast.Var); ok && ev.Locals != nil {
		if bound := ev.Locals.Get(v); bound != nil {
			key = ast.NewTerm(bound)
		}
	}
	if s, ok := key.Value.(ast.String); ok {
		return string(s)
	}
	return key.String()
}
