package view

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"gatehouse/fhir/wire"
)

// maxDocument is the largest resource, Bundle or line that Deid reads whole.
const maxDocument = 256 << 20

// Deid writes what r holds as the view shows it: one resource or Bundle as it
// stands, or NDJSON line by line, in order, one line for one line. Each
// resource's one patient is read from it. Where a line fails Deid stops, with
// its number; what was written before stands.
func (w *View) Deid(dst io.Writer, r io.Reader, c Context) error {
	in := bufio.NewReaderSize(r, 64<<10)
	out := bufio.NewWriterSize(dst, 64<<10)
	lines, err := ndjson(in)
	if err != nil {
		return errors.Join(err, out.Flush())
	}
	if lines {
		err = w.deidLines(out, in, c)
	} else {
		err = w.deidOne(out, in, c)
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

func (w *View) deidLines(out *bufio.Writer, in *bufio.Reader, c Context) error {
	if bom, _ := in.Peek(3); string(bom) == "\ufeff" {
		in.Discard(3)
	}
	lines := wire.NewLines(in, maxDocument)
	var shown []byte
	for n := 1; ; n++ {
		line, err := lines.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if shown, err = w.apply(shown[:0], line, c); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		out.Write(shown)
		if err := out.WriteByte('\n'); err != nil {
			return fmt.Errorf("write line %d: %w", n, err)
		}
	}
}

func (w *View) deidOne(out *bufio.Writer, in *bufio.Reader, c Context) error {
	doc, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	if err != nil {
		return fmt.Errorf("read input: %w", err)
	}
	if len(doc) > maxDocument {
		return errors.New("read input: document is longer than 256 MiB; use NDJSON")
	}
	shown, err := w.apply(nil, bytes.TrimPrefix(doc, []byte("\ufeff")), c)
	if err != nil {
		return err
	}
	_, err = out.Write(append(bytes.TrimRight(shown, "\r\n"), '\n'))
	return err
}

// apply is Apply with the patient read from the resource itself.
func (w *View) apply(dst, doc []byte, c Context) ([]byte, error) {
	c.Patient, _ = PatientOf(w.version, doc, c.Own)
	return w.Apply(dst, doc, c)
}
