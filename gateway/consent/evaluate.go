package consent

import (
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// query is one access to one resource.
type query struct {
	actor   Actor
	action  string
	facts   *fhir.Facts
	content []byte // the resource; nil: what only it tells is not known
	now     time.Time
	engine  *Engine
	looked  map[string]*lookedUp // what consents refer to
	tree    *wire.Tree           // of content, once it was needed
}

type verdict uint8

const (
	silent verdict = iota
	permit
	deny
)

// match is the answer of a condition. Unknown is one that cannot be told: it
// satisfies a deny and does not satisfy a permit (CONS-06).
type match uint8

const (
	no match = iota
	unknown
	yes
)

func matched(ok bool) match {
	if ok {
		return yes
	}
	return no
}

// clocks is by how much the clock of who gave a consent may run ahead, a date
// in the easternmost zone included.
const clocks = 14*time.Hour + 5*time.Minute

// decide says what one consent means for the access, and by which provision.
func (c *consent) decide(q *query) (verdict, string) {
	if !c.active {
		return silent, ""
	}
	void := c.void || c.given.After(q.now.Add(clocks)) // not given yet (CONS-01)
	v, by := c.root.decide(q, void)
	if v == silent {
		return silent, ""
	}
	return v, by.path
}

// decide evaluates a provision and the exceptions in it. One that does not
// match says nothing, and neither do its exceptions; of exceptions that match,
// a deny wins (CONS-04). Where permits are void, those that stand in a denial
// leave it as it is.
func (p *provision) decide(q *query, void bool) (verdict, *provision) {
	m := p.matches(q)
	if m == no {
		return p.additions(q, void)
	}
	kind := p.kind
	if kind == silent && p.base != nil {
		kind, _ = p.base.decide(q, false)
	}
	if m == unknown && kind == deny {
		return deny, p // it may hold: it counts then, whatever it excepts
	}
	result, by := kind, p
	for i := range p.exceptions {
		v, at := p.exceptions[i].decide(q, void)
		if v == deny {
			return deny, at
		}
		if v == permit && result != permit {
			result, by = permit, at
		}
	}
	if result == permit && (m == unknown || void) {
		return silent, nil
	}
	return result, by
}

// additions are the permits of IHE PCF that stand in a permit with other
// conditions. The period of the whole holds for them too.
func (p *provision) additions(q *query, void bool) (verdict, *provision) {
	if void || p.kind != permit || p.period.holds(q.now) != yes {
		return silent, nil
	}
	result, by := silent, (*provision)(nil)
	for i := range p.exceptions {
		e := &p.exceptions[i]
		v, at := e.decide(q, false)
		if v == deny {
			return silent, nil // what the Consent excepts is not added to it
		}
		if v == permit && e.adds {
			result, by = permit, at
		}
	}
	return result, by
}

// matches tells whether all conditions that the provision names hold; one that
// it does not name holds.
func (p *provision) matches(q *query) match {
	// One after the other and not out of a list: no query then needs the heap.
	all := p.period.holds(q.now)
	for _, list := range [...][]actor{p.actors, p.grantees} {
		all = min(all, q.isAny(list))
	}
	all = min(all, p.byRole(q))
	all = min(all, p.byAction(q))
	all = min(all, p.byPurpose(q))
	all = min(all, p.byLabel(q))
	all = min(all, p.byClass(q))
	all = min(all, p.byCode(q))
	all = min(all, p.byModule(q))
	all = min(all, p.byDate(q))
	if all != no {
		all = min(all, p.byData(q)) // may read the whole resource
	}
	if p.unclear && all == yes {
		return unknown
	}
	return all
}

// anyOf is the best match among alternatives; no alternatives is no condition.
func anyOf[T any](list []T, one func(T) match) match {
	if len(list) == 0 {
		return yes
	}
	best := no
	for _, v := range list {
		best = max(best, one(v))
	}
	return best
}
