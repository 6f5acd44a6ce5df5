package fhir

import (
	"iter"
	"sync"
)

// tables are the generated knowledge of one release: rows of small integers
// into shared texts and lists. Laid out by the compiler, they cost nothing at
// start.
type tables struct {
	typeIndex    func(string) int
	types        []typeRow // sorted by name; one more at the end closes the ranges
	elements     []elementRow
	params       []paramRow
	compartments []compartmentRow // sorted by compartment, then type
	lists        [][]string
	texts        []string
}

type typeRow struct {
	name     uint16
	kind     Kind
	elements uint16 // first; the next row's is the end
	params   uint16
}

type elementRow struct {
	name, path, typ uint16
	order, flags    uint8
}

type paramRow struct {
	code, expression, targets, components uint16
	kind                                  uint8
}

type compartmentRow struct{ name, typ, params uint16 }

func (v Version) tables() *tables {
	switch v {
	case R4:
		return &r4
	case R4B:
		return &r4b
	case R5:
		return &r5
	case STU3:
		return &stu3
	}
	return &none // no release: it knows no type, so nothing is served
}

var none = tables{typeIndex: func(string) int { return -1 }, lists: [][]string{{}}, types: []typeRow{{}}}

// Kind says what sort of type a name is.
type Kind uint8

// The kinds of type. Backbone is a structure named by its path, such as
// "Patient.contact".
const (
	Unknown Kind = iota
	Primitive
	Complex
	Backbone
	Abstract
	Resource
)

// Kind of the type, backbone path or resource name typ.
func (v Version) Kind(typ string) Kind {
	t := v.tables()
	if i := t.typeIndex(typ); i >= 0 {
		return t.types[i].kind
	}
	return Unknown
}

// KnownType reports whether t is a resource type that a server can hold.
func (v Version) KnownType(t string) bool { return v.Kind(t) == Resource }

// ResourceTypes are the names of all resource types, sorted. The list is
// shared; it is not to be changed.
func (v Version) ResourceTypes() []string { return resourceTypes[v]() }

var resourceTypes = [...]func() []string{R4: R4.listTypes(), R4B: R4B.listTypes(), R5: R5.listTypes(), STU3: STU3.listTypes()}

func (v Version) listTypes() func() []string {
	return sync.OnceValue(func() []string {
		t := v.tables()
		var names []string
		for _, r := range t.types {
			if r.kind == Resource {
				names = append(names, t.texts[r.name])
			}
		}
		return names
	})
}

// ElementInfo is one element of a resource, backbone or datatype.
type ElementInfo struct {
	Name     string // as in JSON: "valueQuantity"
	Path     string // as in FHIRPath: "value"; the same as Name unless Choice
	Type     string // "Quantity", a backbone's path such as "Patient.contact", or "" for the bare name of a choice
	Order    int    // position in the definition, which is XML's order
	Array    bool
	Required bool // min ≥ 1; not set on the single names of a choice
	Summary  bool // part of the _summary=true form
	Choice   bool // value[x]: the bare name and each JSON name of it
}

// Element looks up an element of the type, backbone or datatype typ by its
// JSON name. The bare name of a choice ("value") is found too, with no Type.
func (v Version) Element(typ, name string) (ElementInfo, bool) {
	t := v.tables()
	i := t.typeIndex(typ)
	if i < 0 {
		return ElementInfo{}, false
	}
	from, to := int(t.types[i].elements), int(t.types[i+1].elements)
	for from < to {
		switch mid := (from + to) / 2; {
		case t.texts[t.elements[mid].name] == name:
			return t.element(t.elements[mid]), true
		case t.texts[t.elements[mid].name] < name:
			from = mid + 1
		default:
			to = mid
		}
	}
	return ElementInfo{}, false
}

// Elements are those of typ, sorted by JSON name; none for an unknown type.
func (v Version) Elements(typ string) iter.Seq[ElementInfo] {
	return func(yield func(ElementInfo) bool) {
		t := v.tables()
		i := t.typeIndex(typ)
		if i < 0 {
			return
		}
		for _, r := range t.elements[t.types[i].elements:t.types[i+1].elements] {
			if !yield(t.element(r)) {
				return
			}
		}
	}
}

func (t *tables) element(r elementRow) ElementInfo {
	return ElementInfo{
		Name: t.texts[r.name], Path: t.texts[r.path], Type: t.texts[r.typ], Order: int(r.order),
		Array: r.flags&1 != 0, Required: r.flags&2 != 0, Summary: r.flags&4 != 0, Choice: r.name != r.path || r.typ == 0,
	}
}

// SearchParam is the definition of one search parameter for one type.
type SearchParam struct {
	Code       string
	Type       string      // number, date, string, token, reference, composite, quantity, uri, special
	Expression string      // FHIRPath, of a shared parameter only the part about this type; "" where FHIR gives none
	Targets    []string    // of a reference: the types it may point to, sorted; not to be changed
	Components []Component // of a composite
}

// Component is one part of a composite parameter.
type Component struct{ Code, Expression string }

var paramTypes = [...]string{"number", "date", "string", "token", "reference", "composite", "quantity", "uri", "special"}

// SearchParam looks up a parameter of typ. Those that every resource has (_id,
// _lastUpdated, _tag, _profile, _security, _source …) are found for every
// type, and for typ "".
func (v Version) SearchParam(typ, code string) (SearchParam, bool) {
	t := v.tables()
	if r := t.param(typ, code); r != nil {
		return t.searchParam(r), true
	}
	if typ != "" && !v.KnownType(typ) {
		return SearchParam{}, false
	}
	for _, base := range [...]string{"Resource", "DomainResource"} {
		if r := t.param(base, code); r != nil {
			return t.searchParam(r), true
		}
	}
	return SearchParam{}, false
}

// SearchParams are the parameters that typ itself defines, sorted by code; for
// typ "" those of every resource.
func (v Version) SearchParams(typ string) iter.Seq[SearchParam] {
	return func(yield func(SearchParam) bool) {
		if typ == "" {
			typ = "Resource"
		}
		t := v.tables()
		i := t.typeIndex(typ)
		if i < 0 {
			return
		}
		for j := t.types[i].params; j < t.types[i+1].params; j++ {
			if !yield(t.searchParam(&t.params[j])) {
				return
			}
		}
	}
}

func (t *tables) param(typ, code string) *paramRow {
	i := t.typeIndex(typ)
	if i < 0 {
		return nil
	}
	from, to := int(t.types[i].params), int(t.types[i+1].params)
	for from < to {
		switch mid := (from + to) / 2; {
		case t.texts[t.params[mid].code] == code:
			return &t.params[mid]
		case t.texts[t.params[mid].code] < code:
			from = mid + 1
		default:
			to = mid
		}
	}
	return nil
}

func (t *tables) searchParam(r *paramRow) SearchParam {
	p := SearchParam{Code: t.texts[r.code], Type: paramTypes[r.kind], Expression: t.texts[r.expression], Targets: t.lists[r.targets]}
	if parts := t.lists[r.components]; len(parts) > 0 {
		for i := 0; i < len(parts); i += 2 {
			p.Components = append(p.Components, Component{parts[i], parts[i+1]})
		}
	}
	return p
}

// Compartment gives the search parameters that tie resources of typ to a
// compartment ("Patient", "Encounter", "Practitioner", "RelatedPerson",
// "Device"), from the release's CompartmentDefinition. The resource that the
// compartment is named after is in by its id, whatever params say.
func (v Version) Compartment(name, typ string) (params []string, in bool) {
	t := v.tables()
	from, to := 0, len(t.compartments)
	for from < to {
		mid := (from + to) / 2
		r := t.compartments[mid]
		n, y := t.texts[r.name], t.texts[r.typ]
		switch {
		case n == name && y == typ:
			return t.lists[r.params], true
		case n < name || n == name && y < typ:
			from = mid + 1
		default:
			to = mid
		}
	}
	return nil, false
}
