package audit

import (
	"slices"
	"strings"
)

// concerned are the patients of one record and where its entries and consents
// belong among them.
type concerned struct {
	patients []*patientKey
	names    []string
	index    map[string]int // name → place in patients; used beyond a few
	own      bool           // the first is the caller
	next     int            // where the patient may stand that is looked for next
	groups   [][]int        // patients of entries that are about several

	place     []int // part of each entry: a patient, then a group; -1: about nobody
	consentOf []int // patient of each consent

	entries, consents chain
}

// chain lists, for each part, what belongs to it, so that a page of a hundred
// patients is walked once and not a hundred times.
type chain struct{ head, next []int }

func (c *chain) link(parts int, place []int) {
	c.head, c.next = slices.Grow(c.head[:0], parts)[:parts], slices.Grow(c.next[:0], len(place))[:len(place)]
	for i := range c.head {
		c.head[i] = -1
	}
	for i, p := range slices.Backward(place) {
		if p >= 0 {
			c.next[i], c.head[p] = c.head[p], i
		}
	}
}

func (c *concerned) gather(k *keyring, r *Record) error {
	c.patients, c.names, c.groups = c.patients[:0], c.names[:0], c.groups[:0]
	c.place, c.consentOf = c.place[:0], c.consentOf[:0]
	clear(c.index)
	c.next = 0
	self := r.Caller.Self
	if strings.HasPrefix(r.Caller.User, "Patient/") {
		self = r.Caller.User
	}
	if c.own = self != ""; c.own {
		if _, err := c.patient(k, self); err != nil {
			return err
		}
	}
	if r.Type == "Patient" && r.ID != "" {
		if _, err := c.patient(k, "Patient/"+r.ID); err != nil {
			return err
		}
	}
	for _, p := range r.Patients {
		if _, err := c.patient(k, p); err != nil {
			return err
		}
	}
	for i := range r.Consents {
		p, err := c.patient(k, r.Consents[i].Patient)
		if err != nil {
			return err
		}
		c.consentOf = append(c.consentOf, p)
	}
	for i := range r.Entries {
		for _, p := range r.Entries[i].Patients {
			if _, err := c.patient(k, p); err != nil {
				return err
			}
		}
	}
	// Groups come after all patients: only now is it known where they start.
	for i := range r.Entries {
		c.place = append(c.place, c.placeOf(r.Entries[i].Patients))
	}
	return nil
}

// patient gives the place of a patient, adding a new one.
func (c *concerned) patient(k *keyring, name string) (int, error) {
	name = capped(name)
	if i := c.find(name); i >= 0 {
		return i, nil
	}
	p, err := k.patient(name)
	if err != nil {
		return 0, err
	}
	c.patients, c.names = append(c.patients, p), append(c.names, name)
	c.index[name] = len(c.names) - 1
	return len(c.names) - 1, nil
}

// capped bounds what a hostile id may cost the key cache; no FHIR id comes near.
func capped(name string) string { return name[:min(len(name), 256)] }

// find is quick where patients come in the order of the time before.
func (c *concerned) find(name string) int {
	for range 2 {
		if c.next < len(c.names) && c.names[c.next] == name {
			c.next++
			return c.next - 1
		}
		c.next = 0
	}
	i, ok := c.index[name]
	if !ok {
		return -1
	}
	c.next = i + 1
	return i
}

func (c *concerned) placeOf(patients []string) int {
	switch len(patients) {
	case 0:
		return -1
	case 1:
		return c.find(capped(patients[0]))
	}
	group := make([]int, 0, len(patients))
	for _, p := range patients {
		group = append(group, c.find(capped(p)))
	}
	slices.Sort(group)
	group = slices.Compact(group)
	if len(group) == 1 {
		return group[0]
	}
	i := slices.IndexFunc(c.groups, func(g []int) bool { return slices.Equal(g, group) })
	if i < 0 {
		i, c.groups = len(c.groups), append(c.groups, group)
	}
	return len(c.patients) + i
}
