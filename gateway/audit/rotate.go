package audit

import (
	"fmt"
	"os"
	"path/filepath"
)

func checkKey(key []byte) error {
	if len(key) == 0 || len(key)%masterLen != 0 {
		return fmt.Errorf("audit key: %d bytes, want 32", len(key))
	}
	return nil
}

// rewrap brings every key file under the newest audit key, after which the ones
// before it open nothing here and may be destroyed.
func (l *Log) rewrap() error {
	if len(l.o.Key) == masterLen {
		return nil
	}
	numbers, err := numbered(filepath.Join(l.o.Dir, "keys"), ".key")
	if err != nil {
		return fmt.Errorf("wrap key files anew: %w", err)
	}
	for _, n := range numbers {
		b, err := os.ReadFile(keyPath(l.o.Dir, n))
		if err != nil {
			return fmt.Errorf("wrap key files anew: %w", err)
		}
		if _, err := unwrap(l.o.Key[:masterLen], n, b); err == nil {
			continue
		}
		s, err := unwrap(l.o.Key, n, b)
		if err != nil {
			return fmt.Errorf("wrap key files anew: %w", err)
		}
		if err := replace(keyPath(l.o.Dir, n), wrap(l.o.Key, n, s)); err != nil {
			return fmt.Errorf("wrap key files anew: %w", err)
		}
	}
	return l.remark()
}

// remark signs the notes of what has expired anew, so that the newest key alone
// tells that they are the log's.
func (l *Log) remark() error {
	gone, err := expiredOf(l.o.Dir, l.o.Origin, byMAC(l.o.Key))
	for _, e := range gone {
		var b []byte
		if b, err = e.sign(l.o.Origin, l.o.Key, l.signer); err == nil {
			err = replace(expiredPath(l.o.Dir, e.Segment), b)
		}
		if err != nil {
			return fmt.Errorf("sign what expired anew: %w", err)
		}
	}
	return err
}
