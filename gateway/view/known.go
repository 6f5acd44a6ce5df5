package view

import "strings"

// known are the patient's own names and numbers for scrub: those that the caller
// gave, and those that the document itself says, found when a text first asks.
func (r *run) known() []string {
	if r.names == nil {
		r.names = append([]string{}, r.ctx.Known...)
		r.collect(0, "")
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
		}
	}
}
