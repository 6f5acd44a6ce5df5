package view

import (
	"fmt"
	"regexp"
	"strings"
)

// A pattern is a rule's path that can be decided by types and names alone, so
// that it is compiled into the states and costs nothing per resource.
type pattern struct {
	anchor string // resource type; "" for every one
	steps  []step // none: the whole resource
}

// step goes to a child by name, or to any descendant by type or name.
type step struct {
	deep bool
	name string // FHIRPath name ("value") or JSON name ("valueQuantity")
	typ  string // deep: exact type; child: the type a choice must have
}

var (
	anchored = regexp.MustCompile(`^(?:Resource|DomainResource|[A-Z]\w*)$`)
	deepCall = regexp.MustCompile(`^nodesBy(Type|Name)\(\s*'(\w+)'\s*\)$`)
	cast     = regexp.MustCompile(`^ofType\(\s*(\w+)\s*\)$`)
	ident    = regexp.MustCompile(`^\w+$`)
)

// parsePatterns reads the alternatives of a path. plain is false where the
// path needs FHIRPath proper (where, comparison, functions).
func parsePatterns(path string) (ps []pattern, plain bool, err error) {
	for _, alternative := range splitTop(path, '|') {
		p, ok := parsePattern(strings.TrimSpace(alternative))
		if !ok {
			return nil, false, nil
		}
		ps = append(ps, p)
	}
	if len(ps) == 0 {
		return nil, false, fmt.Errorf("path is empty")
	}
	return ps, true, nil
}

func parsePattern(s string) (p pattern, ok bool) {
	if rest, typ, found := strings.Cut(s, " as "); found {
		s = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(rest, "("), ")")) + ".ofType(" + strings.TrimSpace(typ) + ")"
	}
	parts := splitTop(s, '.')
	if anchored.MatchString(parts[0]) {
		if parts[0] != "Resource" && parts[0] != "DomainResource" {
			p.anchor = parts[0]
		}
		parts = parts[1:]
	} else if !deepCall.MatchString(parts[0]) {
		return p, false
	}
	for _, part := range parts {
		switch {
		case deepCall.MatchString(part):
			m := deepCall.FindStringSubmatch(part)
			st := step{deep: true, typ: m[2]}
			if m[1] == "Name" {
				st = step{deep: true, name: m[2]}
			}
			p.steps = append(p.steps, st)
		case cast.MatchString(part):
			if len(p.steps) == 0 || p.steps[len(p.steps)-1].typ != "" {
				return p, false
			}
			p.steps[len(p.steps)-1].typ = cast.FindStringSubmatch(part)[1]
		case ident.MatchString(part):
			p.steps = append(p.steps, step{name: part})
		default:
			return p, false
		}
	}
	return p, true
}

// splitTop splits at sep outside of brackets and quotes.
func splitTop(s string, sep byte) (parts []string) {
	depth, quoted, from := 0, false, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'' && (i == 0 || s[i-1] != '\\'):
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == sep && depth == 0:
			parts, from = append(parts, s[from:i]), i+1
		}
	}
	return append(parts, s[from:])
}
