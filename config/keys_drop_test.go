package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Issue 6 point 8: a leaked key is dropped, the others keep their letters.
func TestDropKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.key")
	if err := NewKey(path); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := RotateKey(path, false, rotatedAt); err != nil {
			t.Fatal(err)
		}
	}
	if err := RotateKey(path, true, rotatedAt); err != nil {
		t.Fatal(err)
	}
	before := readKeys(t, path)
	for letter, want := range map[string]string{"": "no key", "E": "no key", "a": "no key", "C": "let another one write", "D": "waits", "B": "another id"} {
		if err := DropKey(path, letter, "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", letter, err, want)
		}
	}
	if err := DropKey(path, "B", KeyID(before.Epochs[1])); err != nil {
		t.Fatal(err)
	}
	k, err := ReadPseudonymKeys(path)
	if err != nil || len(k.Epochs) != 4 || !k.Dropped[1] || k.Dropped[0] || k.Writes != 2 || !k.waits() {
		t.Errorf("got %v (dropped %v, writes %d), %v", k, k.Dropped, k.Writes, err)
	}
	if _, err := ReadKeys(path); !errors.Is(err, errDropped) {
		t.Errorf("another use: got %v, want %v", err, errDropped)
	}
	if err := DropKey(path, "B", KeyID(before.Epochs[1])); err == nil {
		t.Error("a key was dropped twice")
	}
	if err := RotateKey(path, false, rotatedAt); err != nil { // the one that waits writes
		t.Fatal(err)
	}
	if k, err = ReadPseudonymKeys(path); err != nil || k.Writes != 3 || !k.Dropped[1] {
		t.Errorf("after a rotation: writes %d, dropped %v, %v", k.Writes, k.Dropped, err)
	}
}

func TestParseDropped(t *testing.T) {
	line := func(end string) string { return keyLine(rotatedAt.Format(time.RFC3339)) + end + "\n" }
	for text, ok := range map[string]bool{
		line(" dropped"):                            false, // none writes
		line("") + line(" dropped"):                 true,
		line(" dropped") + line(""):                 true,
		line(" dropped") + line(" next"):            false,
		line("") + line(" next") + line(" dropped"): false,
		line("") + line(" dropped next"):            false,
		line("") + line(" dropped") + line(""):      true,
	} {
		path := filepath.Join(t.TempDir(), "k.key")
		os.WriteFile(path, []byte(text), 0o600)
		if _, err := ReadPseudonymKeys(path); (err == nil) != ok {
			t.Errorf("%d lines: got %v, want ok %v", strings.Count(text, "\n"), err, ok)
		}
	}
}
