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
	count  int // of all that were kept
	misses int // since one was found
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
		if s.uses&usesConsent != 0 && s.consent != res.Consent || s.uses&usesRelation != 0 && !sameRelation(s.relation, res.Relation) {
			continue
		}
		if sameFacts(s.uses, s.facts, res.Facts) {
			m.misses = 0
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
	m.seen[m.count%len(m.seen)] = seen{m.rules.dependsOn(f), res.Facts, res.Consent, res.Relation, d}
	m.count++
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
