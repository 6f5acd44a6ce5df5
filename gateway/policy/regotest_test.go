package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Issue 4 item 4: the tests beside the rules run as opa test runs them, and what
// no test has seen hold is told.
func TestPolicyTests(t *testing.T) {
	results, unseen, err := Test(background, Options{})
	if err != nil || len(results) < 25 {
		t.Fatal(len(results), err)
	}
	for _, r := range results {
		if r.Why != "" {
			t.Errorf("%s:%d: %s %s", r.File, r.Line, r.Name, r.Why)
		}
	}
	for _, r := range unseen {
		t.Errorf("%s:%d: %s holds in no test", r.File, r.Line, r.Set)
	}
}

func TestPolicyTestsThatFail(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"p.rego":      "package gatehouse\n\npermit contains \"a\" if \"a\" in input.subject.roles\n\npermit contains \"b\" if \"b\" in input.subject.roles\n",
		"p_test.rego": "package p_test\n\nimport data.gatehouse\n\ntest_good if gatehouse.permit == {\"a\"} with input as {\"subject\": {\"roles\": [\"a\"]}}\n\ntest_bad if \"c\" in gatehouse.permit\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	results, unseen, err := Test(background, Options{Dir: dir})
	if err != nil || len(results) != 2 {
		t.Fatal(results, err)
	}
	for _, r := range results {
		if (r.Why == "") != (r.Name == "test_good") || r.Line == 0 {
			t.Errorf("%+v", r)
		}
	}
	if len(unseen) != 1 || unseen[0].Line != 5 {
		t.Errorf("unseen %+v", unseen)
	}
	if err := os.WriteFile(filepath.Join(dir, "p_test.rego"), []byte("package p_test\n\ntest_x if http.send({})\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Test(background, Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "p_test.rego:3: http.send is not available") {
		t.Errorf("got %v", err)
	}
}
