package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"

	"gatehouse/policies"
)

var snippet = regexp.MustCompile("(?s)```([a-z ]+)\n(.*?)```")

// TestDocs loads the snippets of docs/policies.md: its table with the shipped
// policies, its rules as a policy of their own, its test on these rules.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	dir, table := t.TempDir(), filepath.Join(t.TempDir(), "roles.yaml")
	files := map[string]string{"yaml table": table, "rego": filepath.Join(dir, "a.rego"), "rego test": filepath.Join(dir, "a_test.rego")}
	for _, m := range snippet.FindAllStringSubmatch(string(page), -1) {
		if name, ok := files[m[1]]; ok {
			if err := os.WriteFile(name, []byte(m[2]), 0o600); err != nil {
				t.Fatal(err)
			}
			delete(files, m[1])
		}
	}
	if len(files) > 0 {
		t.Fatalf("the page lacks %v", files)
	}
	if _, err := Load(Options{Data: []string{table}}); err != nil {
		t.Error(err)
	}
	if _, err := Load(Options{Dir: dir}); err != nil {
		t.Error(err)
	}
	runTests(t, dir)
	text, _ := os.ReadFile(table)
	wrong := strings.Replace(string(text), "care_relationship", "own_pateint", 1)
	if err := os.WriteFile(table, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(Options{Data: []string{table}})
	if want := "roles.nurse[0].when is own_pateint: did you mean own_patient?"; err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(string(page), want) {
		t.Errorf("got %v, want the page's %q", err, want)
	}
}

// TestDocsExample puts the page's worked example beside the shipped policies.
func TestDocsExample(t *testing.T) {
	page, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, policies.Files); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ward3.rego", "ward3_test.rego"} {
		_, rest, found := strings.Cut(string(page), "```rego "+name+"\n")
		text, _, ended := strings.Cut(rest, "```")
		if !found || !ended {
			t.Fatalf("the page lacks %s", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	results, unseen, err := Test(t.Context(), Options{Dir: dir})
	if err != nil || len(unseen) > 0 {
		t.Fatal(unseen, err)
	}
	for _, r := range results {
		if r.Why != "" {
			t.Errorf("%s:%d: %s: %s", r.File, r.Line, r.Name, r.Why)
		}
	}
	e, err := Load(Options{Dir: dir})
	if err != nil || !e.NeedsRelation() {
		t.Errorf("relations are not looked up: %v", err)
	}
}

// runTests runs a directory's *_test.rego as `opa test` does.
func runTests(t *testing.T, dir string) int {
	t.Helper()
	modules, store, err := tester.Load([]string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	txn := storage.NewTransactionOrDie(background, store)
	defer store.Abort(background, txn)
	results, err := tester.NewRunner().SetModules(modules).SetStore(store).RunTests(background, txn)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for r := range results {
		n++
		if !r.Pass() {
			t.Errorf("%s: %s: %v", r.Location, r.Name, r.Error)
		}
	}
	return n
}
