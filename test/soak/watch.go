package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// look is one look at the process.
type look struct{ memory, heap, goroutines, files float64 }

var metrics = []string{"process_resident_memory_bytes", "go_memstats_heap_inuse_bytes", "go_goroutines", "process_open_fds"}

// look asks /metrics until ctx ends.
func (w *world) look(ctx context.Context, interval time.Duration) (looks []look) {
	began, tick := time.Now(), time.NewTicker(interval)
	defer tick.Stop()
	fmt.Println("   time  memory MiB  heap MiB  goroutines  files")
	for {
		l, err := w.measure()
		if err != nil {
			fmt.Println("look:", err)
		} else {
			looks = append(looks, l)
			fmt.Printf("%6.0fs  %10.1f  %8.1f  %10.0f  %5.0f\n", time.Since(began).Seconds(), l.memory/(1<<20), l.heap/(1<<20), l.goroutines, l.files)
		}
		select {
		case <-ctx.Done():
			return looks
		case <-tick.C:
		}
	}
}

func (w *world) measure() (look, error) {
	resp, err := patient.Get(w.admin + "/metrics")
	if err != nil {
		return look{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return look{}, err
	}
	var values [4]float64
	for i, name := range metrics {
		m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
		if m == nil {
			return look{}, fmt.Errorf("no metric %s", name)
		}
		if values[i], err = strconv.ParseFloat(string(m[1]), 64); err != nil {
			return look{}, err
		}
	}
	return look{values[0], values[1], values[2], values[3]}, nil
}

// flat compares the medians of the second and the last quarter: the first fills caches
// that are bounded. What leaks grows by more than a quarter and a little.
func flat(looks []look) error {
	if len(looks) < 8 {
		return fmt.Errorf("%d looks are too few to tell; run longer", len(looks))
	}
	quarter := len(looks) / 4
	early, late := looks[quarter:2*quarter], looks[len(looks)-quarter:]
	var errs []error
	for _, what := range []struct {
		name   string
		of     func(look) float64
		little float64
	}{
		{"memory", func(l look) float64 { return l.memory }, 16 << 20},
		{"heap", func(l look) float64 { return l.heap }, 16 << 20},
		{"goroutines", func(l look) float64 { return l.goroutines }, 20},
		{"files", func(l look) float64 { return l.files }, 10},
	} {
		before, after := median(early, what.of), median(late, what.of)
		if after > before*1.25+what.little {
			errs = append(errs, fmt.Errorf("%s grew from %.0f to %.0f", what.name, before, after))
		}
	}
	return errors.Join(errs...)
}

func median(looks []look, of func(look) float64) float64 {
	var all []float64
	for _, l := range looks {
		all = append(all, of(l))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// patient asks the admin listener, and gives up in time.
var patient = &http.Client{Timeout: 10 * time.Second}
