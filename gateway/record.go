package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/policy"
)

// This file is the request's record: what is noted on the way, and when it is
// made durable. Nothing is released before the record that names it.

// identify notes who asks.
func (x *exchange) identify(s *auth.Subject) {
	token := x.record.Caller.Token
	if token == "" {
		token = tokenName(s, x.r)
	}
	x.record.Caller = recordOf(s, token)
}

// tokenName names the token of a request without being it (AUD-06).
func tokenName(s *auth.Subject, r *http.Request) string {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return audit.TokenName(s.TokenID, strings.TrimSpace(token))
}

func recordOf(s *auth.Subject, token string) audit.Caller {
	return audit.Caller{Issuer: s.Issuer, Subject: s.ID, Client: s.Client, User: s.FHIRUser,
		Self: selfOf(s), Organization: s.Organization, Roles: s.Roles, Purpose: s.Purpose, Token: token}
}

// selfOf is the patient for whom a caller is taken of whom the token tells no more
// than the launch patient: an app of their own. Staff who launch an app about a
// patient have a role, an organization or a fhirUser; who they are outlives that
// patient's erasure.
func selfOf(s *auth.Subject) string {
	if s.Machine || s.FHIRUser != "" || s.Organization != "" || len(s.Roles) > 0 {
		return ""
	}
	return s.Patient
}

// describe notes what is asked, but no ids: those of a caller with a view may be
// pseudonyms, which are nobody's. See names.
func (x *exchange) describe(a *fhir.Access) {
	x.record.Interaction = a.Interaction.String()
	if a.Interaction == fhir.Operation {
		x.record.Interaction = a.Operation
	}
	x.record.Type, x.record.ID = a.Type, ""
}

// decided notes the decision that stands for the request.
func (x *exchange) decided(d policy.Decision) {
	x.record.Decision = audit.Decision{Allow: d.Allow, Permits: d.Permits, Forbids: d.Forbids, Revision: x.s.policy.Revision()}
}

// released and withheld note one resource.
func (x *exchange) released(it *judge.Item) {
	x.dear = max(x.dear, it.Verdict.Decision.Obligations.Cost)
	x.releases++
	x.note(it, audit.Released)
}

func (x *exchange) withheld(it *judge.Item) {
	x.g.metrics.withheld.Inc()
	x.detail.withhold()
	x.g.refrained.note(it)
	x.note(it, audit.Withheld)
}

func (x *exchange) changed(it *judge.Item) { x.note(it, audit.Changed) }

func (x *exchange) note(it *judge.Item, effect audit.Effect) {
	v := &it.Verdict
	reason := v.Reason
	if effect != audit.Withheld && slices.Contains(v.Facts.Labels, "NOPAT") {
		reason = audit.KeptFromPatient
	}
	x.record.Entries = append(x.record.Entries, audit.Entry{Effect: effect, Type: v.Facts.Type, ID: v.Facts.ID,
		Version: v.Facts.VersionID, Patients: v.Facts.Patients, Reason: reason,
		Permits: v.Decision.Permits, Forbids: v.Decision.Forbids, Basis: x.basis(v)})
	x.noted(v, effect)
	x.noteKin(it, effect)
	if effect == audit.Released && len(x.s.cfg.Audit.Custodians) > 0 {
		x.disclosed(v.Facts.Patients)
	}
	if v.Grant != "" && effect != audit.Withheld {
		x.underGrant(v.Grant)
	}
	if v.Allow {
		x.noticed(v.Decision.Obligations.Notify, v.Facts.Patients)
	}
	if len(x.record.Entries) == 1 || v.Allow && !x.record.Decision.Allow {
		x.decided(v.Decision) // of many resources the first that was allowed stands for all
	}
	if c := v.Consent; c.Decision != "" && c.Decision != "n/a" && len(v.Facts.Patients) > 0 {
		x.consented(audit.Consent{Patient: v.Facts.Patients[0], Decision: c.Decision, Source: c.Source, Provision: c.Provision})
	}
}

// underGrant marks the last entry as one that an emergency grant opened.
func (x *exchange) underGrant(id string) {
	e := &x.record.Entries[len(x.record.Entries)-1]
	e.Permits = append(slices.Clip(e.Permits), audit.EmergencyReason)
	if n := (audit.Note{Name: audit.EmergencyNote, Value: id}); !slices.Contains(x.record.Notes, n) {
		x.record.Notes = append(x.record.Notes, n)
	}
}

// disclosed notes that a patient's data go to another organization (AUD-08); what
// goes to the patient is no disclosure.
func (x *exchange) disclosed(patients []string) {
	ours, c := x.s.cfg.Audit.Custodians, &x.record.Caller
	if c.Organization == "" || slices.Contains(ours, c.Organization) || len(patients) == 0 || slices.Contains(patients, c.User) {
		return
	}
	if n := (audit.Note{Name: audit.DisclosureNote, Value: ours[0]}); !slices.Contains(x.record.Notes, n) {
		x.record.Notes = append(x.record.Notes, n)
	}
}

// consented notes what a patient's consents said, once where they said the same.
func (x *exchange) consented(c audit.Consent) {
	const few = 8
	all := x.record.Consents
	if len(all) < few {
		if !slices.Contains(all, c) {
			x.record.Consents = append(all, c)
		}
		return
	}
	if x.lent == nil { // a window may be of two hundred patients
		x.borrow()
	}
	if len(x.lent.places) == 0 {
		for i := range all {
			x.lent.places[all[i].Patient] = i
		}
	}
	if at, ok := x.lent.places[c.Patient]; ok && (all[at] == c || slices.Contains(all, c)) {
		return
	}
	x.lent.places[c.Patient] = len(all)
	x.record.Consents = append(x.record.Consents, c)
}

// ledger is memory for the record of a page, which is a good part of what a page
// needs; it goes from request to request.
type ledger struct {
	entries  []audit.Entry
	consents []audit.Consent
	places   map[string]int // of consents, by patient
	basis    basis          // the last
}

var ledgers = sync.Pool{New: func() any { return &ledger{places: map[string]int{}} }}

func (x *exchange) borrow() {
	x.lent = ledgers.Get().(*ledger)
	x.record.Entries = append(x.lent.entries, x.record.Entries...)
	x.record.Consents = append(x.lent.consents, x.record.Consents...)
}

// giveBack ends the record.
func (x *exchange) giveBack() {
	if x.lent == nil || cap(x.record.Entries) > 1024 {
		return
	}
	x.lent.entries, x.lent.consents = x.record.Entries[:0], x.record.Consents[:0]
	x.record.Entries, x.record.Consents = nil, nil
	clear(x.lent.entries[:cap(x.lent.entries)])
	clear(x.lent.consents[:cap(x.lent.consents)])
	clear(x.lent.places)
	x.lent.basis = basis{}
	ledgers.Put(x.lent)
	x.lent = nil
}

// roomFor makes room for the resources of a window.
func (x *exchange) roomFor(resources int) {
	if x.lent == nil && resources > 1 {
		x.borrow()
	}
	x.record.Entries = slices.Grow(x.record.Entries, resources)
}

// outcome notes how the request ends.
func (x *exchange) outcome(status int, code string) {
	x.record.Kind, x.record.Status, x.record.Code = audit.Outcome, status, code
	x.record.Took = x.took()
}

// commit makes the record as it stands durable; the next one begins with the
// same caller and request and no entries.
func (x *exchange) commit(ctx context.Context) error {
	defer x.step("record")()
	x.compareKin(ctx)
	r := x.record
	r.Asked = x.askedOf(&r)
	if err := x.g.keep(ctx, &r, x.failMode, &x.spooled); err != nil {
		if ctx.Err() != nil { // the client is gone; to answer would be to record twice
			panic(http.ErrAbortHandler)
		}
		x.g.metrics.alarm("audit.unavailable")
		return &failure{status: http.StatusServiceUnavailable, code: "audit.unavailable", retry: time.Second,
			text: "The access could not be recorded, so it was not given. Try again.", log: err}
	}
	x.record.Entries, x.record.Consents = x.record.Entries[:0], x.record.Consents[:0]
	if x.lent != nil {
		clear(x.lent.places)
	}
	x.kept.empty()
	return nil
}

// intent makes durable what is about to be done: a write waits for it, so that
// no change upstream is ever without its record.
func (x *exchange) intent(ctx context.Context) error {
	x.record.Kind, x.record.Status, x.record.Code = audit.Intent, 0, ""
	return x.commit(ctx)
}

// part makes durable what one window of a long answer is about to release.
func (x *exchange) part(ctx context.Context) error {
	x.record.Kind, x.record.Status, x.record.Code = audit.Part, 0, ""
	return x.commit(ctx)
}
