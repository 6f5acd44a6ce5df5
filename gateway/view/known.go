package view

import (
	"cmp"
	"slices"
	"strings"

	"gatehouse/fhir/wire"
)

// NamesIn are the names and numbers that a Patient says of itself, for
// Context.Known.
func NamesIn(patient *wire.Tree) []string {
	r := &run{tree: *patient, nodes: patient.Nodes}
	r.collect(0, "")
	return r.names
}

// known are the patient's own names and numbers for scrub: those that the caller
// gave, and those that the document itself says, found when a text first asks.
func (r *run) known() []string {
	if r.names == nil {
		r.names = append([]string{}, r.ctx.Known...)
		r.collect(0, "")
		// The longest first: a name within a number would leave the rest of it.
		slices.SortFunc(r.names, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	}
	return r.names
}

// collect takes names, identifiers and telecoms wherever they stand, and how
// references call whom they are about.
func (r *run) collect(i int, name string) {
	for c := range r.tree.Children(i) {
		member := name
		if n := &r.nodes[c]; n.NameEnd > n.NameStart {
			member = string(r.tree.Name(c))
		}
		switch text := r.tree.Text(c); {
		case text == "":
			r.collect(c, member)
		case name == "name" && (member == "family" || member == "text"), member == "given",
			(name == "identifier" || name == "telecom") && member == "value",
			(name == "subject" || name == "patient") && member == "display":
			r.names = append(r.names, strings.Fields(text)...)
		case member == "line", name == "address" && (member == "city" || member == "postalCode"):
			r.names = append(r.names, text) // whole: its words are everybody's
		}
	}
}
