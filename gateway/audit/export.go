package audit

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Export writes the log in dir as IHE BALP AuditEvents (FHIR R4 JSON), one a
// line: for each request one per patient (AUD-03), and one for each consent that
// decided. It ends with an error where the log is damaged. The span is that of
// the records it was made from.
func Export(dir string, key []byte, w io.Writer) (Span, error) {
	out := bufio.NewWriterSize(w, 1<<16)
	lines := json.NewEncoder(out)
	span, err := exportTo(dir, key, func(_ *Record, e *auditEvent) error { return lines.Encode(e) })
	if err = errors.Join(err, out.Flush()); err != nil {
		return span, fmt.Errorf("export: %w", err)
	}
	return span, nil
}

func exportTo(dir string, key []byte, emit func(*Record, *auditEvent) error) (Span, error) {
	r, err := OpenReader(dir, key)
	if err != nil {
		return Span{}, err
	}
	origin, err := OriginOf(dir)
	if err != nil {
		return Span{}, err
	}
	x := newExporter(origin, emit)
	span, err := r.Whole(x.record)
	if err == nil { // of a damaged log nobody knows what has not ended
		err = x.abandoned()
	}
	return span, err
}

// OriginOf is the name that the log gives itself.
func OriginOf(dir string) (string, error) {
	b, err := readCheckpoint(dir)
	if err != nil {
		return "", err
	}
	origin, _, _ := strings.Cut(string(b), "\n")
	if origin == "" {
		return "", fmt.Errorf("%s holds no checkpoint", dir)
	}
	return origin, nil
}

// exporter turns records into events.
type exporter struct {
	origin  string
	prefix  string // of ids
	emit    func(*Record, *auditEvent) error
	intents map[string]*Record // of requests that have not ended
	n       int                // events of the record at hand
}

func newExporter(origin string, emit func(*Record, *auditEvent) error) *exporter {
	return &exporter{origin: origin, prefix: eventPrefix(origin), emit: emit, intents: make(map[string]*Record)}
}

func (x *exporter) record(r *Record) error {
	x.n = 0
	switch r.Kind {
	case Intent:
		x.intents[r.Request] = r
		return nil
	case Notice:
		if r.Code == "audit.opened" { // whatever had not ended then never will
			if err := x.abandoned(); err != nil {
				return err
			}
		}
		if strings.HasPrefix(r.Code, Reidentify) {
			return x.reidentify(r)
		}
		return x.write(r, x.notice(r))
	case Throttle:
		return x.write(r, x.throttle(r))
	}
	if intent := x.intents[r.Request]; intent != nil {
		r = joined(r, intent)
		if r.Kind == Outcome {
			delete(x.intents, r.Request)
		}
	}
	return x.request(r)
}

// joined fills in what only the intent told.
func joined(r, intent *Record) *Record {
	j := *r
	if j.ID == "" {
		j.ID = intent.ID
	}
	if j.Query == nil {
		j.Query, j.Body = intent.Query, intent.Body
	}
	if j.Interaction == "" {
		j.Method, j.Interaction, j.Type = intent.Method, intent.Interaction, intent.Type
	}
	if j.Caller.Client == "" {
		j.Caller, j.Address = intent.Caller, intent.Address
	}
	for _, p := range intent.Patients {
		if !slices.Contains(j.Patients, p) {
			j.Patients = append(slices.Clip(j.Patients), p)
		}
	}
	return &j
}

// abandoned writes the intents whose requests never ended.
func (x *exporter) abandoned() error {
	var left []*Record
	for _, r := range x.intents {
		left = append(left, r)
	}
	clear(x.intents)
	slices.SortFunc(left, func(a, b *Record) int { return int(a.Index - b.Index) })
	for _, r := range left {
		x.n = 0
		if err := x.request(r); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) request(r *Record) error {
	patients := patientsOf(r)
	if len(patients) == 0 {
		patients = []string{""}
	}
	for _, p := range patients {
		if err := x.write(r, x.rest(r, p)); err != nil {
			return err
		}
	}
	if err := x.disclosures(r, patients); err != nil {
		return err
	}
	for _, c := range r.Consents {
		if c.Source == "" || c.Decision != "permit" && c.Decision != "deny" {
			continue
		}
		if err := x.write(r, x.consent(r, c)); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) write(r *Record, e *auditEvent) error {
	e.ResourceType = "AuditEvent"
	e.ID = fmt.Sprintf("%s%d-%d", x.prefix, r.Index, x.n)
	e.Recorded = r.Time.UTC().Format(time.RFC3339Nano)
	e.Source = observer{
		Site:     x.origin,
		Observer: reference{Identifier: &identifier{Value: x.origin}},
		Type:     []coding{{sysSource, "4", "Application Server"}},
	}
	x.n++
	return x.emit(r, e)
}

// patientsOf lists everyone whom a record is about, once.
func patientsOf(r *Record) []string {
	var l []string
	seen := make(map[string]bool)
	add := func(p string) {
		if p != "" && !seen[p] {
			seen[p] = true
			l = append(l, p)
		}
	}
	if r.Type == "Patient" && r.ID != "" {
		add("Patient/" + r.ID)
	}
	for _, p := range r.Patients {
		add(p)
	}
	for i := range r.Entries {
		for _, p := range r.Entries[i].Patients {
			add(p)
		}
	}
	for i := range r.Consents {
		add(r.Consents[i].Patient)
	}
	return l
}

func base64Of(parts ...[]byte) string {
	return base64.StdEncoding.EncodeToString(slices.Concat(parts...))
}
