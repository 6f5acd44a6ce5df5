package auth

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A DPoP proof is taken for proofAge after its iat, and proofAhead before it
// where the client's clock is ahead.
const (
	maxProof    = 8 << 10
	proofAge    = time.Minute
	proofAhead  = 30 * time.Second
	maxReplayed = 1 << 18 // proofs remembered, of some 100 bytes each
)

var proofAlgs = []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.PS256, jose.RS256, jose.EdDSA}

func proofAlgorithms() (names []string) {
	for _, alg := range proofAlgs {
		names = append(names, string(alg))
	}
	return names
}

// proofs checks DPoP proofs (RFC 9449 §4.3) and remembers them while they
// could be sent again.
type proofs struct {
	public *url.URL
	nonces nonces
	once   Once
	*replays
}

// check takes the request's proof for a token bound to the key of thumbprint.
func (p *proofs) check(r *http.Request, token *digest, thumbprint string, now time.Time) *failure {
	header := r.Header["Dpop"]
	if len(header) != 1 || len(header[0]) > maxProof || strings.Count(header[0], ".") != 2 {
		return fail(CodeProof, "%d DPoP headers, or not one JWT", len(header))
	}
	t, f := takeApart(header[0], proofAlgs)
	if f != nil {
		return fail(CodeProof, "DPoP proof: %s", f.log)
	}
	if t.typ != "dpop+jwt" {
		return fail(CodeProof, "DPoP proof has another typ")
	}
	if f := p.checkKey(t, thumbprint); f != nil {
		return f
	}
	id, f := p.checkClaims(r, t.claims, token, now)
	if f != nil {
		return f
	}
	nonce, _ := text(t.claims["nonce"])
	if f := p.nonces.check(nonce, now); f != nil {
		return f
	}
	if f := p.remember(thumbprint+" "+id, now); f != nil || p.once == nil {
		return f
	}
	switch fresh, err := p.once(r.Context(), "dpop "+thumbprint+" "+id, proofAge+proofAhead); {
	case err != nil: // another replica may have taken it
		return fail(CodeUnavailable, "memory of DPoP proofs: %v", err)
	case !fresh:
		return fail(CodeProof, "DPoP proof was used before, at another replica")
	}
	return nil
}

// checkKey verifies the proof with the public key that it carries, and that
// this is the key of the token.
func (p *proofs) checkKey(t *signed, thumbprint string) *failure {
	jwk := t.jws.Signatures[0].Protected.JSONWebKey // the parser refuses private ones
	if jwk == nil || !suits(jwk.Key, t.alg) {
		return fail(CodeProof, "DPoP proof has no public key fit for its algorithm")
	}
	if _, err := t.jws.Verify(jwk.Key); err != nil {
		return fail(CodeProof, "DPoP proof's signature does not verify")
	}
	print, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil || !equal(base64.RawURLEncoding.EncodeToString(print), thumbprint) {
		return fail(CodeBinding, "DPoP proof by another key than the token's")
	}
	return nil
}

func (p *proofs) checkClaims(r *http.Request, c claims, token *digest, now time.Time) (id string, f *failure) {
	htm, _ := text(c["htm"])
	htu, _ := text(c["htu"])
	ath, _ := text(c["ath"])
	iat, hasIat := seconds(c["iat"])
	id, hasID := identifier(c["jti"])
	at := time.Unix(iat, 0)
	switch {
	case htm != r.Method:
		return "", fail(CodeProof, "DPoP proof for another method")
	case !p.sameTarget(htu, r.URL):
		return "", fail(CodeProof, "DPoP proof for another URL")
	case !hasIat || now.Sub(at) > proofAge || at.Sub(now) > proofAhead:
		return "", fail(CodeProof, "DPoP proof too old or from the future")
	case !equal(ath, base64.RawURLEncoding.EncodeToString(token[:])):
		return "", fail(CodeProof, "DPoP proof for another token")
	case !hasID:
		return "", fail(CodeProof, "DPoP proof without jti")
	}
	return id, nil
}

// sameTarget compares htu, but for query and fragment, with the URL that the
// client meant: the public one, whatever Host a request or a balancer says.
func (p *proofs) sameTarget(htu string, requested *url.URL) bool {
	u, err := url.Parse(htu)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" {
		return false
	}
	return strings.EqualFold(u.Scheme, p.public.Scheme) && hostPort(u) == hostPort(p.public) &&
		normalPath(u) == normalPath(requested)
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}

// normalPath spells a path in one way (RFC 3986 §6.2.2), keeping apart an
// encoded slash and a real one.
func normalPath(u *url.URL) string {
	segments := strings.Split(u.EscapedPath(), "/")
	for i, s := range segments {
		if plain, err := url.PathUnescape(s); err == nil {
			segments[i] = url.PathEscape(plain)
		}
	}
	if path := strings.Join(segments, "/"); path != "" {
		return path
	}
	return "/"
}

// replays remembers the proofs that were taken, for as long as each could be
// taken again, in two generations.
type replays struct {
	mu        sync.Mutex
	new, old  map[[sha256.Size]byte]struct{}
	turned    time.Time
	maxMemory int
}

func newReplays() *replays { return &replays{maxMemory: maxReplayed} }

// remember refuses a proof that was taken before. Where memory is full it
// refuses all: to forget one would let it pass twice.
func (m *replays) remember(proof string, now time.Time) *failure {
	sum := sha256.Sum256([]byte(proof))
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.new == nil || now.Sub(m.turned) > proofAge+proofAhead {
		m.old, m.new, m.turned = m.new, make(map[[sha256.Size]byte]struct{}), now
	}
	_, inOld := m.old[sum]
	_, inNew := m.new[sum]
	switch {
	case inOld || inNew:
		return fail(CodeProof, "DPoP proof was used before")
	case len(m.new) >= m.maxMemory/2:
		return fail(CodeUnavailable, "memory for DPoP proofs is full")
	}
	m.new[sum] = struct{}{}
	return nil
}
