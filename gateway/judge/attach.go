package judge

import (
	"slices"

	"gatehouse/fhir"
	"gatehouse/fhir/search"
	"gatehouse/fhir/wire"
)

// attachments hold what is included to the released match that it was included
// for: an include without one tells that a row was withheld, and where it
// points (I-01).
type attachments struct {
	court            *Court
	include, reverse []fhir.Include
	have, wanted     map[fhir.Ref]bool // what was released, and what that refers to
	plans            map[fhir.Include]*wire.Plan
}

// newAttachments is nil for a search that includes nothing.
func newAttachments(c *Court, e Expect) *attachments {
	if len(e.Include)+len(e.RevInclude) == 0 {
		return nil
	}
	return &attachments{court: c, include: e.Include, reverse: e.RevInclude,
		have: map[fhir.Ref]bool{}, wanted: map[fhir.Ref]bool{}, plans: map[fhir.Include]*wire.Plan{}}
}

// hold withholds the window's includes that belong to nothing released. Those of
// a part may belong to the rest.
func (a *attachments) hold(w *Window, part *Part) {
	var loose []*Item
	for _, it := range w.Items {
		switch {
		case it.Released == nil, it.Beyond:
		case it.Mode == "include":
			loose = append(loose, it)
		default:
			a.add(it, false)
		}
	}
	for found := true; found; { // includes of includes need another look
		found = false
		loose = slices.DeleteFunc(loose, func(it *Item) bool {
			if !a.belongs(it) {
				return false
			}
			a.add(it, true)
			found = true
			return true
		})
	}
	for _, it := range loose {
		if it.Beyond = !part.whole(); it.Beyond {
			continue
		}
		it.Released, it.Verdict.Allow, it.Verdict.Reason = nil, false, "search.unattached"
		w.Withheld++
	}
}

// add notes what is released; from an include only what is asked to iterate
// goes on.
func (a *attachments) add(it *Item, included bool) {
	self := refOf(it)
	if !included || slices.ContainsFunc(a.reverse, func(i fhir.Include) bool { return i.Iterate }) {
		a.have[self] = true
	}
	for _, inc := range a.include {
		if inc.Source != self.Type || included && !inc.Iterate {
			continue
		}
		for _, ref := range a.refs(it, inc) {
			if inc.Target == "" || inc.Target == ref.Type {
				a.wanted[ref] = true
			}
		}
	}
}

func (a *attachments) belongs(it *Item) bool {
	self := refOf(it)
	if a.wanted[self] {
		return true
	}
	for _, inc := range a.reverse {
		if inc.Source == self.Type && slices.ContainsFunc(a.refs(it, inc), func(r fhir.Ref) bool { return a.have[r] }) {
			return true
		}
	}
	return false
}

func refOf(it *Item) fhir.Ref {
	return fhir.Ref{Type: it.Verdict.Facts.Type, ID: it.Verdict.Facts.ID}
}

// refs are the references of a resource by the parameter of an include.
func (a *attachments) refs(it *Item, inc fhir.Include) []fhir.Ref {
	key := fhir.Include{Source: inc.Source, Param: inc.Param}
	plan, ok := a.plans[key]
	if !ok {
		plan = a.plan(key)
		a.plans[key] = plan
	}
	hits, err := plan.Skim(it.Resource, nil)
	if err != nil {
		return nil
	}
	var refs []fhir.Ref
	for _, h := range hits {
		text, err := wire.Unquote(it.Resource[h.Start:h.End])
		if err != nil {
			continue
		}
		if ref, _, ok := a.court.Bases.ParseRef(text); ok {
			refs = append(refs, ref)
		}
	}
	return refs
}

// plan reads the elements of a reference parameter, of all of them for "*".
// A canonical reference stands in the element itself.
func (a *attachments) plan(inc fhir.Include) *wire.Plan {
	var paths []string
	for p := range a.court.Version.SearchParams(inc.Source) {
		if p.Type != "reference" || inc.Param != "*" && inc.Param != p.Code {
			continue
		}
		elements, err := search.Elements(a.court.Version, inc.Source, p.Code)
		if err != nil {
			continue // it yields no references: what was included by it stays withheld
		}
		for _, e := range elements {
			paths = append(paths, e+".reference")
		}
	}
	slices.Sort(paths)
	return wire.NewPlan(slices.Compact(paths)...)
}
