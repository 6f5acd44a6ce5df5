package audit

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Issue 8 point 10: what a later version wrote is refused as such; above all it is
// not taken for a torn end, behind which nothing more would come.
func TestNewerFormatsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		at   int
	}{"segment": {"segments/00000001.log", len(segmentMagic) - 1}, "key file": {"keys/00000001.key", 0}} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t.TempDir())
			l := mustOpen(t, o)
			mustAppend(t, l, smallRead(1))
			mustClose(t, l)
			path := filepath.Join(o.Dir, c.file)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[c.at]++
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := OpenReader(o.Dir, testKey)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = r.Whole(func(*Record) error { return nil }); !errors.Is(err, errNewer) {
				t.Errorf("read: %v", err)
			}
			l, err = Open(o) // a key file is read when its records are, so this may open
			if name == "segment" && !errors.Is(err, errNewer) {
				t.Errorf("open: %v", err)
			}
			if err == nil {
				mustClose(t, l)
			}
			if after, err := os.ReadFile(path); err != nil || len(after) != len(b) {
				t.Errorf("it was changed: %v", err)
			}
		})
	}
	if _, err := open(nil, []byte{ownFormat + 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}); !errors.Is(err, errNewer) {
		t.Errorf("record: %v", err)
	}
	proven := func(b []byte) (string, error) { return string(b), nil }
	if _, err := parseExpired([]byte("gatehouse audit expired v2\nx\ny\n"), "x", proven); !errors.Is(err, errNewer) {
		t.Errorf("expired: %v", err)
	}
}
