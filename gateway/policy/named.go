package policy

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Named gives the policy that a person names in a command: "shipped", a
// directory of rules and tables, or one of tables alone, which are laid over
// the shipped ones.
func Named(name string) (Options, error) {
	if name == "shipped" {
		return Options{}, nil
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
