package main

import (
	"bufio"
	"bytes"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

var own = regexp.MustCompile(`^  .* (audit \w+ -c [^|]*)`)

// The commands that the demo prints beside its curl lines work while it runs,
// and Ctrl-C ends it well.
func TestDemoCommands(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	screen, out := io.Pipe()
	done := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		done <- run([]string{"demo", "--dir", dir, "--patients", "20"}, strings.NewReader(""), out, &errs)
		out.Close()
	}()
	commands := [][]string{{"check", "-c", filepath.Join(dir, "gatehouse.yaml")}, {"doctor", "-c", filepath.Join(dir, "gatehouse.yaml")}}
	lines := bufio.NewScanner(screen)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "# Metrics") {
		if m := own.FindStringSubmatch(lines.Text()); m != nil {
			commands = append(commands, strings.Fields(m[1]))
		}
	}
	go io.Copy(io.Discard, screen)
	if len(commands) != 5 {
		t.Errorf("got %d commands, want check, doctor and three of audit: %s", len(commands), errs.String())
	}
	for _, args := range commands {
		var said bytes.Buffer
		if code := run(args, strings.NewReader(""), &said, &said); code != 0 {
			t.Errorf("%v: exit code %d: %s", args, code, said.String())
		}
	}
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code != 0 {
		t.Errorf("demo: exit code %d: %s", code, errs.String())
	}
}
