package state

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// Issue 6 point 5: the vault of several replicas. The statements are those that
// PostgreSQL gets; test/real runs them there.
func TestVault(t *testing.T) {
	dir := t.TempDir()
	open2 := func() *Vault {
		v, err := open(t, dir).Vault(t.Context())
		must(t, err)
		return v
	}
	a, b := open2(), open2()
	stands, err := a.Keep([]byte("k"), []byte("first"))
	must(t, err)
	late, err := b.Keep([]byte("k"), []byte("second"))
	if err != nil || string(stands) != "first" || string(late) != "first" {
		t.Errorf("got %s, %s, %v", stands, late, err)
	}
	must(t, a.Put([]byte("p"), []byte("put")))
	if got, _ := a.Get([]byte("p")); string(got) != "put" {
		t.Errorf("before Sync: %q", got)
	}
	if got, _ := b.Get([]byte("p")); got != nil {
		t.Errorf("before Sync, elsewhere: %q", got)
	}
	must(t, a.Sync())
	must(t, a.Sync())
	if got, err := b.Get([]byte("p")); string(got) != "put" || err != nil {
		t.Errorf("after Sync: %q %v", got, err)
	}
	must(t, a.Put([]byte("q"), []byte("put")))
	must(t, a.Drop([]byte("k"), []byte("p"), []byte("q"), []byte("never")))
	must(t, a.Sync())
	for _, key := range []string{"k", "p", "q"} {
		if got, err := open2().Get([]byte(key)); got != nil || err != nil {
			t.Errorf("%s was dropped: %q %v", key, got, err)
		}
	}
}

// A database that fails costs an answer one wait and not one for each surrogate, and
// what it has not stored is nowhere.
func TestVaultThatFails(t *testing.T) {
	s := open(t, t.TempDir())
	v, err := s.Vault(t.Context())
	must(t, err)
	must(t, v.Put([]byte("p"), []byte("put")))
	must(t, s.Close())
	if _, err := v.Keep([]byte("k"), []byte("v")); err == nil || errors.Is(err, errVaultDown) {
		t.Errorf("first: %v", err)
	}
	for name, ask := range map[string]func() error{
		"keep": func() error { _, err := v.Keep([]byte("k"), []byte("v")); return err },
		"get":  func() error { _, err := v.Get([]byte("k")); return err },
		"sync": v.Sync,
		"drop": func() error { return v.Drop([]byte("k")) },
	} {
		if err := ask(); !errors.Is(err, errVaultDown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	v.down.Store(0)
	if err := v.Sync(); err == nil || errors.Is(err, errVaultDown) {
		t.Errorf("asked again: %v", err)
	}
}

// Of several replicas that draw a surrogate at once, one is first for all.
func TestVaultHasOneFirst(t *testing.T) {
	dir := t.TempDir()
	var got [8][]byte
	var all sync.WaitGroup
	for i := range got {
		v, err := open(t, dir).Vault(t.Context())
		must(t, err)
		all.Go(func() {
			stands, err := v.Keep([]byte("k"), fmt.Append(nil, i))
			if err != nil {
				t.Error(err)
			}
			got[i] = stands
		})
	}
	all.Wait()
	for _, stands := range got {
		if !bytes.Equal(stands, got[0]) || stands == nil {
			t.Errorf("%s and %s", stands, got[0])
		}
	}
}

// Issue 8 point 10: see TestNewerVaultIsRefused of view.
func TestNewerVaultIsRefused(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.Vault(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Exec(`CREATE TABLE ` + newerVault + ` (x INTEGER)`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Vault(t.Context()); err == nil || !strings.Contains(err.Error(), "newer format") {
		t.Errorf("got %v", err)
	}
}
