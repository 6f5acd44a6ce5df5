package policy

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"gatehouse/gateway/auth"
	"gatehouse/policies"
)

const shippedDir = "../../policies"

// TestShippedRego runs the *_test.rego as `opa test policies/` does, on the
// directory as OPA's own loader reads it.
func TestShippedRego(t *testing.T) {
	n := runTests(t, shippedDir)
	if n < 25 {
		t.Errorf("%d tests ran", n)
	}
}

// TestShippedRegoIsClean is `opa check --strict` and `opa fmt` over the shipped
// rules.
func TestShippedRegoIsClean(t *testing.T) {
	modules := map[string]*ast.Module{}
	names, err := fs.Glob(policies.Files, "*.rego")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := policies.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if modules[name], err = ast.ParseModule(name, string(text)); err != nil {
			t.Fatal(err)
		}
		clean, err := format.SourceWithOpts(name, text, format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatal(err)
		}
		if string(clean) != string(text) {
			t.Errorf("%s is not as `opa fmt` writes it:\n%s", name, clean)
		}
	}
	schemas := ast.NewSchemaSet()
	schemas.Put(ast.SchemaRootRef, inputSchema())
	c := ast.NewCompiler().WithStrict(true).WithSchemas(schemas).WithCapabilities(capabilities())
	if c.Compile(modules); c.Failed() {
		t.Error(c.Errors)
	}
}

// TestShippedReasons: each reason is a sentence that a patient could read.
func TestShippedReasons(t *testing.T) {
	tables, ps := loadTables(mustFiles(t).tables, nil)
	if len(ps) > 0 {
		t.Fatal(ps)
	}
	var look func(x any)
	look = func(x any) {
		switch x := x.(type) {
		case map[string]any:
			if s, ok := x["reason"].(string); ok && (!strings.HasSuffix(s, ".") || strings.ToUpper(s[:1]) != s[:1] || strings.ContainsAny(s, "_{}")) {
				t.Errorf("reason %q is no sentence", s)
			}
			for _, y := range x {
				look(y)
			}
		case []any:
			for _, y := range x {
				look(y)
			}
		}
	}
	for _, table := range tables {
		look(table.value)
	}
}

func mustFiles(t *testing.T) sources {
	t.Helper()
	s, err := readFiles(policies.Files, "policies")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestShippedDecidesAsOPA holds the shipped policies, compiled, to OPA's
// answers, and sees to it that no resource of theirs needs OPA.
func TestShippedDecidesAsOPA(t *testing.T) {
	e, err := Load(Options{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	differ(t, "shipped", e)
	for _, roles := range [][]string{nil, {"clinician"}, {"nurse", "billing"}, {"researcher"}} {
		s := clinician()
		s.Roles = roles
		for _, typ := range []string{"", "Observation", "Practitioner", "AuditEvent"} {
			v := e.For(background, reading(typ, s))
			r, err := v.residual(background, typ)
			if err != nil || r.broken {
				t.Fatal(err)
			}
			for _, w := range r.ways {
				if w.toOPA {
					t.Errorf("roles %v, type %q: a %s stays with OPA", roles, typ, setNames[w.set])
				}
			}
		}
	}
}

// An agreement that has expired refuses before the upstream is touched (issue 4
// point 2).
func TestExpiredAgreementIsRefusedEarly(t *testing.T) {
	for until, want := range map[string]bool{"2020-01-01": false, "2099-12-31": true} {
		file := filepath.Join(t.TempDir(), "agreements.yaml")
		row := "agreements: {lab: [{reason: The laboratory delivers., types: [Observation], actions: [search], purposes: [TREAT], until: " + until + "}]}"
		if err := os.WriteFile(file, []byte(row), 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := Load(Options{Data: []string{file}})
		if err != nil {
			t.Fatal(err)
		}
		r := reading("Observation", &auth.Subject{Issuer: "i", ID: "lab", Client: "lab", Purpose: []string{"TREAT"}})
		r.Client.ID, r.Action = "lab", "search"
		if got, _ := e.For(background, r).Possible(); got != want {
			t.Errorf("until %s: possible is %v", until, got)
		}
	}
}
