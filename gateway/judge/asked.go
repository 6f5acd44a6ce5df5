package judge

import (
	"errors"
	"fmt"
	"slices"

	"gatehouse/fhir/search"
	"gatehouse/fhir/wire"
)

// asksHidden tells whether a search asked about what a view hides or changes
// that policy obliges for this resource alone. The firewall could not refuse
// it, for it did not know the resource; to have matched would tell what is
// hidden, so the resource does not match (law 5).
func (c *Court) asksHidden(it *Item) bool {
	obliged := it.Verdict.Decision.Obligations.Views
	if len(obliged) == 0 || c.Asked == nil {
		return false
	}
	_, known := c.Eval.Possible()
	for _, name := range obliged {
		if slices.Contains(known.Obligations.Views, name) {
			continue // the firewall has held the search against it
		}
		w, err := c.ViewNamed(name)
		if err != nil {
			return true
		}
		for _, t := range c.Asked.Touches() {
			if t.Type == it.Verdict.Facts.Type && !w.Shows(t.Type, t.Name) {
				return true
			}
		}
	}
	return false
}

// errUnmatched is a resource that meets a criterion as it is, and not as the
// caller sees it.
var errUnmatched = errors.New("no match as it is shown")

// meetsAsShown holds what a view has made of a resource against the criteria
// that only this can be held against: shifted dates, for one. By what the
// resource was, a search would find out how far they are shifted.
func (c *Court) meetsAsShown(typ string, shown []byte) error {
	if c.asShown == nil {
		m, err := search.Compile(c.Version, typ, c.Shown, c.Bases)
		if err != nil {
			return fmt.Errorf("criteria on what is shown: %w", err)
		}
		c.asShown = m
	}
	var t wire.Tree
	if err := t.Parse(shown); err != nil {
		return fmt.Errorf("criteria on what is shown: %w", err)
	}
	meets, err := c.asShown.Match(&t)
	if err != nil {
		return fmt.Errorf("criteria on what is shown: %w", err)
	}
	if !meets {
		return errUnmatched
	}
	return nil
}
