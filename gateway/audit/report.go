package audit

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// errPatient refuses a name that no record could hold.
var errPatient = errors.New("write Patient/p012: the resource type, a slash and the id")

// ReportPatient writes the text form of the report on a patient ("Patient/1") in
// the log in dir.
func ReportPatient(dir string, key []byte, patient string, w io.Writer) error {
	r, err := OpenReader(dir, key)
	if err != nil {
		return err
	}
	return Tell(r, Question{Patient: cmp.Or(patient, "nobody")}, NewText(w, Question{Patient: patient}))
}

// Line is one access as a report tells it: of a question about one patient, as
// far as it concerns that patient.
type Line struct {
	Access
	Index    int64    `json:"record"`
	Patients []string `json:"patients"`
	View     string   `json:"view,omitempty"`
	Address  string   `json:"address,omitempty"`
	Record   *Record  `json:"-"` // with what its intent told

	did, why string // as the text form has them
}

// The outcomes of a Line.
const (
	Given        = "given"
	Refused      = "refused"
	Failed       = "failed"
	OutcomeMaybe = "unknown, may have been made" // a change of whose end nothing was recorded
)

// Summary is what a report was made from.
type Summary struct {
	Question Question
	Span     Span
	How      string // how the records were found; "" where all were read
	Lines    int
	Left     map[string]int // lines that the form leaves out, by why; see Disclosures
	Err      error          // where the log is damaged: what follows is not in the report
}

// Form writes a report.
type Form interface {
	Line(*Line) error
	End(*Summary) error
}

// Tell answers a question, one access a line in the order of the log: who looked
// at or changed what of whom, or was refused it. A change that was begun and of
// whose end nothing was recorded is told as one that may have been made. Of a
// damaged log it tells what came before the damage, and fails.
func Tell(src Source, q Question, form Form) error {
	if err := q.Check(); err != nil {
		return err
	}
	t := &teller{q: q, form: form, intents: make(map[string]*Record)}
	s := &Summary{Question: q}
	s.Span, s.How, s.Err = src.Find(q, t.record)
	if s.Err == nil || t.failed == nil {
		t.unended()
	}
	if t.failed != nil {
		return t.failed
	}
	s.Lines = t.lines
	return errors.Join(s.Err, form.End(s))
}

// teller is one run of Tell.
type teller struct {
	q       Question
	form    Form
	lines   int
	failed  error              // of the form
	intents map[string]*Record // that may be part of the answer, of requests that have not ended
}

func (t *teller) record(r *Record) error {
	switch r.Kind {
	case Intent:
		if t.q.asked(r) && t.q.names(r) {
			t.intents[r.Request] = r
		}
		return nil
	case Notice:
		if r.Code == "audit.opened" { // whatever had not ended then never will
			t.unended()
		}
		return t.failed
	case Throttle:
		return nil
	}
	if intent := t.intents[r.Request]; intent != nil {
		if r = joined(r, intent); len(r.Entries) == 0 {
			r.Entries = intent.Entries // it failed: this is what it was to do
		}
		if r.Kind == Outcome {
			delete(t.intents, r.Request)
		}
	}
	if t.q.asked(r) && t.q.names(r) {
		t.line(r)
	}
	return t.failed
}

// unended reports the intents that no outcome followed: what they were about to
// do may have been done.
func (t *teller) unended() {
	var left []*Record
	for _, r := range t.intents {
		left = append(left, r)
	}
	clear(t.intents)
	slices.SortFunc(left, func(a, b *Record) int { return cmp.Compare(a.Index, b.Index) })
	for _, r := range left {
		t.line(r)
	}
}

func (t *teller) line(r *Record) {
	if t.failed != nil || t.q.Denied && !denied(r, t.q.Patient) {
		return
	}
	t.lines++
	t.failed = t.form.Line(lineOf(r, t.q.Patient))
}

// lineOf tells one record, as far as it is about a patient; "": all of it.
func lineOf(r *Record, patient string) *Line {
	l := &Line{Access: accessOf(r, patient), Index: r.Index, View: r.View, Address: r.Address, Record: r,
		did: deedOf(r) + endOf(r, patient), why: whyOf(r, patient)}
	l.Why = append(slices.Clip(l.Why), askedFor(r)...)
	if l.Patients = patientsOf(r); patient != "" {
		l.Patients = []string{patient}
	}
	switch {
	case unknown(r):
		l.Outcome = OutcomeMaybe
		l.Words = l.whom(r, patient) + " may have made a change (" + r.Interaction + ") to " + dataOf(r, patient) + ": how it ended was not recorded."
	case r.Status >= 500:
		l.Outcome = Failed
	case denied(r, patient) && l.Outcome == Given:
		l.Outcome = Refused
		l.Words = l.words(r, patient)
	}
	return l
}

// mayBeMade are the codes of failures after which a change may stand upstream.
var mayBeMade = map[string]bool{"upstream.unknown": true, "write.unjudged": true, "audit.unavailable": true}

// unknown says that nobody recorded whether a change was made.
func unknown(r *Record) bool {
	return r.Kind == Intent || r.Status == 500 && mayBeMade[r.Code]
}

// toldOutcome is outcomeOf, where "" is everybody.
func toldOutcome(r *Record, patient string) (outcome, desc string) {
	if outcome, desc = outcomeOf(r, patient); outcome == outcomeGood && patient == "" && denied(r, "") {
		return outcomeMinor, strings.TrimSpace("withheld " + withheldFor(r, ""))
	}
	return outcome, desc
}

func endOf(r *Record, patient string) string {
	outcome, desc := toldOutcome(r, patient)
	switch {
	case unknown(r):
		return ", outcome unknown: may have been made"
	case outcome == outcomeGood:
		return ""
	case outcome == outcomeSerious:
		return ", failed (" + desc + ")"
	}
	return ", refused (" + desc + ")"
}

// whyOf is the purpose and, of what was given, the rules that permitted it; of
// what was not, what stood against it.
func whyOf(r *Record, patient string) string {
	permits, forbids := decidedFor(r, patient)
	purpose, reasons := strings.Join(r.Caller.Purpose, ", "), append(slices.Clip(permits), askedFor(r)...)
	if outcome, _ := toldOutcome(r, patient); !unknown(r) && outcome != outcomeGood {
		code := r.Code
		if r.Status < 400 || code == "resource.not-found" { // the answer hides what the entry tells
			code = cmp.Or(withheldFor(r, patient), code)
		}
		reasons = append([]string{refusalWords(code)}, forbids...)
	}
	return strings.TrimSuffix(strings.TrimPrefix(purpose+": "+strings.Join(reasons, "; "), ": "), ": ")
}

// withheldFor is why something of the patient was withheld, "" if nothing was.
func withheldFor(r *Record, patient string) string {
	for i := range r.Entries {
		if e := &r.Entries[i]; e.Effect == Withheld && concerns(e, patient) {
			return e.Reason
		}
	}
	return ""
}

// refusals are codes in plain words; of the others the part before the dot tells
// which step said no.
var refusals = map[string]string{
	"policy.denied":      "withheld by policy",
	"policy.step-up":     "a stronger login was asked for",
	"consent.denied":     "no consent",
	"scope.missing":      "the application's token does not cover it",
	"scope.instance":     "the application's token does not cover this record",
	"resource.not-found": "not there, or withheld",
	"history.deleted":    "deleted",
	"purpose.not-agreed": "no agreement for the purpose named",
	"patient.blocked":    "the record is blocked",
	"limit.client":       "the application's limit was used up",
}

var refusers = map[string]string{
	"audit": "could not be recorded", "consent": "consent could not be read", "limit": "over a limit",
	"policy": "the rules could not be evaluated", "relation": "care relation could not be read",
	"request": "not a request that is served", "scope": "the application's token does not cover it",
	"search": "not a search that is served", "token": "the token was not accepted",
	"upstream": "the FHIR server failed", "view": "the view does not allow it", "write": "the write could not be made",
}

// refusalWords says a stable code in plain words, with the code where they say
// less than it does.
func refusalWords(code string) string {
	if words := refusals[code]; words != "" {
		return words
	}
	kind, _, _ := strings.Cut(code, ".")
	if words := refusers[kind]; words != "" {
		return words + " (" + code + ")"
	}
	return code
}

// dataOf lists the kinds of resources, with how many where there are several.
func dataOf(r *Record, patient string) string {
	counts := make(map[string]int)
	for i := range r.Entries {
		if e := &r.Entries[i]; concerns(e, patient) && e.Effect != Withheld {
			counts[e.Type]++
		}
	}
	var l []string
	for typ, n := range counts {
		if n > 1 {
			typ = fmt.Sprintf("%s ×%d", typ, n)
		}
		l = append(l, typ)
	}
	slices.Sort(l)
	return cmp.Or(strings.Join(l, ", "), "none")
}

func consentOf(r *Record, patient string) string {
	for _, c := range r.Consents {
		if c.Patient == patient || patient == "" {
			return strings.TrimSpace(c.Decision + " " + c.Source)
		}
	}
	return ""
}
