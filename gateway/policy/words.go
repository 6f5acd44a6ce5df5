package policy

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// lack says in words what does not hold.
func (w *walk) lack(x *ast.Expr, at env, depth int) Lack {
	l := Lack{Condition: oneLine(x), File: x.Location.File, Line: x.Location.Row}
	l.Words = w.words(x, at)
	if depth < maxNested && !x.Negated {
		l.Ways = w.ways(x, at, depth)
	}
	return l
}

// ways tells of the rules that a condition asks what each of them lacks.
func (w *walk) ways(x *ast.Expr, at env, depth int) (ways [][]Lack) {
	rules, args := w.asks(x)
	for _, r := range rules {
		start := env{}
		body := ast.Body{}
		for i, a := range r.Head.Args {
			if value := w.value(args[i], at); value != nil {
				body = append(body, ast.Equality.Expr(a, value))
			}
		}
		if len(body) > 0 {
			found := w.solve(body, nil)
			if len(found) == 0 {
				continue // a definition for other arguments
			}
			start = found[0]
		}
		var best []Lack
		for _, c := range w.through(r.Body, start, depth+1) {
			if all := append(c.missing, c.depends...); best == nil || len(all) < len(best) {
				best = all
			}
		}
		if best != nil {
			ways = append(ways, best)
		}
	}
	return ways
}

// asks are the rules behind a call or a reference, with the arguments.
func (w *walk) asks(x *ast.Expr) ([]*ast.Rule, []*ast.Term) {
	head, args := (*ast.Term)(nil), []*ast.Term(nil)
	switch terms := x.Terms.(type) {
	case *ast.Term:
		head = terms
	case []*ast.Term:
		head, args = terms[0], terms[1:]
	}
	if head == nil {
		return nil, nil
	}
	ref, ok := head.Value.(ast.Ref)
	if !ok || !ref.HasPrefix(ast.DefaultRootRef) || !ref.IsGround() {
		return nil, nil
	}
	var rules []*ast.Rule
	for _, r := range w.engine.compiler.GetRulesExact(ref) {
		if len(r.Head.Args) <= len(args) {
			rules = append(rules, r)
		}
	}
	return rules, args
}

// value is what a term is, nil where it is not known or not there.
func (w *walk) value(t *ast.Term, at env) *ast.Term {
	if t.IsGround() && isPlain(t) {
		return t
	}
	x := ast.VarTerm("value")
	for _, e := range w.solve(ast.NewBody(ast.Equality.Expr(x, t)), at) {
		return e["value"]
	}
	return nil
}

// words says a condition that does not hold, with the values that it looked at.
func (w *walk) words(x *ast.Expr, at env) string {
	written, err := ast.ParseExpr(string(x.Location.Text))
	if err != nil || len(written.With) > 0 {
		return oneLine(x) + " does not hold"
	}
	local := w.locals(at)
	switch terms := written.Terms.(type) {
	case *ast.SomeDecl:
		if in, ok := terms.Symbols[0].Value.(ast.Call); ok {
			return "there is none in " + w.named(in[len(in)-1], local)
		}
	case *ast.Every:
		return "not each of " + w.named(terms.Domain, local) + " meets " + line(terms.Body.String())
	case *ast.Term:
		name, value := w.name(terms), w.resolve(terms, local)
		switch {
		case written.Negated:
			return w.named(terms, local) + " may not be there"
		case value == nil && strings.HasPrefix(terms.String(), "input."):
			return name + " is not said"
		}
		return w.named(terms, local) + " does not hold"
	case []*ast.Term:
		if words := comparisons[terms[0].String()]; words != "" && len(terms) == 3 && !written.Negated {
			return w.named(terms[1], local) + words + w.named(terms[2], local)
		}
	}
	return w.describe(written, local) + " does not hold"
}

// comparisons say what does not hold between two things.
var comparisons = map[string]string{
	"equal": " is not ", "eq": " is not ", "neq": " is ", "internal.member_2": " is not among ",
	"lt": " is not before ", "lte": " is after ", "gt": " is not after ", "gte": " is before ", "startswith": " does not begin with ",
}

func line(text string) string { return strings.Join(strings.Fields(text), " ") }

func oneLine(x *ast.Expr) string { return line(string(x.Location.Text)) }

// describe is a condition as it is written, with the values of what it reads.
func (w *walk) describe(x *ast.Expr, local map[ast.Var]*ast.Term) string {
	var where []string
	seen := map[string]bool{}
	ast.WalkRefs(x, func(r ast.Ref) bool {
		t := ast.NewTerm(r)
		if head, ok := r[0].Value.(ast.Var); ok && (r.HasPrefix(ast.InputRootRef) || local[head] != nil) && !seen[r.String()] {
			seen[r.String()] = true
			where = append(where, w.name(t)+" is "+show(w.resolve(t, local)))
		}
		return false
	})
	if len(where) == 0 {
		return oneLine(x)
	}
	return oneLine(x) + " (" + strings.Join(where, "; ") + ")"
}

// locals are the variables under the names that the author gave them.
func (w *walk) locals(at env) map[ast.Var]*ast.Term {
	named := map[ast.Var]*ast.Term{}
	for v, value := range at {
		if name, ok := w.engine.compiler.RewrittenVars[v]; ok {
			named[name] = value
		}
	}
	return named
}

func (w *walk) resolve(t *ast.Term, local map[ast.Var]*ast.Term) *ast.Term {
	switch v := t.Value.(type) {
	case ast.Var:
		return local[v]
	case ast.Ref:
		if v.HasPrefix(ast.InputRootRef) {
			if !v.IsGround() {
				return nil
			}
			return term(find(w.input.Value, v[1:]).value)
		}
		if head, ok := v[0].Value.(ast.Var); ok && local[head] != nil && v.IsGround() {
			return term(find(local[head].Value, v[1:]).value)
		}
		return nil
	}
	if t.IsGround() && isPlain(t) {
		return t
	}
	return nil
}

func term(v ast.Value) *ast.Term {
	if v == nil {
		return nil
	}
	return ast.NewTerm(v)
}

// named is what a person calls a term, with its value.
func (w *walk) named(t *ast.Term, local map[ast.Var]*ast.Term) string {
	value := w.resolve(t, local)
	r, isRef := t.Value.(ast.Ref)
	switch {
	case isRef && r.HasPrefix(ast.InputRootRef):
		return fmt.Sprintf("%s (%s)", w.name(t), show(value))
	case value != nil:
		return show(value)
	}
	return t.String()
}

// name is what a person calls a term.
func (w *walk) name(t *ast.Term) string {
	if p := phrases[t.String()]; p != "" {
		return p
	}
	return t.String()
}

// shown bounds the members of a list that are told.
const shown = 8

func show(t *ast.Term) string {
	if t == nil {
		return "not said"
	}
	var all []string
	add := func(m *ast.Term) { all = append(all, show(m)) }
	switch v := t.Value.(type) {
	case ast.String:
		if v == "" {
			return "none"
		}
		return string(v)
	case *ast.Array:
		v.Foreach(add)
	case ast.Set:
		v.Foreach(add)
	default:
		return t.String()
	}
	if len(all) == 0 {
		return "none"
	}
	if len(all) > shown {
		all = append(all[:shown], fmt.Sprintf("… %d more", len(all)-shown))
	}
	return strings.Join(all, ", ")
}

// phrases are paths of the input as people call them.
var phrases = map[string]string{
	"input.action":                 "the action",
	"input.interaction":            "the interaction",
	"input.subject.id":             "the caller",
	"input.subject.roles":          "the caller's roles",
	"input.subject.organization":   "the caller's organization",
	"input.subject.fhir_user":      "the caller's own record",
	"input.subject.encounter":      "the encounter of the launch",
	"input.subject.fhir_context":   "what the app was launched about",
	"input.subject.patient":        "the patient whom the token names",
	"input.subject.purpose":        "the purposes of use that the token names",
	"input.subject.scopes":         "the token's scopes",
	"input.subject.acr":            "the strength of the login",
	"input.subject.auth_time":      "the time of the login",
	"input.client.id":              "the client",
	"input.request.type":           "the type asked for",
	"input.resource.type":          "the record's type",
	"input.resource.patients":      "the record's patients",
	"input.resource.organization":  "the record's organization",
	"input.resource.practitioners": "the practitioners whom the record names",
	"input.resource.labels":        "the record's labels",
	"input.resource.categories":    "the record's categories",
	"input.resource.codes":         "the record's codes",
	"input.resource.status":        "the record's status",
	"input.resource.author":        "the record's author",
	"input.resource.encounter":     "the record's encounter",
	"input.resource.date":          "the record's date",
	"input.relation.encounters":    "the patient's encounters",
	"input.relation.care_teams":    "the patient's care teams",
	"input.relation.practitioners": "those who care for the patient",
	"input.consent.decision":       "what consent says",
	"input.context.now":            "the time",

	"input.context.emergency.patient": "the patient of an open emergency access",
}
