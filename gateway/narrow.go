package gateway

import (
	"slices"

	"gatehouse/fhir"
)

// narrow adds to a search what scope demands of every match, so that pages are
// full and the upstream does not send what would be withheld. It only ever
// adds: criteria of one search are joined by AND. What security rests on is
// the judgement of each resource that comes back.
func (x *exchange) narrow(m *matter) {
	switch m.access.Interaction {
	case fhir.SearchType, fhir.SearchCompartment, fhir.SearchSystem:
	default:
		if !m.access.Conditional {
			return
		}
	}
	add := x.caller.grants.Narrow(m.access)
	if len(add) == 0 {
		return
	}
	narrowed := *m.access
	narrowed.Criteria = slices.Clone(m.access.Criteria)
	for _, p := range add {
		if !slices.ContainsFunc(narrowed.Criteria, func(q fhir.Param) bool { return same(p, q) }) {
			narrowed.Criteria = append(narrowed.Criteria, p)
		}
	}
	m.added = len(add)
	m.access = &narrowed
}

func same(p, q fhir.Param) bool {
	return p.Name == q.Name && p.Modifier == q.Modifier && len(q.Chain) == 0 && q.Has == nil && slices.Equal(p.Values, q.Values)
}

// upstreamForm is the read or search as the upstream gets it: whole resources,
// since elements and summaries are cut after judgement (a part may lack the
// label or the patient that it must be judged by, FHIR-07), and no total of its own
// counting, since it counts what the caller may not see.
func upstreamForm(a *fhir.Access) *fhir.Access {
	if r := &a.Results; r.Elements == nil && r.Summary == "" && r.Total == "" {
		return a
	}
	up := *a
	up.Results.Elements, up.Results.Summary, up.Results.Total = nil, "", ""
	return &up
}
