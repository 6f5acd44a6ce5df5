package policy

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Tested is what became of one rule of a *_test.rego.
type Tested struct {
	Name string
	File string
	Line int
	Took time.Duration
	Why  string // it failed; "" where it passed
}

// testTime bounds one Rego test.
const testTime = 10 * time.Second

// Test runs the *_test.rego of a policy as OPA's own tester does, on the policy
// as Load would load it: a policy that does not load fails with its Problems.
// unseen are the rules of the three sets that held in no test.
func Test(ctx context.Context, o Options) (results []Tested, unseen []Rule, err error) {
	c, err := NewCoverage(o)
	if err != nil {
		return nil, nil, err
	}
	results, err = c.Test(ctx, o)
	for _, r := range c.Covering().Rules {
		if !r.Held {
			unseen = append(unseen, r.Rule)
		}
	}
	return results, unseen, err
}

// Test is Test, noting what the tests try.
func (c *Coverage) Test(ctx context.Context, o Options) ([]Tested, error) {
	rules, _, _, err := gather(o)
	if err != nil {
		return nil, err
	}
	modules, err := testModules(o, rules)
	if err != nil {
		return nil, err
	}
	store := inmem.NewFromObject(dataOf(c.tables))
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, fmt.Errorf("open tables for tests: %w", err)
	}
	defer store.Abort(ctx, txn)
	return runRego(ctx, store, txn, modules, &tried{c})
}

func runRego(ctx context.Context, store storage.Store, txn storage.Transaction, modules map[string]*ast.Module, tried *tried) ([]Tested, error) {
	schemas := ast.NewSchemaSet()
	schemas.Put(ast.SchemaRootRef, inputSchema())
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithSchemas(schemas)
	runner := tester.NewRunner().SetCompiler(compiler).SetStore(store).SetModules(modules).
		SetTimeout(testTime).SetCoverageQueryTracer(tried)
	ended, err := runner.RunTests(ctx, txn)
	if err != nil {
		var ps Problems
		ps.addRego("", err)
		return nil, ps.err()
	}
	var results []Tested
	for r := range ended {
		t := Tested{Name: r.Name, File: r.Location.File, Line: r.Location.Row, Took: r.Duration}
		switch {
		case r.Error != nil:
			t.Why = r.Error.Error()
		case r.Skip: // a rule named todo_test_…: it says nothing, so it proves nothing
			t.Why = "skipped"
		case !r.Pass():
			t.Why = "is not true"
		}
		results = append(results, t)
	}
	return results, nil
}

// testModules are the rules and the tests of a policy.
func testModules(o Options, rules []source) (map[string]*ast.Module, error) {
	tests, err := testFiles(o)
	if err != nil {
		return nil, err
	}
	var ps Problems
	modules := map[string]*ast.Module{}
	for _, f := range append(rules, tests...) {
		m, err := ast.ParseModuleWithOpts(f.name, string(f.text), ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: capabilities()})
		if err != nil {
			ps.addRego(f.name, err)
			continue
		}
		modules[f.name] = m
	}
	return modules, ps.err()
}

func testFiles(o Options) (tests []source, err error) {
	fsys, display := FilesOf(o)
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.rego") {
			return err
		}
		text, err := fs.ReadFile(fsys, name)
		tests = append(tests, source{path.Join(display, name), text})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read tests of %s: %w", display, err)
	}
	return tests, nil
}

func place(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }

// tried notes what tests try of a policy.
type tried struct{ coverage *Coverage }

// Enabled is part of topdown.QueryTracer.
func (*tried) Enabled() bool { return true }

// Config is part of topdown.QueryTracer.
func (*tried) Config() topdown.TraceConfig { return topdown.TraceConfig{PlugLocalVars: true} }

// TraceEvent is part of topdown.QueryTracer.
func (t *tried) TraceEvent(e topdown.Event) {
	rule, ok := e.Node.(*ast.Rule)
	if !ok || e.Op != topdown.EnterOp && e.Op != topdown.ExitOp || rule.Head.RuleKind() != ast.MultiValue || !slices.Contains(setNames, ruleName(rule)) {
		return
	}
	if e.Op == topdown.ExitOp {
		t.coverage.hold(rule, reasonOf(rule, localsOf(&e)), false)
		return
	}
	if in, ok := e.Input().Value.(ast.Object); ok {
		roles, _ := stringsOf(inInput(in, "subject", "roles"))
		typ, _ := inInput(in, "resource", "type").(ast.String)
		action, _ := inInput(in, "action").(ast.String)
		t.coverage.see(roles, string(typ), string(action))
	}
}

// inInput is a place of an input that a test may have left out.
func inInput(in ast.Value, path ...string) ast.Value {
	ref := ast.Ref{}
	for _, p := range path {
		ref = append(ref, ast.StringTerm(p))
	}
	return find(in, ref).value
}

func localsOf(e *topdown.Event) env {
	all := env{}
	if e.Locals != nil {
		e.Locals.Iter(func(k, v ast.Value) bool {
			if name, ok := k.(ast.Var); ok {
				all[name] = ast.NewTerm(v)
			}
			return false
		})
	}
	return all
}
