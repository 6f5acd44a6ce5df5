package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"gatehouse/config"
)

// Bounds that no configuration needs to change.
const (
	dialTimeout = 5 * time.Second
	idleTimeout = 60 * time.Second
	maxHead     = 64 << 10 // bytes of an answer's header, 1xx answers included
)

// newTransport makes connections of our own: no proxy from the environment, no
// compression, no redirects (a RoundTripper follows none), limits on all.
func newTransport(c config.Upstream, log *zap.Logger) (*http.Transport, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		roots, err := pool(c.CAFile)
		if err != nil {
			return nil, err
		}
		secure.RootCAs = roots
	}
	t := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        secure,
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxIdleConns:           c.MaxConnections,
		MaxIdleConnsPerHost:    c.MaxConnections,
		MaxConnsPerHost:        c.MaxConnections,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHead,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: dialTimeout},
		ReadBufferSize:         16 << 10,
		WriteBufferSize:        16 << 10,
	}
	if c.Auth.Type == "mtls" {
		pair, err := newPair(c.Auth, t, log)
		if err != nil {
			return nil, err
		}
		secure.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.get(), nil }
	}
	return t, nil
}

func pool(path string) (*x509.CertPool, error) {
	certificates, err := config.ReadCertificates(path)
	if err != nil {
		return nil, fmt.Errorf("read certificates %s: %w", path, err)
	}
	roots := x509.NewCertPool()
	for _, c := range certificates {
		roots.AddCert(c)
	}
	return roots, nil
}
