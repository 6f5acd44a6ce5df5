package scope

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatehouse/fhir"
	fhirsearch "gatehouse/fhir/search"
)

// grant is one scope, read.
type grant struct {
	context string // patient, user or system
	typ     string // a resource type, or "*"
	letters letters
	params  []fhir.Param        // of a granular scope; nil for a bare one
	matcher *fhirsearch.Matcher // of params
}

var errGrammar = errors.New("not a SMART resource scope, so it grants no access to data")

// launchScopes are those that SMART and OpenID Connect define for other ends.
var launchScopes = []string{"openid", "profile", "email", "fhirUser", "launch", "launch/patient", "launch/encounter",
	"offline_access", "online_access"}

// parseOne reads (patient|user|system)/(Type|*).letters[?constraint] by SMART
// 2.2 and 1.0 (SMART-12, SMART-13), to the byte: a scope that is only nearly
// one grants nothing (S-07).
func parseOne(v fhir.Version, s string, bases *fhir.BaseSet) (grant, error) {
	if slices.Contains(launchScopes, s) {
		return grant{}, errors.New("about login and launch; it grants no access to data")
	}
	context, rest, ok := strings.Cut(s, "/")
	if !ok || context != "patient" && context != "user" && context != "system" {
		return grant{}, errGrammar
	}
	typ, rest, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(typ, "?") {
		return grant{}, errGrammar
	}
	if typ != "*" && !v.KnownType(typ) {
		return grant{}, errors.New("names no resource type of FHIR " + v.String())
	}
	permission, query, granular := strings.Cut(rest, "?")
	g := grant{context: context, typ: typ}
	var old bool
	if g.letters, old = parseLetters(permission); g.letters == 0 {
		return grant{}, errors.New("permissions are c, r, u, d, s in this order, or read, write or * alone")
	}
	if !granular {
		return g, nil
	}
	if old {
		return grant{}, errors.New("a constraint needs the permissions of SMART 2, as in .rs")
	}
	return g, g.constrain(v, query, bases)
}

// parseLetters reads permissions; old tells those of SMART 1. None is 0.
func parseLetters(s string) (set letters, old bool) {
	switch s {
	case "read":
		return read | search, true
	case "write":
		return create | update | remove, true
	case "*":
		return create | read | update | remove | search, true
	}
	rest := s
	for i, c := range []byte("cruds") {
		if rest != "" && rest[0] == c {
			set |= 1 << i
			rest = rest[1:]
		}
	}
	if rest != "" {
		return 0, false
	}
	return set, false
}

// constrain reads a granular scope's constraint as the search that it is. One
// that cannot be evaluated in full grants nothing: half of it would grant more
// (SMART-19, S-05).
func (g *grant) constrain(v fhir.Version, query string, bases *fhir.BaseSet) error {
	path, typ := "/"+g.typ, g.typ
	if g.typ == "*" {
		path, typ = "", ""
	}
	a, refused := fhir.Parse(fhir.Request{Method: "GET", Path: path, Query: query}, fhir.Options{Version: v, Bases: bases})
	if refused != nil {
		return errors.New("the constraint is no search that can be served: " + refused.Text)
	}
	if len(a.Criteria) != strings.Count(query, "&")+1 {
		return errors.New("a constraint may hold nothing but search criteria")
	}
	m, err := fhirsearch.Compile(v, typ, a.Criteria, bases)
	if err != nil {
		return fmt.Errorf("the constraint cannot be evaluated on single resources: %w", err)
	}
	g.params, g.matcher = a.Criteria, m
	return nil
}
