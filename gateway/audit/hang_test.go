package audit

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// hangingDisk lets calls wait while told to: those of the records' segments.
type hangingDisk struct {
	write, flush atomic.Bool
	mu           sync.Mutex
	back         chan struct{}
}

func (d *hangingDisk) hang(on *atomic.Bool) (back func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.back = make(chan struct{})
	on.Store(true)
	return func() { on.Store(false); close(d.back) }
}

func (d *hangingDisk) wait(on *atomic.Bool) {
	if on.Load() {
		d.mu.Lock()
		back := d.back
		d.mu.Unlock()
		<-back
	}
}

type hangingFile struct {
	file
	d *hangingDisk
}

func (f *hangingFile) WriteAt(b []byte, off int64) (int, error) {
	f.d.wait(&f.d.write)
	return f.file.WriteAt(b, off)
}

func (f *hangingFile) Datasync() error {
	f.d.wait(&f.d.flush)
	return f.file.Datasync()
}

func hangingOptions(dir string, d *hangingDisk) Options {
	o := testOptions(dir)
	o.FlushTimeout = time.Hour // but while it hangs: a loaded machine's disk is slow
	o.open = func(path string, flag int) (file, error) {
		f, err := openFile(path, flag)
		if err != nil {
			return nil, err
		}
		return &hangingFile{f, d}, nil
	}
	return o
}

// impatient has a log give its disk up soon, or never.
func impatient(l *Log, on bool) {
	if on {
		l.timeout.Store(int64(20 * time.Millisecond))
	} else {
		l.timeout.Store(int64(time.Hour))
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within a minute: " + what)
		}
	}
}

// U-02, AUD-12: a disk that hangs is waited for no longer than the timeout: what waits
// is refused, and so is what comes, with an alarm for each hang. When it answers the
// log goes on; what was refused is not in it, what was acknowledged is.
func TestHangingDiskIsGivenUp(t *testing.T) {
	for name, of := range map[string]func(*hangingDisk) *atomic.Bool{
		"write": func(d *hangingDisk) *atomic.Bool { return &d.write },
		"flush": func(d *hangingDisk) *atomic.Bool { return &d.flush },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var alarms atomic.Int64
			d := &hangingDisk{}
			o := hangingOptions(t.TempDir(), d)
			o.Hangs = func() { alarms.Add(1) }
			l := mustOpen(t, o)
			want := 0
			for round := range 3 {
				for range 5 {
					mustAppend(t, l, smallRead(want))
					want++
				}
				before := alarms.Load()
				back := d.hang(of(d))
				impatient(l, true)
				var refused []*Pending
				for range 3 {
					refused = append(refused, l.Append(smallRead(9999)))
					time.Sleep(time.Millisecond) // some are at the disk, some wait for it
				}
				for _, p := range refused {
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					if err := p.Wait(ctx); !errors.Is(err, errHangs) {
						t.Errorf("round %d: got %v", round, err)
					}
					cancel()
				}
				if !errors.Is(l.Healthy(), errHangs) || alarms.Load() == before {
					t.Errorf("healthy: %v, %d alarms", l.Healthy(), alarms.Load())
				}
				select {
				case <-l.Append(smallRead(9999)).done:
				default:
					t.Error("a record waits for a disk that was given up")
				}
				impatient(l, false)
				back()
				until(t, "the log takes records again", func() bool { return l.Healthy() == nil })
			}
			mustAppend(t, l, smallRead(want))
			mustClose(t, l)
			checkVerified(t, o.Dir)
			for i, r := range mustRead(t, o.Dir) {
				if r.Request != smallRead(i).Request {
					t.Fatalf("record %d is %s", i, r.Request)
				}
			}
		})
	}
}

// What hangs while a segment ends, or while the log is closed, is not waited for
// either; the lock stays until the disk has answered.
func TestHangWhileSegmentEndsAndClose(t *testing.T) {
	d := &hangingDisk{}
	o := hangingOptions(t.TempDir(), d)
	o.SegmentBytes = 1 // a segment for each batch
	l := mustOpen(t, o)
	for i := range 3 {
		mustAppend(t, l, smallRead(i))
	}
	back := d.hang(&d.flush)
	impatient(l, true)
	if err := l.Append(smallRead(9999)).Wait(context.Background()); !errors.Is(err, errHangs) {
		t.Errorf("got %v", err)
	}
	if err := l.EraseUnder(50*time.Millisecond, "Patient/1"); err == nil {
		t.Error("erased on a disk that hangs")
	}
	if err := l.Close(); !errors.Is(err, errHangs) {
		t.Errorf("close: %v", err)
	}
	if _, err := Open(testOptions(o.Dir)); !errors.Is(err, ErrHeld) {
		t.Errorf("another process may write what the disk is still to write: %v", err)
	}
	impatient(l, false)
	back()
	until(t, "the lock is free", func() bool {
		again, err := Open(testOptions(o.Dir))
		if err == nil {
			mustClose(t, again)
		}
		return err == nil
	})
	checkVerified(t, o.Dir)
	n := 0
	for _, r := range mustRead(t, o.Dir) {
		if r.Request == smallRead(9999).Request {
			t.Error("a record that was refused is there")
		}
		if r.Kind == Outcome {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d records", n)
	}
}

func (l *Log) EraseUnder(limit time.Duration, patient string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return l.Erase(ctx, patient)
}

// A tree that hangs closes the log too: a trail whose proof cannot be kept is not
// kept.
func TestHangingTreeIsGivenUp(t *testing.T) {
	var hung atomic.Bool
	back := make(chan struct{})
	o := testOptions(t.TempDir())
	o.FlushTimeout = time.Hour
	o.Publish = func([]byte) error {
		if hung.Load() {
			<-back
		}
		return nil
	}
	l := mustOpen(t, o)
	hung.Store(true)
	impatient(l, true)
	until(t, "the log is given up", func() bool {
		l.Append(smallRead(1))
		return errors.Is(l.Healthy(), errHangs)
	})
	impatient(l, false)
	hung.Store(false)
	close(back)
	until(t, "the log takes records again", func() bool { return l.Healthy() == nil })
	mustAppend(t, l, smallRead(2))
	mustClose(t, l)
	checkVerified(t, o.Dir)
}
