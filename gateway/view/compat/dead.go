package compat

import (
	"fmt"
	"slices"
)

// dead are the rules that never apply: an earlier rule has decided on all that they
// name, or there is nothing of that name.
func (e *Engine) dead() (found []string) {
	for i, r := range e.rules {
		why := ""
		switch {
		case slices.ContainsFunc(e.rules[:i], func(earlier *rule) bool { return earlier.covers(r) }):
			why = "an earlier rule names all that it does"
		case r.head != "" && !e.version.KnownType(r.head):
			why = r.head + " is no resource type"
		case e.nameless(r):
			why = r.head + " has no element " + r.sel.steps[0].name
		default:
			continue
		}
		found = append(found, fmt.Sprintf("%s:%d:%d: never applies: %s: %s", e.file, r.at.line, r.at.column, r.at.get("path").string(), why))
	}
	return found
}

// covers tells of a rule that nothing is left for another one: what it names, and all
// in it, is decided (see process).
func (r *rule) covers(other *rule) bool {
	a, b := &r.sel, &other.sel
	switch {
	case r.head != "" && r.head != other.head:
		return false
	case a.whole:
		return true
	case b.whole:
		return false
	case a.expr != nil || b.expr != nil:
		return a.text != "" && a.text == b.text
	}
	return len(a.steps) <= len(b.steps) && slices.Equal(a.steps, b.steps[:len(a.steps)])
}

func (e *Engine) nameless(r *rule) bool {
	if r.head == "" || len(r.sel.steps) == 0 || r.sel.steps[0].kind != child {
		return false
	}
	_, ok := e.version.Element(r.head, r.sel.steps[0].name)
	return !ok
}
