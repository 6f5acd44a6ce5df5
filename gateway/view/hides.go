package view

import (
	"slices"
	"strings"
)

// Verdict is what a view does to an element. The zero Verdict hides it.
type Verdict uint8

// Verdicts, the strictest first.
const (
	Hidden        Verdict = iota
	Changed               // another value is shown
	Pseudonymized         // the domain's own name for the same thing is shown
	Partly                // shown or hidden by what the value is
	Kept
)

// Hides tells what the view does to an element of typ, given as dotted JSON or
// FHIRPath names ("name.family", "valueQuantity"). Of a complex element it is
// what happens to the strictest part of it.
func (w *View) Hides(typ, element string) Verdict { return w.judge(typ, element, "", probe{}) }

// probe is a token that is asked for: whether it may be depends on what it is.
type probe struct{ system, code string }

// judge is Hides for the parts of an element that a search of this kind
// evaluates; with a probe, conditional rules are decided by it.
func (w *View) judge(typ, element, kind string, p probe) Verdict {
	v := w.judgeOne(typ, element, kind, p)
	if w.over != nil {
		v = min(v, w.over.judge(typ, element, kind, p))
	}
	return v
}

func (w *View) judgeOne(typ, element, kind string, p probe) Verdict {
	if w.foreign != nil {
		return w.judgeForeign(typ, element, kind)
	}
	s := w.auto.starts[typ]
	if s == nil || len(w.dynamic) > 0 && w.dynamicallyHidden(element) {
		return Hidden
	}
	verdict, found := Kept, false
	for _, f := range s.walk(strings.Split(element, "."), nil) {
		verdict, found = min(verdict, f.judge(kind, p, 0)), true
	}
	if !found {
		return Hidden
	}
	return verdict
}

// dynamicallyHidden: a rule that depends on content may be about any element
// it names; until it is evaluated the element counts as hidden.
func (w *View) dynamicallyHidden(element string) bool {
	last := element[strings.LastIndexByte(element, '.')+1:]
	return slices.ContainsFunc(w.dynamic, func(r *rule) bool {
		return strings.Contains(r.path, last) || strings.Contains(r.path, "nodesBy")
	})
}

// walk finds the fields at the end of a path; the base name of a choice is all
// its forms.
func (s *state) walk(path []string, found []*field) []*field {
	if s == nil {
		return found
	}
	for _, f := range s.fields {
		if f.info.Name != path[0] && f.info.Path != path[0] {
			continue
		}
		if len(path) == 1 {
			found = append(found, f)
			continue
		}
		for _, way := range f.choices {
			found = way.next.walk(path[1:], found)
		}
	}
	return found
}

// searched are the parts of a datatype that a kind of search evaluates.
var searched = map[string][]string{
	"token CodeableConcept": {"coding"}, "token Coding": {"system", "code"}, "token Identifier": {"system", "value"},
	"token ContactPoint": {"system", "value"}, "reference Reference": {"reference"},
	"date Period": {"start", "end"}, "date Timing": {"event"},
	"quantity Quantity": {"value", "unit", "system", "code"}, "quantity Money": {"value", "currency"},
	"quantity Age": {"value", "unit", "system", "code"}, "quantity Duration": {"value", "unit", "system", "code"},
	"string HumanName": {"text", "family", "given", "prefix", "suffix"},
	"string Address":   {"text", "line", "city", "district", "state", "postalCode", "country"},
}

// judge is the verdict of the rule that governs the field; where that depends
// on the value, of all that may.
func (f *field) judge(kind string, p probe, depth int) Verdict {
	var possible []Verdict
	for i, way := range f.choices {
		v := way.rule.method.verdict(f)
		if way.next != nil {
			v = way.next.judge(f.info.Type, kind, p, depth+1)
		} else if f.nested {
			v = Hidden
		}
		holds, known := true, true
		if i < len(f.choices)-1 {
			holds, known = way.rule.when.decide(f, p)
		}
		if !known || holds {
			possible = append(possible, v)
		}
		if known && holds {
			break
		}
	}
	return combine(possible)
}

// combine: shown or hidden is Partly; any change among them counts as such.
func combine(possible []Verdict) Verdict {
	least, most := slices.Min(possible), slices.Max(possible)
	if least == most {
		return least
	}
	if slices.Contains(possible, Changed) || slices.Contains(possible, Pseudonymized) || most != Kept {
		return least
	}
	return Partly
}

func (s *state) judge(typ, kind string, p probe, depth int) Verdict {
	parts, listed := searched[kind+" "+typ]
	verdict := Kept
	for _, f := range s.fields {
		if listed && !slices.Contains(parts, f.info.Name) {
			continue
		}
		// A type within itself: its like was judged on the way here.
		if depth > 4 || !listed && f.info.Type == "Extension" && kind != "" {
			continue
		}
		verdict = min(verdict, f.judge(kind, p, depth))
	}
	return verdict
}

// decide evaluates a guard on what is asked for, where that says enough.
func (g *guard) decide(f *field, p probe) (holds, known bool) {
	if p == (probe{}) {
		return false, false
	}
	text := p.code
	switch {
	case g.member == "system", g.member == "$this" && f.info.Name == "system":
		text = p.system
	case g.member != "$this":
		return false, false
	}
	return g.in.has(text) != g.not, true
}

func (m *method) verdict(f *field) Verdict {
	switch m.name {
	case keep:
		return Kept
	case pseudonymize:
		if f.kind == primID || f.info.Name == "reference" || f.owner == "Identifier" {
			return Pseudonymized
		}
	case redact, remove, mask, encrypt:
		return Hidden
	}
	return Changed
}
