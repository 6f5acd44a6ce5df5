package gateway

import (
	"context"
	"net/http"

	"gatehouse/fhir"
)

// This file tells how many resources match a search. A count is told only where
// each of them could be read: of two counts that differ by one criterion the
// difference is a row, hidden or not (Q-05, DESIGN §10.5).

// asksCount tells whether a search wants to know how many match, exactly.
// _total=estimate does not: it may be left without an answer.
func asksCount(a *fhir.Access) bool {
	return a.Results.Total == "accurate" || a.Results.Summary == "count"
}

// exact tells whether all that a narrowed search can find is the caller's to
// see, so that the upstream's rows are the caller's. certain is how policy is
// asked that: for resources of a type, and of a patient where scope narrows to one.
func (x *exchange) exact(ctx context.Context, m *matter, certain func(typ, patient string) bool) bool {
	a := m.asked
	if m.plain != nil || len(m.shown) > 0 || x.blocking() || a.Type == "" || a.Type == "Binary" || bundleType(a) != "searchset" || a.Interaction == fhir.Operation || !x.caller.grants.NarrowsExactly(a) {
		return false
	}
	patient := x.caller.grants.NarrowsTo(a)
	s := x.caller.subject
	own := patient != "" && patient == s.Patient && patient == s.FHIRUser // whom no consent binds
	_, belongs := a.Version.Compartment("Patient", a.Type)
	return (x.s.consent == nil || !belongs || own) && certain(a.Type, patient)
}

// countable tells whether a count of what matches may be told at all.
func (x *exchange) countable(ctx context.Context, m *matter) bool {
	return x.exact(ctx, m, func(typ, patient string) bool {
		switch {
		case m.eval.Certain(ctx, typ):
			return true
		case patient != "":
			return m.eval.CertainOf(ctx, typ, patient)
		}
		nobodys := len(m.asked.Version.FactElements(typ, "patients")) == 0
		return nobodys && m.eval.CertainOf(ctx, typ)
	})
}

// mayCount refuses a search that asks for a number that may not be told.
func (x *exchange) mayCount(ctx context.Context, m *matter) error {
	if !asksCount(m.access) {
		return nil
	}
	may := x.countable(ctx, m)
	if m.at != (place{}) { // later pages repeat what the first one said while the policy is the same (DESIGN §10.8)
		if may && x.page.Revision == x.s.policy.Revision() {
			m.count = x.page.Count
		}
		return nil
	}
	if !may {
		return uncountable("A count would tell of resources that you may not see. Leave out _total and _summary=count; Bundle.total is given where the whole result is yours.")
	}
	return nil
}

// count finds the number that a search asks for.
func (x *exchange) count(ctx context.Context, m *matter) error {
	if !asksCount(m.access) || m.at != (place{}) {
		return nil
	}
	n := 0
	if !m.empty {
		var err error
		if n, err = x.countOf(ctx, m); err != nil {
			return err
		}
	}
	n = m.rounded(n)
	m.count = &n
	return nil
}

func uncountable(text string) *failure {
	return &failure{status: http.StatusForbidden, code: "search.count", text: text}
}

// countOf asks the upstream. Its rows are judged like any others: where all of
// them came, they are the count, whatever the upstream did with the criteria.
// Where there are more, its own count is believed only if nothing that came is
// hidden, it shows that it heeds the narrowing (P-12, P-13), and no labels may
// withhold what did not come; else those are counted one by one too.
func (x *exchange) countOf(ctx context.Context, m *matter) (int, error) {
	size, alone := windowEntries, *upstreamForm(m.access)
	alone.Results = fhir.Results{Count: &size, Total: "accurate"}
	c := *m
	c.access, c.view, c.at = &alone, nil, place{} // no row of it is shown
	c.printed = alone.Target()
	p, err := x.countPage(ctx, &c, c.printed)
	switch {
	case err != nil || p == nil:
		return 0, err
	case !p.more && (p.rows > 0 || p.total == 0):
		return p.visible, nil
	case !p.said || p.rows == 0 || p.total < p.rows || p.visible < p.rows || !x.heeded(ctx, m, p.self):
		return 0, uncountable("The FHIR server behind the gateway does not show that it counts only what is yours. Leave out _total and _summary=count, or narrow the search.")
	case !x.refrains(ctx, m.asked.Type):
		return p.total, nil
	}
	return x.countOn(ctx, &c, p)
}

// countOn counts the pages after the first one too.
func (x *exchange) countOn(ctx context.Context, m *matter, p *counted) (int, error) {
	n := p.visible
	for range maxRefill - 1 {
		if p.next == "" {
			break
		}
		var err error
		if p, err = x.countPage(ctx, m, p.next); err != nil || p == nil {
			return n, err
		}
		if n += p.visible; !p.more {
			return n, nil
		}
	}
	return 0, uncountable("A count of so many could tell of resources that their labels keep from you. Leave out _total and _summary=count, or narrow the search.")
}

// counted is what a page of a search adds to its count, and what it says.
type counted struct {
	rows, visible, total int
	said, more           bool // a total; that there is another page
	next, self           string
}

func (x *exchange) countPage(ctx context.Context, m *matter, target string) (*counted, error) {
	r, err := x.pageAt(ctx, m, place{Target: target})
	if err != nil || r == nil {
		return nil, err
	}
	defer r.Recycle()
	var p counted
	for last := false; !last; {
		w, err := r.Next(ctx)
		if err != nil {
			return nil, badUpstream(err)
		}
		x.watchNarrowing(m, w)
		for _, it := range w.Items {
			if it.Mode != "match" {
				continue
			}
			if p.rows++; it.Verdict.Allow {
				p.visible++
			} else {
				x.withheld(it)
			}
		}
		last = w.Last
	}
	p.total, p.said = r.Total()
	p.more, p.next, p.self = r.Link("next") != "", x.nextTarget(r), r.Link("self")
	return &p, nil
}

// heeded tells whether the upstream did what the search was narrowed by: its
// self link says so, or it was tried.
func (x *exchange) heeded(ctx context.Context, m *matter, self string) bool {
	for _, p := range x.caller.grants.Narrow(m.asked) {
		p.Values = x.s.byEveryName(p)
		if !x.s.linkNames(self, p) && !x.s.heeds(ctx, m.access.Type, p) {
			x.alarm("upstream.ignored-narrowing")
			return false
		}
	}
	return true
}
