package view

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"gatehouse/fhir/wire"
)

// maxDocument is the largest resource, Bundle or line that Deid reads whole.
const maxDocument = 256 << 20

// Job applies a view to a stream. Its counters may be read while it runs.
type Job struct {
	View    *View
	Context Context // the patient is read from each resource
	Workers int     // 0: as many as there are processors
	// Skip are lines at the beginning that were done before.
	Skip int64
	// Done is called, by one goroutine, when so many lines, those skipped
	// included, have been written whole. An error ends the job.
	Done func(lines int64) error

	Lines, Bytes, Withheld atomic.Int64 // read; Withheld of them left an OperationOutcome
}

// Deid is Run of a job without ado.
func (w *View) Deid(dst io.Writer, r io.Reader, c Context) error {
	return (&Job{View: w, Context: c}).Run(dst, r)
}

// Run writes what r holds as the view shows it: one resource or Bundle as it
// stands, or NDJSON line by line, in order, one line for one line, by several
// workers; what is in memory is bounded. Where a line cannot be read Run stops,
// with its number; what was written before stands.
func (j *Job) Run(dst io.Writer, r io.Reader) error {
	in := bufio.NewReaderSize(r, 64<<10)
	out := bufio.NewWriterSize(dst, 64<<10)
	lines, err := ndjson(in)
	if err != nil {
		return errors.Join(err, out.Flush())
	}
	if lines {
		err = j.lines(out, in)
	} else {
		err = j.one(out, in)
	}
	return errors.Join(err, out.Flush())
}

// ndjson tells lines from one document: the first line is a whole value and
// something follows. What one line holds alone is either, and treated as lines.
func ndjson(in *bufio.Reader) (bool, error) {
	head, err := in.Peek(64 << 10)
	if err != nil && err != io.EOF {
		return false, fmt.Errorf("read input: %w", err)
	}
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	line, _, found := bytes.Cut(head, []byte("\n"))
	if !found { // a first line longer than the buffer is no pretty-printed document
		return len(head) > 0, nil
	}
	return (*wire.Tree).Parse(new(wire.Tree), bytes.TrimSpace(line)) == nil, nil
}

func (j *Job) one(out *bufio.Writer, in *bufio.Reader) error {
	doc, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	if err != nil {
		return fmt.Errorf("read input: %w", err)
	}
	if len(doc) > maxDocument {
		return errors.New("read input: document is longer than 256 MiB; use NDJSON")
	}
	shown, err := j.apply(nil, bytes.TrimPrefix(doc, []byte("\ufeff")))
	if err != nil {
		return err
	}
	_, err = out.Write(append(bytes.TrimRight(shown, "\r\n"), '\n'))
	return err
}

// apply shows one document. What cannot be brought into its form, though it can
// be read, leaves an OperationOutcome.
func (j *Job) apply(dst, doc []byte) ([]byte, error) {
	c := j.Context
	c.ask = true
	out, withheld, err := j.View.Document(dst, doc, c)
	j.Lines.Add(1)
	j.Bytes.Add(int64(len(doc)))
	if withheld {
		j.Withheld.Add(1)
	}
	return out, err
}

// Document is Apply for whoever holds the document: one that can be read and not
// be shown is withheld, and an OperationOutcome stands for it.
func (w *View) Document(dst, doc []byte, c Context) (out []byte, withheld bool, err error) {
	out, err = w.Apply(dst, doc, c)
	if errors.Is(err, ErrMeaning) || errors.Is(err, errRule) {
		return append(dst, Withheld...), true, nil
	}
	return out, false, err
}

// Resumable tells whether a job may be taken up by another process: random ids
// are known to the one that made them alone.
func (w *View) Resumable() bool { return w.foreign == nil && !w.random }

// Fingerprint names what a job makes of its input: the rules, the domain and the
// key, without telling it.
func (w *View) Fingerprint(domain string) string {
	key := "-"
	if w.codec != nil && domain != "" {
		if sum, err := w.codec.mac(domain, "fingerprint", w.revision); err == nil {
			key = base64.RawURLEncoding.EncodeToString(sum[:12])
		}
	}
	return w.revision + " " + key
}
