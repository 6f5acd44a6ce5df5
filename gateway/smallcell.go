package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"gatehouse/fhir"
)

// This file keeps a client whose view sets a smallest cell from singling people
// out by criteria: what fewer patients than that have in common is not
// told, nor that there are none. Who is asked for by name is known already.

// largeEnough refuses a search that finds too few patients. It looks before any
// of it is shown: a page of one would else be a cell of one.
func (x *exchange) largeEnough(ctx context.Context, m *matter) error {
	k := m.view.SmallestCell()
	if k == 0 || m.at != (place{}) {
		return nil
	}
	if r := m.asked.Results; m.asked.ID == "" && (r.Since != "" || r.At != "") {
		return smallCell() // of a history: who changed when is a criterion that no search counts
	}
	if !selects(m) {
		return nil
	}
	if m.empty {
		return smallCell()
	}
	size, alone := windowEntries, *upstreamForm(m.access)
	alone.Results = fhir.Results{Count: &size}
	if !aboutPatients(m.asked.Version, m.asked.Type) {
		alone.Results.RevInclude = m.access.Results.RevInclude // it is they who bring patients
	}
	c := *m
	c.access, c.at = &alone, place{}
	c.printed = alone.Target()
	patients, target := map[string]bool{}, c.printed
	for range maxRefill {
		next, err := x.patientsOn(ctx, &c, target, patients)
		if err != nil {
			return err
		}
		if len(patients) >= k {
			return nil
		}
		if target = next; target == "" {
			break
		}
	}
	return smallCell()
}

// selects tells of a search that it picks patients by what they are or have.
func selects(m *matter) bool {
	a := m.asked
	if bundleType(a) != "searchset" || a.Operation == "$everything" {
		return false
	}
	switch {
	case !aboutPatients(a.Version, a.Type):
		return bringsPatients(a) && len(a.Criteria)+len(m.shown) > 0 // its own criteria name no patient
	case bringsOthers(a):
	case a.Compartment.ID != "" && a.Compartment.Type != "Practitioner", slices.ContainsFunc(a.Criteria, func(p fhir.Param) bool { return names(a.Version, p) }):
		return false
	}
	return len(a.Criteria)+len(m.shown) > 0 || a.Compartment.ID != ""
}

// aboutPatients tells of a type, "" for any, that what is of it may be about a patient.
func aboutPatients(v fhir.Version, typ string) bool {
	_, about := v.Compartment("Patient", typ)
	return typ == "" || typ == "Patient" || about
}

// bringsPatients tells of a search for what is about nobody that patients come with it.
func bringsPatients(a *fhir.Access) bool {
	return slices.ContainsFunc(a.Results.RevInclude, func(i fhir.Include) bool { return aboutPatients(a.Version, i.Source) })
}

// bringsOthers tells of a search that who is named in it leads to others: from a patient
// over their practitioner to all of that practitioner's.
func bringsOthers(a *fhir.Access) bool {
	return slices.ContainsFunc(a.Results.RevInclude, func(i fhir.Include) bool { return i.Iterate && aboutPatients(a.Version, i.Source) })
}

// names tells of a criterion that it is about patients whose names, or the names
// of whose records, the client has. A practitioner, a place or the system of a number
// names nobody.
func names(v fhir.Version, p fhir.Param) bool {
	if p.Has != nil || len(p.Chain) > 0 || p.Modifier == "missing" || p.Modifier == "not" {
		return false
	}
	if p.Name == "identifier" {
		return (p.Modifier == "" || p.Modifier == "of-type") && !slices.ContainsFunc(p.Values, func(number string) bool { return strings.HasSuffix(number, "|") })
	}
	return p.Name == "_id" || p.Type == "reference" && !slices.ContainsFunc(p.Values, func(ref string) bool {
		typ, _, _ := strings.Cut(ref, "/")
		return typ == "" || typ == "Group" || !aboutPatients(v, typ)
	})
}

// patientsOn adds those whom the visible matches of one page are about, or what comes
// with them, where they are about nobody.
func (x *exchange) patientsOn(ctx context.Context, m *matter, target string, patients map[string]bool) (next string, err error) {
	r, err := x.pageAt(ctx, m, place{Target: target})
	if err != nil || r == nil {
		return "", err
	}
	defer r.Recycle()
	for {
		w, err := r.Next(ctx)
		if err != nil {
			return "", badUpstream(err)
		}
		for _, it := range w.Items {
			if (it.Mode == "match" || len(m.access.Results.RevInclude) > 0) && it.Verdict.Allow {
				for _, p := range it.Verdict.Facts.Patients {
					patients[p] = true
				}
			}
		}
		if w.Last {
			return x.nextTarget(r), nil
		}
	}
}

// rounded is a count as it may be told under a smallest cell: two searches that
// differ by one patient tell the same.
func (m *matter) rounded(n int) int {
	if k := m.view.SmallestCell(); k > 0 {
		return n - n%k
	}
	return n
}

func smallCell() *failure {
	return &failure{status: http.StatusForbidden, code: "view.small-cell",
		text: "Too few patients have this in common for your view to tell. Ask for less that is particular."}
}
