package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"gatehouse/config"
	"gatehouse/gateway/policy"
)

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// open makes an Upstream of a server's FHIR base, changed by the options.
func open(t testing.TB, where string, change ...func(*config.Upstream)) *Upstream {
	t.Helper()
	c := config.Upstream{Parsed: mustURL(t, where), Timeout: config.Duration(2 * time.Second), MaxConnections: 16}
	for _, f := range change {
		f(&c)
	}
	u, err := New(c, mustURL(t, "https://fhir.example.org/r4"), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

func patient(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/fhir+json;charset=UTF-8")
	io.WriteString(w, `{"resourceType":"Patient","id":"1"}`)
}

var read = Request{Method: "GET", Target: "Patient/1"}

// want fails unless err is an *Error of a kind.
func want(t *testing.T, err error, kind Kind) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("got %v, want an error of kind %s", err, kind)
	}
}

func TestForwardNeedsAPermit(t *testing.T) { // DESIGN §3
	called := false
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer s.Close()
	_, err := open(t, s.URL).Forward(context.Background(), policy.Permit{}, read)
	want(t, err, Refused)
	if called {
		t.Error("the upstream was called without a permit")
	}
}

func TestOwnReadsForKnownPurposesOnly(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(patient))
	defer s.Close()
	u := open(t, s.URL)
	for _, tt := range []struct {
		purpose, method, target string
		ok                      bool
	}{
		{BeforeImage, "GET", "Patient/1", true},
		{Consent, "POST", "Consent/_search", true},
		{Consent, "POST", "Consent", false},
		{Consent, "DELETE", "Consent/1", false},
		{"curiosity", "GET", "Patient/1", false},
		{"", "GET", "Patient/1", false},
	} {
		answer, err := u.Own(context.Background(), tt.purpose, Request{Method: tt.method, Target: tt.target})
		if (err == nil) != tt.ok {
			t.Errorf("%s %s for %q: got %v", tt.method, tt.target, tt.purpose, err)
		}
		if err == nil {
			answer.Body.Close()
		}
	}
}

// T-07, T-15, N-01..N-03: only these headers leave, with these values.
func TestRequestHasNoOtherHeaders(t *testing.T) {
	var got *http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		body, _ := io.ReadAll(r.Body)
		got.Body = io.NopCloser(strings.NewReader(string(body)))
		patient(w, r)
	}))
	defer s.Close()
	r := Request{Method: "PUT", Target: "Patient/1", Body: []byte(`{"resourceType":"Patient"}`), ContentType: "application/fhir+json",
		IfMatch: `W/"3"`, IfNoneMatch: "*", Prefer: "return=minimal", ID: "01J"}
	_, closer, err := open(t, s.URL+"/fhir").send(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	closer.Close()
	wantHeader := http.Header{"Accept": {"application/fhir+json"}, "Accept-Encoding": {"identity"}, "User-Agent": {"gatehouse"},
		"Content-Type": {"application/fhir+json"}, "Content-Length": {"26"}, "If-Match": {`W/"3"`}, "If-None-Match": {"*"},
		"Prefer": {"handling=strict, return=minimal"}, "X-Request-Id": {"01J"}}
	for name, values := range got.Header {
		if !slices.Equal(values, wantHeader[name]) {
			t.Errorf("%s: got %q, want %q", name, values, wantHeader[name])
		}
	}
	if len(got.Header) != len(wantHeader) || got.Method != "PUT" || got.RequestURI != "/fhir/Patient/1" {
		t.Errorf("got %s %s %v", got.Method, got.RequestURI, got.Header)
	}
	if body, _ := io.ReadAll(got.Body); string(body) != string(r.Body) {
		t.Errorf("body: got %s", body)
	}
}

// G-02, H-04, T-02: what is sent stays below the base, whatever the target says.
func TestTargetsBelowTheBase(t *testing.T) {
	u := open(t, "http://127.0.0.1:9000/fhir")
	for _, tt := range []struct{ target, want string }{
		{"", "http://127.0.0.1:9000/fhir"},
		{"Patient/1", "http://127.0.0.1:9000/fhir/Patient/1"},
		{"Patient/1/$everything", "http://127.0.0.1:9000/fhir/Patient/1/$everything"},
		{"Patient?name=a%20b&x=c|d", "http://127.0.0.1:9000/fhir/Patient?name=a%20b&x=c|d"},
		{"Patient/1/*?_count=5", "http://127.0.0.1:9000/fhir/Patient/1/*?_count=5"},
		{"*", ""}, {"Patient/*", ""}, {"Patient/*/Observation", ""}, {"Patient/1/a*", ""}, {"Patient/1/*/*", ""}, {"Patient/1/_history/*", ""}, {"/1/*", ""}, {"../1/*", ""},
		{"?_getpages=1", "http://127.0.0.1:9000/fhir?_getpages=1"},
		{"/Patient/1", ""}, {"//evil/x", ""}, {"http://evil/x", ""}, {"../admin", ""}, {"Patient/../../x", ""}, {"Patient//1", ""},
		{"Patient/1/", ""}, {"Patient/%2e%2e", ""}, {"Patient/1#x", ""}, {"Patient?a=b#c", ""}, {"Patient?a=b c", ""},
		{"Patient?a=b\r\nX: y", ""}, {"Patient/1\n", ""}, {"@evil/x", ""}, {"Patient;a=b", ""}, {`Patient\1`, ""}, {"Pätient", ""}, {"Patient?n=ä", ""},
	} {
		got, err := u.locate(tt.target)
		if tt.want == "" && err == nil || tt.want != "" && (err != nil || got.String() != tt.want) {
			t.Errorf("%q: got %v, %v; want %q", tt.target, got, err, tt.want)
		}
	}
}

func TestHeaderValuesAndMethodsThatDoNotLeave(t *testing.T) { // T-16, E-08
	u := open(t, "http://127.0.0.1:1")
	for _, r := range []Request{
		{Method: "TRACE", Target: "Patient/1"}, {Method: "CONNECT"}, {Method: "get"}, {Method: ""}, {Method: "OPTIONS"},
		{Method: "GET", IfMatch: "a\r\nX-Admin: 1"}, {Method: "GET", ID: "a\x00"}, {Method: "GET", Prefer: "é"},
	} {
		_, _, err := u.send(context.Background(), r)
		want(t, err, Refused)
	}
}

// raw serves one answer as it is written.
func raw(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				http.ReadRequest(bufio.NewReader(c))
				io.WriteString(c, strings.ReplaceAll(answer, "\n", "\r\n"))
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

const fhirJSON = "Content-Type: application/fhir+json\n"

// E-05, N-01..N-03, N-17, T-10, G-02, D-15: answers that were not asked for.
func TestAnswersThatAreRefused(t *testing.T) {
	for _, tt := range []struct{ name, answer string }{
		{"tunnel", "HTTP/1.1 101 Switching Protocols\nUpgrade: h2c\nConnection: Upgrade\n\n"},
		{"part", "HTTP/1.1 206 Partial Content\nContent-Range: bytes 0-1/9\n" + fhirJSON + "Content-Length: 2\n\n{}"},
		{"redirect", "HTTP/1.1 302 Found\nLocation: http://127.0.0.1:1/evil\nContent-Length: 0\n\n"},
		{"redirect that keeps the method", "HTTP/1.1 307 Temporary Redirect\nLocation: /other\nContent-Length: 0\n\n"},
		{"not modified", "HTTP/1.1 304 Not Modified\n\n"},
		{"unknown success", "HTTP/1.1 299 Fine\n" + fhirJSON + "Content-Length: 2\n\n{}"},
		{"compressed", "HTTP/1.1 200 OK\nContent-Encoding: gzip\n" + fhirJSON + "Content-Length: 2\n\n{}"},
		{"html", "HTTP/1.1 200 OK\nContent-Type: text/html\nContent-Length: 2\n\n{}"},
		{"xml", "HTTP/1.1 200 OK\nContent-Type: application/fhir+xml\nContent-Length: 2\n\n{}"},
		{"other charset", "HTTP/1.1 200 OK\nContent-Type: application/fhir+json; charset=utf-16\nContent-Length: 2\n\n{}"},
		{"no type", "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"},
		{"two types", "HTTP/1.1 200 OK\n" + fhirJSON + "Content-Type: text/html\nContent-Length: 2\n\n{}"},
		{"two etags", "HTTP/1.1 200 OK\nETag: \"1\"\nETag: \"2\"\n" + fhirJSON + "Content-Length: 2\n\n{}"},
		{"two transfer encodings", "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n" + fhirJSON + "\n0\n\n"},
		{"two lengths", "HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 3\n" + fhirJSON + "\n{} "},
		{"endless head", "HTTP/1.1 200 OK\nX: " + strings.Repeat("x", maxHead) + "\n\n"},
		{"endless early hints", strings.Repeat("HTTP/1.1 103 Early Hints\nLink: </x>\n\n", 4000)},
		{"no http", "SSH-2.0-OpenSSH\n"},
		{"nothing", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := open(t, raw(t, tt.answer)).send(context.Background(), read)
			var e *Error
			if !errors.As(err, &e) || e.Kind != Protocol && e.Kind != Unreachable || !e.Sent {
				t.Errorf("got %v, want a refusal of what was sent", err)
			}
		})
	}
}

func TestHeadHoldsOnlyWhatIsOfItsGrammar(t *testing.T) { // E-05
	answer := "HTTP/1.1 103 Early Hints\nLink: </x>\n\nHTTP/1.1 201 Created\nServer: x\nSet-Cookie: a=b\nETag: W/\"2\"\nLast-Modified: Sat, 21 Nov 2026 10:00:00 GMT\n" +
		"Location: http://h/fhir/Patient/1/_history/2\nRetry-After: 120\nTrailer: Authorization\n" + fhirJSON + "Transfer-Encoding: chunked\n\n2\n{}\n0\nAuthorization: x\n\n"
	head, body, err := open(t, raw(t, answer)).send(context.Background(), read)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	wantHead := Head{Status: 201, ETag: `W/"2"`, LastModified: "Sat, 21 Nov 2026 10:00:00 GMT", Location: "http://h/fhir/Patient/1/_history/2",
		ContentType: "application/fhir+json", RetryAfter: "120", Length: -1}
	if head != wantHead {
		t.Errorf("got %+v, want %+v", head, wantHead)
	}
	if text, err := io.ReadAll(body); string(text) != "{}" || err != nil {
		t.Errorf("body: got %q, %v", text, err)
	}
}

func TestHeaderGrammars(t *testing.T) {
	for _, tt := range []struct {
		value string
		valid func(string) bool
		want  bool
	}{
		{`"1"`, entityTag, true}, {`W/"1"`, entityTag, true}, {`1`, entityTag, false}, {`"`, entityTag, false}, {`W/"`, entityTag, false},
		{`"a"b"`, entityTag, false}, {"\"a\x01\"", entityTag, false}, {``, entityTag, false},
		{"Sat, 21 Nov 2026 10:00:00 GMT", httpDate, true}, {"2026-11-21", httpDate, false},
		{"120", seconds, true}, {"-1", seconds, false}, {"Sat, 21 Nov 2026 10:00:00 GMT", seconds, false}, {"999999", seconds, false},
	} {
		if got := tt.valid(tt.value); got != tt.want {
			t.Errorf("%q: got %v", tt.value, got)
		}
	}
}

// E-01: the text of an error that is no FHIR is not even held.
func TestErrorsOfOtherTypesHaveNoBody(t *testing.T) {
	for _, tt := range []struct{ kind, want string }{{"text/html", ""}, {"application/fhir+json", "{}"}} {
		head, body, err := open(t, raw(t, "HTTP/1.1 500 Oops\nContent-Type: "+tt.kind+"\nContent-Length: 2\n\n{}")).send(context.Background(), read)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(body)
		if string(text) != tt.want || head.Status != 500 {
			t.Errorf("%s: got %d %q", tt.kind, head.Status, text)
		}
		body.Close()
	}
}

func TestTruncatedBodyIsAnError(t *testing.T) { // DESIGN law 8
	for _, answer := range []string{
		"HTTP/1.1 200 OK\n" + fhirJSON + "Content-Length: 99\n\n{}",
		"HTTP/1.1 200 OK\n" + fhirJSON + "Transfer-Encoding: chunked\n\n2\n{}\n",
	} {
		_, body, err := open(t, raw(t, answer)).send(context.Background(), read)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(body)
		want(t, err, Unreachable)
		body.Close()
	}
}

func TestTimes(t *testing.T) { // T-18 towards the upstream
	hold := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/Patient/drip" {
			patient(w, r)
			for range 100 {
				io.WriteString(w, " ")
				w.(http.Flusher).Flush()
				select {
				case <-hold:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		}
		<-hold
	}))
	defer s.Close()
	defer close(hold)
	quick := func(c *config.Upstream) { c.Timeout = config.Duration(100 * time.Millisecond) }
	_, _, err := open(t, s.URL, quick).send(context.Background(), read)
	want(t, err, Timeout)

	_, body, err := open(t, s.URL, quick).send(context.Background(), Request{Method: "GET", Target: "Patient/drip"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(body)
	want(t, err, Timeout)
	body.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, _, err = open(t, s.URL).send(ctx, read)
	want(t, err, Canceled)

	_, _, err = open(t, "http://127.0.0.1:1").send(context.Background(), read)
	want(t, err, Unreachable)
	var e *Error
	if errors.As(err, &e); e.Sent {
		t.Error("a request without a connection counts as sent")
	}
}

// A long answer that keeps coming outlives the timeout.
func TestLongAnswers(t *testing.T) {
	const pieces = 6
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		for range pieces {
			w.Write(make([]byte, piece))
			time.Sleep(60 * time.Millisecond)
		}
	}))
	defer s.Close()
	_, body, err := open(t, s.URL, func(c *config.Upstream) { c.Timeout = config.Duration(200 * time.Millisecond) }).send(context.Background(), read)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if n, err := io.Copy(io.Discard, body); n != pieces*piece || err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

// T-19: the server's certificate is verified, and pinned where a CA is named.
func TestServerCertificateIsVerified(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(patient))
	defer s.Close()
	_, _, err := open(t, s.URL).send(context.Background(), read)
	want(t, err, Unreachable)

	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, certificatePEM(s.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	_, body, err := open(t, s.URL, func(c *config.Upstream) { c.CAFile = ca }).send(context.Background(), read)
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
}

func TestEnvironmentProxyIsNotUsed(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	if u := open(t, "http://fhir.example.org"); u.carrier.Proxy != nil {
		t.Error("patient data would go through a proxy that the configuration does not name")
	}
}

// BULK-07, D-15: a file is NDJSON and nothing else, anything but a file is
// never NDJSON, and what comes with a 202 is read by nobody.
func TestMediaTypesOfAnExport(t *testing.T) {
	var kind string
	status := 200
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, "{}\n"+r.Header.Get("Accept"))
	}))
	defer s.Close()
	u := open(t, s.URL)
	for _, tt := range []struct {
		accept Accept
		status int
		sent   string
		kind   string
		ok     bool
	}{
		{NDJSON, 200, "application/fhir+ndjson", "application/fhir+ndjson", true},
		{NDJSON, 200, "application/fhir+ndjson; charset=utf-8", "application/fhir+ndjson", true},
		{NDJSON, 200, "application/ndjson", "application/fhir+ndjson", true},
		{NDJSON, 200, "application/ndjson;charset=latin1", "", false},
		{NDJSON, 200, "application/fhir+json", "", false},
		{NDJSON, 200, "application/octet-stream", "", false},
		{NDJSON, 200, "text/csv", "", false},
		{Manifest, 200, "application/json", "application/fhir+json", true},
		{Manifest, 200, "application/fhir+ndjson", "", false},
		{Resource, 200, "application/fhir+ndjson", "", false},
		{Resource, 202, "text/plain", "", true},
		{Resource, 206, "application/fhir+json", "", false},
	} {
		kind, status = tt.sent, tt.status
		head, body, err := u.send(context.Background(), Request{Method: "GET", Target: "x", Accept: tt.accept})
		if (err == nil) != tt.ok || head.ContentType != tt.kind {
			t.Errorf("%v: got %q %v", tt, head.ContentType, err)
		}
		if err != nil {
			continue
		}
		b, _ := io.ReadAll(body)
		body.Close()
		if want := "{}\n" + tt.accept.header()[0]; tt.kind != "" && string(b) != want || tt.kind == "" && len(b) > 0 {
			t.Errorf("%v: got %q", tt, b)
		}
	}
}
