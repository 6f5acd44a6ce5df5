package gateway

import (
	"slices"
	"strings"

	"gatehouse/fhir"
)

// This file finds the patients that a request itself names: the record of a
// request that was refused has nothing else to say of whom it was about.

// patientsNamed are the patients whom an access names by id, "Patient/1", each
// once.
func patientsNamed(a *fhir.Access) []string {
	var all []string
	add := func(id string) {
		if ref := "Patient/" + id; fhir.ValidID(id) && !slices.Contains(all, ref) {
			all = append(all, ref)
		}
	}
	if a.Compartment.Type == "Patient" {
		add(a.Compartment.ID)
	}
	if a.Type == "Patient" && a.ID != "" {
		add(a.ID)
	}
	named(a, add)
	return all
}

// names notes which resource and which patients are asked for, by their real
// ids: it comes after the firewall, which opened the pseudonyms of m. Of a
// question that nothing can match some may still be closed.
func (x *exchange) names(m *matter) {
	a := m.access
	if x.job == nil || x.job.File == "" { // a file of an export is no resource
		x.record.ID = a.ID
	}
	add := func(id string) {
		ref := "Patient/" + id
		if fhir.ValidID(id) && !slices.Contains(x.record.Patients, ref) {
			x.record.Patients = append(x.record.Patients, ref)
		}
	}
	if a.Compartment.Type == "Patient" {
		add(a.Compartment.ID)
	}
	if a.Type == "Patient" && a.ID != "" {
		add(a.ID)
	}
	if m.empty {
		return
	}
	named(a, add)
	for _, f := range a.Filters {
		named(f, add)
	}
}

// named gives the ids of the patients in the criteria of an access.
func named(a *fhir.Access, add func(id string)) {
	for i := range a.Criteria {
		namedBy(&a.Criteria[i], a.Type, add)
	}
}

func namedBy(c *fhir.Param, typ string, add func(id string)) {
	if c.Has != nil {
		namedBy(c.Has.Then, c.Has.Type, add)
		return
	}
	name, modifier := c.Name, c.Modifier
	if n := len(c.Chain); n > 0 {
		last := c.Chain[n-1]
		name, modifier, typ = last.Name, last.Modifier, strings.Join(last.Types, ",")
	}
	if modifier == "not" || modifier == "missing" || modifier == "identifier" {
		return // names whom it is not about, or nobody by id
	}
	for _, v := range c.Values {
		switch id, patient := strings.CutPrefix(v, "Patient/"); {
		case c.Type == "reference" && patient,
			c.Type == "reference" && (name == "subject" || name == "patient"), // a bare id; one with a type is none
			name == "_id" && typ == "Patient":
			add(id)
		}
	}
}
