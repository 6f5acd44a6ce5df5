package policy

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"

	"gatehouse/policies"
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
	e, err := Load(o)
	if err != nil {
		return nil, nil, err
	}
	rules, shipped, own, err := gather(o)
	if err != nil {
		return nil, nil, err
	}
	modules, err := testModules(o.Dir, rules)
	if err != nil {
		return nil, nil, err
	}
	tables, _ := loadTables(shipped, own) // Load has shown its problems
	store := inmem.NewFromObject(dataOf(tables))
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("open tables for tests: %w", err)
	}
	defer store.Abort(ctx, txn)
	held := &held{rules: map[string]bool{}}
	if results, err = runRego(ctx, store, txn, modules, held); err != nil {
		return nil, nil, err
	}
	for _, r := range e.rules {
		if !held.rules[place(r.File, r.Line)] {
			unseen = append(unseen, r)
		}
	}
	return results, unseen, nil
}

func runRego(ctx context.Context, store storage.Store, txn storage.Transaction, modules map[string]*ast.Module, held *held) ([]Tested, error) {
	schemas := ast.NewSchemaSet()
	schemas.Put(ast.SchemaRootRef, inputSchema())
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithSchemas(schemas)
	runner := tester.NewRunner().SetCompiler(compiler).SetStore(store).SetModules(modules).
		SetTimeout(testTime).SetCoverageQueryTracer(held)
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
func testModules(dir string, rules []source) (map[string]*ast.Module, error) {
	tests, err := testFiles(dir)
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

func testFiles(dir string) (tests []source, err error) {
	fsys, display := fs.FS(policies.Files), "policies"
	if dir != "" {
		fsys, display = os.DirFS(dir), dir
	}
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

// held notes the rules whose bodies were true in some test.
type held struct {
	mu    sync.Mutex
	rules map[string]bool
}

func place(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }

// Enabled is part of topdown.QueryTracer.
func (h *held) Enabled() bool { return true }

// Config is part of topdown.QueryTracer.
func (h *held) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent is part of topdown.QueryTracer.
func (h *held) TraceEvent(e topdown.Event) {
	rule, ok := e.Node.(*ast.Rule)
	if !ok || e.Op != topdown.ExitOp {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rules[place(rule.Location.File, rule.Location.Row)] = true
}
