package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// filled makes a closed log of n records in several segments, and gives the
// checkpoint that an outsider kept half way.
func filled(t *testing.T, dir string, n int) (kept []byte) {
	t.Helper()
	o := testOptions(dir)
	o.SegmentBytes = 64 << 10
	o.CheckpointEvery = time.Hour
	for half := range 2 {
		l := mustOpen(t, o)
		for i := half * n / 2; i < (half+1)*n/2; i++ {
			p := l.Append(smallRead(i))
			if i%10 == 9 {
				if err := p.Wait(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}
		mustClose(t, l)
		if half == 0 {
			kept, _ = readCheckpoint(dir)
		}
	}
	return kept
}

// stored finds a record's place: its file and the offsets of its batch and of
// its bytes.
type storedAt struct {
	path              string
	batch, start, end int64
}

func find(t *testing.T, dir string, index int64) (at storedAt) {
	t.Helper()
	numbers, err := numbered(filepath.Join(dir, "segments"), ".log")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range numbers {
		s, err := openSegment(segmentPath(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		for {
			begin := s.offset
			b, err := s.next()
			if err != nil {
				break
			}
			at := begin + batchHeadLen
			var found *storedAt
			b.each(func(i int64, stored []byte) error {
				at += 4
				if i == index {
					found = &storedAt{s.path, begin, at, at + int64(len(stored))}
				}
				at += int64(len(stored))
				return nil
			})
			if found != nil {
				return *found
			}
		}
	}
	t.Fatalf("record %d is not there", index)
	return at
}

// edit changes a file; what is changed in a batch gets its checksum made good,
// as a forger would.
func edit(t *testing.T, path string, f func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mendSum(b []byte, batch int64) {
	h := b[batch:]
	n := batchHeadLen + int(binary.BigEndian.Uint32(h[20:]))
	binary.BigEndian.PutUint32(h[24:], batchSum(h[:n]))
}

func resign(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"checkpoint", "tile"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	// A segment that says how far the tiles were flushed would send recovery to
	// tiles that are gone; a forger mends that too.
	numbers, _ := numbered(filepath.Join(dir, "segments"), ".log")
	for _, n := range numbers {
		edit(t, segmentPath(dir, n), func(b []byte) []byte {
			h, err := parseHead(b)
			if err != nil {
				t.Fatal(err)
			}
			h.Synced = 0
			return append(h.marshal(), b[headLen:]...)
		})
	}
	mustClose(t, mustOpen(t, testOptions(dir)))
}

// U-07, TLOG-01: flip a byte, drop, reorder, truncate, rewrite and sign anew.
func TestVerifyFindsTheForger(t *testing.T) {
	const n, theVictim = 2000, -2
	var victim int64 // in the second half; which one depends on how the batches fell
	type want struct {
		integrity, complete bool
		firstBad            int64
	}
	tests := map[string]struct {
		forge func(t *testing.T, dir string)
		want  want
	}{
		"nothing": {func(*testing.T, string) {}, want{true, true, -1}},
		"flipped byte": {func(t *testing.T, dir string) {
			at := find(t, dir, victim)
			edit(t, at.path, func(b []byte) []byte { b[at.start+20] ^= 1; mendSum(b, at.batch); return b })
		}, want{false, true, theVictim}},
		"two records exchanged": {func(t *testing.T, dir string) {
			at := find(t, dir, victim)
			edit(t, at.path, func(b []byte) []byte {
				n := at.end - at.start // all of one length here
				if int64(binary.BigEndian.Uint32(b[at.end:])) != n {
					t.Fatal("records differ in length")
				}
				this, next := bytes.Clone(b[at.start:at.end]), bytes.Clone(b[at.end+4:at.end+4+n])
				copy(b[at.start:], next)
				copy(b[at.end+4:], this)
				mendSum(b, at.batch)
				return b
			})
		}, want{false, true, theVictim}},
		"record cut out of its batch": {func(t *testing.T, dir string) {
			at := find(t, dir, victim)
			edit(t, at.path, func(b []byte) []byte {
				h := b[at.batch:]
				binary.BigEndian.PutUint32(h[16:], binary.BigEndian.Uint32(h[16:])-1)
				binary.BigEndian.PutUint32(h[20:], binary.BigEndian.Uint32(h[20:])-uint32(at.end-at.start+4))
				b = append(b[:at.start-4], b[at.end:]...)
				mendSum(b, at.batch)
				return b
			})
		}, want{false, false, theVictim}},
		"segment removed": {func(t *testing.T, dir string) {
			if err := os.Remove(find(t, dir, victim).path); err != nil {
				t.Fatal(err)
			}
		}, want{true, false, 0}}, // first bad: that segment's first record
		"tile altered": {func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "tile/0/004"), func(b []byte) []byte { b[(victim-1024)*32] ^= 1; return b })
		}, want{false, true, theVictim}},
		"tile removed": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "tile/0/004")); err != nil {
				t.Fatal(err)
			}
		}, want{false, true, -1}},
		"checkpoint altered": {func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "checkpoint"), func(b []byte) []byte {
				return []byte(strings.Replace(string(b), "2002", "2001", 1))
			})
		}, want{false, true, -1}},
		"byte flipped and signed anew": {func(t *testing.T, dir string) {
			at := find(t, dir, 777)
			edit(t, at.path, func(b []byte) []byte { b[at.start+20] ^= 1; mendSum(b, at.batch); return b })
			resign(t, dir)
		}, want{false, false, -1}},
		"cut short and signed anew": {func(t *testing.T, dir string) {
			numbers, _ := numbered(filepath.Join(dir, "segments"), ".log")
			at := find(t, dir, 600)
			for _, n := range numbers {
				if p := segmentPath(dir, n); p > at.path {
					os.Remove(p)
				}
			}
			edit(t, at.path, func(b []byte) []byte { return b[:at.batch] })
			resign(t, dir)
		}, want{true, false, 0}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			kept := filled(t, dir, n)
			victim = pairFrom(t, dir, 1234)
			first := int64(0)
			if name == "segment removed" {
				first = firstOf(t, find(t, dir, victim).path)
			}
			tt.forge(t, dir)
			r := mustVerify(t, dir, kept)
			if name == "cut short and signed anew" {
				first = r.Size
				if r := mustVerify(t, dir); !r.OK() {
					t.Errorf("without a kept checkpoint it is whole in itself; got %+v", r)
				}
			}
			if tt.want.firstBad == theVictim {
				tt.want.firstBad = victim
			}
			if tt.want.firstBad == 0 {
				tt.want.firstBad = first
			}
			if got := (want{r.Integrity == nil, r.Completeness == nil, r.FirstBad}); got != tt.want {
				t.Errorf("got %+v, want %+v\n%+v", got, tt.want, r)
			}
		})
	}
}

// pairFrom is the first record from index on that has one of its own length
// after it in its batch.
func pairFrom(t *testing.T, dir string, index int64) int64 {
	t.Helper()
	for end := index + 40; index < end; index++ {
		a, b := find(t, dir, index), find(t, dir, index+1)
		if a.path == b.path && a.batch == b.batch && a.end-a.start == b.end-b.start {
			return index
		}
	}
	t.Fatal("no two records of one length stand in one batch")
	return 0
}

func firstOf(t *testing.T, path string) int64 {
	t.Helper()
	s, err := openSegment(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	return s.First
}

// Open does not go on after a forger: it would sign what he left.
func TestOpenRefusesForgedLog(t *testing.T) {
	tests := map[string]func(t *testing.T, dir string){
		"record changed": func(t *testing.T, dir string) {
			at := find(t, dir, 1900)
			edit(t, at.path, func(b []byte) []byte { b[at.start+20] ^= 1; mendSum(b, at.batch); return b })
		},
		"tail cut off": func(t *testing.T, dir string) {
			at := find(t, dir, 1950)
			edit(t, at.path, func(b []byte) []byte { return b[:at.batch] })
		},
		"damage before acknowledged records": func(t *testing.T, dir string) {
			at := find(t, dir, 1900)
			edit(t, at.path, func(b []byte) []byte { b[at.start+20] ^= 1; return b })
		},
		"segments gone": func(t *testing.T, dir string) { os.RemoveAll(filepath.Join(dir, "segments")) },
		"another key's checkpoint": func(t *testing.T, dir string) {
			s, _, _ := newSigner(testOrigin, bytes.Repeat([]byte{1}, 32))
			b, _ := checkpoint{Origin: testOrigin, Size: 1}.sign(s)
			os.WriteFile(filepath.Join(dir, "checkpoint"), b, 0o600)
		},
	}
	for name, forge := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			filled(t, dir, 2000)
			forge(t, dir)
			if l, err := Open(testOptions(dir)); err == nil {
				l.Close()
				t.Error("opened")
			} else {
				t.Log(err)
			}
		})
	}
}

// A batch torn by a crash goes; whole batches before it stay.
func TestTornTailIsCut(t *testing.T) {
	for _, keep := range []int64{1, 7, batchHeadLen, batchHeadLen + 3, 100} {
		t.Run(fmt.Sprint(keep), func(t *testing.T) {
			dir := t.TempDir()
			filled(t, dir, 100)
			numbers, _ := numbered(filepath.Join(dir, "segments"), ".log")
			last := segmentPath(dir, numbers[len(numbers)-1])
			torn := append(make([]byte, batchHeadLen), bytes.Repeat([]byte{1}, 500)...)
			finishBatch(torn, 102, 1)
			edit(t, last, func(b []byte) []byte { return append(b, torn[:keep]...) })
			mustClose(t, mustOpen(t, testOptions(dir)))
			checkVerified(t, dir)
			if n := len(mustRead(t, dir)); n != 100 {
				t.Errorf("%d records, want 100", n)
			}
		})
	}
}

// Lost tiles are made anew from the data.
func TestLostTilesAreMadeAnew(t *testing.T) {
	dir := t.TempDir()
	kept := filled(t, dir, 2000)
	if err := os.RemoveAll(filepath.Join(dir, "tile")); err != nil {
		t.Fatal(err)
	}
	mustClose(t, mustOpen(t, testOptions(dir)))
	checkVerified(t, dir, kept)
}
