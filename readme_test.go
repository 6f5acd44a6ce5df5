package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/gateway"
	"gatehouse/gateway/auth/authtest"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

// block is a fenced block of a page: ```LANG NAME.
type block struct {
	lang, name, text string
	line             int
}

func blocksOf(t *testing.T, page string) (all []block) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	for i, line := range strings.Split(string(text), "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case !fence && open != nil:
			open.text += line + "\n"
		case fence && open != nil:
			all, open = append(all, *open), nil
		case fence:
			lang, name, _ := strings.Cut(info, " ")
			open = &block{lang: lang, name: name, line: i + 1}
		}
	}
	return all
}

// pages are those whose blocks are held to what the program does:
//
//	```yaml NAME, ```json NAME   a file of the page's directory
//	```diff NAME                 an edit of one
//	```sh                        commands that exist, with flags that exist; those of runs are run
//	```console                   commands after $, and the output that they have
var pages = []string{"README.md", "docs/operations.md", "docs/audit.md", "docs/integrators.md", "docs/policies.md", "docs/views.md"}

// runs are the commands that need nothing but files.
var runs = []string{"keys new", "check", "policy init", "policy test", "policy coverage", "policy diff", "scope simulate", "view lint", "view apply", "deid"}

func TestPages(t *testing.T) {
	for _, page := range pages {
		blocks := blocksOf(t, page)
		t.Run(page, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, b := range blocks {
				if b.lang == "diff" {
					break // what follows lies beside the file that is edited, which a command makes
				}
				if b.name != "" {
					write(t, b.name, b.text)
				}
			}
			p := &pageRun{t: t}
			for _, b := range blocks {
				p.play(b)
			}
		})
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// pageRun plays the blocks of one page in their order.
type pageRun struct {
	t      *testing.T
	issuer *authtest.Issuer
	addr   string // of the gateway, once it runs
}

func (p *pageRun) play(b block) {
	switch {
	case b.lang == "diff":
		p.edit(b)
	case b.name != "":
		write(p.t, b.name, b.text)
	}
	switch b.lang {
	case "sh":
		for line := range strings.Lines(b.text) {
			p.command(b, strings.TrimSpace(line))
		}
	case "console":
		for part := range strings.SplitSeq("\n"+b.text, "\n$ ") {
			if line, output, _ := strings.Cut(part, "\n"); line != "" {
				p.console(b, line, output)
			}
		}
	}
}

// edit changes a file as the page says.
func (p *pageRun) edit(b block) {
	p.t.Helper()
	var before, after string
	for line := range strings.Lines(b.text) {
		if line[0] != '+' {
			before += line[1:]
		}
		if line[0] != '-' {
			after += line[1:]
		}
	}
	text, err := os.ReadFile(b.name)
	if err != nil || strings.Count(string(text), before) != 1 {
		p.t.Fatalf("line %d: %s has no such place: %v", b.line, b.name, err)
	}
	write(p.t, b.name, strings.Replace(string(text), before, after, 1))
}

// command holds a line to the commands there are.
func (p *pageRun) command(b block, line string) {
	p.t.Helper()
	line, _, _ = strings.Cut(line, "  #")
	args, ok := strings.CutPrefix(line, "gatehouse ")
	if !ok {
		if args, ok = strings.CutPrefix(line, "go run . "); !ok {
			return
		}
	}
	split := shellWords(strings.TrimSpace(args))
	root := &cobra.Command{}
	root.AddCommand(commands()...)
	c, rest, err := root.Find(split)
	if err == nil && c == root {
		err = fmt.Errorf("no such command")
	}
	if err == nil {
		err = c.ParseFlags(rest)
	}
	if err == nil {
		err = c.ValidateArgs(c.Flags().Args())
	}
	if err != nil {
		p.t.Errorf("line %d: %s: %v", b.line, line, err)
	}
	if !slices.ContainsFunc(runs, func(r string) bool { return strings.HasPrefix(args, r) }) {
		return
	}
	if _, err := os.Stat("gatehouse.yaml"); err != nil && strings.Contains(args, "-c gatehouse.yaml") {
		return // the page speaks of the reader's own
	}
	if code, _, errs := gatehouse(split...); code != 0 {
		p.t.Errorf("line %d: %s: %d %s", b.line, line, code, errs)
	}
}

// console holds a command's output to what the page says.
func (p *pageRun) console(b block, line, want string) {
	p.t.Helper()
	var got string
	words := shellWords(line)
	switch words[0] {
	case "gatehouse":
		_, out, errs := gatehouse(words[1:]...)
		got = out + errs
	case "curl":
		got, want = p.curl(words[1:], want)
	default:
		p.t.Fatalf("line %d: what is %s?", b.line, words[0])
	}
	if got, want = settled(got), settled(want); got != want {
		p.t.Errorf("line %d: $ %s\n got %s\nwant %s", b.line, line, got, want)
	}
}

var (
	anyID       = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
	anyRevision = regexp.MustCompile(`\b[0-9a-f]{12}\b`)
)

// settled replaces what differs from run to run.
func settled(s string) string {
	return strings.TrimSpace(anyRevision.ReplaceAllString(anyID.ReplaceAllString(s, "ID"), "REVISION"))
}

// curl makes the request of a line. Of the head it gives the lines that the
// page shows; a body is compared as JSON.
func (p *pageRun) curl(args []string, want string) (got, wanted string) {
	p.t.Helper()
	p.start()
	r, err := http.NewRequest(http.MethodGet, args[len(args)-1], nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Host, r.URL.Host = r.URL.Host, p.addr
	for i, a := range args {
		switch a {
		case "-X":
			r.Method = args[i+1]
		case "-H":
			name, value, _ := strings.Cut(args[i+1], ": ")
			r.Header.Set(name, os.Expand(value, p.token))
		}
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	head, wantBody, _ := strings.Cut(want, "\n\n")
	lines := []string{answer.Proto + " " + answer.Status}
	for _, line := range strings.Split(head, "\n")[1:] {
		name, _, _ := strings.Cut(line, ":")
		lines = append(lines, name+": "+answer.Header.Get(name))
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(answer.Body); err != nil {
		p.t.Fatal(err)
	}
	return strings.Join(lines, "\n") + "\n\n" + compact(p.t, body.String()), head + "\n\n" + compact(p.t, wantBody)
}

func compact(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return b.String()
}

// token signs in the role that a line names, $BILLING.
func (p *pageRun) token(name string) string {
	return p.issuer.Token(map[string]any{"aud": "http://127.0.0.1:8080/fhir", "scope": "user/*.rs", "organization": "Organization/2",
		"realm_access": map[string]any{"roles": []string{strings.ToLower(name)}}})
}

// start serves the page's gatehouse.yaml, between an issuer and an upstream of
// the test.
func (p *pageRun) start() {
	p.t.Helper()
	if p.addr != "" {
		return
	}
	var err error
	if p.issuer, err = authtest.New(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.issuer.Close)
	ehr := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		if strings.HasSuffix(r.URL.Path, "/Account/7") {
			fmt.Fprint(w, `{"resourceType":"Account","id":"7","status":"active","owner":{"reference":"Organization/3"}}`)
			return
		}
		fmt.Fprint(w, `{"resourceType":"Bundle","type":"searchset"}`)
	}))
	p.t.Cleanup(ehr.Close)
	for _, key := range []string{"own/sealing.key", "own/audit.key", "own/pseudonyms.key"} {
		gatehouse("keys", "new", key)
	}
	text, err := os.ReadFile("gatehouse.yaml")
	if err != nil {
		p.t.Fatal(err)
	}
	write(p.t, "here.yaml", strings.NewReplacer("listen: 127.0.0.1:8080", "listen: 127.0.0.1:0", "admin: 127.0.0.1:9090", "admin: 127.0.0.1:0",
		"http://127.0.0.1:9000/fhir", ehr.URL+"/fhir", "issuer: https://idp.example.org/realms/h", "issuer: "+p.issuer.URL,
		"key_file: keys/", "key_file: own/", "token_types:", "insecure_http: true\n    token_types:").Replace(string(text)))
	process, err := gateway.Open("here.yaml", zap.NewNop())
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- process.Run(ctx) }()
	p.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			p.t.Error(err)
		}
	})
	p.addr = process.PublicAddr()
	p.awaitReady("http://" + process.AdminAddr() + "/readyz")
}

func (p *pageRun) awaitReady(url string) {
	p.t.Helper()
	for range 500 {
		if r, err := ask(http.MethodGet, url, ""); err == nil && r.status == http.StatusOK {
			return
		}
	}
	p.t.Fatal("the gateway did not become ready")
}

// shellWords splits a line as a shell does, with quotes and without more.
func shellWords(line string) (words []string) {
	var word strings.Builder
	quote, in := rune(0), false
	for _, r := range line {
		switch {
		case quote == 0 && (r == '\'' || r == '"'):
			quote, in = r, true
		case r == quote:
			quote = 0
		case quote == 0 && r == ' ':
			if in {
				words = append(words, word.String())
			}
			word.Reset()
			in = false
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if in {
		words = append(words, word.String())
	}
	return words
}
