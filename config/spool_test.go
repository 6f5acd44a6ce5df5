package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// U-02: the classes that are left out follow the nearest that is not.
func TestOnFailure(t *testing.T) {
	dir := folder(t)
	minimal, err := os.ReadFile("minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	beside, elsewhere := filepath.Join(dir, "var/audit-spool"), filepath.Join(dir, "other")
	for text, want := range map[string]struct {
		f   OnFailure
		dir string
	}{
		"on_failure: spool":                                        {OnFailure{"spool", "spool", "spool", "spool"}, beside},
		"on_failure: {read: spool}":                                {OnFailure{"spool", "spool", "spool", "refuse"}, beside},
		"on_failure: {read: spool, search: refuse}":                {OnFailure{"spool", "refuse", "refuse", "refuse"}, beside},
		"on_failure: {write: spool}, spool: {dir: other}":          {OnFailure{"refuse", "refuse", "refuse", "spool"}, elsewhere},
		"on_failure: {operation: spool}, spool: {max: 1MiB}":       {OnFailure{"refuse", "refuse", "spool", "refuse"}, beside},
		"on_failure: refuse, spool: {dir: other}":                  {OnFailure{"refuse", "refuse", "refuse", "refuse"}, elsewhere},
		"on_failure: {read: refuse, write: refuse}, retention: 1y": {OnFailure{"refuse", "refuse", "refuse", "refuse"}, ""},
	} {
		c := loadText(t, dir, strings.Replace(string(minimal), "key_file: keys/audit.key", "key_file: keys/audit.key, "+text, 1))
		if c.Audit.OnFailure != want.f {
			t.Errorf("%s: %+v", text, c.Audit.OnFailure)
		}
		got := ""
		if c.Audit.Spool != nil {
			got = c.Audit.Spool.Dir
		}
		if got != want.dir {
			t.Errorf("%s: spool in %q, want %q", text, got, want.dir)
		}
	}
}
