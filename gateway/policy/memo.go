package policy

import (
	"slices"

	"gatehouse/fhir"
)

// Memo remembers what was decided last, for resources that agree in all that it
// depended on: neighbours on a page. It is of one goroutine, and what it was told
// must not change while it is used. The zero Memo is ready.
type Memo struct {
	eval   *Evaluation
	rules  *residual // of eval for a type
	seen   [4]seen
	count  int   // of all that were kept
	misses int   // since one was found
	last   *seen // what was found or kept last; nil where the last decision was not
}

// seen is one resource and what was decided on it.
type seen struct {
	uses     uses // that the decision depended on
	facts    *fhir.Facts
	consent  ConsentResult
	relation *Relation
	decision Decision
}

// maxMisses is when a memory that finds nothing is given up.
const maxMisses = 16

// find is what was decided where rules read what they would read of res.
func (m *Memo) find(v *Evaluation, r *residual, res *Resource) (Decision, bool) {
	if m == nil {
		return Decision{}, false
	}
	if m.eval != v || m.rules != r {
		*m = Memo{eval: v, rules: r, misses: m.misses}
	}
	for i := range min(m.count, len(m.seen)) {
		s := &m.seen[i]
		if !sameConsent(s.uses, &s.consent, &res.Consent) || s.uses&usesRelation != 0 && !sameRelation(s.relation, res.Relation) {
			continue
		}
		if sameFacts(s.uses, s.facts, res.Facts) {
			m.misses, m.last = 0, s
			return s.decision, true
		}
	}
	m.misses++
	return Decision{}, false
}

func (m *Memo) keep(f *frame, res *Resource, d Decision) {
	if m == nil || m.misses > maxMisses {
		return
	}
	m.last = &m.seen[m.count%len(m.seen)]
	*m.last = seen{m.rules.dependsOn(f), res.Facts, res.Consent, res.Relation, d}
	m.count++
}

// forget begins a decision.
func (m *Memo) forget() {
	if m != nil {
		m.last = nil
	}
}

// Covers tells whether the last decision is that on another resource too, of the
// same type and with the same consent and relation. False may be for want of memory.
func (m *Memo) Covers(f *fhir.Facts) bool {
	return m != nil && m.last != nil && m.eval.engine.watch == nil && sameFacts(m.last.uses|usesType, m.last.facts, f)
}

func sameConsent(u uses, a, b *ConsentResult) bool {
	return (u&usesDecision == 0 || a.Decision == b.Decision) && (u&usesProvision == 0 || a.Provision == b.Provision) && (u&usesSource == 0 || a.Source == b.Source)
}

// sameRelation is sure: a patient with no care around is like another.
func sameRelation(a, b *Relation) bool { return a == b || a.empty() && b.empty() }

func (r *Relation) empty() bool {
	return r != nil && len(r.Encounters)+len(r.CareTeams)+len(r.Practitioners) == 0
}

// sameFacts compares the facts that are used.
func sameFacts(u uses, a, b *fhir.Facts) bool {
	text := func(bit uses, a, b string) bool { return u&bit == 0 || a == b }
	list := func(bit uses, a, b []string) bool { return u&bit == 0 || slices.Equal(a, b) }
	return text(usesType, a.Type, b.Type) && text(usesID, a.ID, b.ID) && text(usesOrganization, a.Organization, b.Organization) &&
		text(usesStatus, a.Status, b.Status) && text(usesAuthor, a.Author, b.Author) && text(usesEncounter, a.Encounter, b.Encounter) &&
		text(usesDate, a.Date, b.Date) && (u&usesPatients == 0 || a.Unnamed == b.Unnamed) && list(usesPatients, a.Patients, b.Patients) &&
		list(usesPractitioners, a.Practitioners, b.Practitioners) && list(usesLabels, a.Labels, b.Labels) &&
		list(usesCategories, a.Categories, b.Categories) && list(usesCodes, a.Codes, b.Codes)
}
