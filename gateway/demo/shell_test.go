package demo

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// shell understands as much of a shell as the demo's screen needs, so that the
// test needs no curl.
type shell struct {
	t    *testing.T
	vars map[string]string
}

var (
	signIn = regexp.MustCompile(`^G=(\S+); A="([^$]*)\$\((curl .*)\)"$`)
	kept   = regexp.MustCompile(`^([A-Z])=\$\((curl .*) \| grep -o '(.*)' \| head -1\); echo \$[A-Z]$`)
	piped  = regexp.MustCompile(`^(curl .*) \| grep \^gatehouse_requests$`)
	sed    = regexp.MustCompile(`^sed -i\.bak 's/(.*)/(.*)/' (\S+)$`)
	word   = regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)
)

// run does one line of the screen and gives what its request was answered.
func (s *shell) run(text string) (status int, body string) {
	s.t.Helper()
	if m := signIn.FindStringSubmatch(text); m != nil {
		status, body = s.curl(m[3])
		s.vars["G"], s.vars["A"] = m[1], m[2]+body
		return status, body
	}
	if m := kept.FindStringSubmatch(text); m != nil {
		status, body = s.curl(m[2])
		s.vars[m[1]] = regexp.MustCompile(m[3]).FindString(body)
		return status, body
	}
	if m := piped.FindStringSubmatch(text); m != nil {
		text = m[1]
	}
	text = strings.TrimSuffix(text, "; echo")
	if !strings.HasPrefix(text, "curl ") || strings.Contains(text, "|") {
		s.t.Fatalf("a line that the test does not understand: %s", text)
	}
	return s.curl(text)
}

// curl sends what a curl line says.
func (s *shell) curl(text string) (int, string) {
	s.t.Helper()
	method, target, body := http.MethodGet, "", ""
	header := http.Header{}
	words := word.FindAllString(text, -1)[1:]
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "-s", "-si":
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
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func (s *shell) expand(w string) string {
	if strings.HasPrefix(w, "'") {
		return strings.Trim(w, "'")
	}
	return os.Expand(strings.Trim(w, `"`), func(name string) string { return s.vars[name] })
}

// sed edits a file as the printed line would.
func (s *shell) sed(text string) {
	s.t.Helper()
	m := sed.FindStringSubmatch(text)
	if m == nil {
		s.t.Fatalf("a line that the test does not understand: %s", text)
	}
	was, err := os.ReadFile(m[3])
	if err != nil {
		s.t.Fatal(err)
	}
	is := regexp.MustCompile(m[1]).ReplaceAll(was, []byte(m[2]))
	if string(is) == string(was) {
		s.t.Errorf("%s: changes nothing", text)
	}
	if err := os.WriteFile(m[3], is, 0o600); err != nil {
		s.t.Fatal(err)
	}
}
