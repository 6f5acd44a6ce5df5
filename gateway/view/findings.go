package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Findings are what a view's author should look at though the view loads: rules
// that never apply, text that is shown as it is, and settings that protect little.
func (w *View) Findings() []string {
	if w.foreign != nil {
		return w.foreign.Findings()
	}
	used, kept := map[int]bool{}, map[string]bool{}
	for _, s := range w.auto.starts {
		used[s.inherited] = true
	}
	for _, s := range w.auto.states {
		for _, f := range s.fields {
			for i, way := range f.choices {
				used[way.rule.index] = true
				if f.leaf && f.kind.free() && way.rule.method.name == keep && i == len(f.choices)-1 && len(f.choices) == 1 {
					kept[f.owner+"."+f.info.Name] = true
				}
			}
		}
	}
	var found []string
	for _, r := range w.auto.rules {
		if r.at == nowhere || r.lenient {
			continue
		}
		if !used[r.index] && r.dynamic == nil {
			found = append(found, fmt.Sprintf("%s: never applies: an earlier rule names all that %s does", r.at, r.path))
		}
		for _, what := range r.weak() {
			found = append(found, fmt.Sprintf("%s: %s", r.at, what))
		}
	}
	if len(kept) > 0 {
		found = append(found, survivorsText(slices.Sorted(maps.Keys(kept))))
	}
	return found
}

// free reports types that can hold what somebody wrote or what names somebody.
func (p prim) free() bool {
	return p == primString || p == primURI || p == primID || p == primBase64
}

// weak are settings of a rule by which people may be found again.
func (r *rule) weak() (found []string) {
	m := &r.method
	switch {
	case m.name == dateShift && m.days < 30:
		found = append(found, fmt.Sprintf("a shift of at most %d days: seasons and known events tell it", m.days))
	case m.name == dateShift && m.keepTime:
		found = append(found, "keep_time: a time of day to the second finds a record wherever else it is held")
	case m.name == scrub:
		found = append(found, "scrub finds what has a pattern: other names and places in a text stay")
	}
	if (m.name == dateShift || m.name == generalize && m.to == "year") && m.maxAge == 0 {
		found = append(found, "no max_age: dates tell of people who are over 89")
	}
	return found
}

func survivorsText(places []string) string {
	const most = 8
	text := strings.Join(places[:min(most, len(places))], ", ")
	if len(places) > most {
		text += fmt.Sprintf(" and %d more", len(places)-most)
	}
	return "survives as it is: " + text
}
