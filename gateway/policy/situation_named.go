package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// This file makes the representative cases of organizations that tables name,
// and of the places where their patients lie.

// toldApart are the organizations of which a case is needed: one of each class
// that the two policies speak of otherwise; and one that both speak of alike, for
// rows that are new to all of them, "" where there is none.
func (v *vocabulary) toldApart() (changed []string, alike string) {
	for _, class := range v.classes(slices.Sorted(maps.Keys(v.organizations))) {
		before, after := v.sides(class[0])
		if !slices.Equal(before, after) {
			changed = append(changed, class[0])
		} else if alike == "" {
			alike = class[0]
		}
	}
	return changed, alike
}

// sides are the places of a word in each of two policies.
func (v *vocabulary) sides(word string) (before, after []string) {
	for _, place := range v.places[word] {
		if p, ok := strings.CutPrefix(place, "before "); ok {
			before = append(before, p)
		} else {
			after = append(after, strings.TrimPrefix(place, "after "))
		}
	}
	slices.Sort(before)
	slices.Sort(after)
	return before, after
}

// of makes somebody who belongs to an organization belong to another.
func of(q *Request, organization string) {
	if q.Subject.Organization != "" {
		q.Subject.Organization = organization
	}
}

// inOrganizations are the plain cases of people of the organizations that changed,
// and those of patients who lie in their places, or in those of alike.
func inOrganizations(changed []string, alike string, a, b *edition) (all []situation) {
	for _, o := range changed {
		for _, s := range plain() {
			all = append(all, situation{name: s.name + ", for people of " + o, shape: func(q *Request, r *Resource) {
				s.shape(q, r)
				if of(q, o); r.Facts.Organization == home {
					r.Facts.Organization = o
				}
			}})
		}
	}
	for _, o := range append(changed, alike) {
		for _, place := range placesOf(o, a, b) {
			all = append(all, situation{name: fmt.Sprintf("a record of a patient who lies in %s, for people of %s", place, o), shape: func(q *Request, r *Resource) {
				of(q, o)
				here := current()
				here.Participants, here.Locations = nil, []string{place}
				r.Relation.Encounters = []Encounter{here}
			}})
		}
	}
	return all
}

// placesOf are places of an organization's patients: one that both policies name,
// and one that only the one and only the other does.
func placesOf(organization string, a, b *edition) (all []string) {
	before, after := wardsOf(a, organization), wardsOf(b, organization)
	seen := map[[2]bool]bool{}
	for _, place := range slices.Concat(after, before) {
		class := [2]bool{slices.Contains(before, place), slices.Contains(after, place)}
		if !seen[class] {
			seen[class] = true
			all = append(all, place)
		}
	}
	return all
}

func wardsOf(e *edition, organization string) []string {
	wards, _ := e.tables["wards"].value.(map[string]any)
	return textsIn(wards[organization])
}
