package audit

import (
	"strings"
	"testing"
)

// A-KEY-1: a key file that is gone makes its segment unreadable for good, while
// every hash is right: verify, check and start must see it.
func TestMissingKeyFileIsFound(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir, 400)
	if n, err := KeyFiles(dir, testKey); err != nil || n < 3 {
		t.Fatalf("KeyFiles = %d, %v", n, err)
	}
	wrong := append([]byte{1}, testKey[1:]...)
	if _, err := KeyFiles(dir, wrong); err == nil || !strings.Contains(err.Error(), "does not open") {
		t.Errorf("another audit key: %v", err)
	}
	if _, err := KeyFiles(dir, nil); err != nil {
		t.Errorf("without the audit key: %v", err)
	}
	remove(t, keyPath(dir, 2))
	for _, key := range [][]byte{testKey, nil} {
		if _, err := KeyFiles(dir, key); err == nil || !strings.Contains(err.Error(), "00000002.key is missing") {
			t.Errorf("key file gone: %v", err)
		}
	}
	if l, err := Open(testOptions(dir)); err == nil || !strings.Contains(err.Error(), "00000002.key is missing") {
		t.Errorf("Open: %v", err)
		if err == nil {
			l.Close()
		}
	}
	checkVerified(t, dir) // as before: the tree needs no key
}
