package audit

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// ReportPatient writes, in words and one access a line, who looked at or changed
// what of a patient ("Patient/1"), or was refused it: when, who, in which role,
// what kind of data, why, and what consent said; and under them what the report
// was made from. Of a damaged log it reports what came before the damage, and
// fails.
func ReportPatient(dir string, key []byte, patient string, w io.Writer) error {
	r, err := OpenReader(dir, key)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "WHEN\tWHO\tROLE\tORGANIZATION\tDID\tDATA\tWHY\tCONSENT")
	span, err := r.Whole(func(rec *Record) error {
		if rec.Kind != Intent && slices.Contains(patientsOf(rec), patient) {
			reportLine(out, rec, patient)
		}
		return nil
	})
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return span.footer(w, err)
}

func reportLine(w io.Writer, r *Record, patient string) {
	c := &r.Caller
	why := strings.Join(c.Purpose, ", ")
	if len(r.Decision.Permits) > 0 {
		why = strings.TrimPrefix(why+": "+strings.Join(r.Decision.Permits, "; "), ": ")
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
		r.Time.UTC().Format(time.DateTime),
		cmp.Or(c.Name, c.User, c.Subject, c.Client, "unknown")+" with "+cmp.Or(c.Client, "no client"),
		strings.Join(c.Roles, ", "), c.Organization,
		r.Interaction+deniedIn(r, patient), dataOf(r, patient), why, consentOf(r, patient))
}

func deniedIn(r *Record, patient string) string {
	switch outcome, desc := outcomeOf(r, patient); outcome {
	case outcomeGood:
		return ""
	default:
		return ", refused (" + desc + ")"
	}
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
