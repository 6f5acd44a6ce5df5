package upstream

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/zap"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"gatehouse/config"
)

const (
	tokenTimeout  = 10 * time.Second
	assertionLife = 2 * time.Minute
	// retryToken is between attempts after the token endpoint failed: requests
	// must not become a flood on it.
	retryToken = 2 * time.Second
	// unknownLife is believed of a token whose endpoint names no expiry.
	unknownLife = time.Minute
)

// tokens are access tokens of the gateway's own at the upstream: kept until
// they are about to end, and fetched again by one request for all.
type tokens struct {
	fetch   func(context.Context) (*oauth2.Token, error)
	now     func() time.Time
	log     *zap.Logger
	current atomic.Pointer[token]

	mu     sync.Mutex // held while a token is fetched
	failed error
	retry  time.Time // not before, after a failure
}

type token struct {
	header []string
	fresh  time.Time // until then it is simply used
	ends   time.Time // from then on it is not used
}

// tokenClient talks to the token endpoint: no redirect takes the client's
// secret elsewhere.
func tokenClient(carrier *http.Transport) *http.Client {
	return &http.Client{Transport: carrier, Timeout: tokenTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func newTokens(c config.UpstreamAuth, client *http.Client, log *zap.Logger, now func() time.Time) (credential, error) {
	base := clientcredentials.Config{ClientID: c.ClientID, TokenURL: c.TokenURL, Scopes: c.Scopes}
	prepare, err := shared(c, log)
	if c.Type == "private_key_jwt" {
		prepare, err = asserted(c, log, now)
	}
	if err != nil {
		return nil, err
	}
	t := &tokens{now: now, log: log}
	t.fetch = func(ctx context.Context) (*oauth2.Token, error) {
		request := base
		if err := prepare(&request); err != nil {
			return nil, err
		}
		return request.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
	}
	return t, nil
}

// shared authenticates with a client secret (RFC 6749 §2.3.1).
func shared(c config.UpstreamAuth, log *zap.Logger) (func(*clientcredentials.Config) error, error) {
	if c.Type != "client_credentials" {
		return nil, nil
	}
	text, err := newText(c.ClientSecretFile, c.ClientSecretEnv, log, func(s string) (string, error) { return s, nil })
	return func(r *clientcredentials.Config) error {
		r.ClientSecret, r.AuthStyle = text.get(), oauth2.AuthStyleInHeader
		return nil
	}, err
}

// asserted authenticates with a signed assertion (RFC 7523 §2.2, SMART Backend
// Services).
func asserted(c config.UpstreamAuth, log *zap.Logger, now func() time.Time) (func(*clientcredentials.Config) error, error) {
	key, err := newRotating([]string{c.KeyFile}, log, func() (crypto.Signer, error) { return config.ReadPrivateKey(c.KeyFile) })
	return func(r *clientcredentials.Config) error {
		assertion, err := assertion(c, key.get(), now())
		r.AuthStyle = oauth2.AuthStyleInParams
		r.EndpointParams = url.Values{
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"client_assertion":      {assertion},
		}
		return err
	}, err
}

func assertion(c config.UpstreamAuth, key crypto.Signer, now time.Time) (string, error) {
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", c.KeyID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(c.Algorithm), Key: key}, options)
	if err != nil {
		return "", fmt.Errorf("sign client assertion: %w", err)
	}
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: c.ClientID, Subject: c.ClientID, Audience: jwt.Audience{c.TokenURL}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(assertionLife)),
	}).Serialize()
}

func (t *tokens) apply(ctx context.Context, h http.Header) error {
	have, now := t.current.Load(), t.now()
	if have == nil || !now.Before(have.ends) {
		var err error
		if have, err = t.renew(ctx); err != nil {
			return err
		}
	} else if !now.Before(have.fresh) && t.mu.TryLock() { // one request renews, nobody waits
		go func() {
			defer t.mu.Unlock()
			t.locked(context.WithoutCancel(ctx))
		}()
	}
	h["Authorization"] = have.header
	return nil
}

// renew fetches a token, or waits for whoever does.
func (t *tokens) renew(ctx context.Context) (*token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if have := t.current.Load(); have != nil && t.now().Before(have.ends) {
		return have, nil
	}
	// Others wait for this fetch: it must not end with the request that began it.
	return t.locked(context.WithoutCancel(ctx))
}

func (t *tokens) locked(ctx context.Context) (*token, error) {
	if t.now().Before(t.retry) {
		return nil, t.failed
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	got, err := t.fetch(ctx)
	if err == nil && got.Type() != "Bearer" {
		err = errors.New("the token is no bearer token")
	}
	if err == nil && !printable(got.AccessToken) {
		err = errors.New("the token is not printable")
	}
	if err != nil {
		t.failed, t.retry = fmt.Errorf("fetch access token: %w", harmless(err)), t.now().Add(retryToken)
		t.log.Warn("no access token for the upstream", zap.Error(t.failed))
		return nil, t.failed
	}
	fetched := t.lived(got)
	t.current.Store(fetched)
	return fetched, nil
}

// lived says how long a token is used: it is renewed after four fifths of its
// life and no longer used in the last twentieth, since it also ages on the way.
func (t *tokens) lived(got *oauth2.Token) *token {
	now := t.now()
	life := got.Expiry.Sub(now)
	if got.Expiry.IsZero() {
		life = unknownLife
	}
	return &token{header: []string{"Bearer " + got.AccessToken}, fresh: now.Add(life * 4 / 5), ends: now.Add(life * 19 / 20)}
}

// harmless is an error of the token endpoint without what it wrote: it may
// echo a secret.
func harmless(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		var place *url.Error
		if errors.As(err, &place) {
			return place.Err
		}
		return err
	}
	status := 0
	if refused.Response != nil {
		status = refused.Response.StatusCode
	}
	switch refused.ErrorCode {
	case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope":
		return fmt.Errorf("token endpoint answers %d %s", status, refused.ErrorCode)
	}
	return fmt.Errorf("token endpoint answers %d", status)
}
