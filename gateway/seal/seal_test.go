package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"
)

var now = time.Unix(1_800_000_000, 0)

func sealer(t testing.TB, fill byte, newer ...[]byte) *Sealer {
	s, err := New(bytes.Repeat([]byte{fill}, MinKey), newer...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// H-02, B-09: a handle is a capability; edited, carried to another caller or
// used for another thing it does not open.
func TestOpen(t *testing.T) {
	s := sealer(t, 1)
	handle := s.Seal("page", "alice", []byte("cursor"), now.Add(time.Minute))
	tests := []struct {
		name                  string
		purpose, bind, handle string
		at                    time.Time
		want                  error
	}{
		{"own", "page", "alice", handle, now, nil},
		{"last second", "page", "alice", handle, now.Add(59 * time.Second), nil},
		{"expired", "page", "alice", handle, now.Add(time.Minute), ErrExpired},
		{"another caller's", "page", "bob", handle, now, ErrForeign},
		{"another caller's, expired", "page", "bob", handle, now.Add(time.Hour), ErrForeign},
		{"another purpose", "job", "alice", handle, now, ErrForeign},
		{"purpose and bind shifted", "pagea", "lice", handle, now, ErrForeign},
		{"empty", "page", "alice", "", now, ErrForeign},
		{"short", "page", "alice", handle[:20], now, ErrForeign},
		{"cut", "page", "alice", handle[:len(handle)-4], now, ErrForeign},
		{"longer", "page", "alice", handle + "AAAA", now, ErrForeign},
		{"newline", "page", "alice", handle[:9] + "\n" + handle[9:], now, ErrForeign},
		{"padding", "page", "alice", handle + "=", now, ErrForeign},
		{"not base64url", "page", "alice", strings.Repeat("+/", 60), now, ErrForeign},
	}
	for _, tt := range tests {
		got, err := s.Open(tt.purpose, tt.bind, tt.handle, tt.at)
		if !errors.Is(err, tt.want) || (err == nil) != (string(got) == "cursor") {
			t.Errorf("%s: got %q, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

// H-02: no character of a handle can change, and each handle has one spelling.
func TestEveryCharacterCounts(t *testing.T) {
	s := sealer(t, 1)
	handle := []byte(s.Seal("page", "alice", []byte("x"), now.Add(time.Minute)))
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range handle {
		was := handle[i]
		for _, c := range []byte(alphabet) {
			if c == was {
				continue
			}
			handle[i] = c
			if _, err := s.Open("page", "alice", string(handle), now); err == nil {
				t.Fatalf("position %d: %q opened", i, handle)
			}
		}
		handle[i] = was
	}
}

func TestHandlesDiffer(t *testing.T) {
	s := sealer(t, 1)
	a := s.Seal("page", "alice", []byte("x"), now)
	if b := s.Seal("page", "alice", []byte("x"), now); a == b {
		t.Error("two handles of one payload are equal")
	}
	if strings.Trim(a, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("handle %q is not URL-safe", a)
	}
}

// Issue 6 point 8: handles made before a rotation open until they expire, and
// those of a replica that has rotated already open where the key waits.
func TestRotation(t *testing.T) {
	old, rotated, waits := sealer(t, 1), sealer(t, 1, bytes.Repeat([]byte{2}, MinKey)), sealer(t, 1)
	if err := waits.Await(bytes.Repeat([]byte{2}, MinKey)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		by, read *Sealer
		want     error
	}{
		{"before the rotation", old, rotated, nil},
		{"after it", rotated, rotated, nil},
		{"by one that has rotated", rotated, waits, nil},
		{"by one that waits", waits, old, nil},
		{"by one that was not told", rotated, old, ErrForeign},
		{"under another key", old, sealer(t, 3), ErrForeign},
	} {
		handle := tt.by.Seal("page", "alice", []byte("x"), now.Add(time.Minute))
		if _, err := tt.read.Open("page", "alice", handle, now); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	for _, s := range []*Sealer{rotated, waits} {
		if !bytes.Equal(s.Derive("state", 32), old.Derive("state", 32)) {
			t.Error("a rotation changes the keys of stores, which then open no more")
		}
	}
}

func TestNewRefusesShortKeys(t *testing.T) {
	long := make([]byte, MinKey)
	for _, keys := range [][][]byte{{nil}, {make([]byte, MinKey-1)}, {long, make([]byte, 16)}} {
		if _, err := New(keys[0], keys[1:]...); err == nil {
			t.Errorf("key of %d bytes accepted", len(keys[0]))
		}
	}
}

func TestDerive(t *testing.T) {
	s := sealer(t, 1)
	a, b := s.Derive("state", 32), s.Derive("audit", 32)
	if bytes.Equal(a, b) || !bytes.Equal(a, s.Derive("state", 32)) || len(a) != 32 {
		t.Error("derived keys must be stable and differ by label")
	}
	if bytes.Equal(a, sealer(t, 2).Derive("state", 32)) {
		t.Error("derived keys must depend on the sealing key")
	}
}

func FuzzOpen(f *testing.F) {
	key := make([]byte, MinKey)
	rand.Read(key) // each fuzzing process has its own key and its own handle
	s, _ := New(key)
	own := s.Seal("page", "alice", []byte("x"), now.Add(time.Minute))
	f.Add(own)
	f.Add("")
	f.Fuzz(func(t *testing.T, handle string) {
		if _, err := s.Open("page", "alice", handle, now); err == nil && handle != own {
			t.Errorf("forged %q", handle)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s := sealer(b, 1)
	payload := make([]byte, 300)
	for b.Loop() {
		s.Seal("page", "alice", payload, now)
	}
}

func BenchmarkOpen(b *testing.B) {
	s := sealer(b, 1)
	handle := s.Seal("page", "alice", make([]byte, 300), now.Add(time.Minute))
	for b.Loop() {
		if _, err := s.Open("page", "alice", handle, now); err != nil {
			b.Fatal(err)
		}
	}
}

// Issue 8 point 10: a handle of a later version is foreign, as is any other that does
// not open.
func TestNewerHandleIsForeign(t *testing.T) {
	s, err := New(bytes.Repeat([]byte{7}, MinKey))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	raw, err := encoding.DecodeString(s.Seal("page", "ann", []byte("x"), now.Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	raw[0]++
	if _, err := s.Open("page", "ann", encoding.EncodeToString(raw), now); !errors.Is(err, ErrForeign) {
		t.Errorf("got %v", err)
	}
}
