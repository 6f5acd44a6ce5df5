package upstream

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/config"
)

// scripted answers its first requests by status, and the others well; 0 breaks
// the connection.
func scripted(t *testing.T, retryAfter string, statuses ...int) (where string, asked *atomic.Int32) {
	asked = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(asked.Add(1))
		if n > len(statuses) {
			patient(w, r)
			return
		}
		if statuses[n-1] == 0 {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
			return
		}
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(statuses[n-1])
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// Issue 8 point 4: safe reads alone are sent again, and never often.
func TestRetries(t *testing.T) {
	search := Request{Method: "GET", Target: "Patient?name=x"}
	for _, tt := range []struct {
		name, retryAfter string
		request          Request
		statuses         []int
		asked            int32
		status           int // 0: an error
	}{
		{"broken connection", "", read, []int{0, 0}, 3, 200},
		{"broken for good", "", read, []int{0, 0, 0, 0}, 3, 0},
		{"a search", "", search, []int{0}, 2, 200},
		{"told when", "0", read, []int{503, 502}, 3, 200},
		{"told too late", "30", read, []int{503}, 1, 503},
		{"not told when", "", read, []int{503}, 1, 503},
		{"its own fault", "0", read, []int{500}, 1, 500},
		{"an export, which begins a job", "", Request{Method: "GET", Target: "$export", Slow: true}, []int{0}, 1, 0},
		{"a write", "0", Request{Method: "PUT", Target: "Patient/1", Body: []byte("{}"), ContentType: "application/fhir+json"}, []int{503}, 1, 503},
		{"a write that breaks", "", Request{Method: "POST", Target: "Patient", Body: []byte("{}"), ContentType: "application/fhir+json"}, []int{0}, 1, 0},
	} {
		where, asked := scripted(t, tt.retryAfter, tt.statuses...)
		u := open(t, where)
		head, body, err := u.send(context.Background(), tt.request)
		if err == nil {
			body.Close()
		}
		if asked.Load() != tt.asked || head.Status != tt.status {
			t.Errorf("%s: asked %d times, got %d %v; want %d, %d", tt.name, asked.Load(), head.Status, err, tt.asked, tt.status)
		}
	}
}

// Issue 8 point 4: a server that fails is left alone, answered for at once, and
// tried again after its rest; wrong answers and refusals are none of it.
func TestBreaker(t *testing.T) {
	var failing atomic.Bool
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if failing.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		patient(w, r)
	}))
	defer s.Close()
	u := open(t, s.URL, func(c *config.Upstream) {
		c.Breaker = config.Breaker{Failures: 5, Rest: config.Duration(200 * time.Millisecond)}
	})
	ask := func() error {
		_, body, err := u.send(context.Background(), read)
		if err == nil {
			body.Close()
		}
		return err
	}
	failing.Store(true)
	for range 5 {
		if err := ask(); err != nil || u.breaker.Counts().TotalFailures == 0 && u.Resting() == nil {
			t.Fatal(err)
		}
	}
	before := asked.Load()
	want(t, ask(), Resting)
	if asked.Load() != before || u.Resting() == nil {
		t.Error("a server that rests was asked")
	}
	failing.Store(false)
	time.Sleep(250 * time.Millisecond)
	for range 4 {
		if err := ask(); err != nil {
			t.Error(err)
		}
	}
	if u.Resting() != nil {
		t.Error("a server that is well again rests")
	}
	for range 50 { // who asks has gone, or asks what is not sent
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, _, _ = u.send(ctx, read)
		_, _, _ = u.send(context.Background(), Request{Method: "TRACE"})
	}
	if u.Resting() != nil {
		t.Error("clients that go away make the server rest")
	}
}

// Issue 8 point 4: clients get no more of the server at once than it may give,
// and never what answers are judged by.
func TestRoom(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(patient))
	defer s.Close()
	u := open(t, s.URL, func(c *config.Upstream) { c.MaxRequests = 2 })
	ctx, cancel := context.WithCancel(context.Background())
	first, err := u.enter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.enter(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = u.enter(context.Background())
	want(t, err, Busy)
	a, err := u.Own(context.Background(), Consent, read)
	if err != nil {
		t.Fatalf("the gateway's own request waits for clients: %v", err)
	}
	_, _ = io.Copy(io.Discard, a.Body)
	a.Body.Close()
	first.leave()
	first.leave()
	if _, err := u.enter(ctx); err != nil {
		t.Error("room that was given back is not there")
	}
	cancel() // its request is over, whoever forgot to close the answer
	time.Sleep(20 * time.Millisecond)
	for range 2 {
		if _, err := u.enter(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestTimeoutsOfClasses(t *testing.T) {
	limits := newTimeouts(config.Upstream{Timeout: config.Duration(time.Minute), Timeouts: config.Timeouts{Read: 1, Search: 2, Write: 3, Operation: 4}})
	for _, tt := range []struct {
		r    Request
		want time.Duration
	}{
		{read, 1}, {Request{Method: "GET", Target: "Patient/1/_history/2"}, 1}, {Request{Method: "GET", Target: "Patient?name=x"}, 2}, {Request{Method: "GET", Target: "Patient"}, 2},
		{Request{Method: "GET", Target: "Patient/1/_history"}, 2}, {Request{Method: "POST", Target: "Patient/_search"}, 2}, {Request{Method: "POST", Target: "Patient"}, 3},
		{Request{Method: "POST", Target: ""}, 3}, {Request{Method: "DELETE", Target: "Patient/1"}, 3}, {Request{Method: "GET", Target: "Patient/1/$everything", Slow: true}, 4},
	} {
		if got := limits.of(tt.r); got != tt.want {
			t.Errorf("%s %s: got %d", tt.r.Method, tt.r.Target, got)
		}
	}
	if got := newTimeouts(config.Upstream{}); got.read != 30*time.Second || got.operation != 300*time.Second {
		t.Errorf("usual ones: %+v", got)
	}
}
