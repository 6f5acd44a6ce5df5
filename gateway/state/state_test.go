package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var key = bytes.Repeat([]byte{7}, 32)

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func value(t *testing.T, s *Store, kind, id string) string {
	t.Helper()
	r, err := s.Get(t.Context(), kind, id)
	if errors.Is(err, ErrNone) {
		return "none"
	}
	must(t, err)
	if r.ID != id {
		t.Errorf("row of %q says it is %q", id, r.ID)
	}
	return string(r.Value)
}

func TestRowsOutliveTheStore(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	must(t, s.Put(ctx, "grant", "a", []byte("one"), time.Time{}))
	must(t, s.Put(ctx, "grant", "a", []byte("two"), time.Time{}))
	must(t, s.Put(ctx, "review", "a", []byte("other"), time.Time{}))
	must(t, s.Put(ctx, "grant", "b", nil, time.Time{}))
	must(t, s.Delete(ctx, "grant", "b"))
	must(t, s.Delete(ctx, "grant", "never"))
	must(t, s.Close())
	s = open(t, dir)
	for _, c := range []struct{ kind, id, want string }{
		{"grant", "a", "two"}, {"review", "a", "other"}, {"grant", "b", "none"}, {"grant", "never", "none"},
	} {
		if got := value(t, s, c.kind, c.id); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.kind, c.id, got, c.want)
		}
	}
}

func TestCreateIsForTheFirst(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	for i, want := range []bool{true, false} {
		created, err := s.Create(ctx, "block", "x", []byte{byte('a' + i)}, time.Time{})
		if must(t, err); created != want {
			t.Errorf("created %v, want %v", created, want)
		}
	}
	if got := value(t, s, "block", "x"); got != "a" {
		t.Errorf("got %q", got)
	}
}

func TestExpiry(t *testing.T) {
	now := time.Now()
	s, err := Open(Options{Dir: t.TempDir(), Key: key, Now: func() time.Time { return now }})
	must(t, err)
	defer s.Close()
	ctx := t.Context()
	must(t, s.Put(ctx, "grant", "a", []byte("one"), now.Add(time.Minute)))
	must(t, s.Update(ctx, "grant", "a", func([]byte) ([]byte, error) { return []byte("two"), nil }))
	now = now.Add(time.Minute)
	if got := value(t, s, "grant", "a"); got != "none" {
		t.Errorf("an expired row is read: %q", got)
	}
	if err := s.Update(ctx, "grant", "a", func(b []byte) ([]byte, error) { return b, nil }); !errors.Is(err, ErrNone) {
		t.Errorf("an expired row is updated: %v", err)
	}
	must(t, s.List(ctx, "grant", func(r Row) error { t.Errorf("an expired row is listed: %v", r); return nil }))
	now = now.Add(kept + time.Minute)
	must(t, s.Put(ctx, "grant", "b", nil, time.Time{}))
	var rows int
	must(t, s.db.QueryRow(`SELECT count(*) FROM gatehouse_state`).Scan(&rows))
	if rows != 1 {
		t.Errorf("%d rows are kept, want 1", rows)
	}
}

func TestSinceTellsEveryChangeOnce(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	var got []string
	version := int64(0)
	poll := func() string {
		got = nil
		v, err := s.Since(ctx, version, func(kind string, r Row) error {
			text := "gone"
			if r.Value != nil {
				text = string(r.Value)
			}
			got = append(got, kind+" "+r.ID+"="+text)
			return nil
		})
		must(t, err)
		version = v
		return strings.Join(got, ", ")
	}
	for _, c := range []struct {
		do   func() error
		want string
	}{
		{func() error { return s.Put(ctx, "grant", "a", []byte("1"), time.Time{}) }, "grant a=1"},
		{func() error { return nil }, ""},
		{func() error {
			return errors.Join(s.Put(ctx, "grant", "a", []byte("2"), time.Time{}), s.Put(ctx, "grant", "b", nil, time.Time{}))
		}, "grant a=2, grant b="},
		{func() error { return s.Delete(ctx, "grant", "a") }, "grant a=gone"},
		{func() error { return s.Delete(ctx, "grant", "a") }, ""},
	} {
		must(t, c.do())
		if got := poll(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// What lies on disk names nobody (DESIGN law 12).
func TestNothingIsInClear(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	must(t, s.Put(ctx, "grant", "Patient/canary-7391", []byte("reason canary-7391"), time.Time{}))
	must(t, s.Delete(ctx, "grant", "Patient/canary-7391"))
	must(t, s.Put(ctx, "grant", "Patient/canary-7391", []byte("reason canary-7391"), time.Time{}))
	look := func() {
		files, err := os.ReadDir(dir)
		must(t, err)
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			must(t, err)
			if bytes.Contains(b, []byte("canary")) {
				t.Errorf("%s holds it in clear", f.Name())
			}
			if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
			}
		}
	}
	look()
	must(t, s.Close())
	look()
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := Open(Options{Dir: dir, Key: bytes.Repeat([]byte{8}, 32)}); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("a wrong key: %v", err)
	}
	if _, err := Open(Options{Dir: dir, Key: []byte("short")}); err == nil {
		t.Error("a short key opens")
	}
	if _, err := s.db.Exec(`UPDATE gatehouse_format SET format = 2`); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir, Key: key}); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("a newer format: %v", err)
	}
	bad := t.TempDir()
	must(t, os.WriteFile(filepath.Join(bad, "state.db"), bytes.Repeat([]byte("no database "), 1000), 0o600))
	if _, err := Open(Options{Dir: bad, Key: key}); err == nil {
		t.Error("a file that is no database opens")
	}
}

// Issue 6 point 8: after a rotation old rows open and new ones are sealed by the
// new key alone; a process to which it was announced reads them too.
func TestRotatedKey(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	second := bytes.Repeat([]byte{8}, 32)
	with := func(o Options) *Store {
		o.Dir, o.Key = dir, key
		s, err := Open(o)
		must(t, err)
		t.Cleanup(func() { s.Close() })
		return s
	}
	old := with(Options{})
	must(t, old.Put(ctx, "grant", "a", []byte("before"), time.Time{}))
	rotated, told := with(Options{Newer: [][]byte{second}}), with(Options{Next: [][]byte{second}})
	if got := value(t, rotated, "grant", "a"); got != "before" {
		t.Errorf("after the rotation: %q", got)
	}
	must(t, rotated.Put(ctx, "grant", "a", []byte("after"), time.Time{}))
	if got := value(t, told, "grant", "a"); got != "after" {
		t.Errorf("by who was told: %q", got)
	}
	if _, err := old.Get(ctx, "grant", "a"); !errors.Is(err, errBroken) {
		t.Errorf("by who was not: %v", err)
	}
	must(t, told.Put(ctx, "grant", "a", []byte("still"), time.Time{}))
	if got := value(t, old, "grant", "a"); got != "still" {
		t.Errorf("a key that waits seals: %q", got)
	}
}

// Who can write to the file, and has no key, can neither move a row nor prolong
// it.
func TestTamperedRowsDoNotOpen(t *testing.T) {
	for _, attack := range []string{
		`UPDATE gatehouse_state SET expires = expires + 3600`,
		`UPDATE gatehouse_state SET version = version + 10`,
		`UPDATE gatehouse_state SET kind = 'block'`,
		`UPDATE gatehouse_state SET sealed = zeroblob(60)`,
	} {
		s := open(t, t.TempDir())
		must(t, s.Put(t.Context(), "grant", "a", []byte("1"), time.Now().Add(time.Hour)))
		if _, err := s.db.Exec(attack); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Since(t.Context(), 0, func(string, Row) error { return nil }); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", attack, err)
		}
	}
}

const writes = 100

// TestChild is what another process does in the tests below.
func TestChild(t *testing.T) {
	dir := os.Getenv("GATEHOUSE_STATE_CHILD")
	if dir == "" {
		return
	}
	s := open(t, dir)
	for i := 0; os.Getenv("GATEHOUSE_STATE_FOREVER") != "" || i < writes; i++ {
		must(t, increment(t.Context(), s))
		must(t, s.Put(t.Context(), "row", strconv.Itoa(i), nil, time.Time{}))
		fmt.Println("acknowledged", i)
	}
}

func increment(ctx context.Context, s *Store) error {
	add := func(old []byte) ([]byte, error) {
		n, err := strconv.Atoi(string(old))
		return []byte(strconv.Itoa(n + 1)), err
	}
	if _, err := s.Create(ctx, "count", "n", []byte("0"), time.Time{}); err != nil {
		return err
	}
	return s.Update(ctx, "count", "n", add)
}

func child(t *testing.T, dir string, env ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
	c.Env = append(append(os.Environ(), "GATEHOUSE_STATE_CHILD="+dir), env...)
	out := new(bytes.Buffer)
	c.Stdout, c.Stderr = out, out
	must(t, c.Start())
	return c, out
}

// Two processes, one of them the gateway and one a command, lose no update and
// pass no change by; they begin together on an empty directory.
func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	a, outA := child(t, dir)
	b, outB := child(t, dir)
	s := open(t, dir)
	for range writes {
		must(t, increment(t.Context(), s))
	}
	if errA, errB := a.Wait(), b.Wait(); errA != nil || errB != nil {
		t.Fatalf("%v %s\n%v %s", errA, outA, errB, outB)
	}
	if got, want := value(t, s, "count", "n"), strconv.Itoa(3*writes); got != want {
		t.Errorf("count %s, want %s", got, want)
	}
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	for range 5 {
		c, out := child(t, dir, "GATEHOUSE_STATE_FOREVER=1")
		time.Sleep(150 * time.Millisecond)
		must(t, c.Process.Kill())
		_ = c.Wait() // killed
		s := open(t, dir)
		n := strings.Count(out.String(), "acknowledged")
		for i := range n {
			if _, err := s.Get(t.Context(), "row", strconv.Itoa(i)); err != nil {
				t.Fatalf("row %d of %d: %v", i, n, err)
			}
		}
		must(t, s.Close())
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		s, err := Open(Options{Dir: dir, Key: key})
		must(b, err)
		must(b, s.Close())
	}
}

func BenchmarkPoll(b *testing.B) {
	s := open(b, b.TempDir())
	for b.Loop() {
		_, err := s.Since(b.Context(), 0, func(string, Row) error { return nil })
		must(b, err)
	}
}

func BenchmarkPut(b *testing.B) {
	s := open(b, b.TempDir())
	for b.Loop() {
		must(b, s.Put(b.Context(), "grant", "a", make([]byte, 200), time.Time{}))
	}
}

// A row can be given an end afterwards, whatever it holds by then.
func TestExpire(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := open(t, t.TempDir())
	s.now = func() time.Time { return now }
	ctx := t.Context()
	if err := errors.Join(s.Put(ctx, "k", "a", []byte("1"), time.Time{}), s.Expire(ctx, "k", "a", now.Add(time.Hour)), s.Expire(ctx, "k", "none", now)); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Get(ctx, "k", "a"); err != nil || string(r.Value) != "1" {
		t.Errorf("got %v %v", r, err)
	}
	now = now.Add(time.Hour)
	if _, err := s.Get(ctx, "k", "a"); !errors.Is(err, ErrNone) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Get(ctx, "k", "none"); !errors.Is(err, ErrNone) {
		t.Errorf("got %v", err)
	}
}
