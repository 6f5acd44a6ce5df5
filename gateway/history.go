package gateway

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/fhir"
)

// historyInstance shows the versions of one resource to whoever may see it as
// it is now; each version is judged by itself besides.
func (x *exchange) historyInstance(ctx context.Context, m *matter, out output) error {
	if err := x.visibleNow(ctx, m, fhir.Ref{Type: m.access.Type, ID: m.access.ID}); err != nil {
		return err
	}
	return x.search(ctx, m, out)
}

// currentOf tells which of the resources in a window of a history the caller
// may see as they are now: one search for each type.
func (x *exchange) currentOf(ctx context.Context, m *matter, refs []fhir.Ref) (map[fhir.Ref]bool, error) {
	ids := map[string][]string{}
	seen := map[fhir.Ref]bool{}
	for _, ref := range refs {
		if _, ok := seen[ref]; !ok {
			seen[ref] = false
			ids[ref.Type] = append(ids[ref.Type], ref.ID)
		}
	}
	for typ, list := range ids {
		if err := x.currentType(ctx, m, typ, list, seen); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

func (x *exchange) currentType(ctx context.Context, m *matter, typ string, ids []string, seen map[fhir.Ref]bool) error {
	target := typ + "?_id=" + url.QueryEscape(strings.Join(ids, ",")) + "&_count=" + "1000"
	answer, err := x.own(ctx, target)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		defer discard(answer)
		return x.searchStatus(answer)
	}
	now := &fhir.Access{Interaction: fhir.SearchType, Type: typ}
	r, err := x.court(m).Open(answer.Body, x.expect(ctx, &matter{access: now, asked: now}), x.s.windows())
	if err != nil {
		return internal(err)
	}
	defer r.Close()
	for last := false; !last; {
		w, err := r.Next(ctx)
		if err != nil {
			return badUpstream(err)
		}
		last = w.Last
		for _, it := range w.Items {
			if it.Verdict.Allow {
				seen[fhir.Ref{Type: it.Verdict.Facts.Type, ID: it.Verdict.Facts.ID}] = true
			}
		}
	}
	return nil
}
