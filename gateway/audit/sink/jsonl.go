package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gatehouse/gateway/audit"
)

// jsonl appends to a file, an AuditEvent in each line. The file is opened anew
// for each batch, so that it can be rotated by renaming it.
type jsonl struct{ path string }

func (j jsonl) deliver(_ context.Context, events []audit.Event) error {
	var lines bytes.Buffer
	for _, e := range events {
		b, err := e.JSON()
		if err != nil {
			return err
		}
		lines.Write(b)
		lines.WriteByte('\n')
	}
	if err := os.MkdirAll(filepath.Dir(j.path), 0o700); err != nil {
		return fmt.Errorf("make directory of %s: %w", j.path, err)
	}
	f, err := os.OpenFile(j.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open %s: %w", j.path, err)
	}
	if err := j.append(f, lines.Bytes()); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// append writes whole lines or nothing: half a line of an attempt before, which
// a full disk or a crash left, is ended first.
func (j jsonl) append(f *os.File, lines []byte) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("append to %s: %w", j.path, err)
	}
	if !info.Mode().IsRegular() { // a pipe of a log shipper
		_, err = f.Write(lines)
		return err
	}
	last := []byte{'\n'}
	if n := info.Size(); n > 0 {
		if _, err := f.ReadAt(last, n-1); err != nil {
			return fmt.Errorf("append to %s: %w", j.path, err)
		}
	}
	if last[0] != '\n' {
		lines = append([]byte{'\n'}, lines...)
	}
	if _, err := f.Write(lines); err != nil {
		_ = f.Truncate(info.Size()) // if that fails too, the half line is ended next time
		return fmt.Errorf("append to %s: %w", j.path, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("flush %s: %w", j.path, err)
	}
	return nil
}

func (jsonl) close() {}
