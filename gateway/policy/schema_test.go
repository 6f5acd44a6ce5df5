package policy

import (
	"io/fs"
	"strings"
	"testing"

	"gatehouse/policies"
)

// copied are the shipped files, as policy init writes them.
func copied(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	names, err := fs.Glob(policies.Files, "*.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if files[name], err = policies.Files.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// Issue 4.1: in a directory that was copied out, where the compliance officer edits
// tables, a mistake is told by file and line as in a table that is laid over what
// ships; where the rule is another one, its table is its author's affair.
func TestCopiedTablesKeepTheirSchemas(t *testing.T) {
	if _, err := Load(Options{Files: copied(t), Name: "own"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ file, from, to, want string }{
		{"roles.yaml", "when: care_relationship", "when: own_pateint", ".when is own_pateint: did you mean own_patient?"},
		{"roles.yaml", "types: [clinical]", "types: [Observaton]", "types[0] is Observaton: did you mean Observation?"},
		{"roles.yaml", "actions: [read, search]", "actions: [read, write]", "write one of read, search, create, update, delete, operation"},
		{"roles.yaml", "- reason:", "- raeson:", "roles.clinician[0].raeson is not known here"},
		{"agreements.yaml", "agreements: {}", "agreements: {lab: [{reason: x, types: [Observation], actions: [read], purposes: [TREAT], until: soon}]}", "agreements.lab[0].until is"},
		{"wards.yaml", "wards: {}", "wards: {ward-3: [Location/3]}", "wards is \"ward-3\": write a reference, as Organization/2"},
		{"emergency.yaml", "actions: [read, search]", "actions: [delete]", "emergency.actions[0] is delete: write one of read, search, create, update"},
	} {
		files := copied(t)
		text := string(files[c.file])
		if !strings.Contains(text, c.from) {
			t.Fatalf("%s has no %q", c.file, c.from)
		}
		files[c.file] = []byte(strings.Replace(text, c.from, c.to, 1))
		if _, err := Load(Options{Files: files, Name: "own"}); err == nil || !strings.Contains(err.Error(), "own/"+c.file+":") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.to, err, c.want)
		}
	}
	files := copied(t)
	files["wards.yaml"] = []byte("wards: {ward-3: [Location/3]}")
	files["roles.rego"] = append(files["roles.rego"], "\n# with wards of our own\n"...)
	if _, err := Load(Options{Files: files, Name: "own"}); err != nil {
		t.Errorf("a changed rule's table is refused: %v", err)
	}
}
