package policy

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing/fstest" // for its file system in memory alone

	"gatehouse/policies"
)

// ScenarioDir is the folder of a policy directory that holds no tables but
// scenarios (see package scenario).
const ScenarioDir = "scenarios"

// source is one file of a policy: name is what a person calls it in an error.
type source struct {
	name string
	text []byte
}

// sources are the files of one policy.
type sources struct {
	rules  []source
	tables []source
}

// gather reads the files that o names: a directory, or what is shipped, and
// tables that take the place of those there with the same key.
func gather(o Options) (rules, shipped, own []source, err error) {
	s, err := o.base()
	if err != nil {
		return nil, nil, nil, err
	}
	rules, shipped = s.rules, s.tables
	files, err := expand(o.Data)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("read policy data: %w", err)
		}
		own = append(own, source{f, text})
	}
	return rules, shipped, own, nil
}

// FilesOf is where the files of a policy are, and what they are called in
// errors: memory, a directory, or what ships.
func FilesOf(o Options) (fs.FS, string) {
	if o.Files != nil {
		held := fstest.MapFS{}
		for name, text := range o.Files {
			held[name] = &fstest.MapFile{Data: text}
		}
		return held, o.Name
	}
	if o.Dir != "" {
		return os.DirFS(o.Dir), o.Dir
	}
	return policies.Files, "policies"
}

// base are the files that tables are laid over.
func (o Options) base() (sources, error) {
	if o.Files != nil {
		return takeAll(o.Files, o.Name)
	}
	return readFiles(FilesOf(o))
}

// takeAll reads a policy that is held in memory.
func takeAll(files map[string][]byte, display string) (s sources, err error) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := s.take(name, display, func() ([]byte, error) { return files[name], nil }); err != nil {
			return sources{}, err
		}
	}
	return s, nil
}

// expand resolves the patterns of `policy.data`. A pattern without a match is
// an error: a table that is not there would be read as empty.
func expand(patterns []string) ([]string, error) {
	var files []string
	seen := map[string]bool{}
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("policy data %q: %w", p, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("policy data %s: no such file", p)
		}
		sort.Strings(found)
		for _, f := range found {
			if !seen[f] {
				seen[f] = true
				files = append(files, f)
			}
		}
	}
	return files, nil
}

// readFiles reads a policy directory: rules at any depth, tables at the top
// (deeper, OPA's own tools would file them under the folder's name).
func readFiles(fsys fs.FS, display string) (s sources, err error) {
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := strings.HasPrefix(d.Name(), ".") && name != "."; hidden {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		return s.take(name, display, func() ([]byte, error) { return fs.ReadFile(fsys, name) })
	})
	if err != nil {
		return sources{}, fmt.Errorf("read policy directory %s: %w", display, err)
	}
	return s, nil
}

func (s *sources) take(name, display string, read func() ([]byte, error)) error {
	isRule := strings.HasSuffix(name, ".rego") && !strings.HasSuffix(name, "_test.rego")
	isTable := isTableName(name)
	if !isRule && !isTable || strings.HasPrefix(name, ScenarioDir+"/") {
		return nil
	}
	if isTable && path.Dir(name) != "." {
		return fmt.Errorf("%s: a table stands at the top of the directory: move it up, or name it in policy.data", path.Join(display, name))
	}
	text, err := read()
	if err != nil {
		return err
	}
	file := source{path.Join(display, name), text}
	if isRule {
		s.rules = append(s.rules, file)
	} else {
		s.tables = append(s.tables, file)
	}
	return nil
}

func isTableName(name string) bool {
	if strings.HasSuffix(name, ".schema.json") {
		return false
	}
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}
