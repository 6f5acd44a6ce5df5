package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	opa "github.com/open-policy-agent/opa/v1/ast"
	"go.yaml.in/yaml/v3"
)

// table is one top key of a data file.
type table struct {
	file  string
	line  int
	key   string
	value any
	node  *yaml.Node
}

// loadTables reads data files (YAML, of which JSON is a part) into what stands
// under `data`. One key in two files is an error: which one held would depend
// on the order of reading.
func loadTables(shipped, own []source) (map[string]table, Problems) {
	var ps Problems
	all := readTables(shipped, &ps)
	for key, t := range readTables(own, &ps) {
		all[key] = t
	}
	return all, ps
}

func readTables(files []source, ps *Problems) map[string]table {
	all := map[string]table{}
	for _, f := range files {
		for _, t := range readTable(f, ps) {
			if first, ok := all[t.key]; ok {
				ps.add(t.file, t.line, "table %q is already in %s:%d: one key stands in one file", t.key, first.file, first.line)
				continue
			}
			all[t.key] = t
		}
	}
	return all
}

func readTable(f source, ps *Problems) []table {
	var doc yaml.Node
	if err := yaml.Unmarshal(f.text, &doc); err != nil {
		line, text := yamlError(err)
		ps.add(f.name, line, "%s", text)
		return nil
	}
	if doc.Kind == 0 {
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		ps.add(f.name, root.Line, "a table file is a mapping of names to tables")
		return nil
	}
	d := decoder{file: f.name, problems: ps}
	members := d.object(root)
	var tables []table
	for i := 0; i < len(root.Content); i += 2 {
		key := root.Content[i]
		if v, ok := members[key.Value]; ok {
			tables = append(tables, table{file: f.name, line: key.Line, key: key.Value, value: v, node: root.Content[i+1]})
			delete(members, key.Value)
		}
	}
	return tables
}

// revisionOf names a policy by all that it is made of, wherever it stands.
func revisionOf(groups ...[]source) string {
	h := sha256.New()
	for _, group := range groups {
		for _, f := range group {
			sum := sha256.Sum256(f.text)
			h.Write(sum[:])
		}
		h.Write([]byte{1})
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// checkTables holds tables and rules together: no table hides behind a package,
// and no rule reads a table that is not there (it would find nothing, and a
// forbid would never hold).
func checkTables(c *opa.Compiler, tables map[string]table) Problems {
	var ps Problems
	roots := map[string]bool{"partial": true} // where partial evaluation puts its rules
	for _, m := range c.Modules {
		roots[string(m.Package.Path[1].Value.(opa.String))] = true
	}
	known := []string{}
	for key, t := range tables {
		known = append(known, key)
		if roots[key] {
			ps.add(t.file, t.line, "table %q has the name of a package", key)
		}
	}
	for _, m := range c.Modules {
		opa.WalkRefs(m, func(ref opa.Ref) bool {
			if len(ref) < 2 || !ref.HasPrefix(opa.DefaultRootRef) {
				return false
			}
			key, ok := ref[1].Value.(opa.String)
			if ok && roots[string(key)] && key != "partial" {
				checkRule(&ps, c, ref)
			}
			if !ok || roots[string(key)] || tables[string(key)].key != "" {
				return false
			}
			text := "no data file has the key " + string(key)
			if near := nearest(string(key), known); near != "" {
				text += ": did you mean " + near + "?"
			}
			ps.add(ref[0].Location.File, ref[0].Location.Row, "%s", text)
			return false
		})
	}
	return ps
}

// checkRule holds a reference below a package to the rules that are there: what
// is not defined is not false but nothing, so that no forbid would hold by it,
// and every `not` would.
func checkRule(ps *Problems, c *opa.Compiler, ref opa.Ref) {
	if len(c.GetRulesDynamicWithOpts(ref, opa.RulesOptions{})) > 0 {
		return
	}
	pkg, known := opa.Ref(nil), []string{}
	for _, m := range c.Modules {
		if ref.HasPrefix(m.Package.Path) && len(m.Package.Path) > len(pkg) {
			pkg, known = m.Package.Path, nil
		}
		if m.Package.Path.Equal(pkg) {
			for _, r := range m.Rules {
				known = append(known, ruleName(r))
			}
		}
	}
	name := ref
	if len(ref) > len(pkg) {
		name = ref[len(pkg) : len(pkg)+1]
	}
	text := fmt.Sprintf("no rule of package %s is named %s", strings.TrimPrefix(pkg.String(), "data."), plainName(name))
	if near := nearest(plainName(name), known); near != "" {
		text += ": did you mean " + near + "?"
	}
	ps.add(ref[0].Location.File, ref[0].Location.Row, "%s", text)
}

func plainName(ref opa.Ref) string {
	if s, ok := ref[len(ref)-1].Value.(opa.String); ok && len(ref) == 1 {
		return string(s)
	}
	return ref.String()
}
