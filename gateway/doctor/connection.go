package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"gatehouse/config"
)

// plain is a client without the gateway's credentials: what anybody would get.
func plain(caFile string) (*http.Client, error) {
	t := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, DisableKeepAlives: true, ResponseHeaderTimeout: 5 * time.Second}
	if caFile != "" {
		certificates, err := config.ReadCertificates(caFile)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		for _, c := range certificates {
			t.TLSClientConfig.RootCAs.AddCert(c)
		}
	}
	return &http.Client{Transport: t, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// ask is a GET by anybody; its body is thrown away.
func ask(ctx context.Context, caFile, where string) (*http.Response, int64, error) {
	client, err := plain(caFile)
	if err != nil {
		return nil, 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, 0, err
	}
	r.Header.Set("Accept", "application/fhir+json, application/json")
	response, err := client.Do(r)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot be asked: %w", err)
	}
	defer response.Body.Close()
	n, _ := io.Copy(io.Discard, io.LimitReader(response.Body, mostRead)) // what is missing of it tells nothing more
	return response, n, nil
}

// connection looks at TLS, the server's clock, and who can reach it past the
// gateway.
func (x *examination) connection(ctx context.Context) {
	c := x.cfg.Upstream
	response, _, err := ask(ctx, c.CAFile, c.URL+"/metadata")
	if err != nil {
		x.tell("tls", Note, "", "without the gateway's credentials the server %v", err)
		return
	}
	x.tls("upstream", response.TLS, c.Parsed.Hostname())
	x.clock(response)
	response, n, err := ask(ctx, c.CAFile, c.URL+"/Patient?_count=1")
	switch {
	case err != nil:
	case response.StatusCode == http.StatusOK && n > 0:
		x.tell("reach", Problem, "upstream.auth, and a network that lets the gateway alone reach the server",
			"the server answers searches of patients to whoever asks without credentials: all that the gateway does can be walked around")
	default:
		x.tell("reach", Good, "", "the server refuses whoever asks without credentials (%d)", response.StatusCode)
	}
}

func (x *examination) tls(what string, state *tls.ConnectionState, host string) {
	if state == nil {
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			x.tell("tls", Problem, what+".url with https", "%s speaks plain http over the network", what)
		}
		return
	}
	left := state.PeerCertificates[0].NotAfter.Sub(x.now())
	if left < 30*24*time.Hour {
		x.tell("tls", Problem, "", "the certificate of %s ends in %d days", what, int(left.Hours()/24))
		return
	}
	x.tell("tls", Good, "", "%s speaks %s; its certificate ends in %d days", what, tls.VersionName(state.Version), int(left.Hours()/24))
}

// clocks compares with the issuers' clocks: tokens are judged by their times.
func (x *examination) clocks(ctx context.Context) {
	defer func() { x.of = "" }()
	for _, i := range x.cfg.Issuers {
		x.of = "issuer " + i.Issuer
		response, _, err := ask(ctx, i.CAFile, strings.TrimSuffix(i.Issuer, "/")+"/.well-known/openid-configuration")
		if err != nil {
			x.tell("clock", Problem, "", "it %v", err)
			continue
		}
		x.clock(response)
	}
}

// clockOff is the difference of clocks that is worth a word; a Date is in whole
// seconds, and the answer took its time.
const clockOff = 5 * time.Second

func (x *examination) clock(response *http.Response) {
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		x.tell("clock", Note, "", "it does not tell its time")
		return
	}
	off := x.now().Sub(date).Round(time.Second)
	if off.Abs() > clockOff {
		x.tell("clock", Problem, "", "its clock differs by %s; set both by NTP (issuers.clock_skew allows a minute at most)", off)
		return
	}
	x.tell("clock", Good, "", "its clock agrees")
}
