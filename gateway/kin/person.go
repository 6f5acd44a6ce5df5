package kin

import (
	"slices"
	"strings"

	"gatehouse/fhir/wire"
)

// Of reads a Patient, Practitioner, RelatedPerson or Person: all surnames, those of
// before a marriage too, and the homes of now.
func Of(resource []byte) (m Marks, err error) {
	var t wire.Tree
	if err := t.Parse(resource); err != nil {
		return m, err
	}
	for i := range each(&t, "name") {
		if use := text(&t, i, "use"); use != "anonymous" && use != "nickname" {
			m.Name(surname(&t, i))
		}
	}
	for i := range each(&t, "address") {
		if slices.Contains([]string{"work", "billing", "old"}, text(&t, i, "use")) {
			continue
		}
		var lines []string
		if l := t.Get(i, "line"); l >= 0 {
			for line := range t.Children(l) {
				lines = append(lines, t.Text(line))
			}
		}
		m.Home(strings.Join(lines, " "), text(&t, i, "postalCode"), text(&t, i, "city"))
	}
	return m, nil
}

// Practitioner is whom a PractitionerRole is about, as it refers to them.
func Practitioner(role []byte) string {
	var t wire.Tree
	if t.Parse(role) != nil {
		return ""
	}
	if p := t.Get(0, "practitioner"); p >= 0 {
		return text(&t, p, "reference")
	}
	return ""
}

// each are the objects of a list in a resource.
func each(t *wire.Tree, name string) func(func(int) bool) {
	return func(yield func(int) bool) {
		list := t.Get(0, name)
		if list < 0 || t.Nodes[list].Kind != wire.Array {
			return
		}
		for i := range t.Children(list) {
			if t.Nodes[i].Kind == wire.Object && !yield(i) {
				return
			}
		}
	}
}

// surname is that of a HumanName; of one that is a mere text, what stands before a
// comma or at the end.
func surname(t *wire.Tree, name int) string {
	if family := text(t, name, "family"); family != "" {
		return family
	}
	whole := text(t, name, "text")
	if before, _, ok := strings.Cut(whole, ","); ok {
		return before
	}
	if words := strings.Fields(whole); len(words) > 1 {
		return words[len(words)-1]
	}
	return whole
}

func text(t *wire.Tree, of int, name string) string {
	if i := t.Get(of, name); i >= 0 {
		return t.Text(i)
	}
	return ""
}
