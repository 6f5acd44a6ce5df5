package judge

import "context"

// know looks up the names and numbers of the patients of a window, where a view that
// shows some of it takes them out of texts: one lookup for all.
func (c *Court) know(ctx context.Context, items []*Item) {
	if c.Known == nil {
		return
	}
	var patients []string
	for _, it := range items {
		if !it.Verdict.Allow {
			continue
		}
		w, err := c.viewOf(it.Verdict.Decision.Obligations)
		if err != nil || !w.Knows() { // the error is told when it is shown
			continue
		}
		for _, p := range it.Verdict.Facts.Patients {
			if _, have := c.known[p]; !have {
				patients = append(patients, p)
			}
		}
	}
	if len(patients) == 0 {
		return
	}
	if c.known == nil {
		c.known = map[string][]string{}
	}
	for p, names := range c.Known(ctx, patients) {
		c.known[p] = names
	}
}

// knownOf are the names and numbers of whom a resource is about; whole is false
// where somebody's could not be found out.
func (c *Court) knownOf(v *Verdict) (names []string, whole bool) {
	for _, p := range v.Facts.Patients {
		of, ok := c.known[p]
		if !ok {
			return nil, false
		}
		names = append(names, of...)
	}
	return names, !v.Facts.Unnamed
}
