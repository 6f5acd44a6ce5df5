package audit

import (
	"errors"
	"slices"
	"strings"
	"time"

	"gatehouse/fhir"
)

// Question is what a report is about: all that is named must be true of a
// record. The zero Question is about everything.
type Question struct {
	Patient string    // "Patient/1"
	User    string    // token subject, or fhirUser as "Practitioner/7"
	Client  string    // OAuth client id
	Denied  bool      // what was refused or withheld alone
	Since   time.Time // of the request; zero: from the beginning
	Until   time.Time // not including it; zero: to the end
}

// Source gives f the records that may matter to a question, in the order of the
// log, at least: those that are its answer, their intents, and notices that the
// log was opened. The span is that of all records that it looked among; how says
// in words how it did, "" where it read every record.
type Source interface {
	Find(q Question, f func(*Record) error) (span Span, how string, err error)
}

// Find is to read every record.
func (r *Reader) Find(_ Question, f func(*Record) error) (Span, string, error) {
	span, err := r.Whole(f)
	return span, "", err
}

var errPeriod = errors.New("the period ends before it begins")

// Check refuses a question that no record could answer: a report about nobody
// must not read like one about somebody whom nobody saw.
func (q Question) Check() error {
	if id, ok := strings.CutPrefix(q.Patient, "Patient/"); q.Patient != "" && (!ok || !fhir.ValidID(id)) {
		return errPatient
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return errPeriod
	}
	return nil
}

// asked tells whether a record is by whom and of when it is asked. Whether it is
// about the patient, and was denied, is for whoever knows its intent too.
func (q Question) asked(r *Record) bool {
	c := &r.Caller
	return (q.User == "" || c.User == q.User || c.Subject == q.User) && (q.Client == "" || c.Client == q.Client) &&
		(q.Since.IsZero() || !r.Time.Before(q.Since)) && (q.Until.IsZero() || r.Time.Before(q.Until))
}

// names tells whether a record is about the patient of the question.
func (q Question) names(r *Record) bool {
	return q.Patient == "" || slices.Contains(patientsOf(r), q.Patient)
}

// denied tells whether nothing was given of what was asked, of one patient or,
// with "", of all.
func denied(r *Record, patient string) bool {
	if r.Status >= 400 && !unknown(r) {
		return true
	}
	found, given := false, false
	for i := range r.Entries {
		if e := &r.Entries[i]; concerns(e, patient) {
			found, given = true, given || e.Effect != Withheld
		}
	}
	return found && !given
}

// concerns tells whether an entry is about a patient; every entry is about "".
func concerns(e *Entry, patient string) bool {
	return patient == "" || slices.Contains(e.Patients, patient)
}

// PatientsOf lists everyone whom a record is about, "Patient/1", once.
func PatientsOf(r *Record) []string { return patientsOf(r) }

// Denied tells whether a request was refused, or some of what it asked for was
// withheld.
func Denied(r *Record) bool {
	return r.Status >= 400 || slices.ContainsFunc(r.Entries, func(e Entry) bool { return e.Effect == Withheld })
}
