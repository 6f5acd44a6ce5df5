package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"gatehouse/gateway/view"
)

// teller tells once a second how far deid is, and at the end what it withheld.
type teller struct {
	out   io.Writer
	told  bool // each second
	start time.Time
	stop  chan struct{}
	ended sync.WaitGroup

	mu   sync.Mutex
	jobs []*view.Job
}

func newTeller(o deidOptions) *teller {
	t := &teller{out: o.told, told: o.progress || terminal(o.told), start: time.Now(), stop: make(chan struct{})}
	if t.told {
		t.ended.Go(t.run)
	}
	return t
}

// terminal tells of a writer that somebody looks at it.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (t *teller) of(j *view.Job) *view.Job {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.jobs = append(t.jobs, j)
	return j
}

func (t *teller) run() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.line()
		case <-t.stop:
			t.line()
			return
		}
	}
}

func (t *teller) sum() (lines, bytes, withheld int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, j := range t.jobs {
		lines, bytes, withheld = lines+j.Lines.Load(), bytes+j.Bytes.Load(), withheld+j.Withheld.Load()
	}
	return lines, bytes, withheld
}

func (t *teller) line() {
	lines, bytes, _ := t.sum()
	mib := float64(bytes) / (1 << 20)
	fmt.Fprintf(t.out, "deid: %d resources, %.0f MiB, %.0f MiB/s\n", lines, mib, mib/max(time.Since(t.start).Seconds(), 0.001))
}

func (t *teller) end() {
	if t.told {
		close(t.stop)
		t.ended.Wait()
	}
	if _, _, withheld := t.sum(); withheld > 0 {
		fmt.Fprintf(t.out, "deid: %d resources could not be shown and left an OperationOutcome\n", withheld)
	}
}
