package gateway

import (
	"context"
	"net/http"

	"gatehouse/fhir"
	"gatehouse/gateway/judge"
)

// identifyTarget resolves the criteria of a conditional update, patch or
// delete to the one resource that they name among those that the caller may
// see; m.access.ID stays empty where they name none.
func (x *exchange) identifyTarget(ctx context.Context, m *matter) error {
	if !m.access.Conditional {
		return nil
	}
	it, err := x.resolve(ctx, m)
	if err != nil || it == nil {
		return err
	}
	one := *m.access
	one.ID = it.Verdict.Facts.ID
	m.access = &one
	return nil
}

// resolve finds the one visible match of conditional criteria, nil where there
// is none. The upstream is never sent the criteria with the write: what it
// would match might be what the caller may not see.
func (x *exchange) resolve(ctx context.Context, m *matter) (*judge.Item, error) {
	search, err := x.prepare(ctx, &fhir.Access{Interaction: fhir.SearchType, Type: m.asked.Type, Criteria: m.asked.Criteria})
	if err != nil {
		return nil, err
	}
	answer, err := x.own(ctx, search.access.Target())
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		defer discard(answer)
		return nil, x.searchStatus(answer)
	}
	r, err := x.court(search).Open(answer.Body, x.expect(ctx, search), x.s.windows())
	if err != nil {
		return nil, internal(err)
	}
	defer r.Close()
	w, err := r.Next(ctx)
	if err != nil {
		return nil, badUpstream(err)
	}
	var found *judge.Item
	for _, it := range w.Items {
		if !it.Verdict.Allow {
			continue
		}
		if found != nil {
			return nil, &failure{status: http.StatusPreconditionFailed, code: "conditional.ambiguous",
				text: "The criteria match more than one resource. Name one."}
		}
		found = it
	}
	if !w.Last && found == nil {
		return nil, &failure{status: http.StatusPreconditionFailed, code: "conditional.ambiguous", text: "The criteria match too many resources. Name one."}
	}
	return found, nil
}
