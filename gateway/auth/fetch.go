package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	maxDocument  = 512 << 10        // bytes of a discovery document, a key set or an introspection answer
	fetchTimeout = 10 * time.Second // for all of one fetch
)

// metadata is what the gateway uses of an issuer's discovery document.
type metadata struct {
	Keys          string `json:"jwks_uri"`
	Introspection string `json:"introspection_endpoint"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	Scopes        any    `json:"scopes_supported"` // a list of strings, or whatever else it is
}

// fetch brings metadata and keys. What fails leaves the last good ones.
func (s *keySource) fetch() error {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	began := s.now()
	meta, err := s.discover(ctx)
	if err != nil {
		return err
	}
	doc, header, err := get(ctx, s.client, meta.Keys)
	if err != nil {
		return fmt.Errorf("fetch keys: %w", err)
	}
	set, err := parseKeys(doc, s.algorithms)
	if err != nil {
		return fmt.Errorf("read keys of %s: %w", s.name, err)
	}
	if old := s.set.Load(); old != nil {
		set.inherit(*old)
	}
	s.meta.Store(meta)
	s.set.Store(&set)
	s.until.Store(began.Add(s.maxAge).UnixNano())
	s.mu.Lock()
	s.period = refreshPeriod(header, s.maxAge)
	s.mu.Unlock()
	return nil
}

// discover fetches the metadata. While that alone fails, what is known stands;
// but a document that names another issuer is refused (OIDC-01).
func (s *keySource) discover(ctx context.Context) (*metadata, error) {
	var meta metadata
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, s.client), s.name)
	if err == nil {
		err = provider.Claims(&meta)
	}
	if err != nil {
		var mismatch *oidc.IssuerMismatchError
		if last := s.meta.Load(); last != nil && !errors.As(err, &mismatch) {
			return last, nil
		}
		return nil, fmt.Errorf("discover %s: %s", s.name, short(err))
	}
	if err := s.allowed(meta.Keys); err != nil {
		return nil, fmt.Errorf("jwks_uri of %s: %w", s.name, err)
	}
	if meta.Introspection != "" {
		if err := s.allowed(meta.Introspection); err != nil {
			return nil, fmt.Errorf("introspection_endpoint of %s: %w", s.name, err)
		}
	}
	return &meta, nil
}

// allowed holds what a discovery document names to the issuer's own host: it
// may not send the gateway to another (OIDC-01, G-01).
func (s *keySource) allowed(endpoint string) error {
	u, err := checkURL(endpoint, s.insecure)
	if err != nil {
		return err
	}
	if u.Host != s.issuer.Host {
		return fmt.Errorf("is on host %q, not on the issuer's", u.Host)
	}
	return nil
}

// checkURL takes absolute https URLs, and http ones where that is allowed.
func checkURL(s string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not an absolute URL without user and fragment", s)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && insecure) {
		return nil, fmt.Errorf("%q is not https; tests may set insecure_http", s)
	}
	return u, nil
}

func get(ctx context.Context, client *http.Client, target string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("GET %s: %s", target, resp.Status)
	}
	doc, err := io.ReadAll(resp.Body)
	return doc, resp.Header, err
}

// refreshPeriod is a quarter of the keys' allowed age, so that three fetches
// may fail; sooner where the issuer's Cache-Control says so (OIDC-02).
func refreshPeriod(h http.Header, maxAge time.Duration) time.Duration {
	period := maxAge / 4
	for directive := range strings.SplitSeq(h.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if n, err := strconv.Atoi(value); err == nil && n > 0 && n < 1e6 && strings.EqualFold(name, "max-age") {
			period = min(period, max(5*time.Second, time.Duration(n)*time.Second))
		}
	}
	return period
}

// newClient makes the client for one issuer: no redirects, bounded answers,
// TLS 1.2 or better.
func newClient(caFile string) (*http.Client, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read CA file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA file %s holds no certificate", caFile)
		}
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   3 * time.Second,
		ResponseHeaderTimeout: 5 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxConnsPerHost:       64,
		MaxIdleConnsPerHost:   16,
		ForceAttemptHTTP2:     true,
	}
	return &http.Client{
		Transport:     bounded{transport},
		Timeout:       fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirects are not followed") },
	}, nil
}

// bounded is a transport whose answers end in an error beyond maxDocument.
type bounded struct{ next *http.Transport }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxDocument)
	}
	return resp, err
}

// short cuts an error that may quote a whole answer.
func short(err error) string {
	s := quotable(err.Error())
	return s[:min(len(s), 300)]
}
