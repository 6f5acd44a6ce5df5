package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// reads are the parts of the input that rules refer to.
type reads struct {
	content, relation bool
	relationBinds     bool // relation is read on the way to a forbid or an obligation
	paths             []ast.Ref
}

func readsOf(c *ast.Compiler) reads {
	var r reads
	for _, m := range c.Modules {
		ast.WalkRefs(m, func(ref ast.Ref) bool {
			if ref.HasPrefix(ast.InputRootRef) {
				r.paths = append(r.paths, ref.GroundPrefix())
			}
			return false
		})
	}
	r.content = r.mentions("input.resource.content")
	r.relation = r.mentions("input.relation")
	r.relationBinds = r.relation && binds(c)
	return r
}

// binds tells whether a rule that forbids or obliges depends on the care
// relation, by itself or through the rules that it calls.
func binds(c *ast.Compiler) bool {
	relation := ast.MustParseRef("input.relation")
	reads := func(ref ast.Ref) bool { return ref.HasPrefix(relation) || relation.HasPrefix(ref) }
	for _, m := range c.Modules {
		for _, rule := range m.Rules {
			if name := ruleName(rule); (name == "forbid" || name == "oblige") && reaches(c, rule, reads) {
				return true
			}
		}
	}
	return false
}

// reaches tells whether a rule or a condition reads a part of the input that is
// wanted, by itself or through the rules that it calls.
func reaches(c *ast.Compiler, from any, wanted func(ast.Ref) bool) bool {
	seen := map[any]bool{}
	var reads func(x any) bool
	reads = func(x any) bool {
		if seen[x] {
			return false
		}
		seen[x] = true
		found := false
		var next []any
		ast.WalkRefs(x, func(ref ast.Ref) bool {
			found = found || ref.HasPrefix(ast.InputRootRef) && wanted(ref.GroundPrefix())
			if ref.HasPrefix(ast.DefaultRootRef) {
				for _, r := range c.GetRules(ref) {
					next = append(next, r)
				}
			}
			return found
		})
		for _, r := range next {
			found = found || reads(r)
		}
		return found
	}
	return reads(from)
}

// mentions tells whether a rule reads path, something in it, or something that
// holds it.
func (r *reads) mentions(path string) bool {
	want := ast.MustParseRef(path)
	for _, p := range r.paths {
		if p.HasPrefix(want) || want.HasPrefix(p) {
			return true
		}
	}
	return false
}

// onlyBelow tells that path is read by its own name and never by way of
// something that holds it.
func (r *reads) onlyBelow(path ast.Ref) bool {
	for _, p := range r.paths {
		if len(p) < len(path) && path.HasPrefix(p) {
			return false
		}
	}
	return true
}
