package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, cert: &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// issue is a certificate for 127.0.0.1 and its key, PEM.
func (a *authority) issue(t *testing.T, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// secured is a house whose public listener speaks TLS with certificates of ca.
func secured(t *testing.T, ca *authority) (h *house, address string) {
	t.Helper()
	h = newHouse(t, "R4")
	cert, key := ca.issue(t, 2)
	h.write("cert.pem", cert)
	h.write("key.pem", key)
	h.write("clients.pem", ca.pem)
	text := h.config("tls: {cert_file: cert.pem, key_file: key.pem, client_ca_file: clients.pem}")
	h.write("gatehouse.yaml", strings.NewReplacer("http://gw.example.org/fhir", "https://gw.example.org/fhir", "\ninsecure_http: true\n", "\n").Replace(text))
	h.start()
	return h, h.process.PublicAddr()
}

// shake is the state of a connection with a configuration; the answer to a request
// over it tells whether the certificate was taken, as in TLS 1.3 the handshake does not.
func shake(address string, c *tls.Config) (*tls.ConnectionState, http.Header, error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}, Timeout: 30 * time.Second}
	resp, err := client.Get("https://" + address + "/fhir/metadata")
	if err != nil {
		return nil, nil, err
	}
	resp.Body.Close()
	return resp.TLS, resp.Header, nil
}

// SEC-02: TLS 1.2 at least, 1.3 where the client has it, HSTS; and certificates of the
// server and of the authority of clients are taken up while the gateway runs.
func TestTLS(t *testing.T) {
	t.Parallel() // it waits more than it works
	ca, other := newAuthority(t, "a"), newAuthority(t, "b")
	h, address := secured(t, ca)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	roots.AddCert(other.cert)
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		_, header, err := shake(address, &tls.Config{RootCAs: roots, MinVersion: version, MaxVersion: version})
		if (err == nil) != want || want && header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: %v %v", tls.VersionName(version), err, header)
		}
	}
	if state, _, err := shake(address, &tls.Config{RootCAs: roots}); err != nil || state.Version != tls.VersionTLS13 {
		t.Errorf("not TLS 1.3: %v", err)
	}
	client := func(a *authority) func() error {
		cert, key := a.issue(t, 3)
		pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		tickets := tls.NewLRUClientSessionCache(4)
		return func() error {
			_, _, err := shake(address, &tls.Config{RootCAs: roots, ClientSessionCache: tickets,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }}) // whatever authorities the gateway names
			return err
		}
	}
	mine, theirs := client(ca), client(other)
	if err := mine(); err != nil {
		t.Errorf("a client of the authority: %v", err)
	}
	if err := theirs(); err == nil {
		t.Error("a client of a strange authority is taken")
	}
	cert, key := other.issue(t, 4)
	h.write("key.pem", key)
	h.write("cert.pem", cert)
	h.write("clients.pem", other.pem)
	later := time.Now().Add(2 * time.Second) // a file system may tell times by the second
	for _, name := range []string{"cert.pem", "clients.pem"} {
		if err := os.Chtimes(filepath.Join(h.dir, name), later, later); err != nil {
			t.Fatal(err)
		}
	}
	serial := int64(0)
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end) && (serial != 4 || theirs() != nil); time.Sleep(100 * time.Millisecond) {
		if state, _, err := shake(address, &tls.Config{RootCAs: roots}); err == nil {
			serial = state.PeerCertificates[0].SerialNumber.Int64()
		}
	}
	if err := theirs(); serial != 4 || err != nil {
		t.Errorf("not taken up: certificate %d, clients %v", serial, err)
	}
	if err := mine(); err == nil {
		t.Error("a client of the authority that was taken out is believed, by a session of before")
	}
	h.write("clients.pem", "nothing")
	time.Sleep(1100 * time.Millisecond)
	if err := theirs(); err != nil {
		t.Errorf("a bad file takes the good authorities away: %v", err)
	}
}

// /readyz says whether cryptography is that of the FIPS module (SEC-03).
func TestReadyShowsFIPS(t *testing.T) {
	h := openHouse(t)
	resp, err := http.Get("http://" + h.process.AdminAddr() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, resp).body, `"fips140":"`+gateway.FIPS()+`"`; !strings.Contains(got, want) {
		t.Errorf("%s lacks %s", got, want)
	}
}
