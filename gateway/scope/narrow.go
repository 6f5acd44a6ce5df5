package scope

import (
	"slices"
	"strings"

	"gatehouse/fhir"
	fhirsearch "gatehouse/fhir/search"
)

// Narrow gives the parameters that a search, or the search behind a conditional
// interaction, takes in addition (AND), so that the upstream finds what the
// scopes open and pages are full. nil adds nothing. Security rests on Judge.
func (g *Grants) Narrow(a *fhir.Access) []fhir.Param {
	narrowing, _ := g.narrow(a)
	return narrowing
}

// NarrowsExactly reports whether all that a search narrowed so can find would
// pass Judge, so that the upstream's count of it may be told (DESIGN §10.5).
func (g *Grants) NarrowsExactly(a *fhir.Access) bool {
	_, exact := g.narrow(a)
	return exact
}

// NarrowsTo is the patient ("Patient/1") whose resources, and nobody else's, a
// search narrowed so can find; "" where that is not certain.
func (g *Grants) NarrowsTo(a *fhir.Access) string {
	if g == nil || a == nil || g.unbound || a.Type == "" || !searches(a) {
		return ""
	}
	apply := g.applying(a.Type)
	if len(apply) == 0 || slices.ContainsFunc(apply, func(one *grant) bool { return !g.ofPatient(one, a.Type) }) {
		return ""
	}
	if _, exact := g.patientParam(a.Type); !exact {
		return ""
	}
	return g.patient
}

func (g *Grants) narrow(a *fhir.Access) (narrowing []fhir.Param, exact bool) {
	if g == nil || a == nil {
		return nil, false
	}
	if g.unbound {
		return nil, true
	}
	if !searches(a) {
		return nil, false
	}
	if a.Type == "" {
		return g.narrowTypes(a), false
	}
	apply := g.applying(a.Type)
	if len(apply) == 0 {
		return nil, false
	}
	if slices.ContainsFunc(apply, func(one *grant) bool { return one.matcher == nil && !g.ofPatient(one, a.Type) }) {
		return nil, true // that grant alone opens them all
	}
	constraint, loose := common(apply)
	if !slices.ContainsFunc(apply, func(one *grant) bool { return !g.ofPatient(one, a.Type) }) {
		narrowing, exact = g.patientParam(a.Type)
	}
	return append(narrowing, constraint...), exact && !loose
}

// applying are the grants that open a search of the type.
func (g *Grants) applying(typ string) (apply []*grant) {
	for i := range g.grants {
		if g.cut(&g.grants[i], typ)&search != 0 {
			apply = append(apply, &g.grants[i])
		}
	}
	return apply
}

// ofPatient reports whether the grant opens the launch patient's resources alone.
func (g *Grants) ofPatient(one *grant, typ string) bool {
	return one.context == "patient" && !shared[typ]
}

func searches(a *fhir.Access) bool {
	switch a.Interaction {
	case fhir.SearchType, fhir.SearchSystem, fhir.SearchCompartment:
		return true
	case fhir.Operation:
		return a.Operation == "$lastn"
	}
	return a.Conditional
}

// narrowTypes keeps a search of every type to those that are granted, where
// they are named one by one.
func (g *Grants) narrowTypes(a *fhir.Access) []fhir.Param {
	if !open(a) || a.Interaction != fhir.SearchSystem {
		return nil
	}
	var types []string
	for i := range g.grants {
		one := &g.grants[i]
		if one.typ == "*" && one.letters&search != 0 {
			return nil
		}
		if g.cut(one, one.typ)&search != 0 && !slices.Contains(types, one.typ) {
			types = append(types, one.typ)
		}
	}
	slices.Sort(types)
	return []fhir.Param{{Name: "_type", Type: "special", Values: types}}
}

// preferred are the compartment parameters that say best whose a resource is.
var preferred = []string{"patient", "subject", "beneficiary", "individual", "actor", "member"}

// patientParam keeps a search to the launch patient's resources. It is exact
// where the parameter reads the only element that ties the type to a patient,
// and that element holds one reference.
func (g *Grants) patientParam(typ string) (params []fhir.Param, exact bool) {
	if typ == "Patient" {
		_, id, _ := strings.Cut(g.patient, "/")
		return []fhir.Param{{Name: "_id", Type: "token", Values: []string{id}}}, true
	}
	ties, _ := g.version.Compartment("Patient", typ)
	if len(ties) == 0 {
		return nil, false
	}
	name := ties[0]
	for _, p := range preferred {
		if _, ok := g.version.SearchParam(typ, p); ok && (p == "patient" || slices.Contains(ties, p)) {
			name = p
			break
		}
	}
	return []fhir.Param{{Name: name, Type: "reference", Values: []string{g.patient}}}, g.single(typ, name, ties)
}

func (g *Grants) single(typ, name string, ties []string) bool {
	one, err := fhirsearch.Elements(g.version, typ, name)
	if err != nil || len(one) != 1 || strings.Contains(one[0], ".") {
		return false
	}
	if e, ok := g.version.Element(typ, one[0]); !ok || e.Array {
		return false
	}
	for _, tie := range ties {
		if other, err := fhirsearch.Elements(g.version, typ, tie); err != nil || !slices.Equal(one, other) {
			return false
		}
	}
	return true
}

// common is the constraint that all of the grants make together: none if one is
// bare, that of a single granular one, or the alternatives of several that
// constrain the same parameter. loose tells that there are constraints, whether
// or not they could be given, since a server may read them more widely than
// Judge does.
func common(apply []*grant) (params []fhir.Param, loose bool) {
	for _, one := range apply {
		if one.matcher == nil {
			return nil, false
		}
	}
	if len(apply) == 1 {
		return apply[0].params, true
	}
	first := apply[0].params[0]
	merged := fhir.Param{Name: first.Name, Modifier: first.Modifier, Type: first.Type}
	for _, one := range apply {
		p := one.params[0]
		if len(one.params) != 1 || p.Name != first.Name || p.Modifier != first.Modifier || p.Modifier == "not" || p.Modifier == "missing" {
			return nil, true
		}
		merged.Values = append(merged.Values, p.Values...)
	}
	return []fhir.Param{merged}, true
}
