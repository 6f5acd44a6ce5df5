package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var rotatedAt = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func readKeys(t *testing.T, path string) Keys {
	t.Helper()
	k, err := ReadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Issue 6 point 8: a rotation adds a key and takes none away; an announced one
// waits until it is let write.
func TestRotateKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.key")
	rotate := func(announce bool) {
		t.Helper()
		if err := RotateKey(path, announce, rotatedAt); err != nil {
			t.Fatal(err)
		}
	}
	if err := NewKey(path); err != nil {
		t.Fatal(err)
	}
	first := readKeys(t, path).Current()
	for _, step := range []struct {
		announce       bool
		epochs, writes int
	}{{false, 2, 1}, {true, 3, 1}, {false, 3, 2}, {false, 4, 3}} {
		rotate(step.announce)
		k := readKeys(t, path)
		if len(k.Epochs) != step.epochs || k.Writes != step.writes || !bytes.Equal(k.Epochs[0], first) || k.Made[0] != "" || k.Made[1] != "2026-11-22T06:00:00Z" {
			t.Fatalf("after %+v: %d keys, %d writes, made %v", step, len(k.Epochs), k.Writes, k.Made)
		}
	}
	rotate(true)
	if err := RotateKey(path, true, rotatedAt); err == nil || !strings.Contains(err.Error(), "waits already") {
		t.Errorf("a second announcement: %v", err)
	}
	rotate(false)
	for range MaxEpochs - 5 {
		rotate(false)
	}
	if err := RotateKey(path, false, rotatedAt); err == nil || !strings.Contains(err.Error(), "the most") {
		t.Errorf("a 27th key: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("beside it lies something: %v", left)
	}
	if _, err := ReadKey(path); err == nil {
		t.Error("a use that has one key for good takes several")
	}
}

func TestRotateKeyRefuses(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "k.key")
	if err := NewKey(key); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.key")
	if err := os.Symlink(key, link); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(key)
	if err := os.WriteFile(key+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := RotateKey(key, false, rotatedAt); err == nil || !strings.Contains(err.Error(), "another rotation is at work") {
		t.Errorf("two at once: %v", err)
	}
	if err := os.Remove(key + ".new"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{link: "is a link", filepath.Join(dir, "none"): "no such file", dir: "is a link, or no file", write(t, dir, "p", "secret\n"): "is not a key",
		write(t, dir, "newer", "gatehouse-key-v2 secret\n"): "is of a newer format"} {
		if err := RotateKey(path, false, rotatedAt); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if after, _ := os.ReadFile(key); !bytes.Equal(before, after) {
		t.Error("a refused rotation changes the file")
	}
	if left, _ := filepath.Glob(dir + "/*.new"); left != nil {
		t.Errorf("a refused rotation leaves %v", left)
	}
}

func TestParseKeysRefuses(t *testing.T) {
	a, b, c := keyLine(""), keyLine(""), keyLine("")
	for name, text := range map[string]string{
		"empty": "", "twice": a + "\n" + a, "only one, and it waits": a + " next", "one after the waiting": a + "\n" + b + " next\n" + c,
		"an odd word": a + " later", "an odd date": a + " 2026-11-22", "two spaces": a + "  next", "more words": a + "\n" + b + " next next",
		"a comment": "# mine\n" + a, "too many": lines(27),
	} {
		if k, err := parseKeys(text); err == nil {
			t.Errorf("%s: %v", name, k)
		}
	}
}

func lines(n int) (text string) {
	for range n {
		text += keyLine("") + "\n"
	}
	return text
}

// Keys come from variables and commands too; neither a print of them nor a dump
// tells them (law 12).
func TestKeySources(t *testing.T) {
	dir := folder(t)
	text := lines(2)
	write(t, dir, "print.sh", "#!/bin/sh\necho run >> runs\n[ \"$1\" = 'a b' ] && cat keys/state.key\n")
	if err := os.Chmod(filepath.Join(dir, "print.sh"), 0o700); err != nil {
		t.Fatal(err)
	}
	minimal, err := os.ReadFile("minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GH_KEYS", text)
	sealing, err := os.ReadFile(filepath.Join(dir, "keys/state.key"))
	if err != nil {
		t.Fatal(err)
	}
	c := loadText(t, dir, strings.Replace(string(minimal), "sealing: {key_file: keys/sealing.key}",
		"sealing: {key_env: GH_KEYS}\npseudonyms: {key_command: [cat, keys/pseudonyms.key]}\nstate: {key_command: [./print.sh, 'a b']}", 1))
	want := readKeys(t, filepath.Join(dir, "keys/state.key"))
	for range 3 {
		if k, err := c.State.Key().Read(); err != nil || !bytes.Equal(k.Current(), want.Current()) {
			t.Errorf("state: %v %v", k, err)
		}
	}
	if runs, _ := os.ReadFile(filepath.Join(dir, "runs")); string(runs) != "run\n" {
		t.Errorf("the command ran %q times", runs)
	}
	if k, err := c.Sealing.Read(); err != nil || len(k.Epochs) != 2 || k.Writes != 1 {
		t.Errorf("sealing: %v %v", k, err)
	}
	printed := c.Dump() + fmt.Sprintf("%v %+v %#v", want, want, want)
	for _, secret := range append(strings.Fields(text), strings.Fields(string(sealing))...) {
		if strings.TrimSpace(secret)+" " != keyPrefix && strings.Contains(printed, secret) {
			t.Errorf("a key is printed: %s", printed)
		}
	}
	if strings.Contains(printed, fmt.Sprint(want.Current()[:4])[1:12]) {
		t.Errorf("a key is printed: %s", printed)
	}
}

func TestKeyCommandIsBounded(t *testing.T) {
	for name, args := range map[string][]string{"endless": {"yes"}, "none": {"/nowhere/x"}, "fails": {"sh", "-c", "echo topsecret; echo topsecret >&2; exit 3"}} {
		if out, err := runKeyCommand(t.TempDir(), args); err == nil || out != "" || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}
