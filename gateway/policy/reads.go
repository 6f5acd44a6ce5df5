package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// reads are the parts of the input that rules refer to.
type reads struct {
	content, relation bool
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
	return r
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
