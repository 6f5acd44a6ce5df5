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

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Affected is one patient of an incident: what of theirs was given to whom it is
// about, or changed, or may have been.
type Affected struct {
	Patient string         `json:"patient"`
	First   time.Time      `json:"first"`
	Last    time.Time      `json:"last"`
	Data    map[string]int `json:"data"`  // how many of each type; of one that was given twice, two
	Views   []string       `json:"views"` // through which they went; "" is whole, with every field
	Changed bool           `json:"changed,omitempty"`
	Maybe   bool           `json:"maybe_changed,omitempty"`
	Who     []string       `json:"who"`
	Records []int64        `json:"records"` // of the log, for which there are proofs
}

// incident gathers who is affected. It holds every patient at once.
type incident struct {
	w       io.Writer
	format  string
	prover  func(size int64) (*Prover, error)
	by      map[string]*Affected
	records map[int64]bool
}

// NewIncident is a form that tells whom an incident affects, for their
// notification: a table, "csv", or "json" with a proof for each record that it is
// one of the log's, checked by CheckProofs.
func NewIncident(w io.Writer, format string, prover func(size int64) (*Prover, error)) Form {
	return &incident{w: w, format: format, prover: prover, by: map[string]*Affected{}, records: map[int64]bool{}}
}

func (f *incident) Line(l *Line) error {
	for i := range l.Record.Entries {
		if e := &l.Record.Entries[i]; e.Effect != Withheld && l.Outcome != Refused && l.Outcome != Failed {
			for _, p := range e.Patients {
				if slices.Contains(l.Patients, p) {
					f.affected(p, l, e)
				}
			}
		}
	}
	return nil
}

func (f *incident) affected(patient string, l *Line, e *Entry) {
	a := f.by[patient]
	if a == nil {
		a = &Affected{Patient: patient, First: l.When, Last: l.When, Data: map[string]int{}}
		f.by[patient] = a
	}
	if l.When.Before(a.First) {
		a.First = l.When
	}
	if l.When.After(a.Last) {
		a.Last = l.When
	}
	a.Data[e.Type]++
	a.Changed = a.Changed || e.Effect == Changed && l.Outcome == Given
	a.Maybe = a.Maybe || l.Outcome == OutcomeMaybe
	a.Views = once(a.Views, l.View)
	a.Who = once(a.Who, l.Who)
	if n := len(a.Records); n == 0 || a.Records[n-1] != l.Index {
		a.Records = append(a.Records, l.Index)
	}
	f.records[l.Index] = true
}

func once(l []string, s string) []string {
	if slices.Contains(l, s) {
		return l
	}
	return append(l, s)
}

func (f *incident) End(s *Summary) error {
	all := slices.SortedFunc(maps.Values(f.by), func(a, b *Affected) int { return strings.Compare(a.Patient, b.Patient) })
	switch f.format {
	case "csv":
		return f.csv(all)
	case "json":
		return f.json(all, s)
	}
	return f.text(all, s)
}

// fields says which fields of the data went out, as far as the log tells.
func (a *Affected) fields() string {
	var l []string
	for _, v := range a.Views {
		if v == "" {
			return "all"
		}
		l = append(l, v)
	}
	return "those of the view " + strings.Join(l, " and ")
}

func (a *Affected) changed() string {
	switch {
	case a.Changed:
		return "yes"
	case a.Maybe:
		return "maybe"
	}
	return "no"
}

func (f *incident) text(all []*Affected, s *Summary) error {
	w := tabwriter.NewWriter(f.w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(f.w, "About %s: %d patients affected, by %d records of the log.\n\n", s.Question.About(), len(all), len(f.records))
	fmt.Fprintln(w, "PATIENT\tFIRST (UTC)\tLAST (UTC)\tDATA\tFIELDS\tCHANGED\tWHO\tRECORDS")
	for _, a := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a.Patient, a.First.Format(time.DateTime), a.Last.Format(time.DateTime), dataText(a.Data), a.fields(), a.changed(),
			strings.Join(a.Who, ", "), someOf(a.Records))
	}
	err := w.Flush()
	_, failed := fmt.Fprintf(f.w, "\n%s\n", s.MadeFrom())
	return errors.Join(err, failed)
}

func someOf(records []int64) string {
	const few = 8
	var l []string
	for _, n := range records[:min(few, len(records))] {
		l = append(l, strconv.FormatInt(n, 10))
	}
	if n := len(records); n > few {
		l = append(l, fmt.Sprintf("and %d more", n-few))
	}
	return strings.Join(l, " ")
}

func (f *incident) csv(all []*Affected) error {
	w := csv.NewWriter(f.w)
	w.Write([]string{"patient", "first", "last", "data", "fields", "changed", "who", "records"}) //nolint:errcheck // Error tells
	for _, a := range all {
		var records []string
		for _, n := range a.Records {
			records = append(records, strconv.FormatInt(n, 10))
		}
		row := []string{a.Patient, a.First.Format(time.RFC3339), a.Last.Format(time.RFC3339), dataText(a.Data), a.fields(), a.changed(), strings.Join(a.Who, "; "), strings.Join(records, " ")}
		for i := range row {
			row[i] = Cell(row[i])
		}
		w.Write(row) //nolint:errcheck // Error tells
	}
	w.Flush()
	return w.Error()
}

// incidentReport is the JSON form.
type incidentReport struct {
	About      string        `json:"about"`
	MadeFrom   string        `json:"made_from"`
	PublicKey  string        `json:"public_key"`
	Checkpoint string        `json:"checkpoint"`
	Patients   []*Affected   `json:"patients"`
	Proofs     []RecordProof `json:"proofs"`
}

func (f *incident) json(all []*Affected, s *Summary) error {
	records := slices.Sorted(maps.Keys(f.records))
	size := int64(0)
	if n := len(records); n > 0 {
		size = records[n-1] + 1
	}
	prover, err := f.prover(size)
	if err != nil {
		return err
	}
	r := incidentReport{About: s.Question.About(), MadeFrom: s.MadeFrom(), PublicKey: prover.public, Checkpoint: string(prover.note), Patients: all, Proofs: []RecordProof{}}
	for _, index := range records {
		p, err := prover.Prove(index)
		if err != nil {
			return err
		}
		r.Proofs = append(r.Proofs, p)
	}
	out := json.NewEncoder(f.w)
	out.SetIndent("", " ")
	return out.Encode(r)
}

// RecordProof proves that a record is one of the log's, without its text: Leaf is
// the hash of the stored, sealed record (RFC 6962).
type RecordProof struct {
	Record int64       `json:"record"`
	Leaf   tlog.Hash   `json:"leaf"`
	Path   []tlog.Hash `json:"path"`
}

// Prover makes proofs under the log's present checkpoint.
type Prover struct {
	dir, public string
	note        []byte
	at          checkpoint
}

// NewProver makes one that proves at least all records before size, once they are
// signed; public is the log's public key.
func NewProver(dir, public string, size int64) (*Prover, error) {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		b, c, err := unverified(dir)
		if err != nil || c.Size >= size || time.Now().After(end) {
			return &Prover{dir, public, b, c}, err
		}
	}
}

// Prove proves one record.
func (p *Prover) Prove(index int64) (RecordProof, error) {
	if index >= p.at.Size {
		return RecordProof{}, fmt.Errorf("record %d is younger than the checkpoint, which signs %d: try again in a second", index, p.at.Size)
	}
	hashes := tiles{p.dir}.hashes(p.at.Size)
	leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
	if err != nil {
		return RecordProof{}, fmt.Errorf("prove record %d: %w", index, err)
	}
	path, err := tlog.ProveRecord(p.at.Size, index, hashes)
	if err != nil {
		return RecordProof{}, fmt.Errorf("prove record %d: %w", index, err)
	}
	return RecordProof{index, leaf[0], path}, nil
}

// CheckProofs checks the JSON form of an incident with a public key, "": the one
// that it names, which proves as much as whoever handed it over is trusted. The
// counts are of proofs and of patients; a record of a patient without a proof
// fails.
func CheckProofs(report []byte, public string) (proofs, patients int, err error) {
	var r incidentReport
	if err := json.Unmarshal(report, &r); err != nil {
		return 0, 0, fmt.Errorf("read the report: %w", err)
	}
	v, err := note.NewVerifier(cmp.Or(public, r.PublicKey))
	if err != nil {
		return 0, 0, fmt.Errorf("public key: %w", err)
	}
	c, err := openCheckpoint([]byte(r.Checkpoint), v)
	if err != nil {
		return 0, 0, err
	}
	proved := map[int64]bool{}
	for _, p := range r.Proofs {
		if err := tlog.CheckRecord(p.Path, c.Size, c.Root, p.Record, p.Leaf); err != nil {
			return 0, 0, fmt.Errorf("record %d: %w", p.Record, err)
		}
		proved[p.Record] = true
	}
	for _, a := range r.Patients {
		for _, n := range a.Records {
			if !proved[n] {
				return 0, 0, fmt.Errorf("record %d has no proof", n)
			}
		}
	}
	return len(proved), len(r.Patients), nil
}
