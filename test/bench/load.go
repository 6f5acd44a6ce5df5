package main

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// load keeps connections of its own open to one server and asks for one thing.
// It speaks HTTP itself: what the generator spends is taken from the servers.
type load struct {
	request []byte
	size    int // of the body; 0: any
	conns   []*connection
}

type connection struct {
	net.Conn
	in *bufio.Reader
}

// newLoad opens the connections and asks once on each, so that tokens are
// verified, policies evaluated and consents known.
func newLoad(address, target, token string, connections int) (*load, error) {
	l := &load{request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: bench.example.org\r\nAccept: %s\r\nUser-Agent: bench\r\nAuthorization: Bearer %s\r\n\r\n", target, fhirJSON, token)}
	for range connections {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return nil, err
		}
		one := &connection{Conn: c, in: bufio.NewReaderSize(c, 128<<10)}
		l.conns = append(l.conns, one)
		n, err := one.ask(l.request)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", target, err)
		}
		l.size = n
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.conns {
		c.Close()
	}
}

var (
	statusOK   = []byte("HTTP/1.1 200 OK")
	lengthName = []byte("Content-Length: ")
	chunked    = []byte("Transfer-Encoding: chunked")
)

// ask sends one request and reads its answer, of which it tells the length.
func (c *connection) ask(request []byte) (int, error) {
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	length, status := -1, []byte(nil)
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case status == nil:
			status = bytes.Clone(line)
		case bytes.HasPrefix(line, lengthName):
			length = 0
			for _, digit := range line[len(lengthName):] {
				length = length*10 + int(digit-'0')
			}
		case bytes.Equal(line, chunked):
			return 0, fmt.Errorf("answer %s comes in chunks", status)
		}
		if len(line) == 0 {
			break
		}
	}
	if length < 0 || !bytes.Equal(status, statusOK) {
		text, _ := io.ReadAll(io.LimitReader(c.in, int64(max(length, 0))))
		return 0, fmt.Errorf("answered %s: %s", status, text)
	}
	_, err := c.in.Discard(length)
	return length, err
}

// burst asks as fast as it can on all connections for a while, or, with a
// rate, so many times a second in all. It returns what each request took.
func (l *load) burst(length time.Duration, rate float64) ([]time.Duration, error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	begin := time.Now()
	end := begin.Add(length)
	for i, c := range l.conns {
		wg.Go(func() {
			took, err := c.repeat(l, end, pace(begin, i, len(l.conns), rate))
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if failed == nil {
				failed = err
			}
		})
	}
	wg.Wait()
	return all, failed
}

// pace waits until a connection's turn and tells when that was: what a request
// waits behind a slow one counts as its own time.
func pace(begin time.Time, i, n int, rate float64) func() time.Time {
	if rate == 0 {
		return time.Now
	}
	step := time.Duration(float64(n) / rate * float64(time.Second))
	next := begin.Add(step * time.Duration(i) / time.Duration(n))
	return func() time.Time {
		turn := next
		next = next.Add(step)
		if wait := time.Until(turn); wait > 0 {
			time.Sleep(wait)
			return time.Now() // what the sleep overran is not the server's
		}
		return turn
	}
}

func (c *connection) repeat(l *load, end time.Time, turn func() time.Time) ([]time.Duration, error) {
	var took []time.Duration
	for {
		start := turn()
		if start.After(end) {
			return took, nil
		}
		n, err := c.ask(l.request)
		if err != nil {
			return nil, err
		}
		if n != l.size {
			return nil, fmt.Errorf("an answer of %d bytes after one of %d", n, l.size)
		}
		took = append(took, time.Since(start))
	}
}

func median[T cmp.Ordered](list []T) T { return quantile(list, 0.5) }

func quantile[T cmp.Ordered](list []T, q float64) T {
	var zero T
	if len(list) == 0 {
		return zero
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*q))]
}

// get asks once by net/http, for what is not measured.
func get(address string) (int, error) {
	r, err := http.Get(address)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	return r.StatusCode, nil
}

// download reads an answer of any length through the gateway and drops it.
func (h *house) download(target string) (int64, error) {
	r, err := http.NewRequest(http.MethodGet, "http://"+h.gateway.address+target, nil)
	if err != nil {
		return 0, err
	}
	r.Host = "bench.example.org"
	r.Header.Set("Authorization", "Bearer "+h.clinician)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("a long answer: %s", answer.Status)
	}
	return io.Copy(io.Discard, answer.Body)
}
