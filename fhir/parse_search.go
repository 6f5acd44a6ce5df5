package fhir

import (
	"slices"
	"strings"
)

// unsupported are parameters that FHIR defines for every search and that
// nobody here can judge: they match by text that may be hidden, by another
// grammar, by a stored query or by somebody's list.
var unsupported = []string{"_filter", "_query", "_text", "_content", "_list", "_in"}

// criterion reads one search parameter as evaluated on types (nil: on every
// type). depth counts the _has around it.
func (p *parser) criterion(types []string, name, value string, depth int) (Param, *Error) {
	if strings.HasPrefix(name, "_has:") {
		return p.has(types, name, value, depth)
	}
	if strings.IndexByte(name, '.') >= 0 {
		return p.chain(types, name, value)
	}
	code, modifier, colon := strings.Cut(name, ":")
	def, ok := p.lookup(types, code)
	if !ok || def.Expression == "" || slices.Contains(unsupported, code) {
		return Param{}, p.unknown(types, code)
	}
	if colon {
		if err := p.modifier(def, modifier); err != nil {
			return Param{}, err
		}
	}
	c := Param{Name: code, Modifier: modifier, Type: def.Type}
	return c, p.alternatives(&c, types, def, value)
}

// lookup finds a parameter that means the same on each of types.
func (p *parser) lookup(types []string, code string) (SearchParam, bool) {
	if len(types) == 0 {
		return p.o.Version.SearchParam("", code)
	}
	def, ok := p.o.Version.SearchParam(types[0], code)
	for _, t := range types[1:] {
		other, found := p.o.Version.SearchParam(t, code)
		if !found || other.Type != def.Type {
			return SearchParam{}, false
		}
		if !slices.Equal(def.Targets, other.Targets) {
			def.Targets = nil // checked by neither
		}
		ok = ok && found
	}
	return def, ok
}

// unknown says what to write instead of a name that is not served.
func (p *parser) unknown(types []string, code string) *Error {
	bare, _, _ := strings.Cut(code, ":")
	if slices.Contains(unsupported, bare) {
		return refuse(codeUnsupported, "%s is not served: what it matches cannot be judged. Search by the parameters of the type.", shown(bare))
	}
	if len(types) != 1 {
		return refuse(codeUnknown, "%s is no parameter of all the types searched; name one type in the path.", shown(bare))
	}
	for def := range p.o.Version.SearchParams(types[0]) {
		if strings.EqualFold(def.Code, bare) {
			return refuse(codeUnknown, "Parameters are case-sensitive; write %s.", def.Code)
		}
	}
	return refuse(codeUnknown, "%s has no search parameter %s in FHIR %s; see the CapabilityStatement for those it has.", types[0], shown(bare), p.o.Version)
}

// modifier checks a modifier by the parameter's type
// (https://hl7.org/fhir/R4/search.html#modifiers).
func (p *parser) modifier(def SearchParam, m string) *Error {
	if isModifier(def, m) || def.Type == "reference" && p.o.Version.KnownType(m) && pointsTo(def, m) {
		return nil
	}
	if def.Type == "reference" && p.o.Version.KnownType(m) {
		return refuse(codeModifier, "%s does not refer to %s.", shown(def.Code), m)
	}
	return refuse(codeModifier, "%s is a %s parameter and has no such modifier.", shown(def.Code), def.Type)
}

func isModifier(def SearchParam, m string) bool {
	if def.Code == "_id" || def.Code == "_lastUpdated" || def.Type == "special" || def.Type == "composite" {
		return false
	}
	if m == "missing" {
		return true
	}
	switch def.Type {
	case "string":
		return m == "exact" || m == "contains"
	case "token":
		return m == "not" || m == "text" || m == "in" || m == "not-in" || m == "above" || m == "below" || m == "of-type"
	case "reference":
		return m == "identifier"
	case "uri":
		return m == "above" || m == "below"
	}
	return false
}

// chain reads subject:Patient.organization.name. Each hop is bound to types
// that can be judged: the one it names, or those that the reference may point
// to and that have the next parameter.
func (p *parser) chain(types []string, name, value string) (Param, *Error) {
	steps := strings.Split(name, ".")
	if len(types) != 1 {
		return Param{}, refuse(codeChain, "A chain needs one type in the path.")
	}
	if len(steps) > maxHops {
		return Param{}, refuse(codeTooMany, "A chain may have %d hops.", maxHops)
	}
	var c Param
	for i, step := range steps {
		code, modifier, colon := strings.Cut(step, ":")
		def, ok := p.lookup(types, code)
		if !ok || def.Expression == "" || slices.Contains(unsupported, code) {
			return c, p.unknown(types, code)
		}
		hop := Hop{Types: types, Name: code}
		if i == len(steps)-1 {
			if colon {
				if err := p.modifier(def, modifier); err != nil {
					return c, err
				}
			}
			hop.Modifier = modifier
			c = Param{Name: c.Chain[0].Name, Modifier: modifier, Type: def.Type, Chain: append(c.Chain, hop)}
			return c, p.alternatives(&c, types, def, value)
		}
		c.Chain = append(c.Chain, hop)
		next, _, _ := strings.Cut(steps[i+1], ":")
		var err *Error
		if types, err = p.targets(types, def, modifier, colon, next, i == len(steps)-2); err != nil {
			return c, err
		}
	}
	return c, nil
}

// targets gives the types on which the next step of a chain is evaluated.
func (p *parser) targets(types []string, def SearchParam, typ string, typed bool, next string, last bool) ([]string, *Error) {
	if def.Type != "reference" {
		return nil, refuse(codeChain, "%s is no reference, so nothing can be chained to it.", shown(def.Code))
	}
	if typed {
		if err := p.typeOf(typ); err != nil {
			return nil, err
		}
		if !pointsTo(def, typ) {
			return nil, refuse(codeChain, "%s does not refer to %s.", shown(def.Code), typ)
		}
		return []string{typ}, nil
	}
	var found []string
	for _, t := range def.Targets {
		if _, ok := p.o.Version.SearchParam(t, next); ok {
			found = append(found, t)
		}
	}
	if len(found) == 0 {
		return nil, refuse(codeChain, "Nothing that %s refers to has the parameter %s.", shown(def.Code), shown(next))
	}
	if _, same := p.lookup(found, next); len(found) > 1 && (!last || !same || len(found) > 8) {
		return nil, refuse(codeChain, "%s may refer to several types; name one, as in %s:%s.%s.", shown(def.Code), def.Code, found[0], next)
	}
	return found, nil
}

// has reads _has:Observation:patient:code, nested ones included.
func (p *parser) has(types []string, name, value string, depth int) (Param, *Error) {
	parts := strings.SplitN(name, ":", 4)
	if len(parts) < 4 || len(types) != 1 {
		return Param{}, refuse(codeChain, "A reverse chain is written _has:Type:reference:parameter, with one type in the path.")
	}
	if depth == maxHas {
		return Param{}, refuse(codeTooMany, "Reverse chains may be nested %d deep.", maxHas)
	}
	typ, ref, rest := parts[1], parts[2], parts[3]
	if err := p.typeOf(typ); err != nil {
		return Param{}, err
	}
	def, ok := p.o.Version.SearchParam(typ, ref)
	if !ok {
		return Param{}, p.unknown([]string{typ}, ref)
	}
	if def.Type != "reference" || !pointsTo(def, types[0]) {
		return Param{}, refuse(codeChain, "%s of %s does not refer to %s.", shown(ref), typ, types[0])
	}
	then, err := p.criterion([]string{typ}, rest, value, depth+1)
	if err != nil {
		return Param{}, err
	}
	return Param{Name: "_has", Type: then.Type, Has: &Has{Type: typ, Ref: ref, Then: &then}}, nil
}
