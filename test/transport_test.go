package test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Groups T, N and E from the client's side: raw requests that mean different
// things to different readers.

// raw sends bytes as they stand and reads one answer.
func (h *house) raw(t *testing.T, request string) answer {
	t.Helper()
	address := strings.TrimSuffix(strings.TrimPrefix(h.base, "http://"), "/fhir")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second)) // a hang is a failure
	request = strings.ReplaceAll(strings.ReplaceAll(request, "HOST", address), "\n", "\r\n")
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.Close { // the parser takes it out of the header
		r.Header.Set("Connection", "close")
	}
	return answer{r.StatusCode, r.Header, string(body)}
}

// T-02 to T-16, P-06, P-07: requests as bytes. None of them reaches the
// upstream; status 0 stands for "any refusal".
func TestRawRequests(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Patient/B", 200, resource("Patient", "B", `"name":[{"family":"Canary"}]`))
	auth := "Authorization: Bearer " + h.staff() + "\n"
	host := "Host: HOST\n"
	for _, c := range []struct {
		id, request string
		status      int
	}{
		{"T-02", "GET //fhir/Patient/B HTTP/1.1\n" + host + auth + "\n", 404},
		{"T-02", "GET /fhir//Patient/B HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-02", "GET ///evil/fhir/Patient/B HTTP/1.1\n" + host + auth + "\n", 404},
		{"T-04", "GET /fhir/patient/B HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-04", "GET /fhir/PATIENT/B HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-04", "GET /fhir/Patient/B/ HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-04", "GET /fhir/Patient/B%00 HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-04", "GET /fhir/Patient/B%20 HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-04", "GET /fhir/Pati%C3%A9nt/B HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-04", "GET /fhir/%50atient/B HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-04", "GET /fhir/Patient/%2e%2e/Patient/B HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-04", "GET /fhir/Patient/../Patient/B HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-04", "GET /fhir/metadata/../Patient/B HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-04", "GET /fhir/Patient%2FB HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-04", "GET /fhir/Patient;x=y/B HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-04", "GET /fhir/Patient\\B HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-04", "GET /%66hir/Patient/B HTTP/1.1\n" + host + auth + "\n", 404},
		{"T-04", "GET /fhirx/Patient/B HTTP/1.1\n" + host + auth + "\n", 404},
		{"T-06", "GET http://evil.example/fhir/Patient/B HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-06", "GET http://HOST/fhir/Patient/B HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-06", "GET * HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-06", "GET /fhir/Patient/B#frag HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-06", "GET /fhir/Patient/B?x=/metadata HTTP/1.1\n" + host + "\n", 401},
		{"T-06", "GET /fhir/metadata/ HTTP/1.1\n" + host + "\n", 401},
		{"T-06", "GET /fhir/Metadata HTTP/1.1\n" + host + "\n", 401},
		{"J-18", "POST /fhir/metadata HTTP/1.1\n" + host + "Content-Length: 0\n\n", 401},
		{"J-18", "GET /fhir/metadata%2f..%2fPatient HTTP/1.1\n" + host + "\n", 401},
		{"J-18", "GET /fhir/Patient/B HTTP/1.1\n" + host + "User-Agent: kube-probe/1.0\n\n", 401},
		{"P-06", "GET /fhir/Observation?patient=A;patient=B HTTP/1.1\n" + host + auth + "\n", 400},
		{"P-07", "GET /fhir/Observation?patient=A&subject=%zzB HTTP/1.1\n" + host + auth + "\n", 400},
		{"T-10", "GET /fhir/Patient/B HTTP/1.1\n" + host + auth + "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\n\n", 400},
		{"T-10", "GET /fhir/Patient/B HTTP/1.1\n" + host + auth + "Connection: Upgrade\nUpgrade: websocket\n\n", 400},
		{"T-10", "PRI * HTTP/2.0\n\nSM\n\n", 0},
		{"T-13", "GET /fhir/Patient/B HTTP/1.1\nHost: evil.example\n" + auth + "\n", 421},
		{"T-13", "GET /fhir/Patient/B HTTP/1.1\nHost: HOST.evil\n" + auth + "\n", 0},
		{"T-13", "GET /fhir/Patient/B HTTP/1.1\nHost: user@HOST\n" + auth + "\n", 0},
		{"T-13", "GET /fhir/Patient/B HTTP/1.1\nHost: HOST\nHost: evil.example\n" + auth + "\n", 400},
		{"T-13", "GET /fhir/Patient/B HTTP/1.0\n" + auth + "\n", 421},
		{"T-15", "GET /fhir/Patient/B HTTP/1.1\n" + host + auth + "Authorization: Bearer x\n\n", 400},
		{"T-15", "GET /fhir/Patient/B HTTP/1.1\n" + host + "Authorization: Basic eDp5\n" + auth + "\n", 400},
		{"T-15", "GET /fhir/Patient/B HTTP/1.1\n" + host + strings.TrimSuffix(auth, "\n") + ", Basic eDp5\n\n", 400},
		{"T-15", "GET /fhir/Patient/B HTTP/1.1\n" + host + auth + "Cookie: access_token=x\n\n", 400},
		{"J-13", "GET /fhir/Patient/B?access_token=x HTTP/1.1\n" + host + "\n", 400},
		{"J-13", "GET /fhir/Patient/B HTTP/1.1\n" + host + "Sec-WebSocket-Protocol: bearer, x\n\n", 400},
		{"E-08", "TRACE /fhir/Patient/B HTTP/1.1\n" + host + auth + "\n", 405},
		{"E-08", "CONNECT evil.example:443 HTTP/1.1\n" + host + auth + "\n", 0},
		{"E-08", "DEBUG /fhir/Patient/B HTTP/1.1\n" + host + auth + "\n", 405},
		{"E-08", "get /fhir/Patient/B HTTP/1.1\n" + host + auth + "\n", 405},
		{"T-09", "GET /fhir/Patient/B HTTP/1.1\n" + host + "Connection: close, Authorization\n\n", 401},
		{"N-17", "POST /fhir/Patient HTTP/1.1\n" + host + "Expect: 100-continue\nContent-Length: 1000000\nContent-Type: application/fhir+json\n\n", 401},
		{"N-17", "POST /fhir/Patient HTTP/1.1\n" + host + "Expect: nonsense\nContent-Length: 2\n" + auth + "\n{}", 417},
		{"T-smuggle", "POST /fhir/Observation/_search HTTP/1.1\n" + host + auth + "Transfer-Encoding: chunked\nTransfer-Encoding: identity\n\n0\n\n", 0},
		{"T-smuggle", "POST /fhir/Observation/_search HTTP/1.1\n" + host + auth + "Transfer-Encoding: xchunked\n\n0\n\n", 0},
		{"T-smuggle", "POST /fhir/Observation/_search HTTP/1.1\n" + host + auth + "Content-Length: 5\nContent-Length: 6\n\n12345", 400},
		{"T-smuggle", "GET /fhir/Patient/B HTTP/1.1\n" + host + auth + "X-A : b\n\n", 400},
		{"FHIR-20", "GET /fhir/Patient/B HTTP/1.1\n" + host + auth + "X-Provenance: {}\n\n", 400},
		{"N-05", "POST /fhir/Patient HTTP/1.1\n" + host + auth + "Content-Encoding: gzip\nContent-Length: 2\n\n{}", 415},
	} {
		t.Run(c.id+" "+strings.TrimSpace(c.request[:strings.IndexByte(c.request, '\n')]), func(t *testing.T) {
			got := h.raw(t, c.request)
			if got.status != c.status && c.status != 0 || got.status < 400 {
				t.Errorf("got %d %s, want %d", got.status, got.body, c.status)
			}
			h.noCanary(t, got)
			if calls := h.ehr.requests(); len(calls) > 0 {
				t.Errorf("upstream got %v", calls)
			}
			if id := got.header.Get("X-Request-Id"); id != "" {
				h.recorded(t, &attack{status: got.status}, got)
			} else if got.status != 400 && got.status != 505 && got.status != 501 && got.status != 417 {
				t.Errorf("%d without a record", got.status)
			}
		})
	}
}

// N-01, T-07, T-16, BEAR-05: headers of a request that is served. None goes
// upstream, none comes back.
func TestRequestHeaders(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA)
	token := h.staff()
	ok := []string{"GET /Observation/a"}
	var rows []attack
	for _, accept := range []string{"application/fhir+json", "application/json", "*/*", "text/html, */*;q=0.1", "application/fhir+json; fhirVersion=4.0"} {
		rows = append(rows, attack{id: "N-01 " + accept, target: "/Observation/a", token: token, header: []string{"Accept", accept}, status: 200, calls: ok, released: []string{"Observation/a"}})
	}
	for _, accept := range []string{"application/fhir+xml", "text/turtle", "text/html", "application/json+fhir", "*/*;q=0", "application/pdf", "application/fhir+json; fhirVersion=5.0"} {
		rows = append(rows, attack{id: "N-01 " + accept, target: "/Observation/a", token: token, header: []string{"Accept", accept}, status: 406})
	}
	for _, format := range []string{"html", "xml", "ttl", "ndjson", "html%2Fjson", "text/html"} {
		rows = append(rows, attack{id: "N-01", target: "/Observation/a?_format=" + format, token: token, status: 406})
	}
	spoofed := []string{"X-HTTP-Method-Override", "X-Method", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Prefix", "X-Forwarded-For",
		"X-Forwarded-Host", "X-User", "X-Consent-Scope", "Client-Cert", "X-SSL-Client-Cert", "Forwarded", "Via", "Baggage", "Traceparent", "Accept-Encoding",
		"Te", "Trailer", "X-Intermediary", "Cookie", "Proxy-Authorization", "X-Correlation-Id"}
	for _, name := range spoofed {
		rows = append(rows, attack{id: "T-07 " + name, target: "/Observation/a", token: token, header: []string{name, "Canary"}, status: 200, calls: ok, released: []string{"Observation/a"}})
	}
	rows = append(rows,
		attack{id: "T-16", target: "/Observation/a", token: token, header: []string{"X-Request-Id", "Canary Canary"}, status: 200, calls: ok, released: []string{"Observation/a"}},
		attack{id: "T-16", target: "/Observation?code=%0d%0aSet-Cookie:%20Canary", token: token, status: 400},
		attack{id: "U-05", target: "/Observation/a", token: token, header: []string{"User-Agent", strings.Repeat("x\t", 20000)}, status: 200, calls: ok, released: []string{"Observation/a"}},
	)
	h.attack(t, rows)
	h.do("GET", "/Observation/a", token, "", "X-Forwarded-For", "Canary", "Connection", "X-Request-Id", "Traceparent", "Canary")
	h.ehr.mu.Lock()
	defer h.ehr.mu.Unlock()
	allowed := map[string]bool{"Accept": true, "Accept-Encoding": true, "User-Agent": true, "X-Request-Id": true, "Prefer": true}
	for name, values := range h.ehr.headers[len(h.ehr.headers)-1] {
		if !allowed[name] || strings.Contains(strings.Join(values, ""), "Canary") {
			t.Errorf("the upstream got %s: %v", name, values)
		}
	}
}

// N-17: a body after a refusal is not read; the connection is closed.
func TestRefusedUpload(t *testing.T) {
	h := openHouse(t)
	got := h.raw(t, "POST /fhir/Patient HTTP/1.1\nHost: HOST\nContent-Length: 999999999\nContent-Type: application/fhir+json\n\n{")
	if got.status != 401 || !strings.EqualFold(got.header.Get("Connection"), "close") {
		t.Errorf("got %d %v", got.status, got.header)
	}
	got = h.raw(t, "POST /fhir/Patient HTTP/1.1\nHost: HOST\nAuthorization: Bearer "+h.staff()+"\nContent-Length: 999999999\nContent-Type: application/fhir+json\n\n{")
	if got.status != 413 {
		t.Errorf("got %d %v", got.status, got.header)
	}
}
