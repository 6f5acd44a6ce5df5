package judge

import "slices"

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
