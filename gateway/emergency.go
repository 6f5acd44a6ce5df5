package gateway

import (
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/emergency"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/state"

	"go.uber.org/zap"
)

// This file is the use of emergency grants: which of a caller's grants an access
// may be decided under. Opening and ending them is in emergency_open.go, their
// review in reviews.go.

// emergencyKind is the kind of their rows in the state store.
const emergencyKind = "emergency"

// now is the time as the live snapshot has it.
func (g *Gateway) now() time.Time { return g.live.Load().now() }

// learnGrant keeps the book up to date with the state store.
func (g *Gateway) learnGrant(r state.Row) {
	if err := g.glass.Learn(r.ID, r.Value, g.now()); err != nil {
		g.metrics.alarm("state.malformed")
		g.log.Error("an emergency grant cannot be read and opens nothing", zap.Error(err))
	}
}

// glassBind is what a caller's grants are bound to: person, application and
// purposes of use; "" of those who can have none.
func glassBind(s *auth.Subject) string {
	purposes := slices.Sorted(slices.Values(s.Purpose))
	return s.Key() + "\x00" + s.Client + "\x00" + strings.Join(purposes, " ")
}

// mayBreakGlass tells whether a caller is a member of staff with the right, who
// sees records as they are: no service, no patient, no recipient of a view.
func (s *snapshot) mayBreakGlass(c *caller) bool {
	e, subject := s.cfg.Emergency, c.subject
	if e == nil || subject.Machine || subject.ID == "" || c.viewName != "" {
		return false
	}
	if typ, _, _ := strings.Cut(subject.FHIRUser, "/"); typ == "Patient" || typ == "RelatedPerson" || typ == "Device" {
		return false
	}
	if slices.ContainsFunc(subject.Scopes, func(scope string) bool { return strings.HasPrefix(scope, "system/") }) {
		return false
	}
	return slices.ContainsFunc(e.Roles, func(role string) bool { return slices.Contains(subject.Roles, role) })
}

// grants are the caller's open emergency grants that this access may be decided
// under: those for the patient that a search names; for one resource, whose
// patient is yet to be seen, all of them. An export has none (C-13).
func (x *exchange) grants(a *fhir.Access) []*emergency.Grant {
	if x.g == nil || x.caller.glass == "" || x.bulk || a.Operation == "$export" {
		return nil
	}
	open := x.g.glass.Of(x.caller.glass, x.start)
	if len(open) == 0 {
		return nil
	}
	switch a.Interaction {
	case fhir.HistoryType, fhir.HistorySystem:
		return nil
	case fhir.SearchType, fhir.SearchSystem, fhir.SearchCompartment:
		return forNamed(open, a)
	case fhir.Operation:
		if a.ID == "" {
			return forNamed(open, a)
		}
	}
	return open
}

// forNamed are the grants for the one patient whom an access names.
func forNamed(open []*emergency.Grant, a *fhir.Access) []*emergency.Grant {
	patients := patientsNamed(a)
	if len(patients) != 1 {
		return nil
	}
	at := slices.IndexFunc(open, func(g *emergency.Grant) bool { return g.Patient == patients[0] })
	if at < 0 {
		return nil
	}
	return open[at : at+1]
}

// underGrants has policy asked under the caller's emergency grants too; most
// callers have none. What needs one evaluation for the whole access, such as its
// narrowing, goes by the grant for the patient whom a search names, and else by
// none; or by the first of them under which anything is possible.
func (x *exchange) underGrants(ctx context.Context, m *matter, r *policy.Request) {
	grants := x.grants(m.access)
	if len(grants) == 0 {
		return
	}
	m.plain = m.eval
	for _, g := range grants {
		under := *r
		under.Emergency = &policy.Emergency{ID: g.ID, Patient: g.Patient, Reason: g.Reason, Until: g.Until}
		m.granted = append(m.granted, x.s.policy.For(ctx, &under))
	}
	inTurn := append([]*policy.Evaluation{m.plain}, m.granted...)
	if action(m.access) == "search" {
		inTurn = append(slices.Clip(m.granted), m.plain)
	}
	m.eval = inTurn[0]
	for _, e := range inTurn {
		if possible, _ := e.Possible(); possible {
			m.eval = e
			return
		}
	}
}
