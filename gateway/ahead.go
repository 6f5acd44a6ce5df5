package gateway

import "context"

// lookAhead finds where the next page begins, none where nothing of what is
// left is visible: a link to a page that turns out empty would tell that rows
// are hidden, and with _count=1 which.
func (x *exchange) lookAhead(ctx context.Context, m *matter, at place) place {
	if at.Target == "" || at.Skip > 0 || x.allVisible(ctx, m) {
		return at // a place within a page is that of a visible row
	}
	for rows := 0; rows < maxRows; {
		found, next, n, err := x.peek(ctx, m, at)
		if err != nil || found {
			return at // a page that cannot be had now is asked for again when its link is followed
		}
		if next == "" {
			return place{}
		}
		at.Target = next
		rows += max(n, leastRows)
	}
	return at
}

// peek tells whether anything of an upstream page is visible, and else what
// page follows and how many rows this one had.
func (x *exchange) peek(ctx context.Context, m *matter, at place) (found bool, next string, rows int, err error) {
	r, err := x.pageAt(ctx, m, at)
	if err != nil || r == nil {
		return false, "", 0, err
	}
	defer r.Recycle()
	for {
		w, err := r.Next(ctx)
		if err != nil {
			return false, "", 0, badUpstream(err)
		}
		rows += len(w.Items)
		if shown(w) > 0 {
			return true, "", rows, nil
		}
		if w.Last {
			return false, x.nextTarget(r), rows, nil
		}
	}
}

// allVisible tells whether nothing that matches can be hidden from the caller,
// so that the upstream's next page is the caller's.
func (x *exchange) allVisible(ctx context.Context, m *matter) bool {
	if len(m.access.Results.Include)+len(m.access.Results.RevInclude) > 0 {
		return false
	}
	return x.exact(ctx, m, func(typ, _ string) bool { return m.eval.Certain(ctx, typ) }) && !x.refrains(ctx, m.asked.Type)
}
