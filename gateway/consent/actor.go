package consent

import (
	"slices"
	"strings"
)

// isAny tells whether the caller is one of those named; nobody named is no
// condition.
func (q *query) isAny(list []actor) match {
	return anyOf(list, func(a actor) match {
		m := q.is(a)
		if a.other {
			return min(m, unknown) // named for another part than that of who gets the data
		}
		return m
	})
}

// is tells whether the caller is the one named (CONS-05). Whether somebody
// unknown is among those named cannot be told.
func (q *query) is(a actor) match {
	if a.ref == "" {
		return q.hasRole(a.roles)
	}
	me := &q.actor
	typ, rest, _ := strings.Cut(a.ref, "/")
	if strings.Contains(a.ref, "?") {
		return q.isMember(a.ref)
	}
	switch typ {
	case "Organization":
		return equal(me.Organization, a.ref, true)
	case "Device":
		return matched(rest == me.Client || a.ref == me.User)
	case "Practitioner":
		if strings.HasPrefix(me.User, "PractitionerRole/") {
			return q.inRole(a.ref)
		}
		return equal(me.User, a.ref, !me.Machine)
	case "RelatedPerson", "Patient":
		return equal(me.User, a.ref, !me.Machine)
	case "PractitionerRole":
		if me.User == a.ref {
			return yes
		}
		return q.isMember(a.ref)
	case "CareTeam", "Group":
		return q.isMember(a.ref)
	}
	return unknown
}

// equal: who does not say who he is cannot be told from who is meant.
func equal(mine, named string, expected bool) match {
	if mine == "" && expected || strings.HasPrefix(mine, "Person/") {
		return unknown
	}
	return matched(mine == named)
}

// hasRole holds the roles of the token against those of an actor that names
// nobody (R5). Codes for the part that somebody plays are no roles of a token.
func (q *query) hasRole(roles []coding) match {
	best := unknown
	for _, r := range roles {
		if r.code != "" && (slices.Contains(q.actor.Roles, r.code) || slices.Contains(q.actor.Roles, r.system+"|"+r.code)) {
			best = yes
		}
	}
	return best
}

// inRole tells whether the caller, known by a role, is that practitioner.
func (q *query) inRole(ref string) match {
	l := q.looked[q.actor.User]
	if l == nil {
		return unknown
	}
	return matched(slices.Contains(l.members, ref))
}

// isMember tells whether the caller belongs to what a name stands for: the
// members of a team or group, the person of a role, or whom an identifier names.
func (q *query) isMember(name string) match {
	l := q.looked[name]
	if l == nil {
		return unknown
	}
	me, best := &q.actor, no
	if me.User == "" && !me.Machine {
		best = unknown
	}
	for _, m := range l.members {
		typ, id, _ := strings.Cut(m, "/")
		switch {
		case m == me.User, m == me.Organization, typ == "Device" && id == me.Client:
			return yes
		case strings.HasPrefix(me.User, "PractitionerRole/") && typ == "Practitioner":
			best = max(best, q.inRole(m))
		case typ == "PractitionerRole" && strings.HasPrefix(me.User, "Practitioner/"), typ == "Group", typ == "CareTeam", typ == "":
			best = max(best, unknown) // a member that would have to be looked up in turn
		case typ == "Organization" && me.Organization == "":
			best = max(best, unknown)
		}
	}
	return best
}
