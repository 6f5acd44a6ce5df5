package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"
)

// nonceLife is how long a nonce may be used after it was given out.
const nonceLife = 5 * time.Minute

// nonces are the gateway's part of a DPoP proof (RFC 9449 §9): the time, sealed, so
// that every replica takes what another gave out and none remembers any. With no key
// none are asked for.
type nonces struct{ key []byte }

func (n nonces) make(now time.Time) string {
	at := binary.BigEndian.AppendUint64(make([]byte, 0, 8+16), uint64(now.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(at, n.sum(at)...))
}

func (n nonces) sum(at []byte) []byte {
	h := hmac.New(sha256.New, n.key)
	h.Write(at)
	return h.Sum(nil)[:16]
}

func (n nonces) check(nonce string, now time.Time) *failure {
	if n.key == nil {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(raw) != 8+16 || subtle.ConstantTimeCompare(raw[8:], n.sum(raw[:8])) != 1 {
		return fail(CodeNonce, "DPoP proof without a nonce of this gateway")
	}
	at := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
	if now.Sub(at) > nonceLife || at.Sub(now) > proofAhead {
		return fail(CodeNonce, "DPoP proof with a nonce that is too old")
	}
	return nil
}

// Nonce is the nonce for the next DPoP proof of whoever sent r, for the header
// DPoP-Nonce; "" where none are asked for.
func (a *Authenticator) Nonce(r *http.Request) string {
	if a.proofs.nonces.key == nil || r.Header["Dpop"] == nil {
		return ""
	}
	return a.proofs.nonces.make(a.now())
}
