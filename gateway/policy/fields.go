package policy

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// field is one path of the input that is known before any resource is.
type field struct {
	path  []string
	text  func(*Request) string // "" is undefined where given is set
	list  func(*Request) []string
	term  func(*Request) *ast.Term // nil: undefined
	given bool
}

// fields are the input of requestInput, path by path. A residual is made with
// those that a rule reads and no others, and kept under their values: nothing
// of one caller that is not in the key can reach another.
var fields = []field{
	{path: []string{"action"}, text: func(r *Request) string { return r.Action }},
	{path: []string{"interaction"}, text: func(r *Request) string { return r.Interaction }},
	{path: []string{"subject", "id"}, text: func(r *Request) string { return r.Subject.ID }},
	{path: []string{"subject", "issuer"}, text: func(r *Request) string { return r.Subject.Issuer }},
	{path: []string{"subject", "roles"}, list: func(r *Request) []string { return r.Subject.Roles }},
	{path: []string{"subject", "purpose"}, list: func(r *Request) []string { return r.Subject.Purpose }},
	{path: []string{"subject", "scopes"}, list: func(r *Request) []string { return r.Subject.Scopes }},
	{path: []string{"subject", "organization"}, given: true, text: func(r *Request) string { return r.Subject.Organization }},
	{path: []string{"subject", "fhir_user"}, given: true, text: func(r *Request) string { return r.Subject.FHIRUser }},
	{path: []string{"subject", "patient"}, given: true, text: func(r *Request) string { return r.Subject.Patient }},
	{path: []string{"subject", "encounter"}, given: true, text: func(r *Request) string { return r.Subject.Encounter }},
	{path: []string{"subject", "fhir_context"}, list: func(r *Request) []string { return r.Subject.Context }},
	{path: []string{"subject", "acr"}, given: true, text: func(r *Request) string { return r.Subject.ACR }},
	{path: []string{"subject", "auth_time"}, given: true, text: func(r *Request) string { return instant(r.Subject.AuthTime) }},
	{path: []string{"client", "id"}, text: func(r *Request) string { return r.Client.ID }},
	{path: []string{"client", "view"}, term: configured("view")},
	{path: []string{"client", "domain"}, term: configured("domain")},
	{path: []string{"client", "purposes"}, term: configured("purposes")},
	{path: []string{"client", "limits"}, term: configured("limits")},
	{path: []string{"request", "type"}, text: func(r *Request) string { return r.Type }},
	{path: []string{"request", "id"}, text: func(r *Request) string { return r.ID }},
	{path: []string{"request", "operation"}, text: func(r *Request) string { return r.Operation }},
	{path: []string{"request", "parameters"}, term: parametersInput},
	{path: []string{"context", "now"}, text: func(r *Request) string { return instant(r.Now) }},
	{path: []string{"context", "address"}, text: func(r *Request) string { return r.Address }},
	{path: []string{"context", "emergency"}, term: emergencyInput},
}

func (f *field) name() string {
	name := "input"
	for _, p := range f.path {
		name += "." + p
	}
	return name
}

// key appends the field's value so that no two lists of values give one key.
func (f *field) key(b []byte, r *Request) []byte {
	switch {
	case f.text != nil:
		return appendText(b, f.text(r))
	case f.list != nil:
		l := f.list(r)
		b = binary.AppendUvarint(b, uint64(len(l)))
		for _, s := range l {
			b = appendText(b, s)
		}
		return b
	}
	if v := f.term(r); v != nil {
		return appendText(append(b, 1), v.String())
	}
	return append(b, 0)
}

// configured is what the configuration says of the client. A value that is no
// JSON would be a mistake of the gateway: a rule that reads it finds nothing.
func configured(name string) func(*Request) *ast.Term {
	return func(r *Request) *ast.Term {
		x, ok := r.Client.Config[name]
		if !ok || x == "" {
			return nil
		}
		v, err := ast.InterfaceToValue(x)
		if err != nil {
			return nil
		}
		return ast.NewTerm(v)
	}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (f *field) value(r *Request) *ast.Term {
	switch {
	case f.text != nil:
		s := f.text(r)
		if s == "" && f.given {
			return nil
		}
		return ast.StringTerm(s)
	case f.list != nil:
		return listTerm(f.list(r))
	}
	return f.term(r)
}

// inputOf is the input of these fields alone.
func inputOf(some []*field, r *Request) ast.Object {
	in := ast.NewObject()
	for _, f := range some {
		if v := f.value(r); v != nil {
			insert(in, f.path, v)
		}
	}
	return in
}

// withType adds the resource's type, where it is known.
func withType(known ast.Object, typ string) ast.Object {
	if typ == "" {
		return known
	}
	in := ast.NewObject()
	known.Foreach(func(k, v *ast.Term) { in.Insert(k, v) })
	insert(in, []string{"resource", "type"}, ast.StringTerm(typ))
	return in
}

func insert(o ast.Object, path []string, v *ast.Term) {
	name := ast.StringTerm(path[0])
	if len(path) == 1 {
		o.Insert(name, v)
		return
	}
	inner := o.Get(name)
	if inner == nil {
		inner = ast.NewTerm(ast.NewObject())
		o.Insert(name, inner)
	}
	insert(inner.Value.(ast.Object), path[1:], v)
}

// divide sorts the paths that rules read into what residuals know and what
// they do not. A path that could be unknown is known all the same where a rule
// reads it by way of something larger, or looks a table up by it: partial
// evaluation would try every row.
func divide(c *ast.Compiler, r *reads) (known []*field, unknown []ast.Ref) {
	for i := range fields {
		f := &fields[i]
		name := f.name()
		if !r.mentions(name) {
			continue
		}
		ref := ast.MustParseRef(name)
		if _, can := unknowns[name]; can && r.onlyBelow(ref) && !indexes(c, ref) {
			unknown = append(unknown, ref)
		} else {
			known = append(known, f)
		}
	}
	return known, append(unknown, ast.MustParseRef("input.relation"), ast.MustParseRef("input.consent"))
}

// unknownFor is what a residual for resources of one type does not know.
func (e *Engine) unknownFor(typ string) []ast.Ref {
	if typ == "" {
		return append(slices.Clone(e.unknown), ast.MustParseRef("input.resource"))
	}
	return append(slices.Clone(e.unknown), factRefs...)
}

// factRefs are the paths below input.resource but for the type.
var factRefs = func() []ast.Ref {
	refs := []ast.Ref{ast.MustParseRef("input.resource.content")}
	for path := range unknowns {
		if strings.HasPrefix(path, "input.resource.") && path != "input.resource.type" {
			refs = append(refs, ast.MustParseRef(path))
		}
	}
	return refs
}()

// indexes tells whether some rule looks something up by the path's value.
func indexes(c *ast.Compiler, path ast.Ref) bool {
	found := false
	for _, m := range c.Modules {
		ast.WalkRules(m, func(rule *ast.Rule) bool {
			found = found || ruleIndexes(rule, path)
			return found
		})
	}
	return found
}

func ruleIndexes(rule *ast.Rule, path ast.Ref) bool {
	var aliases []ast.Var
	ast.WalkExprs(rule, func(x *ast.Expr) bool {
		if !x.IsEquality() {
			return false
		}
		for i := range 2 {
			v, isVar := x.Operand(i).Value.(ast.Var)
			if r, ok := x.Operand(1 - i).Value.(ast.Ref); ok && isVar && r.Equal(path) {
				aliases = append(aliases, v)
			}
		}
		return false
	})
	found := false
	ast.WalkRefs(rule, func(r ast.Ref) bool {
		for _, t := range r[1:] {
			if v, ok := t.Value.(ast.Var); ok && slices.Contains(aliases, v) {
				found = true
			}
			if inner, ok := t.Value.(ast.Ref); ok && inner.Equal(path) {
				found = true
			}
		}
		return found
	})
	return found
}
