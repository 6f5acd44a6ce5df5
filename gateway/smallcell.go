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
	if _, about := a.Version.Compartment("Patient", a.Type); a.Type != "" && a.Type != "Patient" && !about || bundleType(a) != "searchset" || a.Operation == "$everything" {
		return false
	}
	if a.Compartment.ID != "" || slices.ContainsFunc(a.Criteria, func(p fhir.Param) bool { return names(a.Version, p) }) {
		return false
	}
	return len(a.Criteria)+len(m.shown) > 0
}

// names tells of a criterion that it is about patients whose names, or the names
// of whose records, the client has. A practitioner or a place names nobody.
func names(v fhir.Version, p fhir.Param) bool {
	if p.Has != nil || len(p.Chain) > 0 || p.Modifier == "missing" || p.Modifier == "not" {
		return false
	}
	return p.Name == "_id" || p.Name == "identifier" || p.Type == "reference" && !slices.ContainsFunc(p.Values, func(ref string) bool {
		typ, _, _ := strings.Cut(ref, "/")
		_, about := v.Compartment("Patient", typ)
		return typ != "Patient" && (!about || typ == "Group")
	})
}

// patientsOn adds those whom the visible matches of one page are about.
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
			if it.Mode == "match" && it.Verdict.Allow {
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
