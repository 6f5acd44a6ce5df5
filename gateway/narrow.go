package gateway

import (
	"context"
	"slices"

	"gatehouse/fhir"
	"gatehouse/fhir/search"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/policy"
)

// narrow adds to a search what scope and policy demand of every match, so that
// pages are full and the upstream does not send what would be withheld. It only
// ever adds: criteria of one search are joined by AND. What security rests on
// is the judgement of each resource that comes back.
func (x *exchange) narrow(ctx context.Context, m *matter) {
	defer x.step("narrow")()
	switch m.access.Interaction {
	case fhir.SearchType, fhir.SearchCompartment, fhir.SearchSystem:
	default:
		if !m.access.Conditional && m.access.Operation != "$lastn" {
			return
		}
	}
	m.byScope = x.and(m, x.caller.grants.Narrow(m.access))
	if action(m.access) == "search" || m.access.Operation == "$lastn" {
		m.byPolicy = x.and(m, m.eval.Narrow(ctx, m.access.Type, x.finder(ctx, m.access)))
	}
}

// finder knows the parameters that find a fact, among those that the upstream
// can be searched by.
func (x *exchange) finder(ctx context.Context, a *fhir.Access) policy.Finder {
	return func(fact, value string) []fhir.Param {
		return slices.DeleteFunc(search.Finding(a.Version, a.Type, fact, value), func(p fhir.Param) bool {
			return !x.s.searchableBy(ctx, a.Type, p.Name, p.Type)
		})
	}
}

// and adds criteria to a search, and returns those that it did not have.
func (x *exchange) and(m *matter, criteria []fhir.Param) (added []fhir.Param) {
	for _, p := range criteria {
		p.Values = x.s.byEveryName(p)
		if !slices.ContainsFunc(m.access.Criteria, func(q fhir.Param) bool { return same(p, q) }) {
			added = append(added, p)
		}
	}
	if len(added) > 0 {
		narrowed := *m.access
		narrowed.Criteria = slices.Concat(m.access.Criteria, added)
		m.access = &narrowed
	}
	return added
}

// byEveryName are a criterion's values, references also as they stand in
// records that give them below another name of the upstream: it may find those
// by that name alone.
func (s *snapshot) byEveryName(p fhir.Param) []string {
	values := p.Values
	if p.Type == "reference" {
		for _, alias := range s.cfg.Upstream.ParsedAliases {
			for _, ref := range p.Values {
				values = append(slices.Clip(values), alias.String()+"/"+ref)
			}
		}
	}
	return values
}

func same(p, q fhir.Param) bool {
	return p.Name == q.Name && p.Modifier == q.Modifier && len(q.Chain) == 0 && q.Has == nil && slices.Equal(p.Values, q.Values)
}

// watchNarrowing raises an alarm when a match comes back that narrowing had
// excluded: the upstream ignores what it is told.
func (x *exchange) watchNarrowing(m *matter, w *judge.Window) {
	for _, it := range w.Items {
		if it.Mode == "match" && (it.Verdict.Reason == "scope.instance" && len(m.byScope) > 0 ||
			it.Verdict.Reason == "policy.denied" && len(m.byPolicy) > 0 && !x.meets(it, m)) {
			x.alarm("upstream.ignored-narrowing")
			return
		}
	}
}

// meets tells whether a resource that policy denies meets what policy narrowed
// the search by: these are not all of its conditions.
func (x *exchange) meets(it *judge.Item, m *matter) bool {
	criteria, err := search.Compile(m.access.Version, m.access.Type, m.byPolicy, x.s.bases)
	if err != nil {
		return true
	}
	var t wire.Tree
	if t.Parse(it.Resource) != nil {
		return true
	}
	holds, err := criteria.Match(&t)
	return holds || err != nil
}

// upstreamForm is the read or search as the upstream gets it: whole resources,
// since elements and summaries are cut after judgement (a part may lack the
// label or the patient that it must be judged by, FHIR-07), and no total of its own
// counting, since it counts what the caller may not see.
func upstreamForm(a *fhir.Access) *fhir.Access {
	if a.Operation == "$lastn" {
		return lastSearch(a)
	}
	if r := &a.Results; r.Elements == nil && r.Summary == "" && r.Total == "" {
		return a
	}
	up := *a
	up.Results.Elements, up.Results.Summary, up.Results.Total = nil, "", ""
	return &up
}
