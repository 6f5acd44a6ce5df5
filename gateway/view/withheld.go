package view

import "errors"

// Withheld stands in the place of a resource that could not be brought into the
// form that its reader may see: half a view is none.
const Withheld = `{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"suppressed",` +
	`"details":{"coding":[{"system":"urn:gatehouse:outcome","code":"view.failed"}],"text":"A resource could not be brought into the form that you may see."}}]}`

// ErrMeaning is a resource that would mean something else without what the view
// hides of it: a modifier may say that the opposite is true (R4 §2.4.1.2).
var ErrMeaning = errors.New("the view hides a modifierExtension or implicitRules, without which the resource means something else")

// errRule is a rule that fails on a resource that can be read.
var errRule = errors.New("rule")

// modifies reports members that change what is said around them.
func modifies(name string) bool { return name == "modifierExtension" || name == "implicitRules" }

// modifier decides a member that must be shown whole, or what it is in not at
// all: an element is taken out, a resource withheld.
func (r *run) modifier(parent, c int, f *field) bool {
	labels := r.here.labels
	r.here.labels &^= labelRedacted
	ok := f.info.Array && r.array(parent, c, f) || !f.info.Array && r.one(parent, c, f)
	r.muddled = r.muddled || !ok || r.here.labels&labelRedacted != 0
	r.here.labels |= labels
	return ok
}

// entry shows the resource of a Bundle's entry, and says where it cannot that
// there is one.
func (r *run) entry(i int, outer *resource) bool {
	start := r.mark()
	ok := r.resource(i, outer, false)
	if r.err == nil {
		return ok
	}
	r.err, r.here = nil, *outer
	if r.notes != nil {
		r.notes.refused = true // it may not fail again
	}
	r.restore(start)
	return r.value(i, []byte(Withheld))
}

// meaningless takes out the object whose modifier cannot be shown; of a resource
// nothing is shown then.
func (r *run) meaningless(start mark, root bool) bool {
	r.muddled = false
	r.restore(start)
	if root && r.err == nil {
		r.err = ErrMeaning
	}
	return false
}
