package consent

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gatehouse/fhir/wire"
)

// lookedUp is a resource that a Consent names and that tells whom or what it
// means: the members of a team, the references of an encounter.
type lookedUp struct {
	members []string // "Practitioner/7"; "" for one who cannot be named
	refs    []string // all references that stand in it
}

// maxMembers bounds a team or group; one with more is not known.
const maxMembers = 10000

// lookUp finds what the consents of a window name, in one search for each type
// and in none where they name nothing: few do.
func (e *Engine) lookUp(ctx context.Context, s *Set, a *Actor, patients []string) error {
	var names []string
	s.each(patients, func(c *consent) { names = append(names, c.needs...) })
	if len(names) == 0 {
		return nil
	}
	if strings.HasPrefix(a.User, "PractitionerRole/") {
		names = append(names, a.User)
	}
	s.looked = make(map[string]*lookedUp, len(names))
	missing := e.recallNamed(s, names)
	if len(missing) == 0 {
		return nil
	}
	found, err := e.source.Named(ctx, missing)
	if err != nil {
		return fmt.Errorf("look up what %d consents name: %w", len(missing), err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range missing {
		l, bytes := e.readNamed(name, found[name], s.now)
		s.looked[name] = l
		e.looked.put(name, l, bytes, s.now)
	}
	return nil
}

func (s *Set) each(patients []string, do func(*consent)) {
	for i, p := range patients {
		if i > 0 && p == patients[i-1] {
			continue
		}
		for _, c := range s.consents(p) {
			if c.active {
				do(c)
			}
		}
	}
}

func (e *Engine) recallNamed(s *Set, names []string) (missing []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range names {
		if _, ok := s.looked[name]; ok {
			continue
		}
		l, ok := e.looked.get(name, s.now, e.maxStale)
		s.looked[name] = l
		if !ok {
			missing = append(missing, name)
		}
	}
	return missing
}

// readNamed is nil for what does not exist, cannot be read or is too large: who
// is meant is not known then.
func (e *Engine) readNamed(name string, resources [][]byte, now time.Time) (*lookedUp, int) {
	l, bytes := &lookedUp{}, 0
	byIdentifier := strings.Contains(name, "?")
	for _, r := range resources {
		bytes += len(r)
		var t wire.Tree
		if t.Parse(r) != nil {
			return nil, 0
		}
		if byIdentifier {
			l.members = append(l.members, text(&t, 0, "resourceType")+"/"+text(&t, 0, "id"))
			continue
		}
		if !e.reader.readMembers(&t, l, now) {
			return nil, bytes
		}
	}
	if len(resources) == 0 || len(l.members) > maxMembers {
		return nil, bytes
	}
	return l, bytes
}

// readMembers reads who belongs to a team, group or role now.
func (r *reader) readMembers(t *wire.Tree, l *lookedUp, now time.Time) bool {
	f := form{reader: r, t: t, c: &consent{}}
	q := query{engine: &Engine{reader: *r}}
	l.refs = append(l.refs, q.references(t, nil)...)
	switch text(t, 0, "resourceType") {
	case "CareTeam":
		if status := text(t, 0, "status"); status != "" && status != "active" {
			return true
		}
		if f.period(0, "period", nil).holds(now) != yes {
			return true
		}
		f.membersOf(l, "participant", "member", now)
	case "Group":
		if active := t.Get(0, "active"); active >= 0 && t.Nodes[active].Kind != wire.True {
			return true
		}
		if characteristic := t.Get(0, "characteristic"); characteristic >= 0 {
			l.members = append(l.members, "") // described, not listed
		}
		f.membersOf(l, "member", "entity", now)
	case "PractitionerRole":
		if active := t.Get(0, "active"); active >= 0 && t.Nodes[active].Kind != wire.True || f.period(0, "period", nil).holds(now) != yes {
			return true
		}
		l.members = append(l.members, f.reference(t.Get(0, "practitioner")))
	}
	return true
}

func (f *form) membersOf(l *lookedUp, list, who string, now time.Time) {
	for _, m := range elements(f.t, f.t.Get(0, list)) {
		if f.t.Nodes[m].Kind != wire.Object {
			l.members = append(l.members, "")
			continue
		}
		if inactive := f.t.Get(m, "inactive"); inactive >= 0 && f.t.Nodes[inactive].Kind != wire.False || f.period(m, "period", nil).holds(now) == no {
			continue
		}
		ref := f.reference(f.t.Get(m, who))
		if strings.Contains(ref, "?") {
			ref = ""
		}
		l.members = append(l.members, ref)
	}
}
