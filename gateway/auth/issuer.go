package auth

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"

	"github.com/go-jose/go-jose/v4"
)

// issuer is one configured identity provider.
type issuer struct {
	config config.Issuer
	keys   *keySource
	types  []string // accepted JWT typ values, in lower case
	skew   time.Duration
	secret string        // for introspection
	own    *fhir.BaseSet // the gateway's own base, as references name it
	base   string        // the same as authorization_details name it
}

func newIssuer(c config.Issuer, o Options) (*issuer, error) {
	u, err := checkURL(c.Issuer, c.InsecureHTTP)
	if err != nil {
		return nil, err
	}
	client, err := newClient(c.CAFile)
	if err != nil {
		return nil, err
	}
	i := &issuer{config: c, skew: min(time.Duration(c.ClockSkew), time.Minute), base: o.PublicURL.String()}
	if i.own, err = fhir.NewBaseSet(i.base); err != nil {
		return nil, fmt.Errorf("public URL: %w", err)
	}
	if err := i.checkLists(); err != nil {
		return nil, err
	}
	for _, t := range c.TokenTypes {
		i.types = append(i.types, mediaType(t))
	}
	i.keys = &keySource{issuer: u, name: c.Issuer, insecure: c.InsecureHTTP, algorithms: c.Algorithms,
		maxAge: orDefault(c.KeyMaxAge, 10*time.Minute), cooldown: orDefault(c.KeyCooldown, 30*time.Second),
		client: client, now: o.Now, log: o.Log}
	return i, i.prepareIntrospection()
}

func orDefault(d config.Duration, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return time.Duration(d)
}

// checkLists refuses what would accept everything or nothing.
func (i *issuer) checkLists() error {
	if len(i.config.Audiences) == 0 || slices.Contains(i.config.Audiences, "") {
		return fmt.Errorf("needs audiences, none of them empty")
	}
	if len(i.config.Algorithms) == 0 || len(i.config.TokenTypes) == 0 {
		return fmt.Errorf("needs algorithms and token types")
	}
	for _, alg := range i.config.Algorithms {
		if !slices.Contains(known, jose.SignatureAlgorithm(alg)) {
			return fmt.Errorf("algorithm %q is not one of %v", alg, known)
		}
	}
	if s := i.config.Scopes; s != "smart" && s != "none" {
		return fmt.Errorf("scopes %q is neither smart nor none", s)
	}
	return nil
}

func (i *issuer) prepareIntrospection() error {
	c := i.config.Introspection
	switch c.Mode {
	case "", "never":
		return nil
	case "opaque", "always":
	default:
		return fmt.Errorf("introspection mode %q is not never, opaque or always", c.Mode)
	}
	if c.URL != "" {
		if _, err := checkURL(c.URL, i.config.InsecureHTTP); err != nil {
			return fmt.Errorf("introspection url: %w", err)
		}
	}
	if c.ClientID == "" || c.ClientSecretFile == "" {
		return fmt.Errorf("introspection needs client_id and client_secret_file")
	}
	secret, err := os.ReadFile(c.ClientSecretFile)
	if err != nil {
		return fmt.Errorf("read introspection secret: %w", err)
	}
	i.secret = strings.TrimSpace(string(secret))
	return nil
}

// mediaType is a typ value as it is compared: RFC 7515 §4.1.9 lets "application/"
// be left out and case vary.
func mediaType(s string) string {
	return strings.TrimPrefix(strings.ToLower(s), "application/")
}

// signed is a JWT, taken apart and not yet verified.
type signed struct {
	jws      *jose.JSONWebSignature
	alg, kid string
	typ      string
	claims   claims
}

// takeApart reads a JWT strictly. Header parameters that would point to keys
// (jwk, jku, x5u, x5c) are ignored; those that change what is signed are
// refused (JWT-04, JWT-12).
func takeApart(token string, algorithms []jose.SignatureAlgorithm) (*signed, *failure) {
	first, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return nil, fail(CodeInvalid, "JWT header is not base64url")
	}
	header, err := parseClaims(raw)
	if err != nil {
		return nil, fail(CodeInvalid, "JWT header: %v", err)
	}
	for _, name := range []string{"crit", "b64", "zip", "enc"} {
		if header[name] != nil {
			return nil, fail(CodeInvalid, "JWT header has %s", name)
		}
	}
	t := new(signed)
	t.alg, _ = text(header["alg"])
	t.typ, _ = text(header["typ"])
	if kid := header["kid"]; kid != nil {
		var ok bool
		if t.kid, ok = text(kid); !ok || t.kid == "" || len(t.kid) > 256 {
			return nil, fail(CodeInvalid, "JWT header has a malformed kid")
		}
	}
	if t.jws, err = jose.ParseSignedCompact(token, algorithms); err != nil {
		return nil, fail(CodeInvalid, "not a JWT signed with an allowed algorithm")
	}
	if t.claims, err = parseClaims(t.jws.UnsafePayloadWithoutVerification()); err != nil {
		return nil, fail(CodeInvalid, "JWT claims: %v", err)
	}
	return t, nil
}

// verify checks that this issuer signed t as an access token, now or lately.
func (i *issuer) verify(ctx context.Context, t *signed) (*key, *failure) {
	if !slices.Contains(i.config.Algorithms, t.alg) {
		return nil, fail(CodeInvalid, "algorithm is not allowed for issuer %s", i.config.Issuer)
	}
	if !slices.Contains(i.types, mediaType(t.typ)) {
		return nil, fail(CodeInvalid, "typ is not allowed for issuer %s", i.config.Issuer)
	}
	k, f := i.keys.find(ctx, t.kid, t.alg)
	if f != nil {
		return nil, f
	}
	if _, err := t.jws.Verify(k.public); err != nil {
		return nil, fail(CodeInvalid, "signature does not verify with the key of issuer %s", i.config.Issuer)
	}
	if mediaType(t.typ) == "jwt" && looksLikeIDToken(t.claims, i.client(t.claims)) {
		return nil, fail(CodeInvalid, "an ID token")
	}
	return k, nil
}

// looksLikeIDToken tells ID tokens from access tokens where typ does not
// (DESIGN §10.13, JWT-07).
func looksLikeIDToken(c claims, client string) bool {
	if c["nonce"] != nil || c["at_hash"] != nil || c["c_hash"] != nil {
		return true
	}
	audiences := list(c["aud"])
	if len(audiences) != 1 {
		return false
	}
	aud, _ := text(audiences[0])
	return aud == client
}
