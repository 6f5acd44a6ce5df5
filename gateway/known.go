package gateway

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"gatehouse/fhir/wire"
	"gatehouse/gateway/upstream"
	"gatehouse/gateway/view"
)

// knownTogether is how many patients are asked for in one search.
const knownTogether = 100

// known finds the names and numbers of patients, for views that take them out of
// texts: one own search for many. Whom it does not find is not in what it gives, and
// texts about them are taken out whole.
func (x *exchange) known(ctx context.Context, patients []string) map[string][]string {
	slices.Sort(patients)
	found := map[string][]string{}
	for batch := range slices.Chunk(slices.Compact(patients), knownTogether) {
		ids := make([]string, len(batch))
		for i, p := range batch {
			ids[i] = strings.TrimPrefix(p, "Patient/")
		}
		query := "_id=" + url.QueryEscape(strings.Join(ids, ",")) + "&_count=200"
		err := gather(ctx, x.s.up, int64(x.s.cfg.Limits.Resource), upstream.Known, "Patient", query, func(resource []byte) error {
			var t wire.Tree
			if err := t.Parse(resource); err != nil {
				return err
			}
			if id := t.Get(0, "id"); id >= 0 && slices.Contains(batch, "Patient/"+t.Text(id)) {
				found["Patient/"+t.Text(id)] = view.NamesIn(&t)
			}
			return nil
		})
		if err != nil {
			x.alarm("view.known")
		}
	}
	return found
}
