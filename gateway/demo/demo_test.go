package demo

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/audit"
)

// startDemo runs a demo until the test ends, and sees to it that nothing of it
// is left then.
func startDemo(t *testing.T, patients int) *Demo {
	t.Helper()
	d, err := Open(Options{Patients: patients})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("stop: %v", err)
		}
		if _, err := os.Stat(d.dir); !os.IsNotExist(err) {
			t.Errorf("directory %s is still there", d.dir)
		}
	})
	if err := d.awaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return d
}

// The screen never lies: every line on it does what the comment over it says.
func TestScreen(t *testing.T) {
	d := startDemo(t, 300)
	var screen bytes.Buffer
	d.Print(&screen)
	s := &shell{t: t, vars: map[string]string{}}
	var promises []line
	for _, a := range cast {
		promises = append(promises, a.lines...)
	}
	for _, a := range revoking {
		promises = append(promises, a.lines...)
	}
	for _, a := range breaking {
		promises = append(promises, a.lines...)
	}
	promises = append(promises, edited)
	comment := ""
	for text := range strings.Lines(screen.String()) {
		switch text = strings.TrimSpace(text); {
		case strings.HasPrefix(text, "# "):
			comment = text[2:]
		case strings.HasPrefix(text, "sed "):
			s.sed(text)
		case strings.Contains(text, "curl "):
			status, body := s.run(text)
			if len(promises) > 0 && comment == promises[0].says {
				hold(t, promises[0], s, status, body)
				promises = promises[1:]
			} else if status != http.StatusOK {
				t.Errorf("%s: got %d: %s", text, status, body)
			}
			comment = ""
		}
	}
	if len(promises) > 0 {
		t.Errorf("not on the screen: %q", promises[0].says)
	}
	checkLinks(t, d, s)
	checkTrail(t, d)
}

// checkLinks: what names the server behind, now or formerly, leads through the
// gateway.
func checkLinks(t *testing.T, d *Demo, s *shell) {
	t.Helper()
	s.run(d.signIn("clinician"))
	letter := line{says: "200: a letter", target: "/DocumentReference?patient=Patient/p012", has: []string{"$G/Binary/bin-12"},
		lacks: []string{FormerBase, d.store}}
	status, body := s.run(letter.command())
	hold(t, letter, s, status, body)
}

// hold compares an answer with its promise.
func hold(t *testing.T, l line, s *shell, status int, body string) {
	t.Helper()
	if want := l.says[:3]; strconv.Itoa(status) != want {
		t.Errorf("%s: got %d: %.400s", l.says, status, body)
	}
	for _, text := range l.has {
		if text = s.expand(text); !strings.Contains(body, text) {
			t.Errorf("%s: %s is not in the answer: %.2000s", l.says, text, body)
		}
	}
	for _, text := range append(l.lacks, "_getpages") { // the store's own paging
		if strings.Contains(body, text) {
			t.Errorf("%s: %s is in the answer: %.2000s", l.says, text, body)
		}
	}
	if l.keep != "" && s.vars[l.keep] == "" {
		t.Errorf("%s: %s is empty", l.says, l.keep)
	}
}

// checkTrail verifies the audit trail beside the running gateway, as the
// printed command does.
func checkTrail(t *testing.T, d *Demo) {
	t.Helper()
	cfg, problems := config.Load(d.config)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	o, err := gateway.AuditOptions(cfg)
	if err != nil {
		t.Fatal(err)
	}
	key, err := audit.VerifierKey(o.Origin, o.Seed)
	if err != nil {
		t.Fatal(err)
	}
	report, err := audit.Verify(d.audit, key)
	if err != nil || !report.OK() {
		t.Errorf("verify: %+v %v", report, err)
	}
	var told bytes.Buffer
	if err := audit.ReportPatient(d.audit, o.Key, "Patient/p012", &told); err != nil || told.Len() == 0 {
		t.Errorf("report: %q, %v", told.String(), err)
	}
}

// A directory that is named is kept, and one that holds something is refused.
func TestDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	out := writer(func([]byte) { stop() }) // as soon as it says something
	if err := Run(ctx, Options{Dir: dir, Patients: 3}, out); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "policies", "roles.yaml")); err != nil {
		t.Error(err)
	}
	if err := Run(ctx, Options{Dir: dir, Patients: 3}, out); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("got %v, want that the directory is not empty", err)
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }
