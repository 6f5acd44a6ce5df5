package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/config"
)

// Issue 6.11: what broke off is taken up where the journal says that it is good.
func TestDeidTakesUpWhatBrokeOff(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	write("view.yaml", "default: keep\nrules: [{path: Patient.name, method: redact}]\n")
	var in strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&in, `{"resourceType":"Patient","id":"p%d","name":[{"family":"Adams"}]}`+"\n", i)
	}
	write("a.ndjson", in.String())
	run := func() {
		t.Helper()
		if err := deidentify(io.Discard, strings.NewReader(""), []string{file("a.ndjson")}, deidOptions{view: file("view.yaml"), shape: "sealed", out: file("out"), told: io.Discard}); err != nil {
			t.Fatal(err)
		}
	}
	run()
	whole := read("out/a.ndjson")
	if strings.Contains(whole, "Adams") || strings.Count(whole, "\n") != 1000 {
		t.Fatalf("got %d bytes", len(whole))
	}
	// As if it had broken off behind line 2, whose end the journal knows, in the midst of another.
	good := strings.Join(strings.SplitAfterN(whole, "\n", 3)[:2], "")
	lines := strings.SplitAfter(read("out/"+journalName), "\n")
	half := strings.Replace(lines[1], `"done":true`, fmt.Sprintf(`"lines":2,"bytes":%d`, len(good)), 1)
	write("out/"+journalName, lines[0]+half+`{"file":"a.nd`)
	if err := os.Remove(file("out/a.ndjson")); err != nil {
		t.Fatal(err)
	}
	marked := strings.Replace(good, "p0", "PP", 1) // not made again
	write("out/a.ndjson.part", marked+`{"resourceType":"Pat`)
	run()
	if got := read("out/a.ndjson"); got != strings.Replace(whole, "p0", "PP", 1) {
		t.Errorf("taken up badly: %d bytes of %d: %.200s", len(got), len(whole), got)
	}
	if bytes.Contains([]byte(read("out/"+journalName)), []byte("Adams")) {
		t.Error("the journal holds data")
	}
}

// Issue 8 point 10: a run that a later version began is not gone on with.
func TestNewerJournalIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, journalName), []byte("gatehouse-deid-v2 x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(dir, "x", true); err == nil || !strings.Contains(err.Error(), "later Gatehouse") {
		t.Errorf("got %v", err)
	}
}

// Issue 6.11: with a vault, random ids are the same in the next run, so that what broke
// off is taken up; without the key the vault tells nothing.
func TestDeidKeepsRandomIDs(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := config.NewKey(file("key")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file("a.ndjson"), []byte(`{"resourceType":"Patient","id":"mrn-4711"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(out, vault string) (string, error) {
		err := deidentify(io.Discard, strings.NewReader(""), []string{file("a.ndjson")}, deidOptions{view: "safe-harbor", keyFile: file("key"), domain: "d", shape: "sealed", out: file(out), vault: vault, told: io.Discard})
		text, _ := os.ReadFile(file(out + "/a.ndjson"))
		return string(text), err
	}
	first, err := run("one", file("vault"))
	second, err2 := run("two", file("vault"))
	other, err3 := run("three", "")
	if err != nil || err2 != nil || err3 != nil || first == "" || first != second || first == other {
		t.Errorf("got %q, %q, %q: %v %v %v", first, second, other, err, err2, err3)
	}
	if err := os.WriteFile(file("b.ndjson"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run("one", file("vault")); err != nil {
		t.Errorf("not taken up: %v", err)
	}
	for _, vault := range []string{"", file("vault")} {
		if _, err := run("three", vault); err == nil {
			t.Errorf("with %q: mixed with other random ids", vault)
		}
	}
	kept, err := os.ReadFile(file("vault/pseudonyms.db"))
	if err != nil || bytes.Contains(kept, []byte("mrn-4711")) {
		t.Errorf("the vault tells ids: %v", err)
	}
}
