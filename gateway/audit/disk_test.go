package audit

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// badDisk fails writes or flushes of segments while told to.
type badDisk struct {
	noSpace, noFlush atomic.Bool
	dead             atomic.Bool // nothing opens, so nothing is cut
}

type badFile struct {
	file
	d *badDisk
}

func (d *badDisk) open(path string, flag int) (file, error) {
	if d.dead.Load() {
		return nil, syscall.EIO
	}
	f, err := openFile(path, flag)
	if err != nil {
		return nil, err
	}
	return &badFile{f, d}, nil
}

func (f *badFile) WriteAt(b []byte, off int64) (int, error) {
	if f.d.noSpace.Load() {
		n, _ := f.file.WriteAt(b[:len(b)/2], off) // a full disk takes what still fits
		return n, syscall.ENOSPC
	}
	return f.file.WriteAt(b, off)
}

func (f *badFile) Datasync() error {
	if f.d.noFlush.Load() {
		return syscall.EIO
	}
	return f.file.Datasync()
}

// U-02, AUD-12: a disk that is full or fails refuses records, loudly; when it is
// back the log goes on, and what was acknowledged is all there.
func TestFailingDiskRefusesAndComesBack(t *testing.T) {
	for name, fault := range map[string]func(d *badDisk, on bool){
		"full":        func(d *badDisk, on bool) { d.noSpace.Store(on) },
		"flush fails": func(d *badDisk, on bool) { d.noFlush.Store(on) },
	} {
		t.Run(name, func(t *testing.T) {
			d := &badDisk{}
			o := testOptions(t.TempDir())
			o.open = d.open
			l := mustOpen(t, o)
			want := 0
			for range 3 {
				for range 10 {
					mustAppend(t, l, smallRead(want))
					want++
				}
				fault(d, true)
				if err := l.Append(smallRead(9999)).Wait(context.Background()); err == nil {
					t.Fatal("a record that is not on disk was acknowledged")
				}
				if l.Healthy() == nil {
					t.Error("a log whose disk failed is healthy")
				}
				if err := l.Append(smallRead(9999)).Wait(context.Background()); err == nil {
					t.Error("a failed log took a record")
				}
				fault(d, false)
				for end := time.Now().Add(60 * time.Second); l.Healthy() != nil && time.Now().Before(end); {
					time.Sleep(5 * time.Millisecond)
				}
			}
			mustAppend(t, l, smallRead(want))
			mustClose(t, l)
			checkVerified(t, o.Dir)
			got := mustRead(t, o.Dir)
			if len(got) != want+1 {
				t.Fatalf("%d records, want %d", len(got), want+1)
			}
			for i, r := range got {
				if r.Request != smallRead(i).Request {
					t.Fatalf("record %d is %s", i, r.Request)
				}
			}
			mustClose(t, mustOpen(t, testOptions(o.Dir)))
			checkVerified(t, o.Dir)
		})
	}
}

// Closing a log whose disk is gone ends, with an error.
func TestCloseOfFailedLogEnds(t *testing.T) {
	d := &badDisk{}
	o := testOptions(t.TempDir())
	o.open = d.open
	l := mustOpen(t, o)
	d.noSpace.Store(true)
	l.Append(smallRead(1)).Wait(context.Background())
	if l.Close() == nil {
		t.Error("closed without a word")
	}
}

// A tree that cannot be written stops the log, and only as long as it cannot.
func TestTreeThatCannotBeWrittenRefuses(t *testing.T) {
	o := testOptions(t.TempDir())
	l := mustOpen(t, o)
	tile := tiles{o.Dir}.dir + "/tile"
	if err := os.RemoveAll(tile); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wait := func(healthy bool) {
		t.Helper()
		for end := time.Now().Add(60 * time.Second); (l.Healthy() == nil) != healthy; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("healthy = %v for too long: %v", !healthy, l.Healthy())
			}
		}
	}
	l.Append(smallRead(1)).Wait(context.Background())
	wait(false)
	if err := l.Append(smallRead(2)).Wait(context.Background()); err == nil {
		t.Error("took a record that no tree will hold")
	}
	os.Remove(tile)
	wait(true)
	mustAppend(t, l, smallRead(3))
	mustClose(t, l)
	mustClose(t, mustOpen(t, testOptions(o.Dir)))
	checkVerified(t, o.Dir)
}

// A disk that hangs fills the queue, not the memory.
func TestStuckDiskFillsTheQueue(t *testing.T) {
	stuck := make(chan struct{})
	var on atomic.Bool
	o := testOptions(t.TempDir())
	o.open = func(path string, flag int) (file, error) {
		f, err := openFile(path, flag)
		return &stuckFile{f, &on, stuck}, err
	}
	l := mustOpen(t, o)
	on.Store(true)
	r := smallRead(1)
	r.Query = bytes.Repeat([]byte("x"), maxRaw)
	var err error
	for i := 0; i < 2*maxBatch/maxRaw+10 && err == nil; i++ {
		p := l.Append(r)
		select {
		case <-p.done:
			err = p.err
		default:
		}
	}
	if !errors.Is(err, errFull) {
		t.Errorf("got %v, want a full queue", err)
	}
	on.Store(false)
	close(stuck)
}

type stuckFile struct {
	file
	on    *atomic.Bool
	stuck chan struct{}
}

func (f *stuckFile) Datasync() error {
	if f.on.Load() {
		<-f.stuck
	}
	return f.file.Datasync()
}

// A flaw in the middle of what was acknowledged but not yet signed is no torn
// tail: nothing after it may be cut away.
func TestDamageIsNotTakenForATornTail(t *testing.T) {
	o := testOptions(t.TempDir())
	o.CheckpointEvery = time.Hour
	l := mustOpen(t, o)
	for i := range 50 {
		mustAppend(t, l, smallRead(i))
	}
	crashed := t.TempDir()
	if out, err := exec.Command("cp", "-r", o.Dir+"/.", crashed).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v %s", err, out)
	}
	at := find(t, crashed, 25)
	edit(t, at.path, func(b []byte) []byte { b[at.start+20] ^= 1; return b })
	if l, err := Open(testOptions(crashed)); err == nil || !strings.Contains(err.Error(), "before acknowledged records") {
		if l != nil {
			l.Close()
		}
		t.Errorf("got %v, want a refusal", err)
	}
	edit(t, at.path, func(b []byte) []byte { b[at.start+20] ^= 1; return b[:len(b)-3] })
	mustClose(t, mustOpen(t, testOptions(crashed)))
	if n := len(mustRead(t, crashed)); n != 49 {
		t.Errorf("%d records, want 49: all but the torn one", n)
	}
	checkVerified(t, crashed)
}
