package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"
)

// Issue 6 point 11: a run without a vault makes the same random id of each one however
// many there are, keeps none of them in memory, and leaves nothing behind.
func TestRunVault(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	table, err := newTable(1 << 11)
	if err != nil {
		t.Fatal(err)
	}
	v := &runVault{table: table, rest: map[string][]byte{}}
	pair := func(i int) (key, value []byte) {
		key, value = make([]byte, 32), make([]byte, 16)
		binary.LittleEndian.PutUint64(key, uint64(i%1500)*0x9e3779b97f4a7c15) // some in the same place
		binary.LittleEndian.PutUint64(key[8:], uint64(i)+1)
		binary.LittleEndian.PutUint64(value, uint64(i)+1)
		return key, value
	}
	const n = 5000
	for round := range 2 {
		for i := range n {
			key, want := pair(i)
			given := want
			if round > 0 {
				given = make([]byte, 16)
			}
			if got, err := v.Keep(key, given); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("round %d, %d: got %x, %v", round, i, got, err)
			}
		}
	}
	if table.slots < 2*n || table.used != n {
		t.Errorf("%d of %d slots", table.used, table.slots)
	}
	if first, _ := v.Keep([]byte("domain"), []byte("study")); string(first) != "study" {
		t.Errorf("got %s", first)
	}
	if again, _ := v.Keep([]byte("domain"), []byte("other")); string(again) != "study" {
		t.Errorf("got %s", again)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := v.close(); err != nil {
		t.Error(err)
	}
}
