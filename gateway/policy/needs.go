package policy

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// need is a condition on one fact that a way cannot do without: the fact is, or
// as a list holds, one of the values, which the request alone settles.
type need struct {
	fact   string // its name in input.resource
	values []expr // text; where one is undefined it is no value
}

// maxNeed bounds the values of one need: more make a poor criterion.
const maxNeed = 100

// needsOf reads off a way's conditions what they demand of facts. It may
// overlook a demand, never invent one.
func needsOf(b ast.Body) []need {
	var all []need
	for _, x := range b {
		if x.Negated || len(x.With) > 0 {
			continue
		}
		var n need
		switch terms := x.Terms.(type) {
		case []*ast.Term:
			n = needOfCall(terms)
		case *ast.Every:
			n = needOfEvery(terms, b)
		}
		if n.fact != "" && len(n.values) > 0 && len(n.values) <= maxNeed {
			all = append(all, n)
		}
	}
	return all
}

func needOfCall(terms []*ast.Term) need {
	if len(terms) != 3 {
		return need{}
	}
	a, b := terms[1], terms[2]
	switch terms[0].String() {
	case "eq", "equal":
		if fact := factOf(a, text); fact != "" {
			return need{fact, valuesOf(b)}
		}
		return need{factOf(b, text), valuesOf(a)}
	case "internal.member_2":
		if fact := factOf(b, list); fact != "" {
			return need{fact, valuesOf(a)}
		}
		return need{factOf(a, text), membersOf(b)}
	}
	return need{}
}

// needOfEvery reads `every p in list {p == value}`, which demands a value of
// the list only where another condition says that there is one.
func needOfEvery(every *ast.Every, in ast.Body) need {
	fact := factOf(every.Domain, list)
	if fact == "" || !slices.ContainsFunc(in, func(x *ast.Expr) bool { return demandsSome(x, every.Domain) }) {
		return need{}
	}
	for _, x := range every.Body {
		terms, ok := x.Terms.([]*ast.Term)
		if !ok || x.Negated || len(x.With) > 0 || len(terms) != 3 {
			continue
		}
		a, b := terms[1], terms[2]
		switch name := terms[0].String(); {
		case (name == "eq" || name == "equal") && b.Equal(every.Value):
			return need{fact, valuesOf(a)}
		case (name == "eq" || name == "equal") && a.Equal(every.Value):
			return need{fact, valuesOf(b)}
		case name == "internal.member_2" && a.Equal(every.Value):
			return need{fact, membersOf(b)}
		}
	}
	return need{}
}

// demandsSome reads `count(list) > 0`.
func demandsSome(x *ast.Expr, list *ast.Term) bool {
	terms, ok := x.Terms.([]*ast.Term)
	if !ok || x.Negated || len(x.With) > 0 || len(terms) != 3 || terms[0].String() != "gt" || terms[2].String() != "0" {
		return false
	}
	call, ok := terms[1].Value.(ast.Call)
	return ok && len(call) == 2 && call[0].String() == "count" && call[1].Equal(list)
}

// factOf names the fact that a reference is: a text, or a list; an element of a
// list is a text too. "" where it is something else.
func factOf(t *ast.Term, typ kind) string {
	r, ok := t.Value.(ast.Ref)
	if !ok || len(r) < 3 {
		return ""
	}
	e, ok := unknowns[r[:3].String()]
	name, below := strings.CutPrefix(r[:3].String(), "input.resource.")
	switch {
	case !ok || !below:
		return ""
	case len(r) == 3 && e.typ == typ, len(r) == 4 && e.typ == list && typ == text:
		return name
	}
	return ""
}

// valuesOf is a text that is known, or will be with the request.
func valuesOf(t *ast.Term) []expr {
	switch v := t.Value.(type) {
	case ast.String:
		e, _ := constExpr(v).asText()
		return []expr{e}
	case ast.Ref:
		if e, ok := unknowns[v.String()]; ok && e.typ == text && e.uses == usesRequest {
			return []expr{e}
		}
	}
	return nil
}

// membersOf are the texts of a known array or set that holds nothing else.
func membersOf(t *ast.Term) (values []expr) {
	if !t.IsGround() || !isPlain(t) {
		return nil
	}
	all, ok := stringsOf(t.Value)
	if !ok {
		return nil
	}
	for _, s := range all {
		e, _ := constExpr(ast.String(s)).asText()
		values = append(values, e)
	}
	return values
}
