package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// Erase makes what the log holds of a patient ("Patient/1") unreadable for good,
// by cutting the patient's keys out of every key file; segments and tree stay as
// they are and verify as before. What the log records of the patient from now on
// is sealed under new keys.
//
// Copies of the key files (backups, snapshots, blocks that the disk has not
// reused) are beyond its reach: to make those worthless too, change the audit
// key and destroy the old one.
func (l *Log) Erase(ctx context.Context, patient string) error {
	if _, err := l.EraseKeys(ctx, patient); err != nil {
		return err
	}
	return l.Append(&Record{Kind: Notice, Code: ErasedCode}).Wait(ctx)
}

// EraseKeys is Erase without a record of it: for whoever has more to erase, and
// records it when all is done. It gives how many key files it cut.
func (l *Log) EraseKeys(ctx context.Context, patient string) (cut int, err error) {
	l.keyFiles.Lock()
	defer l.keyFiles.Unlock()
	if err := l.newSegment(ctx); err != nil {
		return 0, fmt.Errorf("erase patient: %w", err)
	}
	numbers, err := numbered(filepath.Join(l.o.Dir, "keys"), ".key")
	if err != nil {
		return 0, fmt.Errorf("erase patient: %w", err)
	}
	current := l.current.Load()
	for _, n := range numbers {
		if n >= current {
			break
		}
		if err := eraseFrom(l.o.Dir, l.o.Key, n, patient); err != nil {
			return cut, fmt.Errorf("erase patient: %w", err)
		}
		cut++
	}
	return cut, nil
}

// PatientHash stands for a patient in what tells of an erasure: who has the audit
// key and the name can tell that it was this patient; the name is not to be had
// from it. key is the audit key.
func PatientHash(key []byte, patient string) string {
	m := hmac.New(sha256.New, derive(key[:32], "erased patient"))
	m.Write([]byte(patient))
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// newSegment has the writer begin a segment, so that no key in use is cut.
func (l *Log) newSegment(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case l.rolls <- done:
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	case <-l.written:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func eraseFrom(dir string, master []byte, number uint64, patient string) error {
	s, err := loadSecrets(dir, master, number)
	if err != nil {
		return err
	}
	if !s.erase(newKeyring(s).tag(capped(patient))) {
		return nil // erased before
	}
	return replace(keyPath(dir, number), wrap(master, number, s))
}

func loadSecrets(dir string, master []byte, number uint64) (*secrets, error) {
	b, err := os.ReadFile(keyPath(dir, number))
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	return unwrap(master, number, b)
}
