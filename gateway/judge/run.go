package judge

import (
	"slices"

	"gatehouse/fhir"
)

// Entries of a page that are alike stand together. Scope, consent and the labels'
// obligations say of each in such a run what they say of its first; policy says
// which facts it went by. One that is like the last in these is decided with it.

// runs numbers the runs of a window; none is begun where scope, an emergency grant or
// the token's own consent may ask for more.
type runs struct {
	first  *Item // of the run at hand; nil: there is none
	number int
	on     bool
}

func (c *Court) runs(items int) runs {
	return runs{on: items > 1 && c.Grants.Plain() && len(c.Granted) == 0 && c.Actor.Residual == nil}
}

// begin begins a run with what has passed scope. What a Binary is about is found
// for each.
func (r *runs) begin(it *Item) {
	if !r.on || it.Verdict.Facts.Type == "Binary" {
		r.first = nil
		return
	}
	r.number++
	r.first, it.run = it, r.number
}

// goesOn tells whether an entry belongs to the run at hand, and so passes scope as
// its first did.
func (r *runs) goesOn(it *Item) bool {
	if r.first == nil || r.first.Mode != it.Mode || !alike(&r.first.Verdict.Facts, &it.Verdict.Facts) {
		return false
	}
	it.run = r.number
	return true
}

// alike compares all that scope, consent and labels go by in a run.
func alike(a, b *fhir.Facts) bool {
	return a.Type == b.Type && a.Unnamed == b.Unnamed && a.UnknownLabel == b.UnknownLabel &&
		slices.Equal(a.Patients, b.Patients) && slices.Equal(a.Labels, b.Labels)
}

// like decides on an entry as on the last of its run, where nothing that was gone by
// there is different here.
func (s *surroundings) like(last, it *Item) bool {
	if last == nil || last.run == 0 || last.run != it.run || !s.memo.Covers(&it.Verdict.Facts) {
		return false
	}
	if s.steadyOf != last {
		s.steadyOf, s.steady = last, s.consents.Steady(last.Verdict.Facts.Patients)
	}
	if !s.steady {
		return false
	}
	v, as := &it.Verdict, &last.Verdict
	v.Allow, v.Reason, v.Grant, v.Consent, v.Decision, v.Eval, v.Relation = as.Allow, as.Reason, as.Grant, as.Consent, as.Decision, as.Eval, as.Relation
	return true
}
