package audit

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Access is one access to a patient's data, in words for the patient (EHDS
// Art. 9).
type Access struct {
	When         time.Time      `json:"when"`
	Who          string         `json:"who"` // display name, or "Practitioner/7", or how the issuer names them
	Organization string         `json:"organization,omitempty"`
	Roles        []string       `json:"roles,omitempty"`
	Application  string         `json:"application,omitempty"`
	Did          string         `json:"did"`     // the FHIR interaction
	Outcome      string         `json:"outcome"` // given or refused
	Data         map[string]int `json:"data"`    // how many of each type, as far as they are the patient's
	Purpose      []string       `json:"purpose,omitempty"`
	Why          []string       `json:"why,omitempty"`     // the rules that permitted it, or what stood against it
	Consent      string         `json:"consent,omitempty"` // what the patient's consents said, "permit Consent/9"
	Request      string         `json:"request"`
	Words        string         `json:"words"`
}

// Accesses are a patient's, the newest first, found in records before an index
// (0: from the end of the log on). It reads back segment by segment, at most
// segments of them, and stops at count accesses. next is the index to go on
// before, 0 where the log's beginning was reached.
func (r *Reader) Accesses(patient string, before int64, count, segments int) (found []Access, next int64, err error) {
	numbers, err := numbered(filepath.Join(r.dir, "segments"), ".log")
	if err != nil {
		return nil, 0, err
	}
	for i, n := range slices.Backward(numbers) {
		first, err := r.firstOf(n)
		switch {
		case errors.Is(err, errTorn) && i == len(numbers)-1:
			continue // just being made
		case err != nil:
			return nil, 0, err
		case before > 0 && first >= before:
			continue
		case segments == 0:
			return found, before, nil
		}
		segments--
		here, at, err := r.accessesIn(n, i == len(numbers)-1, patient, before, count-len(found))
		if err != nil {
			return nil, 0, err
		}
		found = append(found, here...)
		if before = first; len(found) == count && at > 0 {
			return found, at, nil
		}
	}
	return found, 0, nil
}

func (r *Reader) firstOf(number uint64) (int64, error) {
	s, err := openSegment(segmentPath(r.dir, number))
	if err != nil {
		return 0, err
	}
	defer s.close()
	return s.head.First, nil
}

// accessesIn are the last count accesses of a segment, the newest first, and
// the index of the oldest of them.
func (r *Reader) accessesIn(number uint64, last bool, patient string, before int64, count int) ([]Access, int64, error) {
	var ring []*Record
	var failed error
	r.segment(number, last, func(rec *Record, err error) bool {
		switch {
		case err != nil:
			failed = err
			return false
		case before > 0 && rec.Index >= before:
			return false
		case rec.Kind != Outcome && rec.Kind != Part, !slices.Contains(patientsOf(rec), patient):
			return true
		case onlyHidden(rec, patient):
			return true
		}
		if len(ring) == count {
			ring[0] = nil
			ring = ring[1:]
		}
		ring = append(ring, rec)
		return true
	})
	if failed != nil || len(ring) == 0 {
		return nil, 0, failed
	}
	found := make([]Access, 0, len(ring))
	for _, rec := range slices.Backward(ring) {
		found = append(found, accessOf(rec, patient))
	}
	return found, ring[0].Index, nil
}

// onlyHidden tells whether a patient asked for what is kept from the patient: to
// list that would say that it exists, and why, where the answer was that of what
// does not.
func onlyHidden(r *Record, patient string) bool {
	if r.Caller.User != patient || len(r.Entries) == 0 {
		return false
	}
	return !slices.ContainsFunc(r.Entries, func(e Entry) bool { return e.Effect != Withheld })
}

// KeptFromPatient is the Reason of what was released and is labelled NOPAT: the
// patient is told who had data, and not that there is such a record.
const KeptFromPatient = "label.nopat"

func kept(e Entry) bool { return e.Effect != Withheld && e.Reason == KeptFromPatient }

func accessOf(r *Record, patient string) Access {
	if slices.ContainsFunc(r.Entries, kept) {
		told := *r
		told.Entries = slices.DeleteFunc(slices.Clone(r.Entries), kept)
		told.Decision.Permits = nil // which speak of the first
		r = &told
	}
	c := &r.Caller
	a := Access{When: r.Time.UTC().Truncate(time.Second), Who: cmp.Or(c.Name, c.User, c.Subject, c.Client, "nobody who was verified"),
		Organization: c.Organization, Roles: c.Roles, Application: c.Client, Did: r.Interaction, Outcome: "given", Data: map[string]int{},
		Purpose: c.Purpose, Consent: consentOf(r, patient), Request: r.Request}
	for i := range r.Entries {
		if e := &r.Entries[i]; concerns(e, patient) && e.Effect != Withheld {
			a.Data[e.Type]++
		}
	}
	permits, _ := decidedFor(r, patient) // what a rule forbids for could tell what the record is about
	if a.Why = permits; r.Kind == Outcome {
		if outcome, _ := outcomeOf(r, patient); outcome != outcomeGood && !(r.Caller.User == patient && r.Status < 400) {
			a.Outcome = "refused"
			code := r.Code
			if r.Status < 400 || code == "resource.not-found" { // the answer hides what the entry tells
				code = cmp.Or(withheldFor(r, patient), code)
			}
			if step, _, _ := strings.Cut(code, "."); step == "label" || step == "view" || step == "binary" {
				code = "policy.denied"
			}
			a.Why = []string{refusalWords(code)}
		}
	}
	a.Words = a.words(r, patient)
	return a
}

// whom says who it was; "You" to the patient.
func (a *Access) whom(r *Record, patient string) string {
	who := a.Who
	if r.Caller.User == patient && patient != "" {
		who = "You"
	}
	for _, detail := range []string{strings.Join(a.Roles, ", "), a.Organization} {
		if detail != "" {
			who += ", " + detail
		}
	}
	return who
}

func (a *Access) words(r *Record, patient string) string {
	who := a.whom(r, patient)
	if beside := besideFHIR[a.Did]; beside != "" && a.Outcome == "given" {
		return who + beside + "."
	}
	did := " asked for " + a.Did + " and was refused: "
	if a.Outcome == "given" {
		data := "part of the record"
		if len(a.Data) > 0 || len(r.Entries) > 0 {
			data = dataOf(r, patient)
		}
		did = fmt.Sprintf(" (%s) got %s: ", a.Did, data)
	}
	s := who + did + strings.Join(a.Why, "; ")
	if len(a.Purpose) > 0 {
		s += "; purpose " + strings.Join(a.Purpose, ", ")
	}
	if a.Consent != "" {
		s += "; consent: " + a.Consent
	}
	return strings.TrimRight(strings.TrimSpace(s), ":.") + "."
}
