package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"
)

// Issue 6 point 11: a run without a vault holds few ids in memory, and makes the same
// one of each however many there are.
func TestRunVault(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	v := &runVault{few: map[[16]byte][16]byte{}, rest: map[string][]byte{}}
	pair := func(i int) (key, value []byte) {
		key, value = make([]byte, 32), make([]byte, 16)
		binary.BigEndian.PutUint64(key, uint64(i)*0x9e3779b97f4a7c15)
		binary.BigEndian.PutUint64(value, uint64(i)+1)
		return key, value
	}
	const n = maxFew + 3*maxWaiting
	for i := range n {
		key, value := pair(i)
		if got, err := v.Keep(key, value); err != nil || !bytes.Equal(got, value) {
			t.Fatalf("%d: got %x, %v", i, got, err)
		}
		if err := v.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if len(v.few) != maxFew || v.file == nil || v.file.waiting >= maxWaiting {
		t.Errorf("%d in memory, %d wait", len(v.few), v.file.waiting)
	}
	for _, i := range []int{0, maxFew - 1, maxFew, maxFew + maxWaiting, n - 1} {
		key, want := pair(i)
		if got, err := v.Keep(key, make([]byte, 16)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d again: got %x, %v, want %x", i, got, err, want)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := v.close(); err != nil {
		t.Error(err)
	}
}
