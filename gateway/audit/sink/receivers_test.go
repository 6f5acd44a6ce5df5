package sink

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// repository is a FHIR audit record repository. It refuses an entry now and
// then, and takes those after it all the same.
type repository struct {
	book
	url   string
	posts int
}

func newRepository(t *testing.T) receiver {
	r := &repository{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.serve(t, w, q) }))
	t.Cleanup(s.Close)
	r.url = s.URL + "/fhir"
	return r
}

func (r *repository) sink(t *testing.T) config.Sink {
	return config.Sink{Type: "fhir", URL: r.url, Parsed: parsed(t, r.url)}
}

func (r *repository) serve(t *testing.T, w http.ResponseWriter, q *http.Request) {
	var b struct {
		ResourceType, Type string
		Entry              []struct {
			Resource json.RawMessage
			Request  struct{ Method, URL string }
		}
	}
	if err := json.NewDecoder(q.Body).Decode(&b); err != nil || b.Type != "batch" || q.Header.Get("Content-Type") != "application/fhir+json" {
		t.Errorf("no batch: %v %+v", err, q.Header)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.open {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.posts++
	type entry map[string]map[string]string
	answer := []entry{}
	for i, e := range b.Entry {
		if e.Request.Method != "POST" || e.Request.URL != "AuditEvent" {
			t.Errorf("entry asks for %+v", e.Request)
		}
		if r.posts%3 == 0 && i == len(b.Entry)/2 {
			answer = append(answer, entry{"response": {"status": "503 Service Unavailable"}})
			break // what stands behind it is not even looked at
		}
		r.take(t, e.Resource)
		answer = append(answer, entry{"response": {"status": "201 Created"}})
	}
	json.NewEncoder(w).Encode(map[string]any{"resourceType": "Bundle", "type": "batch-response", "entry": answer})
}

// collector takes OpenTelemetry logs.
type collector struct {
	book
	url string
}

func newCollector(t *testing.T) receiver {
	c := &collector{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var b struct {
			ResourceLogs []struct {
				ScopeLogs []struct {
					LogRecords []struct {
						TimeUnixNano string
						Body         struct{ StringValue string }
						Attributes   []struct{ Key string }
					}
				}
			}
		}
		if err := json.NewDecoder(q.Body).Decode(&b); err != nil || q.URL.Path != "/v1/logs" || len(b.ResourceLogs) != 1 {
			t.Errorf("no logs at %s: %v", q.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.open {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		for _, r := range b.ResourceLogs[0].ScopeLogs[0].LogRecords {
			if r.TimeUnixNano == "" || len(r.Attributes) < 5 {
				t.Errorf("log record %+v", r)
			}
			c.take(t, []byte(r.Body.StringValue))
		}
		io.WriteString(w, `{"partialSuccess":{}}`)
	}))
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

func (c *collector) sink(t *testing.T) config.Sink {
	return config.Sink{Type: "otlp", Endpoint: c.url, Parsed: parsed(t, c.url)}
}

// lines is a file; down, its directory is a file.
type lines struct {
	t    *testing.T
	path string
}

func newFile(t *testing.T) receiver {
	return &lines{t, filepath.Join(t.TempDir(), "out", "audit.jsonl")}
}

func (l *lines) sink(*testing.T) config.Sink { return config.Sink{Type: "jsonl", Path: l.path} }

func (l *lines) set(up bool) {
	if dir := filepath.Dir(l.path); up {
		os.Remove(dir)
		write(l.t, l.path, `{"half a line`)
	} else {
		write(l.t, dir, "")
	}
}

func (l *lines) got() []string {
	b, err := os.ReadFile(l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	var k book
	all := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	for _, line := range all[1:] { // the first is the half one
		k.take(l.t, []byte(line))
	}
	return k.ids
}

// syslogServer reads octet-counted messages over TLS; down, it closes what it
// accepts.
type syslogServer struct {
	book
	t    *testing.T
	addr string
	ca   string
	conn map[net.Conn]bool
	msgs []string
}

func newSyslogServer(t *testing.T) receiver {
	cert, ca := selfSigned(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &syslogServer{t: t, addr: l.Addr().String(), ca: ca, conn: map[net.Conn]bool{}}
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

func (s *syslogServer) sink(t *testing.T) config.Sink {
	at := "tls://" + s.addr
	return config.Sink{Type: "syslog", Address: at, Parsed: parsed(t, at), CAFile: s.ca}
}

func (s *syslogServer) set(up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open = up; !up {
		for c := range s.conn {
			c.Close()
		}
	}
}

func (s *syslogServer) serve(c net.Conn) {
	defer c.Close()
	s.mu.Lock()
	s.conn[c] = true
	open := s.open
	s.mu.Unlock()
	if !open {
		return
	}
	r := bufio.NewReader(c)
	for {
		head, err := r.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(head, " "))
		if err != nil {
			s.t.Errorf("no octet count: %q", head)
			return
		}
		m := make([]byte, n)
		if _, err := io.ReadFull(r, m); err != nil {
			return
		}
		s.mu.Lock()
		if s.open {
			s.message(string(m))
		}
		s.mu.Unlock()
	}
}

func (s *syslogServer) message(m string) {
	s.msgs = append(s.msgs, m)
	_, text, ok := strings.Cut(m, "\xef\xbb\xbf")
	if (!ok && !strings.Contains(m, "[checkpoint@")) || strings.ContainsAny(m, "\r\n") || !strings.HasPrefix(m, "<110>1 ") {
		s.t.Errorf("message %q", m)
	}
	if strings.HasPrefix(text, "{") {
		s.take(s.t, []byte(text))
	}
}

func selfSigned(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	write(t, path, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}

// jetStream speaks as much of the NATS protocol as a publisher needs; down, it
// acknowledges nothing.
type jetStream struct {
	book
	t    *testing.T
	addr string
}

func newJetStream(t *testing.T) receiver {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &jetStream{t: t, addr: l.Addr().String()}
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

func (s *jetStream) sink(t *testing.T) config.Sink {
	at := "nats://" + s.addr
	return config.Sink{Type: "nats", URL: at, Parsed: parsed(t, at), Subject: "audit.h"}
}

func (s *jetStream) serve(c net.Conn) {
	defer c.Close()
	fmt.Fprintf(c, "INFO {\"server_id\":\"S\",\"version\":\"2.11.0\",\"proto\":1,\"headers\":true,\"max_payload\":1048576}\r\n")
	r := bufio.NewReader(c)
	sids := map[string]string{} // subject of replies → subscription
	for n := 0; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || f[0] == "CONNECT" || f[0] == "PONG" || f[0] == "UNSUB":
		case f[0] == "PING":
			io.WriteString(c, "PONG\r\n")
		case f[0] == "SUB":
			sids[strings.TrimSuffix(f[1], "*")] = f[len(f)-1]
		case f[0] == "HPUB":
			n++
			s.publish(c, r, f, sids, n)
		default:
			s.t.Errorf("NATS: %q", line)
			return
		}
	}
}

// publish takes HPUB subject reply header-bytes all-bytes.
func (s *jetStream) publish(c net.Conn, r *bufio.Reader, f []string, sids map[string]string, n int) {
	head, _ := strconv.Atoi(f[3])
	all, _ := strconv.Atoi(f[4])
	b := make([]byte, all+2)
	if _, err := io.ReadFull(r, b); err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		c.Close()
		return
	}
	if f[1] != "audit.h" || !strings.Contains(string(b[:head]), "Nats-Msg-Id: gatehouse.test/audit#") {
		s.t.Errorf("published to %s with %q", f[1], b[:head])
	}
	s.take(s.t, b[head:all])
	for prefix, sid := range sids {
		if strings.HasPrefix(f[2], prefix) {
			ack := fmt.Sprintf(`{"stream":"AUDIT","seq":%d}`, n)
			fmt.Fprintf(c, "MSG %s %s %d\r\n%s\r\n", f[2], sid, len(ack), ack)
		}
	}
}
