package view

import (
	"slices"

	"gatehouse/fhir"
	"gatehouse/fhir/search"
)

// Outcome is what becomes of a request under a view.
type Outcome uint8

// Outcomes. The zero Outcome serves nothing.
const (
	Absent  Outcome = iota // an id that names nothing for this domain: the 404 of an absent one, no upstream call
	Nothing                // no resource can match: an empty searchset, no upstream call
	Proceed                // the access now holds real ids
)

// Inbound turns the pseudonyms of one access into real ids, in place, and
// refuses what would tell what the view hides: parameters, chains, sort keys
// and includes that touch hidden or changed elements. Real ids match nothing.
// Entries of a batch are each given to it on their own. Context needs Domain
// alone. It must be called once per access: what it has opened is no pseudonym.
// shown are criteria that went upstream widened: what comes back must be held
// against them in the form that the view gives it.
func (w *View) Inbound(a *fhir.Access, c Context) (outcome Outcome, shown []fhir.Param, err *fhir.Error) {
	in := &inbound{view: w, domain: c.Domain}
	if outcome, err = in.access(a); err != nil {
		return Absent, nil, err
	}
	return outcome, in.shown, nil
}

func (in *inbound) access(a *fhir.Access) (Outcome, *fhir.Error) {
	if err := in.view.readOnly(a); err != nil {
		return Absent, err
	}
	if !in.path(a) {
		return Absent, nil
	}
	if err := in.results(a); err != nil {
		return Absent, err
	}
	outcome := Proceed
	for i := range a.Criteria {
		if in.dated(a, &a.Criteria[i]) {
			continue
		}
		matches, err := in.criterion(a, &a.Criteria[i])
		if err != nil {
			return Absent, err
		}
		if !matches {
			outcome = Nothing
		}
	}
	if err := in.widen(a); err != nil {
		return Absent, err
	}
	for _, f := range a.Filters {
		sub, err := (&inbound{view: in.view, domain: in.domain, filter: true}).access(f)
		if err != nil {
			return Absent, err
		}
		if sub != Proceed {
			outcome = Nothing
		}
	}
	return outcome, nil
}

// Shows tells whether all that a search parameter evaluates on typ is shown as
// it is.
func (w *View) Shows(typ, code string) bool {
	return (&inbound{view: w}).touches(typ, code, probe{}) == Kept
}

// Searchable tells whether any search by a parameter of typ gets through: the
// CapabilityStatement lists no other.
func (w *View) Searchable(typ, code string) bool {
	sp, _ := w.version.SearchParam(typ, code)
	switch (&inbound{view: w}).touches(typ, code, probe{}) {
	case Kept:
		return true
	case Pseudonymized:
		return sp.Type == "reference" || sp.Type == "token"
	case Partly:
		return sp.Type == "token"
	}
	_, ok := w.reach(typ, code)
	return ok
}

// Includes tells whether a reference parameter of typ may be followed.
func (w *View) Includes(typ, code string) bool {
	v := (&inbound{view: w}).touches(typ, code, probe{})
	return v == Kept || v == Pseudonymized
}

type inbound struct {
	view   *View
	domain string
	filter bool         // of an export, whose files are not held against what is shown
	shown  []fhir.Param // see Inbound
}

func refuse(code, text string) *fhir.Error { return &fhir.Error{Status: 400, Code: code, Text: text} }

// readOnly: what a view shows may not be written back unless it is merged; it
// would erase what is hidden (W-11), and patch tests would ask for it.
func (w *View) readOnly(a *fhir.Access) *fhir.Error {
	switch a.Interaction {
	case fhir.Create, fhir.Update, fhir.Patch, fhir.Delete, fhir.Transaction:
		if w.writes && !a.Conditional && a.Interaction != fhir.Transaction {
			return nil
		}
		return &fhir.Error{Status: 403, Code: "view.read-only", Text: "This client sees transformed resources and cannot write them."}
	case fhir.Operation:
		if len(a.Body) > 0 {
			return refuse("view.parameter-hidden", "Under this client's view an operation takes its parameters in the URL, by GET.")
		}
	}
	return nil
}

// path opens the ids in the path. false: one of them names nothing here.
func (in *inbound) path(a *fhir.Access) (ok bool) {
	if a.ID != "" {
		if a.ID, ok = in.real(a.Type, a.ID); !ok {
			return false
		}
	}
	if a.VersionID != "" && in.view.MapsIDs() {
		if a.VersionID, ok = in.view.RealVersion(in.domain, a.Type, a.ID, a.VersionID); !ok {
			return false
		}
	}
	if a.Compartment.ID != "" {
		if a.Compartment.ID, ok = in.real(a.Compartment.Type, a.Compartment.ID); !ok {
			return false
		}
	}
	return true
}

func (in *inbound) real(typ, id string) (string, bool) {
	if in.view.oneWay(typ) {
		return "", false
	}
	if !in.view.MapsIDs() {
		return id, true
	}
	return in.view.mapper().codec.Real(in.domain, typ, id)
}

// results judges what shapes the answer (Q-04: order tells values).
func (in *inbound) results(a *fhir.Access) *fhir.Error {
	types := in.types(a)
	for _, key := range a.Results.Sort {
		for _, typ := range types {
			if in.touches(typ, key.Name, probe{}) != Kept {
				return hidden("_sort=" + key.Name)
			}
		}
	}
	for _, include := range slices.Concat(a.Results.Include, a.Results.RevInclude) {
		if include.Param == "*" || include.Source == "*" {
			return hidden("_include or _revinclude of everything")
		}
		if v := in.touches(include.Source, include.Param, probe{}); v != Kept && v != Pseudonymized {
			return hidden("_include or _revinclude of " + include.Param)
		}
	}
	if a.Results.Since != "" || a.Results.At != "" {
		for _, typ := range types {
			if in.view.judge(typ, "meta.lastUpdated", "date", probe{}) != Kept {
				return hidden("_since or _at")
			}
		}
	}
	return nil
}

// types are those on which criteria and sort keys are evaluated.
func (in *inbound) types(a *fhir.Access) []string {
	if a.Type != "" {
		return []string{a.Type}
	}
	if types := a.Types(); len(types) > 0 {
		return types
	}
	return in.view.version.ResourceTypes()
}

func hidden(what string) *fhir.Error {
	return refuse("view.parameter-hidden", what+" touches what this client's view hides or changes. Leave it out.")
}

// touches is the strictest verdict on what a parameter evaluates.
func (in *inbound) touches(typ, code string, p probe) Verdict {
	sp, ok := in.view.version.SearchParam(typ, code)
	if !ok {
		return Hidden
	}
	elements, err := search.Elements(in.view.version, typ, code)
	if err != nil || len(elements) == 0 {
		return Hidden
	}
	kind := sp.Type
	if kind == "composite" { // its parts are of several kinds: all of each element counts
		kind = ""
	}
	verdict := Kept
	for _, e := range elements {
		verdict = min(verdict, in.view.judge(typ, e, kind, p))
	}
	return verdict
}
