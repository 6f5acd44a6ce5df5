package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// asking is a text that a rule compares a path of the input with.
type asking struct{ path, value string }

// askingsIn lists what a compiled rule asks of its input by name.
func askingsIn(r *ast.Rule) (all []asking) {
	named := namesIn(r)
	add := func(where, what *ast.Term) {
		path := named.pathOf(where.Value, 0)
		for _, value := range textsOf(what) {
			if path != "" {
				all = append(all, asking{path, value})
			}
		}
	}
	ast.WalkExprs(r, func(x *ast.Expr) bool {
		terms, ok := x.Terms.([]*ast.Term)
		if !ok || len(terms) < 3 {
			return false
		}
		switch terms[0].String() {
		case "eq", "equal", "internal.member_2":
			add(terms[1], terms[2])
			add(terms[2], terms[1])
		}
		return false
	})
	return all
}

// names are the references that a rule's variables stand for.
type names map[ast.Var]ast.Value

func namesIn(r *ast.Rule) names {
	all := names{}
	ast.WalkExprs(r, func(x *ast.Expr) bool {
		if !x.IsEquality() || x.Negated {
			return false
		}
		for i := range 2 {
			v, isVar := x.Operand(i).Value.(ast.Var)
			if _, isRef := x.Operand(1 - i).Value.(ast.Ref); isVar && isRef && all[v] == nil {
				all[v] = x.Operand(1 - i).Value
			}
		}
		return false
	})
	return all
}

// pathOf is the input path that a value is read from, without the places in
// lists: input.relation.encounters.status. "" where it is none.
func (n names) pathOf(v ast.Value, depth int) string {
	const tooDeep = 16 // variables may stand for each other
	if x, isVar := v.(ast.Var); isVar && n[x] != nil && depth < tooDeep {
		return n.pathOf(n[x], depth+1)
	}
	r, ok := v.(ast.Ref)
	if !ok {
		return ""
	}
	path := "input"
	if !r.HasPrefix(ast.InputRootRef) {
		if path = n.pathOf(r[0].Value, depth+1); path == "" {
			return ""
		}
	}
	for _, t := range r[1:] {
		if s, ok := t.Value.(ast.String); ok {
			path += "." + string(s)
		}
	}
	return path
}

func textsOf(t *ast.Term) (all []string) {
	switch t.Value.(type) {
	case ast.String, *ast.Array, ast.Set:
		ast.WalkTerms(t, func(x *ast.Term) bool {
			if s, ok := x.Value.(ast.String); ok {
				all = append(all, string(s))
			}
			return false
		})
	}
	return all
}

// vocabulary are the words by which policies tell callers and records apart,
// found in their tables by the names of keys and in their rules by what these
// compare with the input; and where each word stands.
type vocabulary struct {
	roles, purposes, clients, labels, organizations map[string]bool

	places map[string][]string
}

func newVocabulary() *vocabulary {
	return &vocabulary{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string][]string{}}
}

// learn adds the words of a policy; side keeps the places of two policies apart.
func (v *vocabulary) learn(r *edition, side string) {
	for _, key := range slices.Sorted(maps.Keys(r.tables)) {
		v.table(side+key, key, r.tables[key].value)
	}
	for _, m := range r.engine.compiler.Modules {
		for _, rule := range m.Rules {
			for _, a := range askingsIn(rule) {
				v.word(a.path, a.value)
			}
			v.rule(side, rule)
		}
	}
}

// rule notes where the texts of a rule stand.
func (v *vocabulary) rule(side string, rule *ast.Rule) {
	ast.WalkExprs(rule, func(x *ast.Expr) bool {
		terms, ok := x.Terms.([]*ast.Term)
		if !ok {
			return false
		}
		for i, t := range terms {
			for _, word := range textsOf(t) {
				v.stands(word, fmt.Sprint(side, x.Location, i))
			}
		}
		return false
	})
}

func (v *vocabulary) word(path, value string) {
	switch path {
	case "input.subject.roles":
		v.roles[value] = true
	case "input.subject.purpose":
		v.purposes[value] = true
	case "input.client.id":
		v.clients[value] = true
	case "input.resource.labels":
		v.labels[value] = true
	}
}

// table walks a table; name is that of the key that value stands under.
func (v *vocabulary) table(place, name string, value any) {
	words := map[string]map[string]bool{"roles": v.roles, "purposes": v.purposes, "agreements": v.clients, "clients": v.clients, "sensitive": v.labels, "labels": v.labels,
		"organizations": v.organizations, "wards": v.organizations}[name]
	add := func(word, place string) {
		if words != nil {
			words[word] = true
		}
		v.stands(word, place)
	}
	switch value := value.(type) {
	case map[string]any:
		for key, member := range value {
			add(key, place+" "+string(inJSON(unreasoned(member))))
			v.table(place+"."+key, key, member)
		}
	case []any:
		for _, member := range value {
			if s, isText := member.(string); isText {
				add(s, place)
				continue
			}
			v.table(place+" "+reasonIn(member), "", member)
		}
	case string:
		v.stands(value, place)
	}
}

// unreasoned is a row without its reason: rows that say the same of two words
// for other reasons do not tell the words apart.
func unreasoned(row any) any {
	m, ok := row.(map[string]any)
	if !ok {
		return row
	}
	m = maps.Clone(m)
	delete(m, "reason")
	return m
}

func (v *vocabulary) stands(word, place string) {
	if !slices.Contains(v.places[word], place) {
		v.places[word] = append(v.places[word], place)
	}
}

// classes are words, together where no policy tells them apart.
func (v *vocabulary) classes(words []string) [][]string {
	at := map[string]int{}
	var all [][]string
	for _, word := range words {
		key := strings.Join(slices.Sorted(slices.Values(v.places[word])), "\n")
		i, ok := at[key]
		if !ok {
			i, all = len(all), append(all, nil)
			at[key] = i
		}
		all[i] = append(all[i], word)
	}
	return all
}
