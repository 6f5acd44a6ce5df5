package scope

import (
	"slices"

	"gatehouse/fhir"
)

// operationLetters are what an operation takes on its own type, for those whose
// answer is no set of resources. An operation that is in no table has no scope
// that stands for it, and is denied (STANDARDS table 1.1).
var operationLetters = map[string]letters{
	"$validate": read, "$meta": read, "$meta-add": update, "$meta-delete": update,
	"$expand": read, "$lookup": read, "$validate-code": read, "$translate": read,
}

// returning are operations that return resources, each of which is judged: they
// take r and s on some type that may come back.
var returning = []string{"$everything", "$document", "$docref", "$lastn", "$summary"}

func (g *Grants) operation(a *fhir.Access) *Denial {
	if a.Operation == "$export" {
		return g.export(a)
	}
	if slices.Contains(returning, a.Operation) {
		if d := g.needs(a.Types(), read|search, true); d != nil {
			return d
		}
		if d := g.includes(a); d != nil {
			return d
		}
		return g.chains(a)
	}
	if need, ok := operationLetters[a.Operation]; ok && a.Type != "" {
		return g.needs([]string{a.Type}, need, false)
	}
	return &Denial{Code: codeOperation}
}

// export takes system scopes alone: r and s on each type that is asked for, or
// where none is on some; of a Group, r on it; and each filter is a search.
func (g *Grants) export(a *fhir.Access) *Denial {
	system := g.System()
	if a.Type == "Group" && !system.any("Group", read) {
		return &Denial{Code: codeMissing, Needed: "system/Group.r"}
	}
	types := a.Types()
	asked := slices.ContainsFunc(a.Criteria, func(p fhir.Param) bool { return p.Name == "_type" })
	if d := system.needs(types, read|search, !asked); d != nil {
		typ := "*"
		if asked {
			typ = types[0]
		}
		return &Denial{Code: codeMissing, Needed: "system/" + typ + ".rs"}
	}
	for _, filter := range a.Filters {
		if d := system.Covers(filter); d != nil {
			return d
		}
	}
	return nil
}

// System are the grants of system scopes alone: an export is judged by these,
// so that a user's scopes do not widen it.
func (g *Grants) System() *Grants {
	if g == nil || g.unbound {
		return g
	}
	system := *g
	system.grants = slices.DeleteFunc(slices.Clone(g.grants), func(one grant) bool { return one.context != "system" })
	return &system
}
