package gateway

import (
	"context"
	"net/http"
	"slices"

	"gatehouse/fhir"
	"gatehouse/fhir/search"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/scope"
	"gatehouse/gateway/upstream"
)

// This file answers what a search asks about other resources than its own:
// chains and reverse chains. Sent upstream as they stand they are evaluated on
// resources that the caller may not see, and whether a row comes back tells of
// those (law 5, Q-02, FHIR-06). So a hop onto a type of which anything may be
// hidden is made here, as a search of its own whose rows are judged like any
// others, and is replaced by the ids that are left.

// maxHop is how many resources one hop may lead over.
const maxHop = 500

// maxHopSearches is how many searches the chains of one search may lead to: each
// is a request to the upstream, and more where its answer has pages (L-03).
const maxHopSearches = 10

// hopped is what the chains of a search came to so far.
type hopped struct {
	searches int
	replaced map[string]fhir.Param // by the search that a criterion is alone
}

// hops replaces the criteria that hop onto what may be hidden. Pages of a
// search whose hops were made are not made again.
func (x *exchange) hops(ctx context.Context, m *matter) error {
	if m.empty || m.at.Target != "" || !slices.ContainsFunc(m.access.Criteria, hopping) {
		return nil
	}
	if m.hopped == nil {
		m.hopped = &hopped{}
	}
	a := *m.access
	a.Criteria = slices.Clone(a.Criteria)
	for i := range a.Criteria {
		c := &a.Criteria[i]
		if !hopping(*c) {
			continue
		}
		certain, err := x.certain(ctx, m, c)
		if err != nil {
			return err
		}
		if certain {
			continue
		}
		replaced, err := x.hopOnce(ctx, m.hopped, a.Type, c)
		if err != nil {
			return err
		}
		if len(replaced.Values) == 0 {
			m.empty = true
			return nil
		}
		*c = replaced
	}
	m.access = &a
	return nil
}

func hopping(p fhir.Param) bool { return p.Has != nil || len(p.Chain) > 1 }

// certain tells whether nothing of the types that a criterion hops onto can be
// hidden from the caller. It refuses a hop onto a type that the caller may see
// nothing of, or only through a view that the search was not held against.
func (x *exchange) certain(ctx context.Context, m *matter, c *fhir.Param) (bool, error) {
	all := true
	for _, typ := range hopTypes(c) {
		in, err := x.onto(ctx, &fhir.Access{Interaction: fhir.SearchType, Type: typ, Version: m.access.Version})
		if err != nil {
			return false, err
		}
		_, inner := in.eval.Possible()
		_, outer := m.eval.Possible()
		if !slices.Equal(inner.Obligations.Views, outer.Obligations.Views) {
			return false, &failure{status: http.StatusBadRequest, code: "view.parameter-hidden",
				text: "A chain leads to resources that you see in another form. Search those by themselves."}
		}
		_, belongs := m.access.Version.Compartment("Patient", typ)
		all = all && in.eval.Certain(ctx, typ) && !x.blocking() && (x.s.consent == nil || !belongs) && !x.refrains(ctx, typ)
	}
	return all, nil
}

// hopTypes are the types that a criterion is evaluated on beside its own.
func hopTypes(c *fhir.Param) []string {
	var types []string
	for ; c.Has != nil; c = c.Has.Then {
		types = append(types, c.Has.Type)
	}
	for i := 1; i < len(c.Chain); i++ {
		types = append(types, c.Chain[i].Types...)
	}
	return types
}

// onto prepares a search of the gateway's own behind a hop. That the scopes
// allow the hop, and the client's view its parameters, was checked with the
// criterion as a whole; only the rows are left to judge.
func (x *exchange) onto(ctx context.Context, a *fhir.Access) (*matter, error) {
	m := &matter{asked: a, access: a}
	view, domain := x.record.View, x.record.Domain
	err := x.chooseView(ctx, m)
	x.record.View, x.record.Domain = view, domain
	if err != nil {
		return nil, err
	}
	m.view = nil // no row of it is shown
	if err := x.checkPolicy(m); err != nil {
		return nil, err
	}
	x.narrow(ctx, m)
	return m, nil
}

// hopOnce makes a hop that was not made yet.
func (x *exchange) hopOnce(ctx context.Context, h *hopped, typ string, c *fhir.Param) (fhir.Param, error) {
	alone := fhir.Access{Interaction: fhir.SearchType, Type: typ, Criteria: []fhir.Param{*c}, Version: x.s.grammar.Version}
	name := alone.Target()
	if known, ok := h.replaced[name]; ok {
		return known, nil
	}
	found, err := x.hop(ctx, h, typ, c)
	if err != nil {
		return found, err
	}
	if h.replaced == nil {
		h.replaced = map[string]fhir.Param{}
	}
	h.replaced[name] = found
	return found, nil
}

// hop makes the first step of a criterion on typ and gives what it comes to:
// the references or ids that it leads from, none where nothing is left.
func (x *exchange) hop(ctx context.Context, h *hopped, typ string, c *fhir.Param) (fhir.Param, error) {
	if c.Has != nil {
		found := fhir.Param{Name: "_id", Type: "token"}
		err := x.over(ctx, h, c.Has.Type, []fhir.Param{*c.Has.Then}, func(it *judge.Item) error {
			return x.referred(c.Has, typ, it, &found)
		})
		return found, err
	}
	found := fhir.Param{Name: c.Chain[0].Name, Type: "reference"}
	for _, next := range c.Chain[1].Types {
		rest := *c
		rest.Name, rest.Chain = c.Chain[1].Name, nil
		if len(c.Chain) > 2 {
			rest.Chain = slices.Clone(c.Chain[1:])
			rest.Chain[0].Types = []string{next}
		}
		err := x.over(ctx, h, next, []fhir.Param{rest}, func(it *judge.Item) error {
			return add(&found, next+"/"+it.Verdict.Facts.ID)
		})
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

func add(p *fhir.Param, value string) error {
	if slices.Contains(p.Values, value) {
		return nil
	}
	if len(p.Values) == maxHop {
		return tooBroad()
	}
	p.Values = append(p.Values, value)
	return nil
}

func tooBroad() *failure {
	return &failure{status: http.StatusUnprocessableEntity, code: "search.too-broad",
		text: "A chain of the search leads over too many resources. Narrow it, or search in two steps."}
}

// referred adds the ids of typ that the reference of a _has points to.
func (x *exchange) referred(h *fhir.Has, typ string, it *judge.Item, found *fhir.Param) error {
	elements, err := search.Elements(x.s.grammar.Version, h.Type, h.Ref)
	if err != nil {
		return internal(err)
	}
	for i := range elements {
		elements[i] += ".reference"
	}
	hits, err := wire.NewPlan(elements...).Skim(it.Resource, nil)
	if err != nil {
		return badUpstream(err)
	}
	for _, h := range hits {
		text, err := wire.Unquote(it.Resource[h.Start:h.End])
		if err != nil {
			return badUpstream(err)
		}
		if ref, _, ok := x.s.bases.ParseRef(text); ok && ref.Type == typ {
			if err := add(found, ref.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// over hands each visible match of a search of the gateway's own to each.
func (x *exchange) over(ctx context.Context, h *hopped, typ string, criteria []fhir.Param, each func(*judge.Item) error) error {
	if h.searches++; h.searches > maxHopSearches {
		return &failure{status: http.StatusBadRequest, code: "request.too-many-parameters",
			text: "The chains of a search lead to more searches than the gateway makes for one. Search in several steps."}
	}
	count := windowEntries
	m, err := x.onto(ctx, &fhir.Access{Interaction: fhir.SearchType, Type: typ, Criteria: criteria,
		Version: x.s.grammar.Version, Results: fhir.Results{Count: &count}})
	if err != nil {
		return err
	}
	m.hopped = h
	if err := x.hops(ctx, m); err != nil || m.empty {
		return err
	}
	m.printed = m.access.Target()
	target := m.printed
	visible := func(it *judge.Item) error {
		if !it.Verdict.Allow {
			return nil
		}
		return each(it)
	}
	for range maxRefill {
		if target, err = x.overPage(ctx, m, target, visible); err != nil || target == "" {
			return err
		}
	}
	return tooBroad()
}

// overPage hands each match of a page to each, visible or not.
func (x *exchange) overPage(ctx context.Context, m *matter, target string, each func(*judge.Item) error) (next string, err error) {
	r := m.request(target)
	r.ID = x.id
	own, err := x.s.up.Own(ctx, upstream.Hop, r)
	if err != nil {
		return "", upstreamFailed(err, http.MethodGet)
	}
	if own.Status != http.StatusOK {
		defer own.Body.Close()
		return "", x.searchStatus(&upstream.Answer{Head: own.Head})
	}
	court := x.court(m)
	court.Letter = scope.Included // to look at them, reading or searching is enough
	reading, err := court.Open(policy.Hold(own.Body), x.expect(ctx, m), x.s.windows())
	if err != nil {
		return "", internal(err)
	}
	defer reading.Close()
	for last := false; !last; {
		w, err := reading.Next(ctx)
		if err != nil {
			return "", badUpstream(err)
		}
		last = w.Last
		for _, it := range w.Items {
			if it.Mode == "match" {
				if err := each(it); err != nil {
					return "", err
				}
			}
		}
	}
	return x.nextTarget(reading), nil
}
