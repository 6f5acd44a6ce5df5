package demo

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// startDemo runs a demo with a temporary directory until the test ends, and
// gives its screen.
func startDemo(t *testing.T, patients int) (*Demo, string) {
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
	var screen bytes.Buffer
	d.Print(&screen)
	return d, screen.String()
}

// shell understands as much of a shell as the screen needs.
type shell struct {
	t    *testing.T
	vars map[string]string
}

var (
	assigned = regexp.MustCompile(`^([A-Z])="?([^$]*?)(?:\$\((.*)\))?"?$`)
	searched = regexp.MustCompile(`^P=\$\((curl .*) \| grep -o '(.*)' \| head -1\); echo \$P$`)
	word     = regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)
)

// curl sends what a curl line says.
func (s *shell) curl(text string) (int, string) {
	s.t.Helper()
	method, target, body := http.MethodGet, "", ""
	header := http.Header{}
	words := word.FindAllString(text, -1)[1:]
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "-s", "-i":
		case "-X":
			i++
			method = words[i]
		case "-H":
			i++
			name, value, _ := strings.Cut(s.expand(words[i]), ": ")
			header.Set(name, value)
		case "-d":
			i++
			method, body = http.MethodPost, s.expand(words[i])
		default:
			target = s.expand(words[i])
		}
	}
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = header
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text2, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(text2)
}

func (s *shell) expand(w string) string {
	if strings.HasPrefix(w, "'") {
		return strings.Trim(w, "'")
	}
	return os.Expand(strings.Trim(w, `"`), func(name string) string { return s.vars[name] })
}

// run does one line of the screen and gives the status and body of its request.
func (s *shell) run(text string) (status int, body string) {
	s.t.Helper()
	if m := searched.FindStringSubmatch(text); m != nil {
		status, body = s.curl(m[1])
		s.vars["P"] = regexp.MustCompile(m[2]).FindString(body)
		return status, body
	}
	if strings.HasPrefix(text, "curl ") {
		return s.curl(text)
	}
	if m := assigned.FindStringSubmatch(text); m != nil {
		s.vars[m[1]] = m[2]
		if m[3] != "" {
			status, body = s.curl(m[3])
			s.vars[m[1]] += body
		}
		return status, body
	}
	s.t.Fatalf("a line that the test does not understand: %s", text)
	return 0, ""
}

var promised = regexp.MustCompile(`^# (\d{3})\b`)

// The screen never lies: every line does what the comment over it says.
func TestScreen(t *testing.T) {
	at := time.Now()
	d, screen := startDemo(t, 300)
	t.Logf("started in %v", time.Since(at))
	if testing.Verbose() {
		t.Log("\n" + screen)
	}
	people, _, _ := strings.Cut(screen, "\n# Edit a role")
	s := &shell{t: t, vars: map[string]string{}}
	promise, checked := "", 0
	_, people, _ = strings.Cut(people, "\n\n  G=")
	for text := range strings.Lines("G=" + people) {
		text = strings.TrimSpace(text)
		if m := promised.FindStringSubmatch(text); m != nil {
			promise = text
			continue
		}
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		status, body := s.run(text)
		if promise == "" {
			continue
		}
		checked++
		if want := promised.FindStringSubmatch(promise)[1]; want != http.StatusText(0)+itoa(status) {
			t.Errorf("%s\n%s\ngot %d: %.600s", promise, text, status, body)
		}
		if testing.Verbose() {
			t.Logf("%s\n%d %.1500s", promise, status, body)
		}
		promise = ""
	}
	want := 0
	for _, a := range cast {
		want += len(a.lines)
	}
	if checked != want {
		t.Errorf("checked %d lines, want %d", checked, want)
	}
	_ = d
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}
