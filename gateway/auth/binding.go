package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"time"
)

// binding is the key that a token's cnf claim names: by certificate thumbprint
// (RFC 8705) or by JWK thumbprint (RFC 9449), as base64url.
type binding struct{ certificate, jwk string }

// bindingOf reads cnf. A confirmation that cannot be checked here refuses the
// token: to ignore it would make a bound token a bearer token (J-14).
func bindingOf(c claims, required bool) (b binding, f *failure) {
	if c["cnf"] == nil {
		if required {
			return b, fail(CodeBinding, "token is bound to no key")
		}
		return b, nil
	}
	cnf := object(c["cnf"])
	for name := range cnf {
		var ok bool
		switch name {
		case "x5t#S256":
			b.certificate, ok = text(cnf[name])
		case "jkt":
			b.jwk, ok = text(cnf[name])
		}
		if !ok {
			return b, fail(CodeBinding, "cnf holds something that cannot be checked")
		}
	}
	if b.certificate == "" && b.jwk == "" {
		return b, fail(CodeBinding, "cnf names no key")
	}
	return b, nil
}

// proved checks that the caller holds the key that its token is bound to. This
// is done for each request: only the token is remembered.
func (a *Authenticator) proved(r *http.Request, c credentials, d *digest, e *entry, now time.Time) *failure {
	switch {
	case c.dpop && e.bound.jwk == "":
		return fail(CodeBinding, "scheme DPoP with a token that is bound to no proof key") // DPOP-02
	case !c.dpop && e.bound.jwk != "":
		return fail(CodeBinding, "DPoP-bound token sent as Bearer")
	}
	if e.bound.certificate != "" && !provedByTLS(r, e.bound.certificate) {
		return fail(CodeBinding, "no TLS client certificate with the bound thumbprint")
	}
	if e.bound.jwk != "" {
		return a.proofs.check(r, d, e.bound.jwk, now)
	}
	return nil
}

// provedByTLS compares with the certificate of this very connection. Headers
// that speak of a certificate are not looked at (MTLS-02).
func provedByTLS(r *http.Request, thumbprint string) bool {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return false
	}
	sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	return equal(base64.RawURLEncoding.EncodeToString(sum[:]), thumbprint)
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
