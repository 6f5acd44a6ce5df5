package search

import (
	"errors"
	"slices"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// referenceType is the type of resource that a Reference points to, "" where it
// does not say. A type beside the reference that contradicts it makes it nobody's.
func referenceType(t *wire.Tree, element int) string {
	said := member(t, element, "type")
	ref, _, ok := fhir.ParseRef(lastTwo(member(t, element, "reference")), nil)
	switch {
	case !ok:
		return said
	case said == "" || said == ref.Type:
		return ref.Type
	}
	return ""
}

// lastTwo leaves of an absolute reference what follows its base.
func lastTwo(s string) string {
	s, _, _ = strings.Cut(s, "/_history/")
	if i := strings.LastIndexByte(s, '/'); i > 0 {
		if j := strings.LastIndexByte(s[:i], '/'); j >= 0 {
			return s[j+1:]
		}
	}
	return s
}

// referenceTest compiles a reference: an id, Type/id, an absolute URL, or a
// token for :identifier.
func (c *compilation) referenceTest(def fhir.SearchParam, modifier, value string) (test, error) {
	if modifier == "identifier" {
		return identifierTest(value)
	}
	if modifier != "" && !slices.Contains(def.Targets, modifier) {
		return nil, errors.New("modifier :" + modifier + " is not supported")
	}
	want, err := unescape(value)
	if err != nil {
		return nil, err
	}
	types, id := def.Targets, want
	if modifier != "" {
		types = []string{modifier}
	}
	if ref, _, ok := fhir.ParseRef(want, c.bases); ok {
		if !slices.Contains(types, ref.Type) {
			return nil, errors.New("does not point to such a type")
		}
		types, id = []string{ref.Type}, ref.ID
	}
	bases := c.bases
	return func(t *wire.Tree, element int, typ string) bool {
		if typ != "Reference" {
			return canonical(t.Text(element), want)
		}
		raw := member(t, element, "reference")
		if ref, _, ok := fhir.ParseRef(raw, bases); ok {
			return ref.ID == id && slices.Contains(types, ref.Type) && referenceType(t, element) == ref.Type
		}
		return raw != "" && raw == want && strings.Contains(want, ":")
	}, nil
}

// canonical compares a canonical with one that may leave the version out.
func canonical(got, want string) bool {
	url, _, versioned := strings.Cut(got, "|")
	return got == want || versioned && url == want
}

// identifierTest matches a Reference by the Identifier it holds.
func identifierTest(value string) (test, error) {
	is, err := tokenTest(value, false)
	if err != nil {
		return nil, err
	}
	return func(t *wire.Tree, element int, typ string) bool {
		i := -1
		if typ == "Reference" {
			i = t.Get(element, "identifier")
		}
		return i >= 0 && is(t, i, "Identifier")
	}, nil
}
