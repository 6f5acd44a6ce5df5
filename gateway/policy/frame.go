package policy

import (
	"sync"

	"gatehouse/fhir"
)

// frame is what compiled conditions look at: one request, one resource, and
// where each loop over a list stands.
type frame struct {
	request  *Request
	now      string
	facts    *fhir.Facts
	patients []string
	consent  *ConsentResult
	relation *Relation
	index    [maxLoops]int
}

// maxLoops bounds the lists that one rule may walk; a rule with more goes to
// OPA.
const maxLoops = 8

var frames = sync.Pool{New: func() any { return new(frame) }}

// release forgets the resource before the frame is used again.
func (f *frame) release() {
	*f = frame{}
	frames.Put(f)
}

// What an expression depends on: expressions of the request alone are settled
// before any resource is seen, and resources that differ in nothing that is used
// are decided alike (Memo).
type uses uint32

const (
	usesRequest uses = 1 << iota
	usesLoop         // the place in a loop
	usesType
	usesID
	usesOrganization
	usesStatus
	usesAuthor
	usesEncounter
	usesDate
	usesPractitioners
	usesLabels
	usesCategories
	usesCodes
	usesPatients
	usesDecision // of the patients' consents
	usesProvision
	usesSource
	usesRelation

	usesResource = ^usesRequest // any of these
)

func textFact(u uses, get func(*fhir.Facts) string) expr {
	return textExpr(u, func(f *frame) (string, bool) { return get(f.facts), true })
}

func listFact(u uses, get func(*fhir.Facts) []string) expr {
	return listExpr(u, func(f *frame) ([]string, bool) { return get(f.facts), true })
}

func requestText(get func(*frame) string) expr {
	return textExpr(usesRequest, func(f *frame) (string, bool) { return get(f), true })
}

// requestGiven is undefined where it is empty (see requestInput).
func requestGiven(get func(*frame) string) expr {
	return textExpr(usesRequest, func(f *frame) (string, bool) { s := get(f); return s, s != "" }).maybe(true)
}

func relationList(get func(*Relation) []string) expr {
	return listExpr(usesRelation, func(f *frame) ([]string, bool) {
		if f.relation == nil {
			return nil, false
		}
		return get(f.relation), true
	}).maybe(true)
}

// unknowns are the input paths that no residual knows: what differs from
// resource to resource and, so that callers share residuals, what differs from
// request to request.
var unknowns = map[string]expr{
	"input.resource.type":          textFact(usesType, func(f *fhir.Facts) string { return f.Type }),
	"input.resource.id":            textFact(usesID, func(f *fhir.Facts) string { return f.ID }),
	"input.resource.organization":  textFact(usesOrganization, func(f *fhir.Facts) string { return f.Organization }),
	"input.resource.status":        textFact(usesStatus, func(f *fhir.Facts) string { return f.Status }),
	"input.resource.author":        textFact(usesAuthor, func(f *fhir.Facts) string { return f.Author }),
	"input.resource.encounter":     textFact(usesEncounter, func(f *fhir.Facts) string { return f.Encounter }),
	"input.resource.date":          textFact(usesDate, func(f *fhir.Facts) string { return f.Date }),
	"input.resource.practitioners": listFact(usesPractitioners, func(f *fhir.Facts) []string { return f.Practitioners }),
	"input.resource.labels":        listFact(usesLabels, func(f *fhir.Facts) []string { return f.Labels }),
	"input.resource.categories":    listFact(usesCategories, func(f *fhir.Facts) []string { return f.Categories }),
	"input.resource.codes":         listFact(usesCodes, func(f *fhir.Facts) []string { return f.Codes }),
	"input.resource.patients":      listExpr(usesPatients, func(f *frame) ([]string, bool) { return f.patients, true }),
	"input.consent.decision":       textExpr(usesDecision, func(f *frame) (string, bool) { return f.consent.Decision, true }),
	"input.consent.provision":      textExpr(usesProvision, func(f *frame) (string, bool) { return f.consent.Provision, true }),
	"input.consent.source":         textExpr(usesSource, func(f *frame) (string, bool) { return f.consent.Source, true }),
	"input.relation.care_teams":    relationList(func(r *Relation) []string { return r.CareTeams }),
	"input.relation.practitioners": relationList(func(r *Relation) []string { return r.Practitioners }),
	"input.relation.encounters": {typ: encounters, uses: usesRelation, partial: true, encounters: func(f *frame) []Encounter {
		return f.relation.Encounters
	}, guard: func(f *frame) bool { return f.relation != nil }},
	"input.request.id": requestText(func(f *frame) string { return f.request.ID }),
	"input.context.now": {typ: text, uses: usesRequest, isNow: true,
		text: func(f *frame) (string, bool) { return f.now, true }},
	"input.context.address":   requestText(func(f *frame) string { return f.request.Address }),
	"input.subject.id":        requestText(func(f *frame) string { return f.request.Subject.ID }),
	"input.subject.encounter": requestGiven(func(f *frame) string { return f.request.Subject.Encounter }),
	"input.subject.patient":   requestGiven(func(f *frame) string { return f.request.Subject.Patient }),
	"input.subject.fhir_user": requestGiven(func(f *frame) string { return f.request.Subject.FHIRUser }),
}

var encounterFields = map[string]func(expr) expr{
	"id":           encounterText(func(e *Encounter) string { return e.ID }),
	"status":       encounterText(func(e *Encounter) string { return e.Status }),
	"start":        encounterText(func(e *Encounter) string { return e.Start }),
	"end":          encounterText(func(e *Encounter) string { return e.End }),
	"locations":    encounterList(func(e *Encounter) []string { return e.Locations }),
	"participants": encounterList(func(e *Encounter) []string { return e.Participants }),
	"period":       func(e expr) expr { e.typ = period; return e },
}

func encounterText(get func(*Encounter) string) func(expr) expr {
	return func(e expr) expr {
		return textExpr(e.uses, func(f *frame) (string, bool) {
			if at := e.encounter(f); at != nil {
				return get(at), true
			}
			return "", false
		}).maybe(e.partial)
	}
}

func encounterList(get func(*Encounter) []string) func(expr) expr {
	return func(e expr) expr {
		return listExpr(e.uses, func(f *frame) ([]string, bool) {
			if at := e.encounter(f); at != nil {
				return get(at), true
			}
			return nil, false
		}).maybe(e.partial)
	}
}
