package policy

import (
	"slices"

	"gatehouse/fhir"
)

// Memo remembers what was decided last, for resources of which the rules read
// the same: neighbours on a page. It is of one goroutine, and what it was told
// must not change while it is used. The zero Memo is ready.
type Memo struct {
	eval  *Evaluation
	typ   string
	rules *residual // of eval for typ
	seen  [4]seen
	count int // of all that were kept
}

// seen is one resource and what was decided on it.
type seen struct {
	facts    *fhir.Facts
	consent  ConsentResult
	relation *Relation
	decision Decision
}

// of makes the memo that of one evaluation's rules for one type.
func (m *Memo) of(v *Evaluation, typ string, r *residual) {
	if m.eval != v || m.typ != typ || m.rules != r {
		*m = Memo{eval: v, typ: typ, rules: r}
	}
}

// find is what was decided where the rules read what they read of res.
func (m *Memo) find(res *Resource) (Decision, bool) {
	for i := range min(m.count, len(m.seen)) {
		s := &m.seen[i]
		if m.rules.uses&usesConsent != 0 && s.consent != res.Consent || m.rules.uses&usesRelation != 0 && s.relation != res.Relation {
			continue
		}
		if sameFacts(m.rules.uses, s.facts, res.Facts) {
			return s.decision, true
		}
	}
	return Decision{}, false
}

func (m *Memo) keep(res *Resource, d Decision) {
	m.seen[m.count%len(m.seen)] = seen{res.Facts, res.Consent, res.Relation, d}
	m.count++
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
