package gateway

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/config"

	"go.uber.org/zap"
)

// written is a directory with keys and a configuration: the minimal one, with
// more lines.
func written(t *testing.T, more string) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile("../config/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sealing", "audit", "other"} {
		if err := config.NewKey(filepath.Join(dir, "keys", name+".key")); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "gatehouse.yaml")
	text = []byte(strings.Replace(string(text), "listen: 127.0.0.1:8080", "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0", 1))
	changed := string(text) + more
	if from, to, ok := strings.Cut(more, " => "); ok {
		changed = strings.Replace(string(text), from, to, 1)
	}
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// What serve would refuse, check refuses, in the same words.
func TestCheckAndServeRefuseAlike(t *testing.T) {
	for _, tt := range []struct{ change, want string }{
		{"operations: {allow: [$graphql]}\n", "operations.allow[0]: $graphql is an operation that nobody here could judge; remove it (these are served: $de-identify, $docref, $everything, $export, $lastn, $validate)"},
		{"operations: {allow: [$everything, $frobnicate]}\n", "operations.allow[1]: $frobnicate is an operation that nobody here could judge"},
	} {
		file := written(t, tt.change)
		if err := Check(file, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("check of %s: got %v, want %q", tt.change, err, tt.want)
		}
		p, err := Open(file, zap.NewNop())
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("serve of %s: got %v, want %q", tt.change, err, tt.want)
		}
	}
}

// What gives up protection is said, though nothing of it is named insecure_….
func TestCheckTellsWhatIsGivenUp(t *testing.T) {
	for more, want := range map[string]string{
		"consent: {default: permit}\n":                           "consent.default permit: patients without consent are shown",
		"consent: {source: none}\n":                              "consent.source none: consents are not consulted",
		"key_file: keys/audit.key => key_file: keys/sealing.key": "audit.key_file is the same key as sealing.key_file",
	} {
		var out bytes.Buffer
		if err := Check(written(t, more), &out); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: got %v %s, want %q", more, err, out.String(), want)
		}
	}
}
