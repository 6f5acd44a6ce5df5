package policy

import (
	"strings"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/auth"
)

// situation is one representative case: who asks, and how the record stands to
// them.
type situation struct {
	name  string
	shape func(*Request, *Resource)
	asked bool // by a rule, perhaps of the caller too
}

const (
	self   = "Practitioner/self"
	home   = "Organization/home"
	person = "Patient/one"
)

// plain are the caller's standings to a record that tables and rules know.
func plain() []situation {
	return []situation{
		{name: "a record of another organization", shape: func(*Request, *Resource) {}},
		{name: "a record of their own organization", shape: func(_ *Request, r *Resource) { r.Facts.Organization = home }},
		{name: "a record that names them", shape: func(_ *Request, r *Resource) { r.Facts.Practitioners = []string{self} }},
		{name: "a record of a patient in their current encounter", shape: func(_ *Request, r *Resource) { r.Relation.Encounters = []Encounter{current()} }},
		{name: "a record of a patient whose care team they are in", shape: func(_ *Request, r *Resource) { r.Relation.Practitioners = []string{self} }},
		{name: "a record of another patient", shape: func(_ *Request, r *Resource) { r.Facts.Patients = []string{"Patient/two"} }},
		{name: "a record about nobody in care", shape: func(_ *Request, r *Resource) {
			r.Facts.Patients, r.Consent.Decision = nil, "n/a"
		}},
	}
}

func current() Encounter {
	return Encounter{ID: "now", Status: "in-progress", Start: "2026-01-01T00:00:00Z", Participants: []string{self}}
}

// favourable is a record to which the caller stands in every way there is: what
// keeps it from them is then what else the situation names.
func favourable(_ *Request, r *Resource) {
	r.Facts.Organization, r.Facts.Practitioners = home, []string{self}
	r.Relation.Encounters, r.Relation.Practitioners = []Encounter{current()}, []string{self}
}

func labelled(labels []string) situation {
	return situation{name: "a record labelled " + strings.Join(labels, " or "), shape: func(q *Request, r *Resource) {
		favourable(q, r)
		r.Facts.Labels = labels[:1]
	}}
}

// asRuleAsks are the cases in which what a rule asks for by name holds: beside
// everything else that ties the caller to the record, and alone.
func asRuleAsks(rule string, askings []asking) []situation {
	name := "a record as " + rule + " asks for"
	put := func(q *Request, r *Resource) {
		for _, a := range askings {
			setters[a.path](q, r, a.value)
		}
	}
	return []situation{
		{name, func(q *Request, r *Resource) { favourable(q, r); put(q, r) }, true},
		{name + ", to which nothing else ties them", func(q *Request, r *Resource) {
			r.Relation.Encounters = []Encounter{current()}
			r.Relation.Encounters[0].Participants = nil
			put(q, r)
		}, true},
	}
}

// setters make a path of the input be, or hold, a text.
var setters = map[string]func(*Request, *Resource, string){
	"input.subject.organization":  func(q *Request, _ *Resource, s string) { q.Subject.Organization = s },
	"input.subject.acr":           func(q *Request, _ *Resource, s string) { q.Subject.ACR = s },
	"input.subject.id":            func(q *Request, _ *Resource, s string) { q.Subject.ID = s },
	"input.subject.scopes":        func(q *Request, _ *Resource, s string) { q.Subject.Scopes = append(q.Subject.Scopes, s) },
	"input.client.id":             func(q *Request, _ *Resource, s string) { q.Client.ID = s },
	"input.interaction":           func(q *Request, _ *Resource, s string) { q.Interaction = s },
	"input.request.operation":     func(q *Request, _ *Resource, s string) { q.Operation = s },
	"input.context.address":       func(q *Request, _ *Resource, s string) { q.Address = s },
	"input.consent.decision":      func(_ *Request, r *Resource, s string) { r.Consent.Decision = s },
	"input.resource.organization": func(_ *Request, r *Resource, s string) { r.Facts.Organization = s },
	"input.resource.status":       func(_ *Request, r *Resource, s string) { r.Facts.Status = s },
	"input.resource.author":       func(_ *Request, r *Resource, s string) { r.Facts.Author = s },
	"input.resource.encounter":    func(_ *Request, r *Resource, s string) { r.Facts.Encounter = s },
	"input.resource.date":         func(_ *Request, r *Resource, s string) { r.Facts.Date = s },
	"input.resource.practitioners": func(_ *Request, r *Resource, s string) {
		r.Facts.Practitioners = append(r.Facts.Practitioners, s)
	},
	"input.resource.labels":            func(_ *Request, r *Resource, s string) { r.Facts.Labels = append(r.Facts.Labels, s) },
	"input.resource.categories":        func(_ *Request, r *Resource, s string) { r.Facts.Categories = append(r.Facts.Categories, s) },
	"input.resource.codes":             func(_ *Request, r *Resource, s string) { r.Facts.Codes = append(r.Facts.Codes, s) },
	"input.relation.encounters.status": func(_ *Request, r *Resource, s string) { r.Relation.Encounters[0].Status = s },
	"input.relation.encounters.locations": func(_ *Request, r *Resource, s string) {
		e := &r.Relation.Encounters[0]
		e.Locations = append(e.Locations, s)
	},
	"input.relation.encounters.participants": func(_ *Request, r *Resource, s string) {
		e := &r.Relation.Encounters[0]
		e.Participants = append(e.Participants, s)
	},
	"input.relation.care_teams": func(_ *Request, r *Resource, s string) { r.Relation.CareTeams = append(r.Relation.CareTeams, s) },
	"input.relation.practitioners": func(_ *Request, r *Resource, s string) {
		r.Relation.Practitioners = append(r.Relation.Practitioners, s)
	},
}

// asOf is the time of every representative case: a diff of the same two
// policies is the same tomorrow, but for what expires by then.
var asOf = time.Now

// blank is a caller with nothing but a name and a record that stands in no way
// to them.
func blank(action, interaction, typ string) (*Request, *Resource) {
	q := &Request{Action: action, Interaction: interaction, Type: typ, Now: asOf(), Client: ClientInfo{ID: "app"},
		Subject: &auth.Subject{Issuer: "https://idp.example.org", ID: "someone", Client: "app", Organization: home, FHIRUser: self}}
	r := &Resource{Facts: &fhir.Facts{Type: typ, ID: "one", Patients: []string{person}, Organization: "Organization/elsewhere"},
		Consent: ConsentResult{Decision: "permit"}, Relation: &Relation{}}
	return q, r
}
