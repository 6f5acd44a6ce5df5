package view

import (
	"slices"
	"strings"

	"gatehouse/fhir"
)

// criterion judges one parameter and opens its values. matches is false where
// it can hold for nothing.
func (in *inbound) criterion(a *fhir.Access, p *fhir.Param) (matches bool, err *fhir.Error) {
	if a.Interaction == fhir.Operation && (a.Operation != "$lastn" || p.Name == "max") { // the rest of $lastn is a search
		return in.operationParam(p)
	}
	matches = true
	for _, typ := range in.types(a) {
		// One value cannot be opened for several types.
		one := *p
		one.Values = slices.Clone(p.Values)
		m, err := in.param(typ, &one)
		if err != nil {
			return false, err
		}
		if len(in.types(a)) > 1 && !slices.Equal(one.Values, p.Values) {
			return false, hidden(p.Name + " without a type")
		}
		matches = matches && m
		*p = one
	}
	return matches, nil
}

// operationParam: operations name records by reference; what else filters
// inside them would have to be judged against every type.
func (in *inbound) operationParam(p *fhir.Param) (bool, *fhir.Error) {
	switch {
	case p.Name == "_type" || p.Name == "_count" || p.Name == "_outputFormat" || p.Name == "max":
		return true, nil
	case p.Type == "reference" || p.Name == "patient":
		return in.references("Patient", p.Name, p)
	}
	return false, hidden(p.Name)
}

func (in *inbound) param(typ string, p *fhir.Param) (bool, *fhir.Error) {
	switch {
	case p.Has != nil:
		if v := in.touches(p.Has.Type, p.Has.Ref, probe{}); v != Kept && v != Pseudonymized {
			return false, hidden("_has:" + p.Has.Type + ":" + p.Has.Ref)
		}
		return in.param(p.Has.Type, p.Has.Then)
	case len(p.Chain) > 0:
		return in.chain(typ, p)
	}
	return in.plain(typ, p.Name, p.Modifier, p)
}

// chain: every hop must be a reference that is shown, the last one a parameter
// that may be asked for on each type it may be about.
func (in *inbound) chain(typ string, p *fhir.Param) (bool, *fhir.Error) {
	if v := in.touches(typ, p.Name, probe{}); v != Kept && v != Pseudonymized {
		return false, hidden(p.Name)
	}
	for i, hop := range p.Chain {
		last := i == len(p.Chain)-1
		for _, t := range hop.Types {
			if last {
				opened := *p
				opened.Chain, opened.Values = nil, slices.Clone(p.Values)
				ok, err := in.plain(t, hop.Name, hop.Modifier, &opened)
				if err != nil {
					return false, err
				}
				if len(hop.Types) > 1 && !slices.Equal(opened.Values, p.Values) {
					return false, hidden(p.Name + "." + hop.Name + " of several types")
				}
				p.Values = opened.Values
				if !ok {
					return false, nil
				}
			} else if v := in.touches(t, hop.Name, probe{}); v != Kept && v != Pseudonymized {
				return false, hidden(p.Name + "." + hop.Name)
			}
		}
	}
	return true, nil
}

// plain judges code:modifier on typ and opens the values of p.
func (in *inbound) plain(typ, code, modifier string, p *fhir.Param) (bool, *fhir.Error) {
	sp, ok := in.view.version.SearchParam(typ, code)
	if !ok {
		return false, hidden(code)
	}
	switch v := in.touches(typ, code, probe{}); {
	case v == Kept && modifier != "text":
		return true, nil
	case v == Pseudonymized && modifier == "missing":
		return true, nil // that there is one is shown
	case v == Pseudonymized && sp.Type == "reference" && modifier == "identifier":
		return in.identifiers(code, p)
	case v == Pseudonymized && sp.Type == "reference" && (modifier == "" || in.view.version.KnownType(modifier)):
		return in.references(typ, code, p)
	case v == Pseudonymized && code == "_id" && modifier == "":
		return in.ids(typ, p), nil
	case v == Pseudonymized && sp.Type == "token" && modifier == "":
		return in.identifiers(code, p)
	case v == Partly && sp.Type == "token" && (modifier == "" || modifier == "not"):
		return true, in.tokens(typ, code, p)
	}
	return false, hidden(code)
}

// open replaces the values by what they open as; those that do not open match
// nothing, and where none is left nothing matches.
func openValues(p *fhir.Param, open func(string) (string, bool)) bool {
	var opened []string
	for _, v := range p.Values {
		if real, ok := open(v); ok {
			opened = append(opened, real)
		}
	}
	if len(opened) == 0 {
		return false
	}
	p.Values = opened
	return true
}

func (in *inbound) ids(typ string, p *fhir.Param) bool {
	return openValues(p, func(v string) (string, bool) { return in.real(typ, v) })
}

// references opens "p", "Type/p" and, by modifier, p of a Type.
func (in *inbound) references(typ, code string, p *fhir.Param) (bool, *fhir.Error) {
	sp, _ := in.view.version.SearchParam(typ, code)
	targets := sp.Targets
	if in.view.version.KnownType(p.Modifier) {
		targets = []string{p.Modifier}
	}
	if len(targets) == 0 {
		targets = []string{"Patient"}
	}
	return openValues(p, func(v string) (string, bool) {
		if t, id, typed := strings.Cut(v, "/"); typed {
			real, ok := in.real(t, id)
			return t + "/" + real, ok
		}
		for _, t := range targets {
			// Bound to its type, a pseudonym opens for one of them at most.
			if real, ok := in.real(t, v); ok {
				if p.Modifier != "" {
					return real, true
				}
				return t + "/" + real, true
			}
		}
		return "", false
	}), nil
}

// identifiers opens system|value as the view shows them. Without its system a
// value cannot be opened: it is bound to it.
func (in *inbound) identifiers(code string, p *fhir.Param) (bool, *fhir.Error) {
	return openValues(p, func(v string) (string, bool) {
		shown, value, ok := strings.Cut(v, "|")
		sealed, ours := strings.CutPrefix(shown, pseudonymousSystem)
		if !ok || !ours {
			return "", false
		}
		system, ok := in.view.mapper().codec.RealText(in.domain, "system", sealed)
		if !ok {
			return "", false
		}
		if value == "" {
			return escape(system) + "|", true
		}
		real, ok := in.view.mapper().codec.RealText(in.domain, identifierLabel(system), value)
		return escape(system) + "|" + escape(real), ok
	}), nil
}

// tokens lets through codes that are shown wherever they stand.
func (in *inbound) tokens(typ, code string, p *fhir.Param) *fhir.Error {
	for _, v := range p.Values {
		system, c, ok := strings.Cut(v, "|")
		if !ok {
			system, c = "", v
		}
		if in.touches(typ, code, probe{system, c}) != Kept {
			return refuse("view.parameter-hidden", code+" may be searched for what this client's view shows: write it as system|code with a published system.")
		}
	}
	return nil
}

var escaper = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)

// escape writes a text as a part of a search value (R4 §3.1.1.4.0.1).
func escape(s string) string { return escaper.Replace(s) }
