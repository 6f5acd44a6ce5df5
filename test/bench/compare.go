package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// job is one thing to ask, by the proxy and by the gateway.
type job struct {
	name   string
	target string
	token  func(*house) string
	budget float64 // DESIGN §9: throughput as a part of the proxy's
}

var jobs = []job{
	{"read", "/fhir/Observation/o0", (*house).staff, 1},
	{"page of 1 patient", "/fhir/Observation?status=final&_count=100", (*house).staff, 0.5},
	{"page of 100 patients", "/fhir/Observation?status=final,amended&_count=100", (*house).staff, 0.5},
	{"research page", "/fhir/Observation?status=final,amended&_count=100", (*house).research, 0.2},
}

func (h *house) staff() string    { return h.clinician }
func (h *house) research() string { return h.researcher }

// side is one server under one job.
type side struct {
	process *process
	load    *load
	rate    []float64 // requests a second, by round
	cpu     []float64 // microseconds of this process a request, by round
	half    []time.Duration
}

// compare alternates between the two servers and prints the medians.
func (h *house) compare(o options) error {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "what\tbytes\tproxy/s\tgateway/s\tratio\tbudget\tproxy CPU µs\tgateway CPU µs\tadded p50\tadded p99\tnginx+OPA/s\tratio to it")
	for _, j := range jobs {
		if !strings.HasPrefix(j.name, o.only) {
			continue
		}
		if err := h.measure(out, j, o); err != nil {
			return fmt.Errorf("%s: %w", j.name, err)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Printf("(%d connections, %d rounds of %v each, medians; added latency at half of the gateway's throughput, one disk flush included)\n", o.connections, o.rounds, o.slice)
	if h.assembled == nil {
		fmt.Println("(nginx is not installed here, so nothing is told of nginx with auth_request and OPA)")
	}
	fmt.Println()
	return nil
}

func (h *house) measure(out *tabwriter.Writer, j job, o options) error {
	token := j.token(h)
	sides := []side{{process: h.proxy}, {process: h.gateway}}
	if h.assembled != nil {
		sides = append(sides, side{process: h.assembled})
	}
	for i := range sides {
		s := &sides[i]
		var err error
		if s.load, err = newLoad(s.process.address, j.target, token, o.connections); err != nil {
			return err
		}
		defer s.load.close()
		if _, err := s.load.burst(o.slice/2, 0); err != nil { // warm up
			return err
		}
	}
	if err := h.full(sides, j, o); err != nil {
		return err
	}
	proxy, gateway := &sides[0], &sides[1]
	for range o.rounds {
		for i := range sides[:2] {
			took, err := sides[i].load.burst(o.slice, median(gateway.rate)/2)
			if err != nil {
				return err
			}
			sides[i].half = append(sides[i].half, took...)
		}
	}
	ratio := ratios(gateway.rate, proxy.rate)
	beside := "-\t-"
	if h.assembled != nil {
		beside = fmt.Sprintf("%.0f\t%.2f", median(sides[2].rate), median(ratios(gateway.rate, sides[2].rate)))
	}
	fmt.Fprintf(out, "%s\t%d\t%.0f\t%.0f\t%.2f\t%.1f\t%.0f\t%.0f\t%v\t%v\t%s\n", j.name, gateway.load.size, median(proxy.rate), median(gateway.rate), median(ratio), j.budget,
		median(proxy.cpu), median(gateway.cpu), added(gateway.half, proxy.half, 0.5), added(gateway.half, proxy.half, 0.99), beside)
	return nil
}

// full loads the servers in turn as much as they take.
func (h *house) full(sides []side, j job, o options) error {
	name := filepath.Join(o.profiles, strings.ReplaceAll(j.name, " ", "-"))
	for round := range o.rounds {
		for i := range sides {
			profile := o.profiles != "" && sides[i].process == h.gateway && round == o.rounds/2
			if profile {
				if _, err := h.gateway.ask("profile " + name + ".cpu"); err != nil {
					return err
				}
			}
			length := o.slice
			if profile {
				length = 5 * time.Second
			}
			if err := sides[i].slice(length); err != nil {
				return err
			}
			if profile {
				if _, err := h.gateway.ask("stop"); err != nil {
					return err
				}
			}
		}
	}
	if o.profiles == "" {
		return nil
	}
	_, err := h.gateway.ask("allocs " + name + ".allocs")
	return err
}

func (s *side) slice(length time.Duration) error {
	before, err := s.process.ask("cpu")
	if err != nil {
		return err
	}
	start := time.Now()
	took, err := s.load.burst(length, 0)
	if err != nil {
		return err
	}
	passed := time.Since(start)
	after, err := s.process.ask("cpu")
	if err != nil {
		return err
	}
	n := float64(len(took))
	s.rate = append(s.rate, n/passed.Seconds())
	s.cpu = append(s.cpu, float64(after-before)/1000/n)
	return nil
}

// ratios compares slices that stood beside each other.
func ratios(a, b []float64) []float64 {
	list := make([]float64, len(a))
	for i := range a {
		list[i] = a[i] / b[i]
	}
	return list
}

func added(a, b []time.Duration, q float64) time.Duration {
	return (quantile(a, q) - quantile(b, q)).Round(time.Microsecond)
}

// stream reads one long answer through the gateway and watches its memory.
func (h *house) stream(size int64) error {
	if _, err := h.gateway.ask("gc"); err != nil {
		return err
	}
	idle, err := h.gateway.ask("rss")
	if err != nil {
		return err
	}
	read := make(chan int64, 1)
	failed := make(chan error, 1)
	start := time.Now()
	go func() {
		n, err := h.download(fmt.Sprintf("/fhir/Observation?code=%d", size))
		read <- n
		failed <- err
	}()
	peak := idle
	for {
		select {
		case n := <-read:
			took := time.Since(start)
			fmt.Printf("an answer of %d MiB: %.0f MiB/s, resident memory %d MiB above %d MiB idle (budget 32 MiB)\n\n", n>>20,
				float64(n)/(1<<20)/took.Seconds(), (peak-idle)>>20, idle>>20)
			return <-failed
		case <-time.After(20 * time.Millisecond):
			now, err := h.gateway.ask("rss")
			if err != nil {
				return err
			}
			peak = max(peak, now)
		}
	}
}
