package fhir

import "slices"

// Touches lists every search parameter that the access evaluates, with the
// type it is evaluated on: criteria and their chain hops, reverse chains,
// components of composites, sort keys, includes ("*" for each reference of the
// type) and the searches of a _typeFilter. What selects a compartment search
// is its compartment, not a touch.
func (a *Access) Touches() []Touch {
	t := touches{v: a.Version}
	types := a.Types()
	for i := range a.Criteria {
		if a.Criteria[i].Name == "_type" || a.Interaction == Operation && operationNamed(a.Operation).owns(a.Criteria[i].Name) {
			continue // selects types, or is an operation's own
		}
		t.param(types, &a.Criteria[i])
	}
	for _, key := range a.Results.Sort {
		t.each(types, key.Name, "")
	}
	for _, list := range [...][]Include{a.Results.Include, a.Results.RevInclude} {
		for _, inc := range list {
			t.add(inc.Source, inc.Param, "")
		}
	}
	for _, f := range a.Filters {
		t.list = append(t.list, f.Touches()...)
	}
	for _, e := range a.Entries {
		if e.Access != nil {
			t.list = append(t.list, e.Access.Touches()...)
		}
	}
	return t.list
}

type touches struct {
	v    Version
	list []Touch
}

func (t *touches) add(typ, name, modifier string) {
	if touch := (Touch{typ, name, modifier}); !slices.Contains(t.list, touch) {
		t.list = append(t.list, touch)
	}
}

func (t *touches) each(types []string, name, modifier string) {
	for _, typ := range types {
		t.add(typ, name, modifier)
		def, _ := t.v.SearchParam(typ, name)
		for _, c := range def.Components {
			t.add(typ, c.Code, "")
		}
	}
}

func (t *touches) param(types []string, p *Param) {
	if p.Has != nil {
		t.add(p.Has.Type, p.Has.Ref, "")
		t.param([]string{p.Has.Type}, p.Has.Then)
		return
	}
	for _, hop := range p.Chain {
		t.each(hop.Types, hop.Name, hop.Modifier)
	}
	if len(p.Chain) == 0 {
		t.each(types, p.Name, p.Modifier)
	}
}

// Types lists the types of which resources may come back as matches, or be
// written: the one of the path, those of _type, those of the compartment, or
// all. Included resources are apart; see Included.
func (a *Access) Types() []string {
	if a.Interaction == Operation {
		return a.operationTypes()
	}
	if a.Type != "" {
		return []string{a.Type}
	}
	if a.Interaction == Capabilities || a.Interaction == Batch || a.Interaction == Transaction {
		return nil
	}
	types := a.types
	if types == nil {
		types = a.Version.ResourceTypes()
	}
	if a.Interaction != SearchCompartment {
		return types
	}
	var in []string
	for _, t := range types {
		if _, ok := a.Version.Compartment(a.Compartment.Type, t); ok {
			in = append(in, t)
		}
	}
	return in
}

// LimitTypes gives a copy of a search or operation at system or compartment
// level that asks for no type but these, of those that it asked for; not ok if
// none is left, for "no type" would read as "every type" upstream (S-11).
func (a *Access) LimitTypes(types []string) (limited *Access, ok bool) {
	b := *a
	b.types = slices.DeleteFunc(slices.Clone(a.Types()), func(t string) bool { return !slices.Contains(types, t) })
	b.Criteria = slices.DeleteFunc(slices.Clone(a.Criteria), func(p Param) bool { return p.Name == "_type" })
	b.Criteria = append(b.Criteria, Param{Name: "_type", Type: "special", Values: b.types})
	return &b, len(b.types) > 0
}

// Included lists the types that _include and _revinclude may add.
func (a *Access) Included() []string {
	var types []string
	for _, inc := range a.Results.Include {
		types = append(types, a.targetsOf(inc)...)
	}
	for _, inc := range a.Results.RevInclude {
		types = append(types, inc.Source)
	}
	slices.Sort(types)
	return slices.Compact(types)
}

func (a *Access) targetsOf(inc Include) []string {
	if inc.Target != "" {
		return []string{inc.Target}
	}
	if inc.Param != "*" {
		return a.anyIfNone(inc.Source, inc.Param)
	}
	var types []string
	for p := range a.Version.SearchParams(inc.Source) {
		if p.Type == "reference" {
			types = append(types, a.anyIfNone(inc.Source, p.Code)...)
		}
	}
	return types
}

func (a *Access) anyIfNone(typ, code string) []string {
	def, _ := a.Version.SearchParam(typ, code)
	if len(def.Targets) == 0 {
		return a.Version.ResourceTypes()
	}
	return def.Targets
}
