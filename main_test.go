package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/audit"
)

// gatehouse runs a command line in this process.
func gatehouse(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// directory holds the minimal configuration and its keys.
func directory(t *testing.T) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	text, err := os.ReadFile("config/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sealing.key", "audit.key"} {
		if code, _, errs := gatehouse("keys", "new", filepath.Join(dir, "keys", name)); code != 0 {
			t.Fatal(errs)
		}
	}
	return dir, file
}

func TestExitCodes(t *testing.T) {
	dir, file := directory(t)
	for _, tt := range []struct {
		args string
		code int
		want string // in what is printed
	}{
		{"", 0, "Available Commands"},
		{"version", 0, "gatehouse"},
		{"check -c " + file, 0, "weakens security: insecure_http"},
		{"check -c " + dir + "/nowhere.yaml", exitFailed, "does not exist"},
		{"serve -c " + dir + "/nowhere.yaml", exitFailed, "does not exist"},
		{"keys new " + dir + "/keys/audit.key", exitFailed, "never overwritten"},
		{"keys new", exitUsage, "accepts 1 arg"},
		{"chek", exitUsage, "check"},
		{"audit verfiy", exitUsage, `unknown command "verfiy" for "gatehouse audit"; did you mean verify?`},
		{"policy frob", exitUsage, "unknown command"},
		{"keys x", exitUsage, "unknown command"},
		{"view x", exitUsage, "unknown command"},
		{"scope x", exitUsage, "unknown command"},
		{"audit", 0, "verify"},
		{"check --speed", exitUsage, "unknown flag"},
		{"audit verify", exitUsage, "config dir"},
		{"audit export --dir " + dir, exitFailed, "--key-file"},
		{"audit verify --dir " + dir, exitFailed, "--public-key"},
	} {
		code, out, errs := gatehouse(strings.Fields(tt.args)...)
		if code != tt.code || !strings.Contains(out+errs, tt.want) {
			t.Errorf("%q: got %d %s%s, want %d and %q", tt.args, code, out, errs, tt.code, tt.want)
		}
	}
}

// check prints every problem at once, each on its line (issue 2 item 2).
func TestCheckPrintsEveryProblem(t *testing.T) {
	dir, file := directory(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "keys/audit.key")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, "lisen: x\nconsent: {default: maybe}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := gatehouse("check", "-c", file)
	lines := strings.Split(strings.TrimSpace(errs), "\n")
	if code != exitFailed || len(lines) != 3 {
		t.Fatalf("got %d %s", code, errs)
	}
	for i, want := range []string{"audit.key_file: ", "lisen: is not a known key; did you mean listen?", "consent.default: "} {
		if !strings.HasPrefix(lines[i], file+":") || !strings.Contains(lines[i], want) {
			t.Errorf("line %d: got %q, want %q", i, lines[i], want)
		}
	}
}

func TestDoctorTellsWhatIsDown(t *testing.T) {
	_, file := directory(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		w.Write([]byte(`{"resourceType":"CapabilityStatement"}`))
	}))
	defer s.Close()
	cfg, problems := config.Load(file)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := askUpstream(ctx, cfg); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("nothing listens there: got %v", err)
	}
	cfg.Upstream.Parsed.Host = strings.TrimPrefix(s.URL, "http://")
	if err := askUpstream(ctx, cfg); err != nil {
		t.Error(err)
	}
	cfg.Issuers[0].Issuer, cfg.Issuers[0].InsecureHTTP = s.URL, true
	if err := askIssuer(ctx, cfg, cfg.Issuers[0]); err == nil || !strings.Contains(err.Error(), s.URL) || strings.HasSuffix(err.Error(), "are not there: not fetched yet") {
		t.Errorf("an issuer without keys: got %v, want the cause", err)
	}
}

// AUD: the log of a configuration is verified with -c, with the sealing key and
// with the public key alone.
func TestAuditCommands(t *testing.T) {
	dir, file := directory(t)
	cfg, problems := config.Load(file)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	o, err := gateway.AuditOptions(cfg)
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Append(&audit.Record{ID: "1", Time: time.Now()}).Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	public, err := audit.VerifierKey(o.Origin, o.Seed)
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(dir, "keys")
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"verify", "-c", file}, 0, "public key   " + public},
		{[]string{"verify", "--dir", o.Dir, "--key-file", keys + "/sealing.key"}, 0, "completeness good"},
		{[]string{"verify", "--dir", o.Dir, "--public-key", public, "--checkpoint", o.Dir + "/checkpoint"}, 0, "integrity    good"},
		{[]string{"verify", "--dir", o.Dir, "--key-file", keys + "/audit.key"}, exitFailed, "not the key that signed"},
		{[]string{"export", "-c", file}, 0, `"AuditEvent"`},
		{[]string{"export", "--dir", o.Dir, "--key-file", keys + "/audit.key"}, 0, `"AuditEvent"`},
		{[]string{"report", "-c", file, "--patient", "Patient/1"}, 0, "no record names Patient/1 among 2 records from "},
	} {
		code, out, errs := gatehouse(append([]string{"audit"}, tt.args...)...)
		if code != tt.code || !strings.Contains(out+errs, tt.want) {
			t.Errorf("%q: got %d %s%s, want %d and %q", tt.args, code, out, errs, tt.code, tt.want)
		}
	}
}

// DESIGN §7: a file or stdin, one line for one line, under a domain.
func TestDeid(t *testing.T) {
	dir, _ := directory(t)
	input := filepath.Join(dir, "patients.ndjson")
	if err := os.WriteFile(input, []byte(`{"resourceType":"Patient","id":"1","name":[{"family":"CANARY"}]}`+"\n"+`{"resourceType":"Patient","id":"2"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	common := []string{"deid", "--view", "research", "--key-file", filepath.Join(dir, "keys/sealing.key"), "--now", "2026-11-21", input, "--domain"}
	code, first, errs := gatehouse(append(common, "study-17")...)
	if code != 0 || strings.Count(first, "\n") != 2 || strings.Contains(first, "CANARY") || strings.Contains(first, `"id":"1"`) {
		t.Fatalf("got %d %s%s", code, first, errs)
	}
	if _, again, _ := gatehouse(append(common, "study-17")...); again != first {
		t.Error("the same input gives another output")
	}
	if _, other, _ := gatehouse(append(common, "study-18")...); other == first {
		t.Error("two domains can be joined")
	}
	for args, want := range map[string]string{"deid": "required flag", "deid --view nowhere.yaml": "nowhere.yaml", "deid --view research --now soon": "YYYY-MM-DD"} {
		if code, _, errs := gatehouse(strings.Fields(args)...); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: got %d %s", args, code, errs)
		}
	}
}
