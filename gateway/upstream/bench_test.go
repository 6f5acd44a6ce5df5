//go:build unix

package upstream

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/config"
)

// pages are what an upstream answers: a 1 KB resource, and a search page of
// 110 KB.
var pages = map[string][]byte{
	"Patient/1":   fmt.Appendf(nil, `{"resourceType":"Patient","id":"1","x":"%s"}`, strings.Repeat("x", 980)),
	"Observation": bytes.Repeat([]byte(`{"system":"http://loinc.org","reference":"Patient/1","div":"\u003cdiv\u003e","v":1.10},`), 1280),
}

func server(b *testing.B) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = acceptFHIR
		w.Write(pages[strings.TrimPrefix(r.URL.Path, "/fhir/")])
	}))
	b.Cleanup(s.Close)
	return s.URL + "/fhir"
}

// BenchmarkForward compares, in one run, what a request costs: the transport
// alone, send (which adds the rebuilt request, the checks and the time limit),
// and, behind an own listener, a ReverseProxy on the same transport, a bare one
// on the default transport, and a handler that calls send.
func BenchmarkForward(b *testing.B) {
	where := server(b)
	u := open(b, where, func(c *config.Upstream) { c.Timeout = config.Duration(30 * time.Second); c.MaxConnections = 64 })
	ours := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head, body, err := u.send(r.Context(), Request{Method: "GET", Target: strings.TrimPrefix(r.URL.Path, "/fhir/"), ID: "01JD0000000000000000000000"})
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer body.Close()
		w.Header()["Content-Type"] = acceptFHIR
		w.WriteHeader(head.Status)
		io.Copy(w, body)
	}))
	defer ours.Close()
	theirs := httptest.NewServer(&httputil.ReverseProxy{Transport: u.carrier, Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = u.base.Scheme, u.base.Host }})
	defer theirs.Close()
	bare := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = u.base.Scheme, u.base.Host }})
	defer bare.Close()
	client := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	defer client.CloseIdleConnections()

	for _, target := range []string{"Patient/1", "Observation"} {
		b.Run(target+"/transport", func(b *testing.B) { run(b, len(pages[target]), get(u.carrier, where+"/"+target)) })
		b.Run(target+"/send", func(b *testing.B) {
			run(b, len(pages[target]), func() (io.ReadCloser, error) {
				_, body, err := u.send(context.Background(), Request{Method: "GET", Target: target, ID: "01JD0000000000000000000000"})
				return body, err
			})
		})
		b.Run(target+"/ReverseProxy", func(b *testing.B) { run(b, len(pages[target]), get(client, theirs.URL+"/fhir/"+target)) })
		b.Run(target+"/bare ReverseProxy", func(b *testing.B) { run(b, len(pages[target]), get(client, bare.URL+"/fhir/"+target)) })
		b.Run(target+"/forwarder", func(b *testing.B) { run(b, len(pages[target]), get(client, ours.URL+"/fhir/"+target)) })
	}
}

func get(t *http.Transport, where string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		r, err := http.NewRequest(http.MethodGet, where, nil)
		if err != nil {
			return nil, err
		}
		response, err := t.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		return response.Body, nil
	}
}

func run(b *testing.B, size int, ask func() (io.ReadCloser, error)) {
	b.ReportAllocs()
	before := used()
	defer func() { b.ReportMetric(float64(used()-before)/float64(b.N)/1000, "cpu-us/op") }()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		buffer := make([]byte, 128<<10)
		for pb.Next() {
			body, err := ask()
			if err != nil {
				b.Error(err)
				return
			}
			if n, err := io.ReadFull(body, buffer[:size]); err != nil {
				b.Errorf("%d of %d bytes: %v", n, size, err)
			}
			io.Copy(io.Discard, body)
			body.Close()
		}
	})
}

// used is the CPU time of this process so far, in nanoseconds: on a busy machine
// it is steadier than the clock.
func used() int64 {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return r.Utime.Nano() + r.Stime.Nano()
}

func BenchmarkMayName(b *testing.B) {
	u := open(b, "http://127.0.0.1:9000/fhir")
	page := pages["Observation"]
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		if u.MayName(page) {
			b.Fatal("the page names nobody")
		}
	}
}
