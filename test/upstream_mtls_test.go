package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// paired writes a client's key and a certificate of it that is its own authority.
func (h *house) paired(name string) *x509.Certificate {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write(name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	h.write(name+".key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		h.t.Fatal(err)
	}
	return cert
}

// Issue 8 point 7: the gateway shows the upstream a certificate of its own, for reads,
// searches and writes; one that the upstream does not know gets nothing, and neither does
// a gateway that shows none.
func TestUpstreamMTLS(t *testing.T) {
	for name, want := range map[string]int{"known": 200, "stranger": 502, "": 502} {
		h := newHouse(t, "R4")
		known := h.paired("known")
		h.paired("stranger")
		var asked atomic.Int64
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if got := r.TLS.PeerCertificates[0].Subject.CommonName; got != "known" {
				t.Errorf("the upstream is shown the certificate of %s", got)
			}
			h.ehr.ServeHTTP(w, r)
		}))
		pool := x509.NewCertPool()
		pool.AddCert(known)
		s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
		s.Config.ErrorLog = quiet
		s.StartTLS()
		t.Cleanup(s.Close)
		h.write("server.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
		auth := "{type: mtls, cert_file: " + name + ".pem, key_file: " + name + ".key.pem}"
		if name == "" {
			auth = "{type: none}"
		}
		h.write("gatehouse.yaml", strings.Replace(h.config(), "upstream: {url: "+h.ehr.url+"/r4,", "upstream: {url: "+s.URL+"/r4, ca_file: server.pem, auth: "+auth+",", 1))
		h.start()
		h.ehr.on("GET /Observation/a", 200, obsA)
		h.ehr.on("GET /Observation", 200, searchset("", obsA))
		h.ehr.on("PUT /Observation/a", 200, obsA, "ETag", `W/"4"`)
		token := h.staff()
		for _, got := range []answer{h.get("/Observation/a", token), h.get("/Observation?status=final", token), h.do("PUT", "/Observation/a", token, obsA, "If-Match", `W/"3"`)} {
			if got.status != want {
				t.Errorf("%q: %d %s, want %d", name, got.status, got.body, want)
			}
		}
		if n := asked.Load(); (n > 0) != (want == 200) {
			t.Errorf("%q: the upstream served %d requests", name, n)
		}
		h.stop()
	}
}

// quiet is where a server's errors go that a test means to cause.
var quiet = log.New(io.Discard, "", 0)
