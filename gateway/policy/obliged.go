package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Obliged is a name that a rule can oblige, at the place that says it: in the
// rule itself, or in the table from which the rule takes it.
type Obliged struct {
	Kind, Name string // "view", "domain", "notify"; the acr of a step_up is "acr"
	File       string
	Line       int
}

// Wrong says what is wrong with the name, where it stands.
func (o Obliged) Wrong(format string, args ...any) error {
	return Problem{File: o.File, Line: o.Line, Text: fmt.Sprintf(format, args...)}
}

// Obliged are the names that the policy's rules can oblige, as far as rules and
// tables say them without a request.
func (e *Engine) Obliged() []Obliged { return e.obliged }

// obligedNames reads what oblige rules put into their set.
func obligedNames(c *ast.Compiler, tables map[string]table) (all []Obliged) {
	for _, m := range c.Modules {
		if !m.Package.Path.Equal(packageRef) {
			continue
		}
		for _, r := range m.Rules {
			if ruleName(r) == "oblige" && r.Head.Key != nil {
				all = append(all, obligedBy(r, tables)...)
			}
		}
	}
	slices.SortFunc(all, func(a, b Obliged) int {
		if d := strings.Compare(a.File, b.File); d != 0 {
			return d
		}
		return a.Line - b.Line
	})
	return all
}

func obligedBy(r *ast.Rule, tables map[string]table) (all []Obliged) {
	names := boundIn(r)
	head, ok := names.follow(r.Head.Key.Value).(ast.Object)
	if !ok {
		return nil
	}
	kind, arg, err := obligationKind(head)
	if err != nil {
		return nil // said elsewhere
	}
	value := names.follow(arg.Value)
	if step, ok := value.(ast.Object); ok && kind == "step_up" {
		acr := step.Get(ast.StringTerm("acr"))
		if acr == nil {
			return nil
		}
		kind, value = "acr", names.follow(acr.Value)
	}
	switch v := value.(type) {
	case ast.String:
		all = append(all, Obliged{kind, string(v), r.Location.File, r.Location.Row})
	case ast.Ref:
		for _, t := range tableTexts(names.whole(v), tables) {
			all = append(all, Obliged{kind, t.name, t.file, t.line})
		}
	}
	return all
}

// bound is what a rule's variables are bound to.
type bound map[ast.Var]ast.Value

func boundIn(r *ast.Rule) bound {
	all := bound{}
	ast.WalkExprs(r, func(x *ast.Expr) bool {
		if !x.IsEquality() || x.Negated {
			return false
		}
		for i := range 2 {
			if v, ok := x.Operand(i).Value.(ast.Var); ok && all[v] == nil {
				all[v] = x.Operand(1 - i).Value
			}
		}
		return false
	})
	return all
}

// follow gives what a variable stands for, where the rule says it at once.
func (b bound) follow(v ast.Value) ast.Value {
	for range 8 {
		name, ok := v.(ast.Var)
		if !ok || b[name] == nil {
			return v
		}
		v = b[name]
	}
	return v
}

// whole is a reference with the variable in front of it followed.
func (b bound) whole(r ast.Ref) ast.Ref {
	if base, ok := b.follow(r[0].Value).(ast.Ref); ok {
		return append(slices.Clone(base), r[1:]...)
	}
	return r
}

// tableText is a text of a table and where it stands.
type tableText struct {
	name, file string
	line       int
}

// tableTexts are the texts that a reference into the tables can lead to; whatever it
// does not say (a variable) leads everywhere.
func tableTexts(r ast.Ref, tables map[string]table) (all []tableText) {
	if !r.HasPrefix(ast.DefaultRootRef) || len(r) < 2 {
		return nil
	}
	key, ok := r[1].Value.(ast.String)
	t, found := tables[string(key)]
	if !ok || !found {
		return nil
	}
	var walk func(value any, rest ast.Ref, at []string)
	walk = func(value any, rest ast.Ref, at []string) {
		if len(rest) == 0 {
			if s, ok := value.(string); ok {
				all = append(all, tableText{s, t.file, lineOf(t.node, at, t.line)})
			}
			return
		}
		want, fixed := rest[0].Value.(ast.String)
		into := func(name string, v any) {
			if !fixed || name == string(want) {
				walk(v, rest[1:], append(slices.Clone(at), name))
			}
		}
		switch v := value.(type) {
		case map[string]any:
			for name, one := range v {
				into(name, one)
			}
		case []any:
			for i, one := range v {
				into(strconv.Itoa(i), one)
			}
		}
	}
	walk(t.value, r[2:], nil)
	return all
}
