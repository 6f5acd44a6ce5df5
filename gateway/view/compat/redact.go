package compat

import (
	"math/big"
	"slices"
	"strings"
)

// redact clears a value, or what of it the partial flags do not let stand (D5).
// What was a structure is pruned when it has become empty.
func (r *run) redact(n *node) done {
	text := n.text()
	if text == "" {
		n.raw = nil
		return done{}
	}
	switch {
	case n.typ == "date" || n.typ == "dateTime" || n.typ == "instant":
		r.redactDate(n, parseDate(text))
	case n.typ == "decimal" && n.parent != nil && n.parent.typ == "Age":
		if !r.params.partialAges || old(text) {
			n.raw = nil
		}
	case strings.EqualFold(n.name, "postalCode"):
		return r.redactPostalCode(n, text)
	default:
		n.raw = nil
	}
	return done{redacted: true}
}

// maxAge is the last age in years that may be told.
const maxAge = 89

// old: what is no number is not told either.
func old(age string) bool {
	v, ok := rat(age)
	return !ok || v.Cmp(big.NewRat(maxAge+1, 1)) >= 0
}

// redactDate leaves the year at most. An instant cannot be a year: that one is
// marked as masked.
func (r *run) redactDate(n *node, d dateValue) {
	n.raw = nil
	if !r.params.partialDates || !d.ok || r.tooOld(d) {
		return
	}
	if n.typ == "instant" {
		n.absent()
		return
	}
	n.set(d.text[:4])
}

// absent says that there was a value.
func (n *node) absent() {
	x := &node{name: "extension", json: "extension", typ: "Extension", repeats: true, visited: true}
	x.insert(leaf("url", "uri", "http://hl7.org/fhir/StructureDefinition/data-absent-reason"))
	reason := leaf("value", "code", "masked")
	reason.json = "valueCode"
	x.insert(reason)
	n.insert(x)
}

func (r *run) redactPostalCode(n *node, text string) done {
	if !r.params.partialZIP {
		n.raw = nil
		return done{redacted: true}
	}
	runes := []rune(text)
	switch {
	case slices.ContainsFunc(r.params.restricted, func(p string) bool { return strings.HasPrefix(text, p) }):
		n.set(zeros(text))
	case len(runes) >= 3:
		n.set(string(runes[:3]) + zeros(string(runes[3:])))
	}
	return done{abstracted: true}
}

// zeros puts 0 for each digit.
func zeros(s string) string {
	return strings.Map(func(c rune) rune {
		if isDigit(c) {
			return '0'
		}
		return c
	}, s)
}

// remove takes a node out, and with it the resources in it.
func (r *run) remove(n *node) done {
	if n.parent == nil {
		return done{}
	}
	n.parent.kids = slices.DeleteFunc(slices.Clone(n.parent.kids), func(k *node) bool { return k == n })
	return done{removed: true}
}
