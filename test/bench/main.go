// Command bench compares Gatehouse with a bare httputil.ReverseProxy in one
// run: upstream, proxy and gateway are processes of their own on loopback, and
// short slices of load alternate between the two, so that whatever else the
// machine does hits both alike. It ends by itself.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// options of a run.
type options struct {
	slice       time.Duration
	rounds      int
	connections int
	stream      int64
	profiles    string
	dir         string
	only        string
	stages      bool
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "child" {
		exit(child(os.Args[2], os.Args[3:]))
	}
	var o options
	flag.DurationVar(&o.slice, "slice", 400*time.Millisecond, "length of one slice of load")
	flag.IntVar(&o.rounds, "rounds", 9, "slices per measurement; the median counts")
	flag.IntVar(&o.connections, "connections", 32, "connections of the load")
	flag.Int64Var(&o.stream, "stream", 1<<30, "bytes of the long answer; 0 leaves it out")
	flag.StringVar(&o.profiles, "profiles", "", "also write CPU and allocation profiles of the gateway into this `directory`")
	flag.StringVar(&o.dir, "dir", "", "where the audit log is written; it should be a real disk")
	flag.StringVar(&o.only, "only", "", "only the measurements and stages whose name begins so")
	flag.BoolVar(&o.stages, "stages", true, "also measure the stages of a request one by one")
	flag.Parse()
	exit(run(o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(o options) error {
	dir, err := os.MkdirTemp(o.dir, "gatehouse-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	h, err := open(dir)
	if err != nil {
		return err
	}
	defer h.close()
	if err := conditions(dir); err != nil {
		return err
	}
	if err := h.compare(o); err != nil {
		return err
	}
	if o.stream > 0 && strings.HasPrefix("stream", o.only) {
		if err := h.stream(o.stream); err != nil {
			return err
		}
	}
	if o.stages {
		return h.stages(o)
	}
	return nil
}

// conditions prints what the numbers depend on beside the code: how busy the
// machine is, and what one disk flush takes.
func conditions(dir string) error {
	load, _ := os.ReadFile("/proc/loadavg") // not there on every system
	flush, err := flushTime(filepath.Join(dir, "flush"))
	if err != nil {
		return err
	}
	fmt.Printf("load average %s; one 1 KiB write and flush takes %v (median)\n\n", strings.TrimSpace(string(load)), flush.Round(time.Microsecond))
	return nil
}

func flushTime(path string) (time.Duration, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var took []time.Duration
	for range 50 {
		start := time.Now()
		if _, err := f.Write(make([]byte, 1024)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(start))
	}
	return median(took), nil
}
