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
		return &failure{status: http.StatusForbidden, code: "scope.instance", text: "Your scopes do not let you write a resource of this content."}
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
	inner, err := c.Version.ReadFacts(raw, c.Bases)
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
		return &failure{status: http.StatusForbidden, code: "scope.instance", text: "Your scopes do not let you write a resource of this content."}
	}
	return nil
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
	return true, read.view != nil || len(it.Verdict.Decision.Obligations.Views) > 0
}
