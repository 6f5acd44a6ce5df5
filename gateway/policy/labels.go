package policy

import (
	"slices"

	opa "github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/policies"
)

// labelTables are the tables that records are labelled by: those of the policy,
// and of what it leaves out what ships. Rules of one's own switch nothing else
// off (DESIGN §6). standing are the shipped files that were taken.
func labelTables(tables map[string]table) (labels map[string]table, standing []source, ps Problems) {
	labels = map[string]table{}
	for _, key := range labelKeys {
		if t, ok := tables[key]; ok {
			labels[key] = t
		}
	}
	if len(labels) == len(labelKeys) {
		return labels, nil, nil
	}
	shipped, err := readFiles(policies.Files, "policies")
	if err != nil {
		ps.add("", 0, "%s", err)
		return labels, nil, ps
	}
	for key, t := range readTables(shipped.tables, &ps) {
		if _, own := labels[key]; !own && slices.Contains(labelKeys, key) {
			labels[key] = t
		}
	}
	standing = slices.DeleteFunc(shipped.tables, func(f source) bool { return f.name != "policies/labelling.yaml" })
	return labels, standing, ps
}

// Table is one of the tables that records are labelled by: labelling,
// code_systems, implied_labels or notices, checked against its schema.
func (e *Engine) Table(key string) any { return e.labels[key].value }

// Wrong places what is wrong in one of these tables.
func (e *Engine) Wrong(key string, at []string, text string) error {
	t := e.labels[key]
	return Problem{File: t.file, Line: lineOf(t.node, at, t.line), Text: t.path(at) + " " + text}
}

// Names reports whether a rule or a table holds a text, such as a label.
func (e *Engine) Names(text string) bool { return e.texts[text] }

// namesOf are the texts of the rules, and those of the tables that are keys, as
// labels are in sensitive.yaml.
func namesOf(c *opa.Compiler, tables map[string]table) map[string]bool {
	texts := map[string]bool{}
	for _, m := range c.Modules {
		opa.WalkTerms(m, func(t *opa.Term) bool {
			if s, ok := t.Value.(opa.String); ok {
				texts[string(s)] = true
			}
			return false
		})
	}
	for key, t := range tables {
		if slices.Contains(labelKeys, key) {
			continue
		}
		if rows, ok := t.value.(map[string]any); ok {
			for name := range rows {
				texts[name] = true
			}
		}
	}
	return texts
}
