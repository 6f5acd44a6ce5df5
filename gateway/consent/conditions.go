package consent

import (
	"slices"
	"strings"
	"time"
)

// This file holds an access against the conditions of a provision, but for who
// asks, which is in actor.go.

// byRole is the clinician of PCF's policies.
func (p *provision) byRole(q *query) match {
	if !p.clinician {
		return yes
	}
	for _, r := range q.actor.Roles {
		if q.engine != nil && slices.Contains(q.engine.clinicians, r) {
			return yes
		}
	}
	return no
}

// byAction maps what is done to the actions of consents (CONS-06). To use is
// what comes after reading: a permit of it alone opens no record, and a denial
// of it keeps it closed.
func (p *provision) byAction(q *query) match {
	reads := q.action == "read" || q.action == "search" || q.action == "operation"
	return anyOf(p.actions, func(code string) match {
		switch code {
		case "access", "disclose":
			return matched(reads)
		case "collect", "correct":
			return matched(!reads)
		case "use":
			return min(unknown, matched(reads))
		}
		return unknown
	})
}

func (p *provision) byPurpose(q *query) match {
	if p.research && !q.asksFor("HRESCH") {
		return no
	}
	if len(p.purposes) > 0 && len(q.actor.Purpose) == 0 {
		return unknown // a caller who does not say why cannot be told from one who may not
	}
	return anyOf(p.purposes, func(code string) match {
		if code == "" {
			return unknown
		}
		return matched(q.asksFor(code))
	})
}

// asksFor tells whether a purpose of the caller is the one named, or a kind of
// it.
func (q *query) asksFor(named string) bool {
	for _, asked := range q.actor.Purpose {
		if subsumes(named, asked) {
			return true
		}
	}
	return false
}

func (p *provision) byModule(q *query) match {
	if len(p.modules) > 0 && len(q.actor.Purpose) == 0 {
		return unknown
	}
	return anyOf(p.modules, func(m string) match { return matched(miiUse[m] && q.asksFor("HRESCH")) })
}

func (p *provision) byLabel(q *query) match {
	return anyOf(p.labels, func(code string) match { return labelled(q.facts.Labels, code, p.kind) })
}

// confidentiality orders v3-Confidentiality.
const confidentiality = "ULMNRV"

// labelled tells whether a label of a provision speaks of a resource. A
// confidentiality level in a deny means that level and above, in a permit that
// level and below; an unlabelled resource is N.
func labelled(labels []string, code string, kind verdict) match {
	if code == "" {
		return unknown
	}
	at := strings.Index(confidentiality, code)
	if len(code) != 1 || at < 0 {
		best := no
		for _, l := range labels {
			best = max(best, sensitive(code, l))
		}
		return best
	}
	if kind == deny {
		return matched(level(labels) >= at)
	}
	return matched(level(labels) <= at)
}

// level is the highest confidentiality among labels.
func level(labels []string) int {
	highest := -1
	for _, l := range labels {
		if len(l) == 1 {
			highest = max(highest, strings.Index(confidentiality, l))
		}
	}
	if highest < 0 {
		return strings.Index(confidentiality, "N")
	}
	return highest
}

func (p *provision) byClass(q *query) match {
	return anyOf(p.classes, func(c coding) match {
		if c.code != "" && (c.system == "" || strings.HasSuffix(c.system, "/resource-types") || strings.HasSuffix(c.system, "/fhir-types")) {
			return matched(c.code == q.facts.Type)
		}
		full := c.system + "|" + c.code
		if slices.Contains(q.facts.Codes, full) || slices.Contains(q.facts.Categories, full) {
			return yes // a document's type, such as a LOINC code
		}
		return unknown // a profile or a document class
	})
}

// byCode: a code that is the resource's own, or its category, matches; one that
// stands elsewhere in it may be what a denial was meant for.
func (p *provision) byCode(q *query) match {
	return anyOf(p.codes, func(c coding) match {
		full := c.system + "|" + c.code
		switch {
		case c.code == "":
			return unknown
		case slices.Contains(q.facts.Codes, full), slices.Contains(q.facts.Categories, full):
			return yes
		case q.holdsCode(c):
			return unknown
		}
		return no
	})
}

func (p *provision) byDate(q *query) match {
	if p.dataPeriod == (period{}) {
		return yes
	}
	if q.facts.Date == "" {
		return unknown
	}
	var zone *time.Location
	if q.engine != nil {
		zone = q.engine.reader.zone
	}
	from, to, ok := span(q.facts.Date, zone)
	if !ok {
		return unknown
	}
	first, last := p.dataPeriod.holds(from), p.dataPeriod.holds(to.Add(-time.Nanosecond))
	if first != last {
		return unknown // a partial date that lies partly inside
	}
	if first == no && from.Before(p.dataPeriod.start) && !to.Before(p.dataPeriod.end) && !p.dataPeriod.end.IsZero() {
		return unknown // one that lies around it
	}
	return first
}

// byData says whether the resource is among those that are named by instance,
// author or relation (CONS-09).
func (p *provision) byData(q *query) match {
	return anyOf(p.data, func(d datum) match {
		if d.ref == "" {
			return unknown
		}
		itself := matched(d.ref == q.facts.Type+"/"+q.facts.ID)
		switch d.meaning {
		case "instance":
			return itself
		case "dependents":
			return max(itself, q.refersTo(d.ref))
		case "related":
			return max(itself, q.refersTo(d.ref), q.isReferredFrom(d.ref))
		case "authoredby":
			return q.isBy(d.ref)
		}
		return unknown
	})
}
