package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// direct carries quick reads to a server of plain HTTP/1.1, on the goroutine
// that asks. http.Transport keeps two goroutines for each connection and hands
// each request over twice, which costs as much as all the rest of a forwarded
// read; it carries what is rare or hard: writes, TLS, HTTP/2, long work, and
// what finds no room here. net/http reads the answers here as it does there.
type direct struct {
	address string // host:port
	host    string // as the Host header names it
	most    int    // lines at once

	mu     sync.Mutex
	open   int
	idle   []*line // what was used last stands last
	sweeps bool    // a sweep is to come
	closed bool    // nothing more is kept idle
}

// newDirect gives nil where a line that is idle cannot be told from one that
// the server has closed or written to unasked.
func newDirect(base *url.URL, most int) *direct {
	plain := base.Scheme == "http" && base.User == nil && printable(base.Host) && !strings.ContainsAny(base.Host, "% ")
	if !plain || most < 1 || !canPeek {
		return nil
	}
	return &direct{address: net.JoinHostPort(base.Hostname(), port(base)), host: base.Host, most: most}
}

// takes tells whether a request is one that may be sent twice and is soon
// answered.
func (d *direct) takes(r Request) bool {
	return d != nil && r.Method == http.MethodGet && r.Body == nil && !r.Slow
}

// errNoRoom: as many lines are open as may be.
var errNoRoom = errors.New("no room for another connection")

// roundTrip sends a read and returns the answer, whose body must be closed, by
// the goroutine that reads it. The request is not sent again once a byte of an
// answer has come.
func (d *direct) roundTrip(ctx context.Context, where *url.URL, header http.Header, limit time.Duration) (*http.Response, error) {
	end := time.Now().Add(limit) // of all tries together
	l := d.usable(end)
	if l != nil {
		answer, err := l.ask(ctx, where, header, limit)
		if err == nil || !l.stale(ctx, err) {
			return answer, err
		}
	}
	l, err := d.dial(ctx, end)
	if err != nil {
		return nil, err
	}
	return l.ask(ctx, where, header, limit)
}

// usable is a line that is idle and on which nothing has happened since; nil:
// there is none.
func (d *direct) usable(end time.Time) *line {
	for {
		d.mu.Lock()
		n := len(d.idle)
		if n == 0 {
			d.mu.Unlock()
			return nil
		}
		l := d.idle[n-1]
		d.idle = slices.Delete(d.idle, n-1, n)
		d.mu.Unlock()
		l.until(end)
		if l.quiet() {
			return l
		}
		l.drop()
	}
}

func (d *direct) dial(ctx context.Context, end time.Time) (*line, error) {
	d.mu.Lock()
	full := d.open >= d.most
	if !full {
		d.open++
	}
	d.mu.Unlock()
	if full {
		return nil, errNoRoom
	}
	dialer := net.Dialer{Timeout: dialTimeout, Deadline: end, KeepAlive: 30 * time.Second}
	c, err := dialer.DialContext(ctx, "tcp", d.address)
	if err != nil {
		d.mu.Lock()
		d.open--
		d.mu.Unlock()
		return nil, err
	}
	l := &line{Conn: c, pool: d, quiet: newPeek(c)}
	l.in = bufio.NewReaderSize(l, 16<<10)
	l.until(end)
	return l, nil
}

// keep leaves a line to the next read.
func (d *direct) keep(l *line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		d.open--
		_ = l.Conn.Close() // nothing is lost
		return
	}
	l.since = time.Now()
	d.idle = append(d.idle, l)
	if !d.sweeps {
		d.sweeps = true
		time.AfterFunc(idleTimeout, d.sweep)
	}
}

// sweep closes what has been idle for long.
func (d *direct) sweep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := time.Now().Add(-idleTimeout)
	d.shut(slices.IndexFunc(d.idle, func(l *line) bool { return l.since.After(old) }))
	if d.sweeps = len(d.idle) > 0; d.sweeps {
		time.AfterFunc(time.Until(d.idle[0].since.Add(idleTimeout)), d.sweep)
	}
}

// shut closes the first n idle lines, or all; d.mu is held.
func (d *direct) shut(n int) {
	if n < 0 {
		n = len(d.idle)
	}
	for _, l := range d.idle[:n] {
		_ = l.Conn.Close() // nothing is lost
	}
	d.open -= n
	d.idle = slices.Delete(d.idle, 0, n)
}

func (d *direct) close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.shut(-1)
}

// line is a connection with at most one request under way.
type line struct {
	net.Conn
	pool  *direct
	in    *bufio.Reader // of the line itself
	out   []byte
	left  int64       // bytes that may still be read
	quiet func() bool // nothing has come, not even the end
	since time.Time   // idle
}

var (
	errHead    = errors.New("the answer's header is too long")
	errVersion = errors.New("the answer is not HTTP/1")
	errValue   = errors.New("value of a header is not printable")
)

func (l *line) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errHead
	}
	n, err := l.Conn.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// until sets the time for what is to come; on a line where that cannot be set
// nothing can be read either.
func (l *line) until(end time.Time) { _ = l.SetDeadline(end) }

// ask sends a request and reads the head of its answer; where that fails, the
// line is closed.
func (l *line) ask(ctx context.Context, where *url.URL, header http.Header, limit time.Duration) (*http.Response, error) {
	b := &lineBody{ctx: ctx, line: l, limit: limit}
	b.stop = context.AfterFunc(ctx, l.drop) // who has gone waits for nothing, and has perhaps left the body open
	answer, err := l.exchange(where, header)
	if err != nil {
		b.end(false)
		return nil, err
	}
	b.from, b.again = answer.Body, !answer.Close && answer.StatusCode != http.StatusSwitchingProtocols
	if answer.Body == http.NoBody {
		b.err = io.EOF
		b.end(true)
	}
	answer.Body = b
	return answer, nil
}

func (l *line) exchange(where *url.URL, header http.Header) (*http.Response, error) {
	l.left = maxHead
	var err error
	if l.out, err = appendRequest(l.out[:0], where.RequestURI(), l.pool.host, header); err != nil {
		return nil, err
	}
	if _, err := l.Write(l.out); err != nil {
		return nil, err
	}
	for {
		answer, err := http.ReadResponse(l.in, nil)
		if err != nil {
			return nil, err
		}
		if answer.ProtoMajor != 1 {
			return nil, errVersion
		}
		if answer.StatusCode >= 200 || answer.StatusCode == http.StatusSwitchingProtocols {
			l.left = math.MaxInt64
			return answer, nil
		}
	}
}

// appendRequest writes a request without a body. The target was checked where
// it was located; what a header says could end it and begin another.
func appendRequest(b []byte, target, host string, header http.Header) ([]byte, error) {
	b = append(append(b, "GET "...), target...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), host...)
	for name, values := range header {
		for _, v := range values {
			if !printable(v) {
				return b, errValue
			}
			b = append(append(b, "\r\n"...), name...)
			b = append(append(b, ": "...), v...)
		}
	}
	return append(b, "\r\n\r\n"...), nil
}

// stale tells of a line that was idle whether the server had just closed it: it
// broke before a byte of an answer, and nobody's time was over.
func (l *line) stale(ctx context.Context, err error) bool {
	var timeout net.Error
	return l.left == maxHead && ctx.Err() == nil && !(errors.As(err, &timeout) && timeout.Timeout()) && !errors.Is(err, errValue)
}

func (l *line) drop() {
	_ = l.Conn.Close() // nothing is lost
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	l.pool.open--
}

// lineBody is the body of an answer. The line is used again only where the body
// was read to its end and the server has sent nothing behind it: what it has
// would be taken for the answer to the next request.
type lineBody struct {
	ctx   context.Context
	line  *line
	from  io.Reader   // net/http's, which knows where the body ends
	stop  func() bool // the watch over ctx
	limit time.Duration
	since int  // bytes since there was more time
	again bool // the server keeps the line open
	err   error
}

func (b *lineBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.from.Read(p)
	if b.since += n; b.since >= piece {
		b.since = 0
		b.line.until(time.Now().Add(b.limit))
	}
	if err == nil {
		return n, nil
	}
	b.end(err == io.EOF)
	if b.err = err; err != io.EOF {
		failed := failure(b.ctx, err)
		failed.Sent = true
		b.err = failed
	}
	return n, b.err
}

func (b *lineBody) Close() error {
	if b.err == nil {
		b.err = http.ErrBodyReadAfterClose
		b.end(false)
	}
	return nil
}

// end is called once. Where who asked has gone meanwhile, the watch drops the line.
func (b *lineBody) end(whole bool) {
	l := b.line
	switch {
	case !b.stop():
	case whole && b.again && l.in.Buffered() == 0:
		l.pool.keep(l)
	default:
		l.drop()
	}
}
