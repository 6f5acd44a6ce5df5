package judge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"gatehouse/fhir/wire"
	"gatehouse/gateway/policy"
)

// Lines is NDJSON being judged, window by window: a file of an export. Only one
// window of it is in memory, however long it is (BULK-06).
type Lines struct {
	court   *Court
	typ     string
	limits  Limits
	body    io.Closer
	lines   *wire.Lines
	window  window
	done    bool
	windows int
}

// OpenLines begins to judge NDJSON whose resources are to be of one type.
func (c *Court) OpenLines(held policy.Unjudged, typ string, l Limits) (*Lines, error) {
	body, err := held.Open(c.Eval)
	if err != nil {
		return nil, err
	}
	return &Lines{court: c, typ: typ, limits: l, body: body, lines: wire.NewLines(body, l.Resource)}, nil
}

// Close ends the reading; the rest of the file is not read.
func (l *Lines) Close() error { return l.body.Close() }

// Next reads, judges and returns the next window; io.EOF after the last. What it
// returns is void with the next call. One line that is not a resource spoils the
// file: nobody can say what else in it is wrong.
func (l *Lines) Next(ctx context.Context) (*Window, error) {
	if l.done {
		return nil, io.EOF
	}
	if err := l.fill(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	w := &Window{First: l.windows == 0, Last: l.done, Items: make([]*Item, len(l.window.items))}
	l.windows++
	for i := range l.window.items {
		it := &l.window.items[i]
		if w.Items[i] = it; it.Verdict.Facts.Type != l.typ {
			it.Verdict.Reason = "upstream.not-asked-for"
			l.court.Alarm(it.Verdict.Reason)
		}
	}
	l.court.pass(ctx, w, &l.window.room)
	for _, it := range w.Items {
		if bytes.IndexByte(it.Released, '\n') >= 0 { // would be two lines, each judged as half of one
			return nil, errors.New("a resource with a line break")
		}
	}
	return w, nil
}

// fill reads lines until the window is full or the file has ended.
func (l *Lines) fill() error {
	w := &l.window
	w.begin()
	defer w.settle()
	for {
		line, err := l.lines.Next()
		if ended(err) {
			l.done = true
			return nil
		}
		if err != nil {
			return err
		}
		v, err := l.court.Read(line)
		if err != nil {
			return fmt.Errorf("line: %w", err)
		}
		w.items = append(w.items, Item{Resource: line, Verdict: v})
		if n := len(w.ends); n >= l.limits.Entries || n > 0 && int64(len(w.bytes)+len(line)) > l.limits.Window {
			w.postpone(line)
			return nil
		}
		w.add(line)
	}
}
