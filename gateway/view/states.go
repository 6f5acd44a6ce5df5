package view

import (
	"slices"
	"strconv"
	"sync"

	"gatehouse/fhir"
)

// The rules become an automaton over FHIR's types: a state is a type in a
// place, with what is known there of every rule's path. States are shared
// between all resource types in which the same holds, and built before the
// first resource comes; a walk then only looks names up.
type automaton struct {
	version fhir.Version
	rules   []*rule // the last one is the default
	mu      sync.RWMutex
	states  map[string]*state
	starts  map[string]*state // by resource type
}

type state struct {
	typ       string
	active    []place
	inherited int // rule that governs what no other one matches
	table     nameTable
	fields    []*field
	groups    []*field // required elements by bit; of a choice, its bare name
	dead      bool     // nothing in it can survive
	built     bool
}

// place is how far into a pattern the way here has come.
type place struct{ rule, pattern, step int }

// field is a member that an object may have.
type field struct {
	info     fhir.ElementInfo
	owner    string // type that it is an element of
	leaf     bool
	nested   bool  // a resource
	kind     prim  // of a leaf
	modifier bool  // changes what is said around it
	bit      int   // of state.groups, or -1
	choices  []way // the first whose guard holds; the last one has none
}

// way is a rule that governs a field's value, and the states it leads to.
type way struct {
	rule *rule
	next *state // of the value, nil for leaves and resources
	side *state // of the "_name" beside a leaf
}

func newAutomaton(v fhir.Version, rules []*rule) *automaton {
	a := &automaton{version: v, rules: rules, states: map[string]*state{}, starts: map[string]*state{}}
	for _, typ := range v.ResourceTypes() {
		a.starts[typ] = a.start(typ)
	}
	for changed := true; changed; {
		changed = false
		for _, s := range a.states {
			changed = s.revive() || changed
		}
	}
	return a
}

func (a *automaton) start(typ string) *state {
	var active []place
	inherited := len(a.rules) - 1
	for _, r := range a.rules {
		for pi, p := range r.patterns {
			switch {
			case p.anchor != "" && p.anchor != typ:
			case len(p.steps) > 0:
				active = append(active, place{r.index, pi, 0})
			case r.when.member == "":
				inherited = min(inherited, r.index)
			}
		}
	}
	return a.state(typ, active, inherited)
}

// state finds or builds; a new state is taken for dead until shown alive.
func (a *automaton) state(typ string, active []place, inherited int) *state {
	key := stateKey(typ, active, inherited)
	if s := a.states[key]; s != nil {
		return s
	}
	s := &state{typ: typ, active: active, inherited: inherited, dead: true}
	a.states[key] = s
	s.fields = nil
	bits := map[string]int{}
	for e := range a.version.Elements(typ) {
		if e.Required {
			bits[e.Path] = len(s.groups)
			s.groups = append(s.groups, nil)
		}
	}
	var names []string
	for e := range a.version.Elements(typ) {
		f := &field{info: e, owner: typ, bit: -1}
		if bit, ok := bits[e.Path]; ok {
			f.bit = bit
			if s.groups[bit] == nil || e.Required {
				s.groups[bit] = f
			}
		}
		if e.Type == "" { // the bare name of a choice is no JSON name
			continue
		}
		a.connect(s, f)
		s.fields = append(s.fields, f)
		names = append(names, e.Name)
	}
	s.table = newNameTable(names)
	s.built = true
	return s
}

func stateKey(typ string, active []place, inherited int) string {
	b := make([]byte, 0, len(typ)+8+8*len(active))
	b = append(append(b, typ...), ' ')
	b = strconv.AppendInt(b, int64(inherited), 10)
	for _, p := range active {
		for _, n := range [...]int{p.rule, p.pattern, p.step} {
			b = strconv.AppendInt(append(b, ' '), int64(n), 10)
		}
	}
	return string(b)
}

// connect works out who governs a field and where it leads.
func (a *automaton) connect(s *state, f *field) {
	kind := a.version.Kind(f.info.Type)
	f.leaf = kind == fhir.Primitive
	f.nested = f.info.Type == "Resource" || f.info.Type == "DomainResource" || kind == fhir.Resource
	f.kind = primOf(f.info.Type)
	f.modifier = modifies(f.info.Name)
	active, matched := a.advance(s, f)
	for _, i := range append(matched, s.inherited) {
		if i > s.inherited {
			continue
		}
		r := a.rules[i]
		w := way{rule: r}
		switch {
		case f.nested:
		case f.leaf && r.method.name == keep:
			// To keep a date is not to keep what is said beside it.
			w.side = a.state("Element", active, s.inherited)
		case f.leaf:
			w.side = a.state("Element", active, i)
		default:
			w.next = a.state(f.info.Type, active, i)
		}
		f.choices = append(f.choices, w)
		if r.when.member == "" || i == s.inherited {
			break
		}
	}
}

// advance moves every pattern over the field and tells which rules match it,
// the strongest first.
func (a *automaton) advance(s *state, f *field) (active []place, matched []int) {
	for _, p := range s.active {
		steps := a.rules[p.rule].patterns[p.pattern].steps
		st := steps[p.step]
		if st.deep {
			active = append(active, p)
		}
		if !st.matches(f.info) {
			continue
		}
		if p.step+1 == len(steps) {
			matched = append(matched, p.rule)
		} else {
			active = append(active, place{p.rule, p.pattern, p.step + 1})
		}
	}
	slices.Sort(matched)
	slices.SortFunc(active, func(x, y place) int {
		return (x.rule-y.rule)<<20 + (x.pattern-y.pattern)<<10 + x.step - y.step
	})
	return slices.Compact(active), slices.Compact(matched)
}

func (st *step) matches(e fhir.ElementInfo) bool {
	if st.name != "" && st.name != e.Path && st.name != e.Name {
		return false
	}
	return st.typ == "" || st.typ == e.Type
}

// revive marks a state in which something can survive; it is run until nothing
// changes, so that types that contain themselves come out right.
func (s *state) revive() (changed bool) {
	if !s.dead {
		return false
	}
	for _, f := range s.fields {
		for _, w := range f.choices {
			gone := w.rule.method.hides()
			if (f.leaf || f.nested) && !gone || f.nested && w.rule.at == nowhere {
				s.dead = false
			}
			if w.next != nil && !w.next.dead || w.side != nil && !w.side.dead {
				s.dead = false
			}
		}
	}
	return !s.dead
}

// under is the state s with a stronger rule laid over it.
func (a *automaton) under(s *state, inherited int) *state {
	if s == nil || inherited >= s.inherited {
		return s
	}
	key := stateKey(s.typ, s.active, inherited)
	a.mu.RLock()
	found := a.states[key]
	a.mu.RUnlock()
	if found != nil && found.built {
		return found
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	made := a.state(s.typ, s.active, inherited)
	for changed := true; changed; {
		changed = false
		for _, s := range a.states {
			changed = s.revive() || changed
		}
	}
	return made
}

// nowhere is the position of the default rule.
var nowhere = position{}
