package scope

import (
	"slices"

	"gatehouse/fhir"
)

// Covers decides by type and interaction, before the upstream is touched
// (STANDARDS table 1.1): nil if the scopes can open the access, though each
// resource is still for Judge. A batch is covered entry by entry, by the
// caller; a transaction here.
func (g *Grants) Covers(a *fhir.Access) *Denial {
	switch {
	case g == nil || a == nil, off[a.Type]:
		return &Denial{Code: codeMissing}
	case g.unbound || a.Interaction == fhir.Capabilities || a.Interaction == fhir.Batch:
		return nil
	case a.Interaction == fhir.Transaction:
		return g.transaction(a)
	case a.Interaction == fhir.Operation:
		return g.operation(a)
	}
	if d := g.needs(a.Types(), interactionLetters(a), open(a)); d != nil {
		return d
	}
	if d := g.includes(a); d != nil {
		return d
	}
	return g.chains(a)
}

func (g *Grants) transaction(a *fhir.Access) *Denial {
	for _, e := range a.Entries {
		if e.Access == nil {
			return &Denial{Code: codeMissing}
		}
		if d := g.Covers(e.Access); d != nil {
			return d
		}
	}
	return nil
}

// interactionLetters are the letters that the interaction takes. Criteria of a
// conditional one tell by its outcome what they match, so it takes s as well.
func interactionLetters(a *fhir.Access) letters {
	var need letters
	switch a.Interaction {
	case fhir.Read, fhir.VRead, fhir.HistoryInstance:
		need = read
	case fhir.SearchType, fhir.SearchSystem, fhir.SearchCompartment, fhir.HistoryType, fhir.HistorySystem:
		need = search
	case fhir.Create:
		need = create
	case fhir.Update, fhir.Patch:
		need = update
	case fhir.Delete:
		need = remove
	}
	if a.Conditional && need != 0 {
		need |= search
	}
	return need
}

// open accesses name no type: each that is granted may come back.
func open(a *fhir.Access) bool {
	return a.Type == "" && !slices.ContainsFunc(a.Criteria, func(p fhir.Param) bool { return p.Name == "_type" })
}

// needs asks for every letter on every type, or where the types are open on any.
func (g *Grants) needs(types []string, need letters, open bool) *Denial {
	if need == 0 || len(types) == 0 {
		return &Denial{Code: codeMissing}
	}
	for _, typ := range types {
		if granted := g.every(typ, need); granted == open {
			if open {
				return nil
			}
			return g.denial(typ, need)
		}
	}
	if open {
		return g.denial("*", need)
	}
	return nil
}

// denial names the scope that would do, in the context that the token's other
// scopes have.
func (g *Grants) denial(typ string, need letters) *Denial {
	d := &Denial{Code: codeMissing}
	context := "user"
	if g.patient != "" {
		context = "patient"
	}
	for i := range g.scopes {
		switch {
		case g.scopes[i].Grants:
			context = g.scopes[i].Context
		case g.scopes[i].Context == "patient" && g.patient == "":
			d.Code = codePatient
		}
	}
	if len(g.grants) > 0 {
		d.Code = codeMissing
	}
	one := grant{context: context, typ: typ, letters: need}
	if typ != "*" && g.cut(&one, typ)&need != need {
		one.context = "user" // a patient scope would not do for this type
	}
	if !off[typ] {
		d.Needed = one.context + "/" + typ + "." + need.String()
	}
	return d
}

// includes asks for s or r on where each include comes from and on what it may
// bring: all of it if it is named, else some. Each included resource is judged.
func (g *Grants) includes(a *fhir.Access) *Denial {
	for _, inc := range a.Results.Include {
		if d := g.sees(inc.Source); d != nil {
			return d
		}
		if d := g.brings(inc); d != nil {
			return d
		}
	}
	for _, inc := range a.Results.RevInclude {
		if d := g.sees(inc.Source); d != nil {
			return d
		}
	}
	return nil
}

func (g *Grants) sees(typ string) *Denial {
	if g.any(typ, read|search) {
		return nil
	}
	return g.denial(typ, read|search)
}

func (g *Grants) brings(inc fhir.Include) *Denial {
	if inc.Target != "" {
		return g.sees(inc.Target)
	}
	def, _ := g.version.SearchParam(inc.Source, inc.Param)
	if len(def.Targets) == 0 { // "*", or a reference to anything
		return nil
	}
	for _, typ := range def.Targets {
		if g.any(typ, read|search) {
			return nil
		}
	}
	return g.denial(def.Targets[0], read|search)
}
