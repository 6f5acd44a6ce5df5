package upstream

import (
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"gatehouse/config"
)

// NewClient gives an HTTP client with the bounds, the trust and the credentials
// of an Upstream, for what the gateway itself sends to one server that is not
// the upstream. No proxy, no redirects: the credentials go to nobody else.
func NewClient(c config.Upstream, log *zap.Logger) (*http.Client, error) {
	carrier, err := newTransport(c, log)
	if err != nil {
		return nil, err
	}
	auth, err := newCredential(c.Auth, tokenClient(carrier), log, time.Now)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	return &http.Client{Transport: credentialed{carrier, auth}, Timeout: time.Duration(c.Timeout),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// credentialed puts the credential on each request.
type credentialed struct {
	carrier *http.Transport
	auth    credential
}

func (c credentialed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if err := c.auth.apply(r.Context(), r.Header); err != nil {
		return nil, err
	}
	return c.carrier.RoundTrip(r)
}

// CloseIdleConnections is what http.Client's asks for.
func (c credentialed) CloseIdleConnections() { c.carrier.CloseIdleConnections() }
