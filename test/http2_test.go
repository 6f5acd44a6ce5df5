package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// T-12: HTTP/2 requests as frames that no well-behaved client sends.

// selfSigned writes a certificate of 127.0.0.1 and its key.
func (h *house) selfSigned() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write("c.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	h.write("k.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// frames sends one request of the given header fields, as they stand, and returns
// the first byte of the answer's header block, or 0 where the request was refused.
// HPACK's static table begins an answer of 200 with 0x88.
func (h *house) frames(t *testing.T, fields [][2]string) byte {
	t.Helper()
	address := strings.TrimSuffix(strings.TrimPrefix(h.base, "http://"), "/fhir")
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		t.Fatal("no HTTP/2")
	}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second)) // a hang is a failure
	var block []byte
	for _, f := range fields { // literals without indexing, not Huffman-coded
		block = append(block, 0)
		for _, s := range f {
			if len(s) > 126 {
				block = binary.AppendUvarint(append(block, 127), uint64(len(s)-127))
			} else {
				block = append(block, byte(len(s)))
			}
			block = append(block, s...)
		}
	}
	const settings, headers, rst, goaway = 4, 1, 3, 7
	out := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	out = append(out, byte(len(block)>>16), byte(len(block)>>8), byte(len(block)), headers, 0x5 /* END_STREAM, END_HEADERS */, 0, 0, 0, 1)
	if _, err := conn.Write(append(out, block...)); err != nil {
		t.Fatal(err)
	}
	for {
		var head [9]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return 0 // closed
		}
		body := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(conn, body); err != nil {
			return 0
		}
		switch head[3] {
		case headers:
			return body[0]
		case rst, goaway:
			return 0
		}
	}
}

func TestRawFrames(t *testing.T) {
	h := newHouse(t, "R4")
	h.selfSigned()
	text := strings.Replace(h.config("tls: {cert_file: c.pem, key_file: k.pem}"), "insecure_http: true\n", "", 1)
	h.write("gatehouse.yaml", strings.Replace(text, "public_url: http:", "public_url: https:", 1))
	h.start()
	h.ehr.on("GET /Patient/B", 200, resource("Patient", "B", `"name":[{"family":"Canary"}]`))
	token := [2]string{"authorization", "Bearer " + h.staff()}
	method, scheme := [2]string{":method", "GET"}, [2]string{":scheme", "https"}
	authority, path := [2]string{":authority", "gw.example.org"}, [2]string{":path", "/fhir/Patient/B"}
	if got := h.frames(t, [][2]string{method, scheme, authority, path, token}); got != 0x88 || len(h.ehr.requests()) != 1 {
		t.Fatalf("the usual request: got %#x", got)
	}
	for name, fields := range map[string][][2]string{
		"a space in the path":   {method, scheme, authority, {":path", "/fhir/Patient/B HTTP/1.1"}, token},
		"CR LF in the path":     {method, scheme, authority, {":path", "/fhir/Patient/B\r\nX: y"}, token},
		"a fragment":            {method, scheme, authority, {":path", "/fhir/Patient/B#x"}, token},
		"a relative path":       {method, scheme, authority, {":path", "fhir/Patient/B"}, token},
		"an absolute path":      {method, scheme, authority, {":path", "https://evil.example/fhir/Patient/B"}, token},
		"no path":               {method, scheme, authority, token},
		"two paths":             {method, scheme, authority, path, {":path", "/fhir/Patient/C"}, token},
		"two authorities":       {method, scheme, authority, {":authority", "evil.example"}, path, token},
		"a late pseudo-header":  {method, scheme, authority, token, path},
		"an unknown one":        {method, scheme, authority, path, {":protocol", "websocket"}, token},
		"upper case":            {method, scheme, authority, path, token, {"X-Upper", "1"}},
		"connection":            {method, scheme, authority, path, token, {"connection", "authorization"}},
		"transfer-encoding":     {method, scheme, authority, path, token, {"transfer-encoding", "chunked"}},
		"upgrade":               {method, scheme, authority, path, token, {"upgrade", "h2c"}},
		"LF in a value":         {method, scheme, authority, path, token, {"x-a", "1\nauthorization: Bearer x"}},
		"NUL in a value":        {method, scheme, authority, path, token, {"x-a", "1\x00"}},
		"a space in a name":     {method, scheme, authority, path, token, {"x a", "1"}},
		"a method with a space": {{":method", "GET /x"}, scheme, authority, path, token},
		"another host":          {method, scheme, authority, path, token, {"host", "evil.example"}},
		"two tokens":            {method, scheme, authority, path, token, token},
	} {
		if got := h.frames(t, fields); got == 0x88 {
			t.Errorf("%s: served", name)
		}
		if calls := h.ehr.requests(); len(calls) > 0 {
			t.Errorf("%s: the upstream got %v", name, calls)
		}
	}
}
