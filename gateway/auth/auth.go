// Package auth turns the credentials of a request into a verified Subject:
// access tokens of configured issuers (RFC 9068, RFC 7662), bound to keys
// where they say so (RFC 9449, RFC 8705).
package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/config"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
)

// Options are what an Authenticator needs beside its issuers.
type Options struct {
	PublicURL *url.URL         // FHIR base as clients see it; required
	NonceKey  []byte           // DPoP proofs need a nonce made with it; nil: none
	Now       func() time.Time // time.Now where nil
	Log       *zap.Logger      // none where nil
	Once      Once             // remembers DPoP proofs for all replicas; nil: this process is alone
	Previous  *Authenticator   // of the snapshot before: its block list and its memory of DPoP proofs live on
}

// Once remembers a thing for so long and tells whether it was new; an error
// means that nobody knows.
type Once func(ctx context.Context, thing string, last time.Duration) (fresh bool, err error)

// Authenticator verifies credentials. It is safe for concurrent use.
type Authenticator struct {
	issuers   map[string]*issuer
	order     []string // their names, as configured
	opaque    *issuer  // that tokens which are no JWT are shown to; nil: they are refused
	now       func() time.Time
	challenge challenger
	cache     *cache
	blocks    *blocks
	proofs    proofs
	asking    singleflight.Group // one introspection for each token at a time
}

// New makes an Authenticator; it opens no connection before Start. An error
// names the issuer and what is wrong with its configuration.
func New(issuers []config.Issuer, o Options) (*Authenticator, error) {
	if o.PublicURL == nil || o.PublicURL.Host == "" {
		return nil, errors.New("auth needs the public URL")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	a := &Authenticator{issuers: make(map[string]*issuer), now: o.Now, challenge: newChallenger(o.PublicURL),
		cache: newCache(), blocks: newBlocks(), proofs: proofs{o.PublicURL, nonces{o.NonceKey}, o.Once, newReplays()}}
	if o.Previous != nil {
		a.blocks, a.proofs.replays = o.Previous.blocks, o.Previous.proofs.replays
	}
	for _, c := range issuers {
		if a.issuers[c.Issuer] != nil {
			return nil, fmt.Errorf("issuer %s is configured twice", c.Issuer)
		}
		i, err := newIssuer(c, o)
		if err != nil {
			return nil, fmt.Errorf("issuer %s: %w", c.Issuer, err)
		}
		a.issuers[c.Issuer], a.order = i, append(a.order, c.Issuer)
	}
	return a, a.chooseOpaque()
}

// chooseOpaque finds the issuer of tokens that do not name theirs. With several
// to ask, each would be shown the others' tokens.
func (a *Authenticator) chooseOpaque() error {
	for _, i := range a.issuers {
		if i.config.Introspection.Mode != "opaque" {
			continue
		}
		if a.opaque != nil {
			return errors.New("two issuers have introspection mode opaque: a token that does not name its issuer can be shown to one alone")
		}
		a.opaque = i
	}
	if a.opaque == nil && len(a.issuers) == 1 {
		for _, i := range a.issuers {
			if i.config.Introspection.Mode == "always" {
				a.opaque = i
			}
		}
	}
	return nil
}

// Start fetches metadata and keys in the background and keeps them fresh until
// ctx ends.
func (a *Authenticator) Start(ctx context.Context) {
	for _, i := range a.issuers {
		go i.keys.run(ctx)
	}
}

// Ready is nil while every issuer's keys are there and fresh.
func (a *Authenticator) Ready() error {
	var errs []error
	for name, i := range a.issuers {
		if _, ok := i.keys.keys(a.now()); !ok {
			errs = append(errs, fmt.Errorf("keys of issuer %s are not there: %w", name, i.keys.why()))
		}
	}
	return errors.Join(errs...)
}

// Authenticate gives the caller of a request. The Subject of a token is the
// same pointer as long as the token is remembered.
func (a *Authenticator) Authenticate(r *http.Request) (*Subject, *Error) {
	s, f := a.authenticate(r)
	if f != nil {
		return nil, a.challenge.refusal(f)
	}
	return s, nil
}

// Known tells whether a request brings a token that was good before and may
// still be: looking costs no cryptography but a hash. It is no permission.
func (a *Authenticator) Known(r *http.Request) bool {
	c, f := credentialsOf(r)
	if f != nil {
		return false
	}
	d := digestOf(c.token)
	e := a.cache.get(&d)
	return e != nil && e.good(a.now())
}

func (a *Authenticator) authenticate(r *http.Request) (*Subject, *failure) {
	c, f := credentialsOf(r)
	if f != nil {
		return nil, f
	}
	now, d := a.now(), digestOf(c.token)
	e := a.cache.get(&d)
	if e == nil || !e.good(now) {
		if e, f = a.verify(r.Context(), c.token, &d); f != nil {
			return nil, f
		}
	}
	if f := a.blocks.check(e, now); f != nil {
		return nil, f
	}
	if f := a.proved(r, c, &d, e, now); f != nil {
		return nil, f
	}
	return e.subject, nil
}

// verify reads and checks a token that is not remembered, and remembers it.
func (a *Authenticator) verify(ctx context.Context, token string, d *digest) (*entry, *failure) {
	if f := checkSyntax(token); f != nil {
		return nil, f
	}
	var e *entry
	var f *failure
	if strings.Count(token, ".") == 2 {
		e, f = a.verifyJWT(ctx, token, d)
	} else {
		e, f = a.verifyOpaque(ctx, token, d)
	}
	if f != nil {
		return nil, f
	}
	if now := a.now(); now.UnixNano() < e.until {
		a.cache.put(d, e, now)
	}
	return e, nil
}

func (a *Authenticator) verifyJWT(ctx context.Context, token string, d *digest) (*entry, *failure) {
	t, f := takeApart(token, known)
	if f != nil {
		return nil, f
	}
	name, _ := text(t.claims["iss"])
	i := a.issuers[name]
	if i == nil {
		return nil, fail(CodeInvalid, "token of an issuer that is not configured")
	}
	k, f := i.verify(ctx, t)
	if f != nil {
		return nil, f
	}
	c := t.claims
	if i.config.Introspection.Mode == "always" {
		answer, f := a.ask(i, token, d)
		if f != nil {
			return nil, f
		}
		if c, f = confirm(c, answer); f != nil {
			return nil, f
		}
	}
	return a.entry(i, k, c)
}

func (a *Authenticator) verifyOpaque(ctx context.Context, token string, d *digest) (*entry, *failure) {
	if a.opaque == nil {
		return nil, fail(CodeInvalid, "not a JWT, and no issuer to ask")
	}
	answer, f := a.ask(a.opaque, token, d)
	if f != nil {
		return nil, f
	}
	return a.entry(a.opaque, nil, answer)
}

// ask introspects a token once for all requests that wait for it; it outlives
// the one that came first.
func (a *Authenticator) ask(i *issuer, token string, d *digest) (claims, *failure) {
	type answer struct {
		claims  claims
		failure *failure
	}
	v, _, _ := a.asking.Do(string(d[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
		defer cancel()
		c, f := i.introspect(ctx, token)
		return answer{c, f}, nil
	})
	return v.(answer).claims, v.(answer).failure
}

// entry makes what is remembered of a verified token: until it expires, or, if
// it was introspected, no longer than the bound on revocation (INTR-02).
func (a *Authenticator) entry(i *issuer, k *key, c claims) (*entry, *failure) {
	now := a.now()
	s, bound, f := i.subject(c, now)
	if f != nil {
		return nil, f
	}
	until := s.Expires
	if k == nil || i.config.Introspection.Mode == "always" {
		if believed := now.Add(time.Duration(i.config.Introspection.CacheTTL)); believed.Before(until) {
			until = believed
		}
	}
	return &entry{subject: s, bound: bound, issuer: i, key: k, until: until.UnixNano()}, nil
}

// InsufficientScope makes the challenges of a 403 for a scope that is missing
// (RFC 6750 §3.1); scope is what would do, or "".
func (a *Authenticator) InsufficientScope(scope string) []string {
	attributes := []string{"error", "insufficient_scope"}
	if scope != "" {
		attributes = append(attributes, "scope", scope)
	}
	return a.challenge.values(attributes...)
}

// StepUp makes the challenges of a 401 that asks for a stronger or fresher
// login (RFC 9470 §3); acr "" and maxAge 0 (seconds) ask for none.
func (a *Authenticator) StepUp(acr string, maxAge int) []string {
	attributes := []string{"error", "insufficient_user_authentication"}
	if acr != "" {
		attributes = append(attributes, "acr_values", acr)
	}
	if maxAge > 0 {
		attributes = append(attributes, "max_age", strconv.Itoa(maxAge))
	}
	return a.challenge.values(attributes...)
}
