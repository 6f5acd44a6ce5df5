package config

import "net"

// AdminTLS says whether the admin listener is served with tls: off loopback,
// where there is a certificate. On loopback it is plain http for probes and
// scrapers of this machine.
func (c *Config) AdminTLS() bool {
	host, _, err := net.SplitHostPort(c.Admin)
	return c.TLS != nil && (err != nil || !loopback(host))
}
