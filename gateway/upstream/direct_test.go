package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/config"
)

// teller is a server that plays a script: what it writes for each request of
// each connection; "hold" is no answer for a while, and "break" none at all.
type teller struct {
	net.Listener
	script [][]string // by connection; the last serves all further ones

	mu    sync.Mutex
	asked []int // requests by connection
	heard []string
}

func tell(t testing.TB, script ...[]string) *teller {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &teller{Listener: l, script: script}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *teller) serve(c net.Conn) {
	defer c.Close()
	s.mu.Lock()
	n := len(s.asked)
	s.asked = append(s.asked, 0)
	s.mu.Unlock()
	in := bufio.NewReader(c)
	for _, answer := range s.script[min(n, len(s.script)-1)] {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.asked[n]++
		s.heard = append(s.heard, r.Method+" "+r.RequestURI)
		s.mu.Unlock()
		switch answer {
		case "hold":
			time.Sleep(4 * time.Second)
			return
		case "break":
			return
		case "break late":
			time.Sleep(1500 * time.Millisecond)
			return
		}
		now, later, _ := strings.Cut(strings.ReplaceAll(answer, "\n", "\r\n"), "LATER")
		io.WriteString(c, now)
		if later != "" {
			time.Sleep(30 * time.Millisecond)
			io.WriteString(c, later)
		}
	}
	io.Copy(io.Discard, in)
}

func (s *teller) counts() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *teller) where() string { return "http://" + s.Addr().String() }

// ok is an answer that leaves the connection open.
func ok(id string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\n%sContent-Length: %d\n\n%s", fhirJSON, len(id), id)
}

// chunks is the same in chunks.
func chunks(id string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\n%sTransfer-Encoding: chunked\n\n%x\n%s\n0\n\n", fhirJSON, len(id), id)
}

// E-05, T-10: a connection is used again only after an answer that was read to
// its end, with nothing behind it. Each case asks three times, and every answer
// must be the one that was given to its own request.
func TestAnswersStayWithTheirRequests(t *testing.T) {
	own := []string{ok("own2"), ok("own3")}
	for _, tt := range []struct {
		name   string
		script [][]string
		lines  int // connections that the server has seen
	}{
		{"kept open", [][]string{{ok("own1"), ok("own2"), ok("own3")}}, 1},
		{"in chunks", [][]string{{chunks("own1"), chunks("own2"), chunks("own3")}}, 1},
		{"trailers are dropped", [][]string{{"HTTP/1.1 200 OK\n" + fhirJSON + "Trailer: X\nTransfer-Encoding: chunked\n\n4\nown1\n0\nX: y\n\n", ok("own2"), ok("own3")}}, 1},
		{"early hints", [][]string{{"HTTP/1.1 103 Early Hints\nLink: </x>\n\n" + ok("own1"), ok("own2"), ok("own3")}}, 1},
		{"another answer behind it", [][]string{{ok("own1") + ok("evil")}, own}, 2},
		{"another answer behind chunks", [][]string{{chunks("own1") + ok("evil")}, own}, 2},
		{"a byte behind it", [][]string{{ok("own1") + "H"}, own}, 2},
		{"another answer while nobody asks", [][]string{{ok("own1") + "LATER" + ok("evil")}, own}, 2},
		{"a request timeout while nobody asks", [][]string{{ok("own1") + "LATERHTTP/1.1 408 Request Timeout\nContent-Length: 0\n\n"}, own}, 2},
		{"closes after it", [][]string{{strings.Replace(ok("own1"), "200 OK", "200 OK\nConnection: close", 1)}, own}, 2},
		{"HTTP/1.0", [][]string{{strings.Replace(ok("own1"), "HTTP/1.1", "HTTP/1.0", 1)}, own}, 2},
		{"length and chunks", [][]string{{strings.Replace(chunks("own1"), "Transfer", "Content-Length: 3\nTransfer", 1), ok("own2"), ok("own3")}}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tell(t, tt.script...)
			u := open(t, s.where())
			for i := range 3 {
				_, body, err := u.send(context.Background(), read)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(body)
				body.Close()
				if want := fmt.Sprint("own", i+1); string(text) != want || err != nil {
					t.Errorf("request %d: got %q, %v", i+1, text, err)
				}
				time.Sleep(60 * time.Millisecond)
			}
			if got := len(s.counts()); got != tt.lines {
				t.Errorf("%d connections, want %d", got, tt.lines)
			}
		})
	}
}

// A connection on which the server speaks something else from now on is not one for
// the next request.
func TestSwitchedConnections(t *testing.T) {
	s := tell(t, []string{"HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: x\n\n", ok("evil")}, []string{ok("own2")})
	u := open(t, s.where())
	if _, _, err := u.try(context.Background(), read); err == nil {
		t.Error("an upgrade was taken for an answer")
	}
	_, body, err := u.try(context.Background(), read)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if text, _ := io.ReadAll(body); string(text) != "own2" {
		t.Errorf("got %q", text)
	}
}

// An answer that is not read to its end leaves its rest to nobody.
func TestUnreadAnswers(t *testing.T) {
	page := "HTTP/1.1 200 OK\n" + fhirJSON + "Content-Length: 50000\n\n" + strings.Repeat("x", 50000)
	s := tell(t, []string{page, ok("evil")}, []string{ok("own2")})
	u := open(t, s.where())
	_, body, err := u.send(context.Background(), read)
	if err != nil {
		t.Fatal(err)
	}
	body.Read(make([]byte, 100))
	body.Close()
	body.Close()
	if n, err := body.Read(make([]byte, 100)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("a closed body reads %d, %v", n, err)
	}
	_, body, err = u.send(context.Background(), read)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if text, _ := io.ReadAll(body); string(text) != "own2" {
		t.Errorf("got %q", text)
	}
}

// A connection that was idle and breaks before an answer is no failure of the
// server's: a read is sent again, once. What must not be sent twice never comes
// here.
func TestStaleConnections(t *testing.T) {
	s := tell(t, []string{ok("own1"), "break"}, []string{ok("own2"), "break"}, []string{"break"})
	u := open(t, s.where())
	for i, wantErr := range []bool{false, false, true} {
		_, body, err := u.guarded(context.Background(), read) // without care's own tries
		if (err != nil) != wantErr {
			t.Fatalf("request %d: %v", i+1, err)
		}
		if err == nil {
			io.Copy(io.Discard, body)
			body.Close()
		}
	}
	if got := s.counts(); !slices.Equal(got, []int{2, 2, 1}) {
		t.Errorf("asked %v", got)
	}
	for _, r := range []Request{{Method: "PUT", Body: []byte("{}")}, {Method: "POST"}, {Method: "PATCH"}, {Method: "DELETE"}, {Method: "GET", Slow: true}, {Method: "GET", Body: []byte{}}} {
		if u.direct.takes(r) {
			t.Errorf("%+v goes where it may be sent twice", r)
		}
	}
}

// The time for an answer is that of both tries together.
func TestStaleConnectionsHaveNoMoreTime(t *testing.T) { // T-18 towards the upstream
	s := tell(t, []string{ok("own1"), "break late"}, []string{"hold"})
	u := open(t, s.where(), func(c *config.Upstream) { c.Timeout = config.Duration(2 * time.Second) })
	_, body, err := u.guarded(context.Background(), read)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, body)
	start := time.Now()
	_, _, err = u.guarded(context.Background(), read)
	want(t, err, Timeout)
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A server that closes what is idle costs no failure, and half an answer is one.
func TestIdleConnectionsThatClose(t *testing.T) {
	s := tell(t, []string{ok("own1"), "HTTP/1.1 200 OK\nContent-"})
	u := open(t, s.where())
	for i, wantErr := range []bool{false, true} {
		_, body, err := u.guarded(context.Background(), read)
		if (err != nil) != wantErr {
			t.Fatalf("request %d: %v", i+1, err)
		}
		if err == nil {
			io.Copy(io.Discard, body)
			body.Close()
		}
	}
	if got := s.counts(); !slices.Equal(got, []int{2}) {
		t.Errorf("asked %v: half an answer is not asked for again", got)
	}

	closing := httptest.NewServer(http.HandlerFunc(patient))
	defer closing.Close()
	u = open(t, closing.URL)
	for range 5 {
		_, body, err := u.guarded(context.Background(), read)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, body)
		body.Close()
		closing.CloseClientConnections()
		time.Sleep(10 * time.Millisecond)
	}
}

// A client that goes ends its own request, and no other's.
func TestCancelledReads(t *testing.T) {
	s := tell(t, []string{"HTTP/1.1 200 OK\n" + fhirJSON + "Content-Length: 9\n\nownLATERrest.."}, []string{"hold"}, []string{ok("own3"), ok("own4"), "HTTP/1.1 200 OK\n" + fhirJSON + "Content-Length: 9\n\nown"})
	u := open(t, s.where())
	ctx, cancel := context.WithCancel(context.Background())
	_, body, err := u.send(ctx, read)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = io.ReadAll(body)
	want(t, err, Canceled)
	body.Close()

	ctx, cancel = context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, _, err = u.send(ctx, read)
	want(t, err, Canceled)

	ctx, cancel = context.WithCancel(context.Background())
	_, body, err = u.send(ctx, read)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, body)
	cancel() // after the end: the line is another's now
	body.Close()
	time.Sleep(20 * time.Millisecond)
	_, body, err = u.send(context.Background(), read)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if text, err := io.ReadAll(body); string(text) != "own4" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	if _, _, err = u.send(ctx, read); err != nil { // and its body is forgotten
		t.Fatal(err)
	}
	cancel()
	time.Sleep(20 * time.Millisecond)
	u.direct.mu.Lock()
	defer u.direct.mu.Unlock()
	if got := u.direct.open; got != 0 {
		t.Errorf("%d lines count as open, want none", got)
	}
}

// max_connections holds for both ways together; where one is full the other
// carries reads too.
func TestLinesAreCounted(t *testing.T) {
	s := tell(t, []string{"HTTP/1.1 200 OK\n" + fhirJSON + "Content-Length: 9\n\nown"})
	u := open(t, s.where(), func(c *config.Upstream) { c.MaxConnections = 5 })
	var bodies []io.Closer
	for range 5 {
		_, body, err := u.send(context.Background(), read)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := u.send(ctx, read); err == nil {
		t.Error("a sixth connection was opened")
	}
	if got := u.direct.open; got != 2 {
		t.Errorf("%d direct lines, want 2", got)
	}
	for _, b := range bodies {
		b.Close()
	}
	u.Close()
	if u.direct.open != 0 || len(u.direct.idle) != 0 {
		t.Errorf("%d lines stay open", u.direct.open)
	}
}

func TestSweepClosesWhatIsIdle(t *testing.T) {
	s := tell(t, []string{ok("own1"), ok("own2")})
	u := open(t, s.where())
	_, body, err := u.send(context.Background(), read)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, body)
	u.direct.sweep()
	if len(u.direct.idle) != 1 {
		t.Fatal("what was just used is closed")
	}
	u.direct.idle[0].since = time.Now().Add(-2 * idleTimeout)
	u.direct.sweep()
	if len(u.direct.idle) != 0 || u.direct.open != 0 {
		t.Error("what is idle for long stays open")
	}
}

// T-16: no value of a header ends the request and begins another.
func TestHeadersThatSplit(t *testing.T) {
	s := tell(t, []string{ok("own1")})
	u := open(t, s.where())
	u.auth = header{fixed[[]string]{[]string{"Bearer x\r\n\r\nDELETE /Patient/1 HTTP/1.1"}}}
	if _, _, err := u.guarded(context.Background(), read); err == nil {
		t.Error("a header that splits was sent")
	}
	if len(s.heard) != 0 {
		t.Errorf("the server heard %q", s.heard)
	}
}

// FuzzAnswers holds what direct makes of a connection's bytes against what
// http.Transport makes of them; nothing of them is left for the next request.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{ok("own1"), chunks("own1"), ok("own1") + ok("evil"), "HTTP/1.1 103 E\n\n" + ok("x"), "HTTP/1.0 200 OK\n" + fhirJSON + "\nx",
		"HTTP/1.1 204 No\n\n", "HTTP/1.1 101 S\n\n", "HTTP/1.1 200 OK\n" + fhirJSON + "Transfer-Encoding: chunked\nContent-Length: 3\n\n1\nx\n0\nA: b\n\n", "HTTP/2.0 200 OK\n\n", "HTTP/1.1 404 N\nContent-Length: 0\n\n"} {
		f.Add([]byte(strings.ReplaceAll(seed, "\n", "\r\n")))
	}
	var answer atomic.Pointer[[]byte]
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		c.Write(*answer.Load())
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
	}))
	f.Cleanup(s.Close)
	here, there := open(f, s.URL), open(f, s.URL)
	there.direct = nil
	f.Fuzz(func(t *testing.T, b []byte) {
		answer.Store(&b)
		got, err := once(here)
		for _, l := range here.direct.idle {
			if l.in.Buffered() > 0 {
				t.Error("bytes are left for the next request")
			}
		}
		if err != nil && !bytes.HasPrefix(b, []byte("HTTP/1.")) {
			return // http.Transport believes other versions, too
		}
		if want, wantErr := once(there); (err == nil) != (wantErr == nil) || err == nil && got != want {
			t.Errorf("got %q %v, http.Transport %q %v", got, err, want, wantErr)
		}
	})
}

func once(u *Upstream) (string, error) {
	head, body, err := u.try(context.Background(), read)
	if err != nil {
		return "", errors.New("refused")
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	return fmt.Sprintf("%+v %s", head, text), err
}
