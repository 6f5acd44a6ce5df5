package scope

import (
	"slices"

	"gatehouse/fhir"
)

// An operation that no rule here names has no scope that stands for it, and is
// denied (STANDARDS table 1.1).

// returning are operations that return resources, each of which is judged: they
// take r and s on some type that may come back.
var returning = []string{"$everything", "$docref", "$lastn"}

func (g *Grants) operation(a *fhir.Access) *Denial {
	if a.Operation == "$export" {
		return g.export(a)
	}
	if a.Operation == "$validate" { // what the resource is to be validated for
		if a.ID == "" {
			return g.needs([]string{a.Type}, create, false)
		}
		return g.needs([]string{a.Type}, update, false)
	}
	if a.Operation == "$de-identify" { // what is posted, each resource of which is judged as a read
		return g.needs(a.Types(), read, true)
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
