// Package label labels records by what they hold: codes, types and categories
// give confidentiality and sensitivity, by tables that a compliance team owns.
package label

import (
	"cmp"
	"slices"

	"gatehouse/fhir"
)

// Table is the labelling tables, ready to look up in. It never changes.
type Table struct {
	systems    map[string]*codes // by every URL of a code system
	anywhere   *codes            // of all systems, for codings without one
	types      map[string][]byType
	everywhere []byType // rows for categories of any type
	implied    map[string][]string
	notices    []notice
	known      map[string]bool
	named      func(string) bool
	unlabelled []string // the labels of a record that has none
	level      string
}

// byType is a row that looks at the type and its categories alone; with no
// categories it holds for all of the type.
type byType struct {
	categories []string
	labels     []string
}

type notice struct {
	labels  []string
	refrain string
	text    string
}

// AddCode appends the labels of a code (fhir.Labeller).
func (t *Table) AddCode(labels []string, system, code []byte) []string {
	if len(system) == 0 {
		return t.anywhere.add(labels, code)
	}
	if c, ok := t.systems[string(system)]; ok {
		return c.add(labels, code)
	}
	return labels
}

// Known reports whether a code of v3 is one that is understood.
func (t *Table) Known(code string) bool { return t.known[code] || t.named(code) }

// Settle adds what the record's type, category and labels bring along, and
// leaves of several levels of confidentiality the highest (CONS-08).
func (t *Table) Settle(typ string, categories, labels []string) (settled []string, notice string) {
	for _, rows := range [...][]byType{t.types[typ], t.everywhere} {
		for i := range rows {
			if rows[i].matches(categories) {
				labels = add(labels, rows[i].labels...)
			}
		}
	}
	if len(labels) == 0 {
		return t.unlabelled, ""
	}
	for i := 0; i < len(labels); i++ { // it grows: labels that are implied imply others
		labels = add(labels, t.implied[labels[i]]...)
	}
	for i := range t.notices {
		n := &t.notices[i]
		if !n.goesWith(labels) {
			continue
		}
		if notice = n.text; n.refrain != "" {
			labels = add(labels, n.refrain)
		}
	}
	return t.oneLevel(labels), notice
}

// oneLevel leaves one level of confidentiality.
func (t *Table) oneLevel(labels []string) []string {
	level := cmp.Or(fhir.Confidentiality(labels), t.level)
	others := func(l string) bool { return l != level && fhir.Level(l) > 0 }
	if slices.ContainsFunc(labels, others) {
		labels = slices.DeleteFunc(slices.Clone(labels), others)
	}
	return add(labels, level)
}

func (r *byType) matches(categories []string) bool {
	return len(r.categories) == 0 || overlap(r.categories, categories)
}

func (n *notice) goesWith(labels []string) bool { return overlap(n.labels, labels) }

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// add appends labels that are not there. The list may be shared: it is copied.
func add(labels []string, more ...string) []string {
	for _, l := range more {
		if !slices.Contains(labels, l) {
			labels = append(slices.Clip(labels), l)
		}
	}
	return labels
}
