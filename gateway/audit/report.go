package audit

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"gatehouse/fhir"
)

// errPatient refuses a name that no record could hold: a report about nobody
// must not read like one about somebody whom nobody saw.
var errPatient = errors.New("write Patient/p012: the resource type, a slash and the id")

// ReportPatient writes, in words and one access a line, who looked at or changed
// what of a patient ("Patient/1"), or was refused it: when, who, in which role,
// what kind of data, through which view, why or why not, and what consent said;
// and under them what the report was made from. Of a damaged log it reports what
// came before the damage, and fails.
func ReportPatient(dir string, key []byte, patient string, w io.Writer) error {
	if id, ok := strings.CutPrefix(patient, "Patient/"); !ok || !fhir.ValidID(id) {
		return errPatient
	}
	r, err := OpenReader(dir, key)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	t := &report{patient: patient, out: out, intents: make(map[string]*Record)}
	span, err := r.Whole(func(rec *Record) error { t.record(rec); return nil })
	if t.unended(); t.lines > 0 {
		err = errors.Join(err, out.Flush())
	} else if err == nil {
		_, err = fmt.Fprintf(w, "no record names %s among %s\n", patient, span)
		return err
	}
	_, failed := fmt.Fprintf(w, "\nMade from %s.\n", span)
	return errors.Join(err, failed)
}

// report is one run of ReportPatient.
type report struct {
	patient string
	out     io.Writer
	lines   int
	intents map[string]*Record // about the patient, of requests that have not ended
}

func (t *report) record(r *Record) {
	switch r.Kind {
	case Intent:
		if t.about(r) {
			t.intents[r.Request] = r
		}
		return
	case Notice:
		if r.Code == "audit.opened" { // whatever had not ended then never will
			t.unended()
		}
		return
	case Throttle:
		return
	}
	if intent := t.intents[r.Request]; intent != nil {
		if r = joined(r, intent); len(r.Entries) == 0 {
			r.Entries = intent.Entries // it failed: this is what it was to do
		}
		if r.Kind == Outcome {
			delete(t.intents, r.Request)
		}
	}
	if t.about(r) {
		t.line(r)
	}
}

func (t *report) about(r *Record) bool { return slices.Contains(patientsOf(r), t.patient) }

// unended reports the intents that no outcome followed: what they were about to
// do may have been done.
func (t *report) unended() {
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

func (t *report) line(r *Record) {
	if t.lines++; t.lines == 1 {
		fmt.Fprintln(t.out, "WHEN (UTC)\tWHO\tROLE\tORGANIZATION\tDID\tDATA\tVIEW\tWHY\tCONSENT\tREQUEST")
	}
	c := &r.Caller
	fmt.Fprintf(t.out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
		r.Time.UTC().Format(time.DateTime),
		cmp.Or(c.Name, c.User, c.Subject, c.Client, "unknown")+" with "+cmp.Or(c.Client, "no client"),
		strings.Join(c.Roles, ", "), c.Organization,
		r.Interaction+endOf(r, t.patient), dataOf(r, t.patient), r.View, whyOf(r, t.patient), consentOf(r, t.patient), r.Request)
}

// mayBeMade are the codes of failures after which a change may stand upstream.
var mayBeMade = map[string]bool{"upstream.unknown": true, "write.unjudged": true, "audit.unavailable": true}

// unknown says that nobody recorded whether a change was made.
func unknown(r *Record) bool {
	return r.Kind == Intent || r.Status == 500 && mayBeMade[r.Code]
}

func endOf(r *Record, patient string) string {
	outcome, desc := outcomeOf(r, patient)
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
	purpose, reasons := strings.Join(r.Caller.Purpose, ", "), permits
	if outcome, _ := outcomeOf(r, patient); !unknown(r) && outcome != outcomeGood {
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
		if e := &r.Entries[i]; e.Effect == Withheld && slices.Contains(e.Patients, patient) {
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
		if e := &r.Entries[i]; slices.Contains(e.Patients, patient) && e.Effect != Withheld {
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
		if c.Patient == patient {
			return strings.TrimSpace(c.Decision + " " + c.Source)
		}
	}
	return ""
}
