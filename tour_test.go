package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/policies"
)

// curlMain is what a page's lines need of curl, where the system has none: -s, -H
// and a URL.
func curlMain() {
	r, err := http.NewRequest(http.MethodGet, os.Args[len(os.Args)-1], nil)
	if err != nil {
		panic(err)
	}
	for i, a := range os.Args[:len(os.Args)-1] {
		switch a {
		case "-X":
			r.Method = os.Args[i+1]
		case "-H":
			name, value, _ := strings.Cut(os.Args[i+1], ": ")
			r.Header.Set(name, value)
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(7)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(os.Stdout, answer.Body)
}

// tour makes a shell script of a page: its blocks of LANG shell are the commands,
// and between them its named blocks are the files that they speak of, and its
// edits of the tables that ship. So what the page says is what runs.
func tour(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(filepath.Join("docs", args[0]))
	ts.Check(err)
	var script strings.Builder
	script.WriteString("set -eu\n")
	for _, part := range strings.Split(string(text), "\n```")[1:] {
		info, body, _ := strings.Cut(part, "\n")
		lang, name, _ := strings.Cut(info, " ")
		body, _, _ = strings.Cut(body+"\n", "\n```")
		switch {
		case lang == "shell":
			for line := range strings.Lines(body + "\n") {
				script.WriteString(line)
				if strings.HasSuffix(line, "> screen &\n") { // its reader waits for it, and does not leave it behind
					script.WriteString("trap 'kill -INT $! 2>/dev/null || true' EXIT\nuntil grep -q '^# Metrics' screen; do sleep 0.2; done\n")
				}
			}
		case lang == "diff":
			here(&script, name, edited(ts, name, body))
		case lang == "yaml" && strings.HasPrefix(name, "policies/"):
			here(&script, name, strings.TrimSuffix(body, "\n")+"\n")
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(script.String()), 0o600))
}

func here(script *strings.Builder, name, text string) {
	fmt.Fprintf(script, "cat > %s <<'END OF FILE'\n%sEND OF FILE\n", name, text)
}

// edited is a shipped table with an edit of the page.
func edited(ts *testscript.TestScript, name, edit string) string {
	shipped, err := policies.Files.ReadFile(strings.TrimPrefix(name, "policies/"))
	ts.Check(err)
	var before, after string
	for line := range strings.Lines(strings.TrimSuffix(edit, "\n") + "\n") {
		if line[0] != '+' {
			before += line[1:]
		}
		if line[0] != '-' {
			after += line[1:]
		}
	}
	if strings.Count(string(shipped), before) != 1 {
		ts.Fatalf("%s has no such place: %s", name, before)
	}
	return strings.Replace(string(shipped), before, after, 1)
}
