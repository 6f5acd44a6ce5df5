// Package judge decides on what comes back: each resource of an answer is
// read for its facts, held against scope, consent and policy, and released,
// changed by the caller's view, or withheld. Nothing from the upstream reaches
// a client but through here.
package judge

import (
	"context"
	"errors"

	"gatehouse/fhir"
	"gatehouse/fhir/search"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/consent"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/relation"
	"gatehouse/gateway/scope"
	"gatehouse/gateway/view"
)

// ErrWithheld is a resource that the caller may not see. To the client it is
// the same as one that does not exist.
var ErrWithheld = errors.New("withheld")

// ErrMalformed is an answer that is not what was asked for: bad JSON, another
// type, another id, an unfinished Bundle. It is never partly released.
var ErrMalformed = errors.New("malformed upstream answer")

// Mapper turns the upstream's URLs into the client's.
type Mapper interface {
	MayName(b []byte) bool                   // could these bytes hold a URL of the upstream?
	Rewrite(t *wire.Tree, edits *wire.Edits) // replaces those that do
}

// Court is all that resources are judged by for one access of one caller.
type Court struct {
	Version fhir.Version
	Bases   *fhir.BaseSet
	Labels  fhir.Labeller // nil: none but those that records have
	Marks   Marks
	Grants  *scope.Grants
	Letter  byte   // c, r, u, d, s
	Action  string // read, search, create, update, delete
	Eval    *policy.Evaluation
	// Granted are the evaluations under the caller's emergency grants, each for
	// what is about its patient alone; all else is then judged by Plain, which
	// is under none.
	Granted  []*policy.Evaluation
	Plain    *policy.Evaluation // nil: Eval
	Consent  *consent.Engine    // nil: consent is not consulted
	Actor    consent.Actor
	Relation *relation.Engine // nil: no rule asks for it
	// RelationOnlyPermits: nothing is forbidden or obliged by it.
	RelationOnlyPermits bool
	Asked               *fhir.Access // what is searched for, as the client put it; nil outside searches
	View                *view.View   // the caller's own; nil: resources as they are
	Shown               []fhir.Param // criteria that a match meets as it is shown, or it is none
	Domain              string
	Base                string // public base URL
	// ViewNamed finds a view that policy obliges.
	ViewNamed func(name string) (*view.View, error)
	// Assured tells whether the caller's login satisfies a step-up.
	Assured func(*policy.StepUp) bool
	// Blocked tells whether nobody may see anything of one of the patients.
	Blocked func(patients []string) bool
	Mapper  Mapper
	// Tag is the client's version of what it sees through a view.
	Tag     func(w *view.View, f *fhir.Facts) string
	Project *Projection
	// Referrer finds the facts of a resource that the caller may see and that a
	// Binary is a part of, nil where there is none; nil: it is not looked for.
	Referrer func(ctx context.Context, id string, binary []byte) *fhir.Facts
	// Timed is told when a judgement begins, and returns what is told of its end.
	Timed func() func()
	// Known finds the names and numbers of patients for views that take them out of
	// texts; nil: they are not looked up. Who is missing could not be found.
	Known func(ctx context.Context, patients []string) map[string][]string
	Alarm func(what string) // something is wrong with the upstream or the policy

	asShown *search.Matcher // of Shown, once compiled
	known   map[string][]string

	room []byte // where views write; grows, and is used again for the next window
}

// Verdict is what was decided on one resource, for the audit record.
type Verdict struct {
	Facts    fhir.Facts
	Allow    bool
	Reason   string // stable code when withheld
	Grant    string // id of the emergency grant under which it was decided, or ""
	Consent  consent.Result
	Decision policy.Decision
	Eval     *policy.Evaluation // what decided; nil where policy was not asked
	Relation *policy.Relation   // that it was asked with; nil where not looked up
}

// Read takes the facts of a resource.
func (c *Court) Read(resource []byte) (Verdict, error) {
	facts, err := c.Version.ReadLabelled(resource, c.Bases, c.Labels)
	if err != nil {
		return Verdict{Reason: "resource.malformed"}, err
	}
	return Verdict{Facts: facts}, nil
}

// Weigh decides on resources whose facts are known: scope first, then one
// lookup of consents and one of care relations for all that scope lets pass,
// then policy. It fills in the verdicts.
func (c *Court) Weigh(ctx context.Context, items []*Item) {
	patients := make([]string, 0, len(items))
	runs := c.runs(len(items))
	for _, it := range items {
		if it.run = 0; it.Verdict.Reason != "" || runs.goesOn(it) {
			continue
		}
		if !c.attach(ctx, it) {
			it.Verdict.Reason = "binary.unresolved"
			continue
		}
		if !c.Grants.Judge(c.letterOf(it), &it.Verdict.Facts, it.Resource) {
			it.Verdict.Reason = "scope.instance"
			continue
		}
		if c.Blocked(it.Verdict.Facts.Patients) {
			it.Verdict.Reason = "patient.blocked"
			continue
		}
		patients = append(patients, it.Verdict.Facts.Patients...)
		runs.begin(it)
	}
	around := c.lookUp(ctx, patients)
	if len(items) > 1 {
		around.memo = new(policy.Memo)
	}
	var last *Item // that was weighed
	for _, it := range items {
		if it.Verdict.Reason == "" && !around.like(last, it) {
			c.weigh(ctx, it, &around)
			last = it
		}
	}
	if c.Relation != nil && c.RelationOnlyPermits {
		c.weighByCare(ctx, items, &around)
	}
	c.know(ctx, items)
}

// weighByCare decides once more on what no rule permits as far as is known
// without the care relation, which is looked up for these alone.
func (c *Court) weighByCare(ctx context.Context, items []*Item, around *surroundings) {
	var again []*Item
	var patients []string
	for _, it := range items {
		v := &it.Verdict
		if v.Reason == "policy.denied" && len(v.Decision.Forbids) == 0 && len(v.Facts.Patients) > 0 {
			again = append(again, it)
			patients = append(patients, v.Facts.Patients...)
		}
	}
	if len(again) == 0 {
		return
	}
	care, err := c.Relation.Load(ctx, patients)
	if err != nil {
		c.Alarm("relation.unavailable")
		return // what is known permits none of them
	}
	around.care = care
	for _, it := range again {
		it.Verdict.Reason = ""
		c.weigh(ctx, it, around)
	}
}

// letterOf is the permission that a resource is held against: what is included
// in a search needs less than a match, what an operation returns more.
func (c *Court) letterOf(it *Item) byte {
	if c.Letter == 's' && it.Mode == "include" {
		return scope.Included
	}
	return c.Letter
}

// surroundings are what was looked up about the patients of a window.
type surroundings struct {
	consents consent.Set
	care     map[string]*relation.Care
	noCare   bool  // it was to be looked up and could not be
	down     error // of the consents

	last     *relation.Care // put into policy's terms as:
	relation *policy.Relation
	resource policy.Resource // the one under judgement
	memo     *policy.Memo    // nil: there is but one
	steadyOf *Item           // of whose patients is known whether consent is one for all their resources:
	steady   bool
}

func (c *Court) lookUp(ctx context.Context, patients []string) surroundings {
	var s surroundings
	if s.consents, s.down = c.consents(ctx, patients); s.down != nil {
		c.Alarm("consent.unavailable")
	}
	if c.Relation == nil || c.RelationOnlyPermits || len(patients) == 0 {
		return s
	}
	care, err := c.Relation.Load(ctx, patients)
	if err != nil {
		c.Alarm("relation.unavailable")
		s.noCare = true
	}
	s.care = care
	return s
}

func (c *Court) consents(ctx context.Context, patients []string) (consent.Set, error) {
	if c.Consent == nil {
		return consent.Set{}, nil
	}
	return c.Consent.Load(ctx, &c.Actor, patients)
}

// weigh holds one resource against consent and policy.
func (c *Court) weigh(ctx context.Context, it *Item, around *surroundings) {
	v := &it.Verdict
	v.Consent = consent.Result{Decision: "n/a"}
	if c.Consent != nil && (len(v.Facts.Patients) > 0 || v.Facts.Unnamed) {
		if around.down == nil {
			v.Consent = around.consents.Decide(&c.Actor, c.Action, &v.Facts, it.Resource)
		} else {
			v.Consent = consent.Result{Decision: "none", Refused: true}
		}
	}
	if left := c.Actor.Residual; left != nil && !v.Consent.Refused {
		if r, refused := left.Refuses(&v.Facts, it.Resource); refused {
			v.Consent = r
		}
	}
	if around.noCare && len(v.Facts.Patients) > 0 {
		v.Reason = "relation.unavailable" // a rule that forbids by it could not
		return
	}
	around.ask(it)
	eval := c.decide(ctx, v, around)
	v.Eval, v.Relation = eval, around.resource.Relation
	switch {
	case v.Decision.Err != nil:
		c.Alarm("policy.error")
		v.Reason = "policy.error"
	case !v.Decision.Allow:
		v.Reason = "policy.denied"
	case v.Consent.Refused && !eval.OverridesConsent(&v.Facts):
		v.Reason = "consent.denied"
		if around.down != nil {
			v.Reason = "consent.unavailable" // before a write that is 503, not a no (DESIGN §10.3)
		}
	default:
		v.Reason = c.heed(v, eval)
		v.Allow = v.Reason == ""
	}
}

// ask makes of a resource the question to policy.
func (s *surroundings) ask(it *Item) {
	v := &it.Verdict
	s.resource = policy.Resource{
		Facts: &v.Facts, Content: it.Resource, Relation: s.careOf(v.Facts.Patients),
		Consent: policy.ConsentResult{Decision: v.Consent.Decision, Provision: v.Consent.Provision, Source: v.Consent.Source},
	}
}

// Question is what policy was asked about a resource that was weighed, to
// explain the answer; nil where scope had refused before.
func (c *Court) Question(ctx context.Context, it *Item) *policy.Resource {
	v := &it.Verdict
	if v.Consent.Decision == "" {
		return nil
	}
	var around surroundings
	if c.Relation != nil {
		around.care, _ = c.Relation.Load(ctx, v.Facts.Patients) // what could not be looked up then is not there now either
	}
	around.ask(it)
	return &around.resource
}

// careOf puts the care around a resource's patients into policy's terms; nil
// where it was not looked up. Resources of a patient stand together, as a rule.
func (s *surroundings) careOf(patients []string) *policy.Relation {
	if s.care == nil {
		return nil
	}
	care := relation.Merge(s.care, patients)
	if care == s.last {
		return s.relation
	}
	r := &policy.Relation{CareTeams: care.CareTeams, Practitioners: care.Practitioners}
	for _, e := range care.Encounters {
		r.Encounters = append(r.Encounters, policy.Encounter(e))
	}
	s.last, s.relation = care, r
	return r
}
