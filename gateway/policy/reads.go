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
	seen := map[any]bool{}
	var reads func(x any) bool
	reads = func(x any) bool {
		if seen[x] {
			return false
		}
		seen[x] = true
		found := false
		ast.WalkRefs(x, func(ref ast.Ref) bool {
			found = found || ref.HasPrefix(ast.InputRootRef) && (ref.GroundPrefix().HasPrefix(relation) || relation.HasPrefix(ref.GroundPrefix()))
			return found
		})
		for next := range c.Graph.Dependencies(x) {
			found = found || reads(next)
		}
		return found
	}
	for _, m := range c.Modules {
		for _, rule := range m.Rules {
			if name := ruleName(rule); (name == "forbid" || name == "oblige") && reads(rule) {
				return true
			}
		}
	}
	return false
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
