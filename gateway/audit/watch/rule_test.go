package watch

import (
	"os"
	"path/filepath"
	"testing"

	"gatehouse/config"
)

// ruleOf is one rule as a configuration has it.
func ruleOf(t *testing.T, rule string) config.Watch {
	t.Helper()
	base, err := os.ReadFile("../../../config/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"keys/sealing.key", "keys/audit.key"} {
		if err := config.NewKey(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(path, append(base, "\nwatch: ["+rule+"]\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Load(path)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg.Watch[0]
}
