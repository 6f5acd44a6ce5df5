package main

import (
	"regexp"
	"slices"
	"strings"
)

// references maps an element's path ("Observation.subject", a choice without
// its [x]) to the types that it may refer to; none for any.
type references map[string][]string

func referencesOf(structures []structure) references {
	r := references{}
	for _, s := range structures {
		for _, e := range s.Snapshot.Element {
			for _, t := range e.Type {
				if t.Code == "Reference" || t.Code == "canonical" {
					path := strings.TrimSuffix(e.Path, "[x]")
					r[path] = append(r[path], typesOfProfiles(t.TargetProfile)...)
				}
			}
		}
	}
	return r
}

func typesOfProfiles(profiles []string) []string {
	var types []string
	for _, p := range profiles {
		types = append(types, p[strings.LastIndexByte(p, '/')+1:])
	}
	return types
}

var (
	resolved = regexp.MustCompile(`^\(?([A-Za-z.]+)\)?\.where\(resolve\(\) is ([A-Za-z]+)\)$`)
	plain    = regexp.MustCompile(`^\(?([A-Za-z.]+)(?: as Reference\)|\.as\(Reference\)|\.ofType\(Reference\)|\))?$`)
)

// narrow leaves of a parameter's targets those that its elements can refer to:
// a definition shared by many types lists the targets of all of them, and R4's
// "patient" names Group for elements that refer to patients alone.
func (r references) narrow(p paramRow) []string {
	if p.typ != "reference" || p.expression == "" {
		return p.targets
	}
	var may []string
	for _, part := range alternatives(p.expression) {
		if m := resolved.FindStringSubmatch(part); m != nil {
			may = append(may, m[2])
			continue
		}
		m := plain.FindStringSubmatch(part)
		if m == nil || len(r[m[1]]) == 0 || slices.Contains(r[m[1]], "Resource") {
			return p.targets
		}
		may = append(may, r[m[1]]...)
	}
	kept := slices.DeleteFunc(slices.Clone(p.targets), func(t string) bool { return !slices.Contains(may, t) })
	if len(kept) == 0 {
		return p.targets
	}
	return kept
}
