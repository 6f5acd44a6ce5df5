package policy

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Named gives the policy that a person names in a command: "shipped", a
// directory of rules and tables, one of tables alone, which are laid over the
// shipped ones, or a bundle (.tar.gz), whose signature is not looked at.
func Named(name string) (Options, error) {
	if name == "shipped" {
		return Options{}, nil
	}
	if strings.HasSuffix(name, ".tar.gz") {
		raw, err := os.ReadFile(name)
		if err != nil {
			return Options{}, fmt.Errorf("read policy: %w", err)
		}
		b, err := OpenBundle(raw, nil)
		if err != nil {
			return Options{}, fmt.Errorf("%s: %w", name, err)
		}
		return b.Options(), nil
	}
	rules, tables := 0, []string{}
	err := filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			return err
		case strings.HasSuffix(path, ".rego") && !strings.HasSuffix(path, "_test.rego"):
			rules++
		case isTableName(d.Name()) && filepath.Dir(path) == filepath.Clean(name):
			tables = append(tables, path)
		}
		return nil
	})
	switch {
	case err != nil:
		return Options{}, fmt.Errorf("read policy %s: %w", name, err)
	case rules > 0:
		return Options{Dir: name}, nil
	case len(tables) > 0:
		return Options{Data: tables}, nil
	}
	return Options{}, fmt.Errorf("read policy %s: there are neither rules (*.rego) nor tables (*.yaml)", name)
}
