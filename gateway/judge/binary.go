package judge

import (
	"context"
	"slices"
)

// attach ties a Binary that does not say whose it is to the resource that it
// is a part of: its bytes cannot be looked into, so it is seen by whoever may
// see that resource, and by nobody where there is none (D-06, D-07, FHIR-19).
// Writes are judged by what they say themselves.
func (c *Court) attach(ctx context.Context, it *Item) bool {
	f := &it.Verdict.Facts
	if f.Type != "Binary" || len(f.Patients) > 0 || c.Letter == 'c' || c.Letter == 'u' || c.Letter == 'd' {
		return true
	}
	if c.Referrer == nil {
		return false
	}
	of := c.Referrer(ctx, f.ID, it.Resource)
	if of == nil {
		return false
	}
	f.Patients, f.Unnamed = of.Patients, of.Unnamed
	f.Labels = append(slices.Clone(f.Labels), of.Labels...)
	return true
}
