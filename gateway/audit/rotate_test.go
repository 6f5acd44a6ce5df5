package audit

import (
	"os"
	"slices"
	"testing"
)

// Issue 6 point 8: with a new audit key before the old one every key file is
// brought under the new one at the next start, and the old one opens nothing.
func TestRotatedAuditKey(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir, 200)
	fresh := append([]byte{99}, testKey[1:]...)
	both := slices.Concat(fresh, testKey)
	reads := func(key []byte) int {
		r, err := OpenReader(dir, key)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range r.All() {
			if err == nil {
				n++
			}
		}
		return n
	}
	want := reads(testKey)
	if got := reads(both); got != want {
		t.Errorf("before the start: %d of %d records", got, want)
	}
	o := testOptions(dir)
	o.Key = both
	l := mustOpen(t, o)
	mustAppend(t, l, smallRead(1))
	mustClose(t, l)
	want = reads(both)
	if got := reads(fresh); got != want {
		t.Errorf("the new key reads %d of %d records", got, want)
	}
	if got := reads(testKey); got != 0 {
		t.Errorf("the old key reads %d records", got)
	}
	files, err := os.ReadDir(dir + "/keys")
	if n, kerr := KeyFiles(dir, fresh); err != nil || kerr != nil || n != len(files) {
		t.Errorf("%d segments, %d key files: %v %v", n, len(files), err, kerr)
	}
	o.Key = both[:40]
	if _, err := Open(o); err == nil {
		t.Error("a key of 40 bytes opens")
	}
}
