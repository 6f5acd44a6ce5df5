package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
)

// This file judges what a resource would become by a write, and what its writer
// may know of it as it is.

// after judges a draft. Refusing it needs no secrecy: the caller knows what it
// wrote.
func (x *exchange) after(ctx context.Context, c *judge.Court, s *step, d draft) (*judge.Item, error) {
	if c.View != nil { // what is written is nothing to be shown, and may have no id yet
		whole := *c
		whole.View = nil
		c = &whole
	}
	it, err := c.Resource(ctx, d.judged, fhir.Ref{Type: s.m.access.Type})
	if err != nil {
		return nil, x.refusedDraft(it, err)
	}
	if err := x.unviewed(it); err != nil {
		return nil, err
	}
	return it, x.within(ctx, c, it)
}

func (x *exchange) refusedDraft(it *judge.Item, err error) error {
	if !errors.Is(err, judge.ErrWithheld) {
		return &failure{status: http.StatusBadRequest, code: "resource.invalid", text: "The body is not a resource that can be read.", log: err}
	}
	x.withheld(it)
	switch it.Verdict.Reason {
	case "scope.instance":
		return notInScope()
	case "policy.error", "relation.unavailable", "consent.unavailable":
		return policyDown(errors.New(it.Verdict.Reason))
	}
	return &failure{status: http.StatusForbidden, code: "policy.denied", text: "You may not write a resource of this content."}
}

// within judges the resources within one: what is contained may be about nobody
// but whom its container is about, and a Bundle's entries are each judged as if
// written by themselves (W-17, FHIR-18).
func (x *exchange) within(ctx context.Context, c *judge.Court, it *judge.Item) error {
	var t wire.Tree
	if err := t.Parse(it.Resource); err != nil {
		return badBody(err)
	}
	if list := t.Get(0, "contained"); list >= 0 {
		for i := range t.Children(list) {
			if err := x.contained(c, it, t.Raw(i)); err != nil {
				return err
			}
		}
	}
	list := t.Get(0, "entry")
	if it.Verdict.Facts.Type != "Bundle" || list < 0 {
		return nil
	}
	for i := range t.Children(list) {
		r := t.Get(i, "resource")
		if r < 0 {
			continue
		}
		typ := t.Get(r, "resourceType")
		inner, err := c.Resource(ctx, t.Raw(r), fhir.Ref{Type: t.Text(typ)})
		if err != nil {
			return x.refusedDraft(inner, err)
		}
		if err := x.within(ctx, c, inner); err != nil {
			return err
		}
	}
	return nil
}

func (x *exchange) contained(c *judge.Court, it *judge.Item, raw []byte) error {
	inner, err := c.Version.ReadLabelled(raw, c.Bases, c.Labels)
	if err != nil {
		return badBody(err)
	}
	whole := it.Verdict.Facts
	for _, p := range inner.Patients {
		if !slices.Contains(whole.Patients, p) {
			return &failure{status: http.StatusUnprocessableEntity, code: "resource.contained",
				text: "A contained resource is about another patient than the resource that contains it."}
		}
	}
	whole.Unnamed = whole.Unnamed || inner.Unnamed
	if !c.Grants.Judge(c.Letter, &whole, it.Resource) {
		return notInScope()
	}
	return nil
}

func notInScope() *failure {
	return &failure{status: http.StatusForbidden, code: "scope.instance", text: "Your scopes do not let you write a resource of this content."}
}

// judgeLinks keeps a caller who is bound to one patient from declaring another
// to be the same person: some server or reader would merge the two (B-07).
func (x *exchange) judgeLinks(s *step) error {
	if s.after == nil || s.after.Verdict.Facts.Type != "Patient" {
		return nil
	}
	var known []string
	if s.before != nil {
		known = x.links(s.before.Resource)
	}
	linked := s.after.Verdict.Facts
	for _, p := range x.links(s.after.Resource) {
		if !slices.Contains(known, p) && !slices.Contains(linked.Patients, p) {
			linked.Patients = append(slices.Clone(linked.Patients), p)
		}
	}
	if !x.caller.grants.Judge('u', &linked, s.after.Resource) && !x.caller.grants.Judge('c', &linked, s.after.Resource) {
		return notInScope()
	}
	return nil
}

// links are the patients that a Patient is linked to.
func (x *exchange) links(doc []byte) []string {
	var t wire.Tree
	if t.Parse(doc) != nil || t.Get(0, "link") < 0 {
		return nil
	}
	var found []string
	for i := range t.Children(t.Get(0, "link")) {
		other := t.Get(i, "other")
		if other < 0 {
			continue
		}
		if r := t.Get(other, "reference"); r >= 0 {
			if ref, _, ok := x.s.bases.ParseRef(t.Text(r)); ok && ref.Type == "Patient" {
				found = append(found, ref.String())
			}
		}
	}
	return found
}

// creation is the court of an update that turns out to create: policy is asked
// about a creation, and where criteria found nothing so is scope. A PUT to a
// new id needs u alone (STANDARDS §1.1).
func (x *exchange) creation(ctx context.Context, m *matter) (*judge.Court, error) {
	made := *m.access
	made.Interaction, made.Conditional, made.Criteria = fhir.Create, false, nil
	c := &matter{asked: m.asked, access: &made}
	if err := x.chooseView(ctx, c); err != nil {
		return nil, err
	}
	if c.view != nil {
		return nil, readOnly()
	}
	if m.access.Conditional {
		if err := x.checkScope(c); err != nil {
			return nil, err
		}
	}
	if err := x.checkPolicy(c); err != nil {
		return nil, err
	}
	court := x.court(c)
	if !m.access.Conditional {
		court.Letter = 'u'
	}
	return court, nil
}

// reads tells whether the caller may read the resource as it is, and whether it
// would see it in a changed form.
func (x *exchange) reads(ctx context.Context, m *matter, before *judge.Item) (readable, changed bool) {
	read := x.matter(&fhir.Access{Interaction: fhir.Read, Type: m.access.Type, ID: m.access.ID})
	if x.chooseView(ctx, read) != nil {
		return false, true
	}
	it, err := x.court(read).Resource(ctx, before.Resource, fhir.Ref{Type: m.access.Type, ID: m.access.ID})
	if err != nil {
		return false, false
	}
	return true, read.view != nil || it.Unmarked || len(it.Verdict.Decision.Obligations.Views) > 0
}
