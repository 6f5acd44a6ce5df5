package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/gateway/view"
)

// This file writes what deid makes into a directory: a file for a file, under
// the same names, and a journal by which a run that broke off goes on.

const journalName = ".gatehouse-deid"

// checkpoint is how many bytes are written between two lines of the journal.
const checkpoint = 16 << 20

// progress of one file, as the journal has it. The last line about a file counts.
type progress struct {
	File  string `json:"file"`
	Of    string `json:"of"`              // size and time of the input: another input is begun anew
	Lines int64  `json:"lines,omitempty"` // of the input that are done
	Bytes int64  `json:"bytes,omitempty"` // of the output that hold them
	Done  bool   `json:"done,omitempty"`
}

// journal is what is done. Its first line says by what view, for whom and under
// which key: what was made otherwise is not mixed with it.
type journal struct {
	dir  string
	file *os.File
	was  map[string]progress
}

// journalFormat begins the first line of a journal.
const journalFormat = "gatehouse-deid-v1 "

func openJournal(dir, by string, again bool) (*journal, error) {
	by = journalFormat + by
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, journalName), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{dir: dir, file: f, was: map[string]progress{}}
	lines := bufio.NewScanner(f)
	if !lines.Scan() {
		_, err := fmt.Fprintf(f, "%s\n", by)
		return j, errors.Join(lines.Err(), err)
	}
	if head, _, _ := strings.Cut(lines.Text(), " "); strings.HasPrefix(head, "gatehouse-deid-v") && head+" " != journalFormat {
		f.Close()
		return nil, fmt.Errorf("%s was begun by a later Gatehouse: go on with that, or name an empty directory", dir)
	}
	if lines.Text() != by || !again {
		f.Close()
		return nil, fmt.Errorf("%s holds what another view, key, domain or --now has made, or ids that are random without --vault: name an empty directory", dir)
	}
	for lines.Scan() {
		var p progress
		if json.Unmarshal(lines.Bytes(), &p) == nil { // a line that broke off tells nothing
			j.was[p.File] = p
		}
	}
	return j, lines.Err()
}

func (j *journal) note(p progress) error {
	line, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return j.file.Sync()
}

// input is one file, and its name below the output directory.
type input struct{ path, name string }

// inputs are the files named, and of directories all that hold resources.
func inputs(names []string) (list []input, err error) {
	seen := map[string]string{}
	for _, name := range names {
		err := filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			below := filepath.Base(path)
			if path != name {
				if ext := filepath.Ext(path); ext != ".json" && ext != ".ndjson" {
					return nil
				}
				if below, err = filepath.Rel(name, path); err != nil {
					return err
				}
			}
			if other, ok := seen[below]; ok {
				return fmt.Errorf("%s and %s would be one file", other, path)
			}
			seen[below] = path
			list = append(list, input{path, below})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// into writes each input below dir, going on where an earlier run broke off.
func (o *deidOptions) into(w *view.View, dir string, files []input, job func(view.Context) *view.Job) error {
	by := w.Fingerprint(o.domain) + " " + o.shape + " " + o.now
	if o.kept != nil && !w.Resumable() {
		by += " vault" // what was begun without one has ids that nobody knows any more
	}
	j, err := openJournal(dir, by, w.Resumable() || o.kept != nil)
	if err != nil {
		return err
	}
	defer j.file.Close()
	for _, in := range files {
		if err := o.intoFile(j, in, job); err != nil {
			return fmt.Errorf("%s: %w", in.path, err)
		}
	}
	return nil
}

func (o *deidOptions) intoFile(j *journal, in input, job func(view.Context) *view.Job) error {
	path, err := filepath.Abs(in.path)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	p := j.was[in.name]
	if of := fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano()); p.Of != of || o.compat != "" && !p.Done {
		p = progress{File: in.name, Of: of}
	}
	if _, err := os.Stat(filepath.Join(j.dir, in.name)); p.Done && err == nil {
		return nil
	} else if p.Done { // somebody took it away
		p = progress{File: in.name, Of: p.Of}
	}
	out, err := j.part(in.name, p.Bytes)
	if err != nil {
		return err
	}
	defer out.Close()
	counted := &counter{Writer: out, n: p.Bytes}
	work, last := job(view.Context{Domain: o.domain, Source: path}), p.Bytes
	work.Skip = p.Lines
	work.Done = func(lines int64) error {
		if counted.n-last < checkpoint || o.compat != "" {
			return nil
		}
		last = counted.n
		p.Lines, p.Bytes = lines, counted.n
		return cmp.Or(o.kept.keep(), out.Sync(), j.note(p)) // in this order: what the journal says is there
	}
	if err := work.Run(counted, f); err != nil {
		return err
	}
	if err := o.kept.keep(); err != nil {
		return err
	}
	if err := errors.Join(out.Sync(), os.Rename(out.Name(), strings.TrimSuffix(out.Name(), ".part"))); err != nil {
		return err
	}
	p.Done = true
	return j.note(p)
}

// part opens a file that is not whole yet, with the bytes that are known to be good.
func (j *journal) part(name string, good int64) (*os.File, error) {
	path := filepath.Join(j.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err = out.Truncate(good); err == nil {
		_, err = out.Seek(good, io.SeekStart)
	}
	if err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

// counter counts what is written.
type counter struct {
	io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.n += int64(n)
	return n, err
}
