package audit

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

// MadeFrom says what a report was made from.
func (s *Summary) MadeFrom() string {
	text := "Made from " + s.Span.String()
	if s.How != "" {
		text += ", " + s.How
	}
	return text + "."
}

// About names what was asked, in words.
func (q Question) About() string {
	var l []string
	for _, one := range [][2]string{{"", q.Patient}, {"user ", q.User}, {"client ", q.Client}} {
		if one[1] != "" {
			l = append(l, one[0]+one[1])
		}
	}
	if q.Denied {
		l = append(l, "what was refused")
	}
	if !q.Since.IsZero() {
		l = append(l, "since "+q.Since.UTC().Format(time.RFC3339))
	}
	if !q.Until.IsZero() {
		l = append(l, "until "+q.Until.UTC().Format(time.RFC3339))
	}
	return cmp.Or(strings.Join(l, ", "), "everything")
}

// textForm is a table; of a report on one patient there is no column for whom.
type textForm struct {
	w     io.Writer
	table *tabwriter.Writer
	whom  bool
	begun bool
}

// NewText writes a report as a table for a terminal, times in UTC.
func NewText(w io.Writer, q Question) Form {
	return &textForm{w: w, table: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), whom: q.Patient == ""}
}

func (t *textForm) Line(l *Line) error {
	head, whom := "", ""
	if t.whom {
		head, whom = "WHOM\t", named(l.Patients)+"\t"
	}
	if !t.begun {
		t.begun = true
		fmt.Fprintln(t.table, "WHEN (UTC)\tWHO\tROLE\tORGANIZATION\tDID\t"+head+"DATA\tVIEW\tWHY\tCONSENT\tREQUEST")
	}
	c := &l.Record.Caller
	_, err := fmt.Fprintf(t.table, "%s\t%s\t%s\t%s\t%s\t%s%s\t%s\t%s\t%s\t%s\n",
		l.Record.Time.UTC().Format(time.DateTime),
		cmp.Or(c.Name, c.User, c.Subject, c.Client, "unknown")+" with "+cmp.Or(c.Client, "no client"),
		strings.Join(c.Roles, ", "), c.Organization, l.did, whom, dataText(l.Data), l.View, l.why, l.Consent, l.Request)
	return err
}

// named lists patients, of many the first few.
func named(patients []string) string {
	const few = 3
	if n := len(patients); n > few {
		return strings.Join(patients[:few], ", ") + fmt.Sprintf(" and %d more", n-few)
	}
	return cmp.Or(strings.Join(patients, ", "), "-")
}

func (t *textForm) End(s *Summary) error {
	if s.Lines == 0 && s.Err == nil {
		_, err := fmt.Fprintf(t.w, "no record names %s among %s\n", s.Question.About(), strings.TrimSuffix(strings.TrimPrefix(s.MadeFrom(), "Made from "), "."))
		return err
	}
	err := t.table.Flush()
	_, failed := fmt.Fprintf(t.w, "\n%s\n", s.MadeFrom())
	for _, why := range slices.Sorted(maps.Keys(s.Left)) {
		fmt.Fprintf(t.w, "Left out: %d, %s.\n", s.Left[why], why)
	}
	return errors.Join(err, failed)
}

// csvForm is RFC 4180, one access a row.
type csvForm struct {
	w     *csv.Writer
	begun bool
}

// NewCSV writes a report for a spreadsheet. What was made from goes nowhere: a
// row that is no access would be counted as one.
func NewCSV(w io.Writer) Form { return &csvForm{w: csv.NewWriter(w)} }

var csvHead = []string{"when", "who", "roles", "organization", "application", "did", "outcome", "patients", "data", "view",
	"purpose", "why", "consent", "emergency", "address", "request", "record"}

func (f *csvForm) head() error {
	if f.begun {
		return nil
	}
	f.begun = true
	return f.w.Write(csvHead)
}

func (f *csvForm) Line(l *Line) error {
	if err := f.head(); err != nil {
		return err
	}
	row := []string{l.When.Format(time.RFC3339), l.Who, strings.Join(l.Roles, "; "), l.Organization, l.Application, deedOf(l.Record), l.Outcome,
		strings.Join(l.Patients, " "), dataText(l.Data), l.View, strings.Join(l.Purpose, "; "), strings.Join(l.Why, "; "), l.Consent,
		yes(l.Emergency()), l.Address, l.Request, strconv.FormatInt(l.Index, 10)}
	for i := range row {
		row[i] = Cell(row[i])
	}
	return f.w.Write(row)
}

// Cell keeps a spreadsheet from taking a text for a formula: what a caller chose
// as its name would run on an officer's machine. Some readers skip spaces first, and
// some take the wide forms of East Asian keyboards for the same signs.
func Cell(s string) string {
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(s, unicode.IsSpace))
	if strings.ContainsRune("=+-@＝＋－＠", first) || s != "" && strings.ContainsRune("\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}

func (f *csvForm) End(*Summary) error {
	err := f.head()
	f.w.Flush()
	return errors.Join(err, f.w.Error())
}

// Emergency tells whether emergency access opened the record.
func (l *Line) Emergency() bool {
	permits, _ := decidedFor(l.Record, l.only())
	return slices.Contains(permits, EmergencyReason)
}

// only is the patient whom the line is about, "" where it is about several.
func (l *Line) only() string {
	if len(l.Patients) == 1 {
		return l.Patients[0]
	}
	return ""
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// dataText lists kinds of resources, with how many where there are several.
func dataText(counts map[string]int) string {
	var l []string
	for _, typ := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[typ]; n > 1 {
			typ = fmt.Sprintf("%s ×%d", typ, n)
		}
		l = append(l, typ)
	}
	return cmp.Or(strings.Join(l, ", "), "none")
}

// jsonForm is one document.
type jsonForm struct {
	w io.Writer
	n int
}

// NewJSON writes a report as one JSON object: accesses, and what they were made
// from.
func NewJSON(w io.Writer) Form { return &jsonForm{w: w} }

func (f *jsonForm) Line(l *Line) error { return f.put(l) }

func (f *jsonForm) put(v any) error {
	before := ",\n"
	if f.n++; f.n == 1 {
		before = "{\"accesses\":[\n"
	}
	b, err := json.Marshal(v)
	if err == nil {
		_, err = f.w.Write(append([]byte(before), b...))
	}
	return err
}

func (f *jsonForm) End(s *Summary) error {
	before := "\n],"
	if f.n == 0 {
		before = "{\"accesses\":[],"
	}
	b, err := json.Marshal(map[string]any{"about": s.Question.About(), "lines": s.Lines, "made_from": s.MadeFrom(), "left_out": s.Left})
	if err == nil {
		_, err = f.w.Write(append(append([]byte(before), b[1:]...), '\n'))
	}
	return err
}

// fhirForm is a Bundle of AuditEvents.
type fhirForm struct {
	w io.Writer
	x exporter
	n int
}

// NewFHIR writes a report as a FHIR R4 Bundle (collection) of the AuditEvents
// that an export has for the same accesses; origin names the log.
func NewFHIR(w io.Writer, origin string) Form {
	f := &fhirForm{w: w}
	f.x = *newExporter(origin, func(_ *Record, e *auditEvent) error { return f.event(e) })
	return f
}

func (f *fhirForm) Line(l *Line) error {
	f.x.n = 0
	for _, p := range l.Patients {
		if err := f.x.write(l.Record, f.x.rest(l.Record, p)); err != nil {
			return err
		}
	}
	if len(l.Patients) == 0 {
		return f.x.write(l.Record, f.x.rest(l.Record, ""))
	}
	return nil
}

func (f *fhirForm) event(e *auditEvent) error {
	before := ",\n"
	if f.n++; f.n == 1 {
		before = "{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[\n"
	}
	b, err := json.Marshal(map[string]any{"fullUrl": "urn:gatehouse:audit:" + e.ID, "resource": e})
	if err == nil {
		_, err = f.w.Write(append([]byte(before), b...))
	}
	return err
}

func (f *fhirForm) End(*Summary) error {
	end := "\n]}\n"
	if f.n == 0 { // FHIR has no empty arrays
		end = "{\"resourceType\":\"Bundle\",\"type\":\"collection\"}\n"
	}
	_, err := io.WriteString(f.w, end)
	return err
}
