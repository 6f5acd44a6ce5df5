package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// Wrote tells whether a reason is a text of the policy itself, in a rule or a
// table. One that a rule computes may hold what it read of a record.
func (e *Engine) Wrote(reason string) bool {
	e.writing.Do(func() {
		e.written = map[string]bool{}
		for _, m := range e.compiler.Modules {
			ast.WalkTerms(m, func(t *ast.Term) bool { e.noteText(t); return false })
		}
		ast.WalkTerms(ast.NewTerm(e.data), func(t *ast.Term) bool { e.noteText(t); return false })
	})
	return e.written[reason]
}

func (e *Engine) noteText(t *ast.Term) {
	if s, ok := t.Value.(ast.String); ok {
		e.written[string(s)] = true
	}
}
