package consent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/fhir"
)

// query is one access to one resource.
type query struct {
	actor  Actor
	action string
	facts  *fhir.Facts
	now    time.Time
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

// decide says what one consent means for the access, and by which provision.
func (c *consent) decide(q *query) (verdict, string) {
	if !c.inForce(q.now) {
		return silent, ""
	}
	v, path := c.root.decide(q, "provision")
	if v == permit && c.unclear {
		return silent, "" // it says something that is not understood, and may restrict
	}
	return v, path
}

func (c *consent) inForce(now time.Time) bool {
	return c.active && c.root.period.holds(now) == yes
}

// decide evaluates a provision and the exceptions in it. One that does not
// match says nothing, and neither do its exceptions; of exceptions that match,
// a deny wins (CONS-04).
func (p *provision) decide(q *query, path string) (verdict, string) {
	m := p.matches(q)
	if m == no {
		return silent, ""
	}
	result, where := p.kind, path
	for i := range p.exceptions {
		v, at := p.exceptions[i].decide(q, fmt.Sprintf("%s.provision[%d]", path, i))
		if v == deny {
			return deny, at
		}
		if v == permit && result != permit {
			result, where = permit, at
		}
	}
	if m == unknown {
		// It may or may not hold: a deny then counts, whatever it excepts, and
		// a permit does not.
		if p.kind == deny {
			return deny, path
		}
		return silent, ""
	}
	if result == silent {
		return silent, ""
	}
	return result, where
}

// matches tells whether all conditions that the provision names hold; one that
// it does not name holds.
func (p *provision) matches(q *query) match {
	// One after the other and not out of a list: no query then needs the heap.
	all := p.inPeriod(q)
	all = min(all, p.byActor(q))
	all = min(all, p.byAction(q))
	all = min(all, p.byPurpose(q))
	all = min(all, p.byLabel(q))
	all = min(all, p.byClass(q))
	all = min(all, p.byCode(q))
	all = min(all, p.byData(q))
	all = min(all, p.byDate(q))
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

func (p *provision) inPeriod(q *query) match { return p.period.holds(q.now) }

func (p *provision) byActor(q *query) match {
	return anyOf(p.actors, func(ref string) match {
		typ, _, _ := strings.Cut(ref, "/")
		switch typ {
		case "Practitioner", "PractitionerRole", "RelatedPerson", "Patient":
			return matched(ref == q.actor.User)
		case "Organization":
			return matched(ref == q.actor.Organization)
		case "Device":
			return matched(ref == "Device/"+q.actor.Client || ref == q.actor.User)
		}
		return unknown // a CareTeam or Group, whose members are not known here, or no reference at all
	})
}

var actionCodes = map[string][]string{
	"read": {"access", "disclose", "use"}, "search": {"access", "disclose", "use"}, "operation": {"access", "disclose", "use"},
	"create": {"collect"}, "update": {"collect", "correct"}, "delete": {"correct"},
}

func (p *provision) byAction(q *query) match {
	return anyOf(p.actions, func(code string) match {
		switch code {
		case "access", "disclose", "use", "collect", "correct":
			return matched(slices.Contains(actionCodes[q.action], code))
		}
		return unknown
	})
}

func (p *provision) byPurpose(q *query) match {
	if len(p.purposes) > 0 && len(q.actor.Purpose) == 0 {
		return unknown // a caller who does not say why cannot be told from one who may not
	}
	return anyOf(p.purposes, func(code string) match {
		for _, asked := range q.actor.Purpose {
			if subsumes(code, asked) {
				return yes
			}
		}
		return no
	})
}

func (p *provision) byLabel(q *query) match {
	return anyOf(p.labels, func(code string) match { return labelled(q.facts.Labels, code, p.kind) })
}

func (p *provision) byClass(q *query) match {
	return anyOf(p.classes, func(c coding) match {
		if strings.HasSuffix(c.system, "/resource-types") || c.system == "" {
			return matched(c.code == q.facts.Type)
		}
		return unknown // a profile or a document class
	})
}

func (p *provision) byCode(q *query) match {
	return anyOf(p.codes, func(c coding) match {
		full := c.system + "|" + c.code
		return matched(slices.Contains(q.facts.Codes, full) || slices.Contains(q.facts.Categories, full))
	})
}

func (p *provision) byData(q *query) match {
	return anyOf(p.data, func(d datum) match {
		self := q.facts.Type + "/" + q.facts.ID
		switch d.meaning {
		case "instance":
			return matched(d.ref == self)
		case "related":
			return matched(d.ref == self || d.ref != "" && d.ref == q.facts.Encounter)
		case "authoredby":
			return matched(d.ref != "" && (d.ref == q.facts.Author || slices.Contains(q.facts.Practitioners, d.ref)))
		}
		if d.ref == self {
			return yes
		}
		return unknown // dependents: what refers to it cannot be told from here
	})
}

func (p *provision) byDate(q *query) match {
	if p.dataPeriod == (period{}) {
		return yes
	}
	if q.facts.Date == "" {
		return unknown
	}
	from, to, ok := span(q.facts.Date)
	if !ok {
		return unknown
	}
	first, last := p.dataPeriod.holds(from), p.dataPeriod.holds(to.Add(-time.Nanosecond))
	if first != last {
		return unknown // a partial date that lies partly inside
	}
	return first
}

// confidentiality orders v3-Confidentiality.
const confidentiality = "ULMNRV"

// labelled tells whether a label of a provision speaks of a resource. A
// confidentiality level in a deny means that level and above, in a permit that
// level and below; an unlabelled resource is N.
func labelled(labels []string, code string, kind verdict) match {
	at := strings.Index(confidentiality, code)
	if len(code) != 1 || at < 0 {
		for _, l := range labels {
			if sensitive(code, l) {
				return yes
			}
		}
		return no
	}
	level := strings.Index(confidentiality, "N")
	found := false
	for _, l := range labels {
		if i := strings.Index(confidentiality, l); len(l) == 1 && i >= 0 && (!found || i > level) {
			level, found = i, true
		}
	}
	if kind == deny {
		return matched(level >= at)
	}
	return matched(level <= at)
}
