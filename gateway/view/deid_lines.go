package view

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"runtime"
	"sync"

	"gatehouse/fhir/wire"
)

// batchBytes is how much NDJSON one worker takes at once: enough that handing
// it over costs nothing, little enough that all in flight is some MiB.
const batchBytes = 64 << 10

// batch is some lines on their way.
type batch struct {
	first int64 // number of its first line
	in    []byte
	ends  []int // in in, of each line
	out   []byte
	err   error
	made  chan struct{} // closed once out and err stand
}

// lines runs a reader, workers, and itself as the writer, which takes batches in
// the order in which they were read.
func (j *Job) lines(out *bufio.Writer, in *bufio.Reader) error {
	if bom, _ := in.Peek(3); string(bom) == "\ufeff" {
		in.Discard(3)
	}
	workers := j.Workers
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	todo, ordered := make(chan *batch), make(chan *batch, 2*workers)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for b := range todo {
				b.err = j.work(b)
				close(b.made)
			}
		})
	}
	all.Go(func() {
		defer close(ordered)
		defer close(todo)
		j.read(wire.NewLines(in, maxDocument), todo, ordered, stop)
	})
	err := j.write(out, ordered)
	close(stop)
	for range ordered { // until the reader has seen it
	}
	all.Wait()
	return err
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// read cuts the input into batches until it ends or is stopped.
func (j *Job) read(lines *wire.Lines, todo, ordered chan<- *batch, stop <-chan struct{}) {
	for n := int64(1); ; {
		b := batches.Get().(*batch)
		*b = batch{first: n, in: b.in[:0], ends: b.ends[:0], out: b.out[:0], made: make(chan struct{})}
		var err error
		for len(b.in) < batchBytes && err == nil {
			var line []byte
			if line, err = lines.Next(); err != nil {
				break
			}
			if n++; n-1 <= j.Skip {
				b.first = n
				continue
			}
			b.in = append(b.in, line...)
			b.ends = append(b.ends, len(b.in))
		}
		last := err != nil
		if last && err != io.EOF {
			b.err = fmt.Errorf("line %d: %w", n, err)
		}
		if b.err == nil {
			select {
			case ordered <- b:
			case <-stop:
				return
			}
			todo <- b
		} else {
			j.fail(b, todo, ordered, stop)
		}
		if last {
			return
		}
	}
}

// fail passes on the lines before one that could not be read, and then why.
func (j *Job) fail(b *batch, todo, ordered chan<- *batch, stop <-chan struct{}) {
	why := &batch{err: b.err, made: make(chan struct{})}
	close(why.made)
	b.err = nil
	select {
	case ordered <- b:
	case <-stop:
		return
	}
	todo <- b
	select {
	case ordered <- why:
	case <-stop:
	}
}

// work shows a batch. The error is of the line behind those in out.
func (j *Job) work(b *batch) error {
	start := 0
	for i, end := range b.ends {
		shown, err := j.apply(b.out, b.in[start:end])
		if err != nil {
			return fmt.Errorf("line %d: %w", b.first+int64(i), err)
		}
		b.out = append(bytes.TrimRight(shown, "\r\n"), '\n')
		start = end
	}
	return nil
}

// keepBatch bounds the memory that a batch leaves to the next one.
const keepBatch = 1 << 20

func (j *Job) write(out *bufio.Writer, ordered <-chan *batch) error {
	for b := range ordered {
		<-b.made
		if _, err := out.Write(b.out); err != nil {
			return fmt.Errorf("write line %d: %w", b.first, err)
		}
		if b.err != nil {
			return b.err
		}
		if j.Done != nil && len(b.ends) > 0 {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("write line %d: %w", b.first, err)
			}
			if err := j.Done(b.first + int64(len(b.ends)) - 1); err != nil {
				return err
			}
		}
		if cap(b.in)+cap(b.out) <= keepBatch {
			batches.Put(b)
		}
	}
	return nil
}
