package search

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"gatehouse/fhir/wire"
)

// textParts are the parts of a datatype that a string parameter compares, each
// by itself.
var textParts = map[string][]string{
	"HumanName": {"family", "given", "prefix", "suffix", "text"},
	"Address":   {"line", "city", "district", "state", "postalCode", "country", "text"},
}

// stringTest compiles a string: it matches at the start without regard to case
// and accents; :contains anywhere; :exact the whole to the letter.
func stringTest(value, modifier string) (test, error) {
	want, err := unescape(value)
	if err != nil {
		return nil, err
	}
	matches := func(s string) bool { return s == want }
	if modifier != "exact" {
		within := strings.HasPrefix
		if modifier == "contains" {
			within = strings.Contains
		}
		folded := fold(want)
		matches = func(s string) bool { return within(fold(s), folded) }
	}
	return func(t *wire.Tree, element int, typ string) bool {
		members, structured := textParts[typ]
		if !structured {
			return t.Nodes[element].Kind == wire.String && matches(t.Text(element))
		}
		return slices.ContainsFunc(members, func(name string) bool {
			return walk(t, element, []step{{name: name}}, func(part int) bool {
				return t.Nodes[part].Kind == wire.String && matches(t.Text(part))
			})
		})
	}, nil
}

// fold removes accents and letter case.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(s))
}

// uriTest compiles a uri: equal to the letter, as R4 has it.
func uriTest(value string) (test, error) {
	want, err := unescape(value)
	if err != nil {
		return nil, err
	}
	return func(t *wire.Tree, element int, _ string) bool { return t.Text(element) == want }, nil
}
