package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// clientCAs are the authorities whose client certificates are believed, read again
// when their file has changed: one that was taken out must not last until a restart.
type clientCAs struct {
	file string
	base func() *tls.Config // what every connection gets

	mu      sync.Mutex
	loaded  *tls.Config
	changed time.Time
	looked  time.Time
}

// get is the configuration for the next connection. A new set of authorities comes
// with new session tickets, so that no session of the old one is taken up again. A
// bad new file leaves the old authorities in use.
func (c *clientCAs) get(*tls.ClientHelloInfo) (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded != nil && time.Since(c.looked) < time.Second {
		return c.loaded, nil
	}
	c.looked = time.Now()
	info, err := os.Stat(c.file)
	if err == nil && (c.loaded == nil || !info.ModTime().Equal(c.changed)) {
		var pool *x509.CertPool
		if pool, err = readPool(c.file); err == nil {
			t := c.base()
			// Certificates are verified where shown; tokens bound to one demand it.
			t.ClientCAs, t.ClientAuth = pool, tls.VerifyClientCertIfGiven
			c.loaded, c.changed = t, info.ModTime()
		}
	}
	if c.loaded == nil {
		return nil, err
	}
	return c.loaded, nil
}

func readPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read tls.client_ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("tls.client_ca_file " + file + " holds no certificate")
	}
	return pool, nil
}
