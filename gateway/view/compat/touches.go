package compat

import (
	"strings"

	"gatehouse/fhir"
)

// Touches reports whether a rule may change an element of typ, given as dotted
// JSON or FHIRPath names, or what a search in it evaluates: parts are the
// members of a datatype that count, all of them where there are none. It errs
// on the side of yes.
func (e *Engine) Touches(typ, element string, parts func(datatype string) []string) bool {
	ways := e.ways(typ, strings.Split(element, "."), parts)
	if len(ways) == 0 {
		return true
	}
	for _, way := range ways {
		below := e.below(way[len(way)-1].typ)
		for _, r := range e.rules {
			if r.method.name != keep && (r.head == "" || r.head == typ) && e.touches(typ, r.sel.reach(), way, below) {
				return true
			}
		}
	}
	return false
}

// place is an element on the way from a resource to what is asked for.
type place struct{ name, typ string }

// ways are the elements that a path can mean: a choice has several.
func (e *Engine) ways(typ string, names []string, parts func(string) []string) (found [][]place) {
	if len(names) == 0 {
		return [][]place{nil}
	}
	for info := range e.version.Elements(typ) {
		if info.Type == "" || info.Name != names[0] && info.Path != names[0] {
			continue
		}
		here := place{info.Path, info.Type}
		rest := names[1:]
		if len(rest) == 0 && parts != nil {
			for _, p := range parts(info.Type) {
				for _, w := range e.ways(info.Type, []string{p}, parts) {
					found = append(found, append([]place{here}, w...))
				}
			}
			if len(parts(info.Type)) > 0 {
				continue
			}
		}
		for _, w := range e.ways(info.Type, rest, parts) {
			found = append(found, append([]place{here}, w...))
		}
	}
	return found
}

// below are all elements within a type. Extensions and the ids of elements are
// left out: no search evaluates them.
func (e *Engine) below(typ string) map[place]bool {
	all, seen := map[place]bool{}, map[string]bool{}
	var walk func(string)
	walk = func(typ string) {
		if seen[typ] || typ == "Resource" || e.version.Kind(typ) == fhir.Primitive {
			return
		}
		seen[typ] = true
		for info := range e.version.Elements(typ) {
			if info.Type == "" || info.Type == "Extension" || info.Name == "id" {
				continue
			}
			all[place{info.Path, info.Type}] = true
			walk(info.Type)
		}
	}
	walk(typ)
	return all
}

// reach is the plain beginning of a selector, below which all that it selects
// lies; nil may be anywhere.
func (s *selector) reach() []step {
	if s.expr == nil {
		return s.steps
	}
	if strings.ContainsAny(s.text, "|%") {
		return nil
	}
	var steps []step
	for text := s.text; ; {
		m := stepText.FindString(text)
		if m == "" || !strings.HasSuffix(m, ".") {
			return steps
		}
		one, _ := parseSteps(strings.TrimSuffix(m, "."))
		steps, text = append(steps, one...), text[len(m):]
	}
}

// touches follows steps from the resource along the way, and into what lies
// below its end.
func (e *Engine) touches(typ string, steps []step, way []place, below map[place]bool) bool {
	on, in := []int{-1}, false // places on the way that are reached, and: something below it
	for i, st := range steps {
		if i == 0 && st.kind == byType && st.name == typ {
			return true // the resource itself
		}
		var next []int
		deeper := false
		for _, at := range on {
			for i := at; i < len(way); i++ {
				near := i == at+1 && st.kind == child || st.kind == byType || st.kind == byName || i == at && st.kind == ofType
				if near && i >= 0 && e.fits(st, way[i]) {
					next = append(next, i)
				}
			}
			// A child of what is asked for itself, or something in it.
			if st.kind != ofType && (at == len(way)-1 || st.kind != child) {
				deeper = deeper || e.anyFits(st, below)
			}
		}
		in = deeper || in && (st.kind == ofType || e.anyFits(st, below))
		on = next
	}
	return in || len(on) > 0
}

func (e *Engine) anyFits(st step, below map[place]bool) bool {
	for p := range below {
		if e.fits(st, p) {
			return true
		}
	}
	return false
}

func (e *Engine) fits(st step, p place) bool {
	if st.kind == child || st.kind == byName {
		return p.name == st.name
	}
	return (&node{typ: p.typ}).instanceType(e.version) == st.name
}
