package gateway

import (
	"context"
	"net/http"

	"gatehouse/fhir"
	"gatehouse/fhir/search"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
)

// target names what a write is about: criteria are resolved to the one resource
// that they name among those that the caller may see; the id stays empty where
// they name none.
func (x *exchange) target(ctx context.Context, s *step) error {
	a := s.m.access
	s.ref = fhir.Ref{Type: a.Type, ID: a.ID}
	if !a.Conditional {
		return nil
	}
	it, err := x.resolve(ctx, s.m.asked)
	if err != nil {
		return err
	}
	if it == nil {
		s.chosen = a.Interaction == fhir.Update && s.chooseID()
		return nil
	}
	if a.Interaction == fhir.Create {
		s.existed = it
	}
	s.name(it.Verdict.Facts.ID)
	return nil
}

// name gives a write its resource's id.
func (s *step) name(id string) {
	one := *s.m.access
	one.ID = id
	s.m.access, s.ref.ID = &one, id
}

// chooseID takes the id of the body where the criteria of an update match
// nothing: FHIR then has the client choose it. It reports whether there is one.
func (s *step) chooseID() bool {
	var t wire.Tree
	if t.Parse(s.m.access.Body) != nil {
		return false
	}
	i := t.Get(0, "id")
	if i < 0 || !fhir.ValidID(t.Text(i)) {
		return false
	}
	s.name(t.Text(i))
	return true
}

// inner prepares an access of the gateway's own making, as a part of one that
// the caller was charged for: what the caller could not ask for itself is not
// asked on its behalf.
func (x *exchange) inner(ctx context.Context, a *fhir.Access) (*matter, error) {
	m := &matter{asked: a, access: a}
	if err := x.chooseView(ctx, m); err != nil {
		return nil, err
	}
	if err := x.firewall(m); err != nil {
		return nil, err
	}
	if err := x.hidesLabels(a); err != nil {
		return nil, err
	}
	if err := x.checkScope(m); err != nil {
		return nil, err
	}
	if err := x.checkPolicy(m); err != nil {
		return nil, err
	}
	if err := x.checkAssurance(m); err != nil {
		return nil, err
	}
	x.narrow(ctx, m)
	return m, nil
}

// maxMatches is the page size of the search behind a write's criteria.
const maxMatches = 50

// resolve finds the one visible match of conditional criteria, nil where there
// is none. The upstream is never sent the criteria with the write: what it
// would match might be what the caller may not see.
func (x *exchange) resolve(ctx context.Context, asked *fhir.Access) (*judge.Item, error) {
	count := maxMatches
	m, err := x.inner(ctx, &fhir.Access{Interaction: fhir.SearchType, Type: asked.Type, Criteria: asked.Criteria, Version: asked.Version,
		Results: fhir.Results{Count: &count}})
	if err != nil {
		return nil, err
	}
	if m.view != nil {
		return nil, readOnly()
	}
	if err := x.hops(ctx, m); err != nil || m.empty {
		return nil, err
	}
	var found *judge.Item
	target := m.access.Target()
	for range maxRefill {
		next, err := x.matchesOn(ctx, m, target, &found)
		if err != nil || next == "" {
			return found, err
		}
		target = next
	}
	return nil, ambiguous("The criteria match too many resources. Name one.")
}

func ambiguous(text string) *failure {
	return &failure{status: http.StatusPreconditionFailed, code: "conditional.ambiguous", text: text}
}

// matchesOn looks for the match on one page of the upstream's answer.
func (x *exchange) matchesOn(ctx context.Context, m *matter, target string, found **judge.Item) (next string, err error) {
	answer, err := x.own(ctx, target)
	if err != nil {
		return "", err
	}
	if answer.Status != http.StatusOK {
		defer discard(answer)
		return "", x.searchStatus(answer)
	}
	r, err := x.court(m).Open(answer.Body, x.expect(ctx, m), x.s.windows())
	if err != nil {
		return "", internal(err)
	}
	defer r.Close()
	for last := false; !last; {
		w, err := r.Next(ctx)
		if err != nil {
			return "", badUpstream(err)
		}
		last = w.Last
		for _, it := range w.Items {
			if !x.isMatch(m, it) {
				continue
			}
			if *found != nil && (*found).Verdict.Facts.ID != it.Verdict.Facts.ID {
				return "", ambiguous("The criteria match more than one resource. Name one.")
			}
			one := *it
			one.Resource = nil // the window's bytes are used again
			*found = &one
		}
	}
	return x.nextTarget(r), nil
}

// isMatch tells whether the caller may see the resource and the client's
// criteria hold of it. A server that ignores a criterion would have another
// record overwritten; where the gateway can evaluate them too, it does.
func (x *exchange) isMatch(m *matter, it *judge.Item) bool {
	if !it.Verdict.Allow || it.Mode != "match" {
		if it.Verdict.Reason != "" {
			x.withheld(it)
		}
		return false
	}
	criteria, err := search.Compile(m.access.Version, m.access.Type, m.asked.Criteria, x.s.bases)
	if err != nil {
		return true
	}
	var t wire.Tree
	if t.Parse(it.Resource) != nil {
		return false
	}
	if holds, err := criteria.Match(&t); err != nil || holds {
		return true
	}
	x.alarm("upstream.ignored-criteria")
	return false
}
