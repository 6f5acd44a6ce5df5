package policy

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	opabuild "github.com/open-policy-agent/opa/v1/compile"
	"github.com/open-policy-agent/opa/v1/rego"
)

// Issue 4.9: what `opa build --signing-key` makes of the shipped directory loads
// as the directory does, tests and schemas and all.
func TestOPABuild(t *testing.T) {
	private, public := signer(t)
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, private, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := opabuild.New().WithRegoVersion(ast.RegoV1).WithPaths(shippedDir).WithRevision("2026-11-22").WithOutput(&out).
		WithBundleSigningConfig(bundle.NewSigningConfig(key, "ES256", "").WithPlugin("")).Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenBundle(out.Bytes(), public)
	if err != nil || b.Revision != "2026-11-22" {
		t.Fatal(err)
	}
	from, _ := readEdition(Options{})
	to, err := readEdition(b.Options())
	if err != nil || len(diffRules(from.rules, to.rules)) > 0 {
		t.Errorf("other rules, or %v", err)
	}
	for key := range from.tables {
		if to.tables[key].key == "" {
			t.Errorf("the bundle lacks the table %s", key)
		}
	}
}

// `opa eval` works on the directory; for `opa test` see TestShippedRego.
func TestOPAEval(t *testing.T) {
	results, err := rego.New(rego.SetRegoVersion(ast.RegoV1), rego.Load([]string{shippedDir}, nil), rego.Query(`data.gatehouse.permit`),
		rego.Input(map[string]any{"subject": map[string]any{"roles": []string{"researcher"}, "purpose": []string{"HRESCH"}}, "action": "read",
			"resource": map[string]any{"type": "Observation"}})).Eval(t.Context())
	if err != nil || len(results) != 1 || len(results[0].Expressions[0].Value.([]any)) != 1 {
		t.Errorf("eval: %v %v", results, err)
	}
}
