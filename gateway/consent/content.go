package consent

import (
	"bytes"
	"slices"
	"strings"

	"gatehouse/fhir/wire"
)

// This file looks into the resource where facts do not tell: for data that is
// named by relation, by author or by a code anywhere in it. Few Consents name
// such, and it is read for them alone.

// parsed is the resource's tree, nil where it is not at hand or cannot be read.
func (q *query) parsed() *wire.Tree {
	if q.tree == nil && q.content != nil {
		q.tree = new(wire.Tree)
		if q.tree.Parse(q.content) != nil {
			q.content, q.tree = nil, nil
		}
	}
	return q.tree
}

// refersTo tells whether the resource has a reference to ref, wherever.
func (q *query) refersTo(ref string) match {
	if q.facts.Encounter == ref {
		return yes
	}
	t := q.parsed()
	if t == nil {
		return unknown
	}
	return matched(slices.Contains(q.references(t, nil), ref))
}

// references are the "Type/id" that stand in a resource; where only is not nil,
// those within members of these names alone.
func (q *query) references(t *wire.Tree, only map[string]bool) []string {
	var found []string
	var walk func(node int, in bool)
	walk = func(node int, in bool) {
		name := string(t.Name(node))
		in = in || only == nil || only[name]
		if t.Nodes[node].Kind == wire.String {
			if in && name == "reference" {
				if ref, _, ok := q.engine.reader.bases.ParseRef(t.Text(node)); ok {
					found = append(found, ref.String())
				}
			}
			return
		}
		if t.Nodes[node].Kind != wire.Array && t.Nodes[node].Kind != wire.Object {
			return
		}
		for i := t.First(node); i < int(t.Nodes[node].Next); i = int(t.Nodes[i].Next) {
			walk(i, in)
		}
	}
	walk(0, false)
	return found
}

// isReferredFrom tells whether the resource that ref names refers to this one.
func (q *query) isReferredFrom(ref string) match {
	l := q.looked[ref]
	if l == nil {
		return unknown
	}
	return matched(slices.Contains(l.refs, q.facts.Type+"/"+q.facts.ID))
}

// authors are the elements that name who made a resource (CONS-09).
var authors = set("performer", "author", "asserter", "recorder", "participant", "requester", "informationSource", "source", "sender", "enterer", "responsible")

func (q *query) isBy(ref string) match {
	if strings.Contains(ref, "?") {
		l := q.looked[ref]
		if l == nil {
			return unknown
		}
		best := no
		for _, who := range l.members {
			best = max(best, q.isBy(who))
		}
		return best
	}
	if ref == q.facts.Author || slices.Contains(q.facts.Practitioners, ref) {
		return yes
	}
	t := q.parsed()
	if t == nil {
		return unknown
	}
	by := q.references(t, authors)
	if slices.Contains(by, ref) {
		return yes
	}
	if l := q.looked[ref]; l != nil { // a team: what one of its members made
		for _, who := range l.members {
			if slices.Contains(by, who) {
				return yes
			}
		}
		return no
	}
	if strings.HasPrefix(ref, "CareTeam/") || strings.HasPrefix(ref, "Group/") {
		return unknown
	}
	return no
}

// holdsCode tells whether a coding stands anywhere in the resource.
func (q *query) holdsCode(c coding) bool {
	if q.content == nil || !bytes.Contains(q.content, []byte(c.code)) {
		return false
	}
	t := q.parsed()
	if t == nil {
		return true // it cannot be read: it may
	}
	for i := range t.Nodes {
		if t.Nodes[i].Kind == wire.Object && text(t, i, "code") == c.code && (c.system == "" || text(t, i, "system") == c.system) {
			return true
		}
	}
	return false
}
