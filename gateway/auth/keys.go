package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json/jsontext"
)

// key is one published key. It verifies exactly one algorithm (JWT-01).
type key struct {
	id, alg string
	public  any
	print   []byte      // RFC 7638 thumbprint
	gone    atomic.Bool // its issuer publishes it no more
}

// keySet is what one fetch of an issuer's keys brought.
type keySet []*key

// find gives the key that a token names. A token that names none may be
// verified only where no choice is left (OIDC-03).
func (s keySet) find(id, alg string) *key {
	var found *key
	for _, k := range s {
		if k.alg != alg || id != "" && k.id != id {
			continue
		}
		if found != nil {
			return nil
		}
		found = k
	}
	return found
}

func (s keySet) knows(id string) bool {
	return slices.ContainsFunc(s, func(k *key) bool { return k.id == id })
}

// inherit keeps of old each key that is still published, so that tokens which
// it verified stay verified, and marks the others.
func (s keySet) inherit(old keySet) {
	for _, was := range old {
		i := slices.IndexFunc(s, func(k *key) bool {
			return k.id == was.id && k.alg == was.alg && bytes.Equal(k.print, was.print)
		})
		if i < 0 {
			was.gone.Store(true)
		} else {
			s[i] = was
		}
	}
}

const maxKeys = 64

// parseKeys reads a JWK Set for verification with algorithms. Keys of other
// uses, kinds and strengths are passed over, as RFC 7517 §5 says; a set that
// holds a private or secret key, or two keys between which a token cannot
// choose, is refused whole (J-11, JWT-13).
func parseKeys(doc []byte, algorithms []string) (keySet, error) {
	top, err := parseClaims(doc)
	if err != nil {
		return nil, err
	}
	raws := list(top["keys"])
	if top["keys"].Kind() != '[' || len(raws) > maxKeys {
		return nil, fmt.Errorf("no list of at most %d keys", maxKeys)
	}
	var set keySet
	for _, raw := range raws {
		k, err := parseKey(raw, algorithms)
		if err != nil {
			return nil, err
		}
		if k == nil {
			continue
		}
		if set.find(k.id, k.alg) != nil {
			return nil, errors.New("two keys with the same kid and algorithm")
		}
		set = append(set, k)
	}
	if len(set) == 0 {
		return nil, errors.New("no key that fits the configured algorithms")
	}
	return set, nil
}

// parseKey gives nil for a key that is not for this use.
func parseKey(raw jsontext.Value, algorithms []string) (*key, error) {
	members := object(raw)
	for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if members[secret] != nil {
			return nil, errors.New("a private or secret key is published")
		}
	}
	if !verifies(members) {
		return nil, nil
	}
	var jwk jose.JSONWebKey
	if jwk.UnmarshalJSON(raw) != nil || !jwk.Valid() {
		return nil, nil
	}
	alg := algorithmOf(&jwk, algorithms)
	if alg == "" {
		return nil, nil
	}
	print, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, nil
	}
	return &key{id: jwk.KeyID, alg: alg, public: jwk.Key, print: print}, nil
}

// verifies tells whether use and key_ops, where named, allow verification.
func verifies(members claims) bool {
	if use := members["use"]; use != nil && string(use) != `"sig"` {
		return false
	}
	ops := members["key_ops"]
	return ops == nil || slices.ContainsFunc(list(ops), func(v jsontext.Value) bool { return string(v) == `"verify"` })
}

// algorithmOf binds a key to one of the allowed algorithms: to its own, or,
// where it names none, to the first that suits it.
func algorithmOf(jwk *jose.JSONWebKey, allowed []string) string {
	for _, alg := range allowed {
		if (jwk.Algorithm == "" || jwk.Algorithm == alg) && suits(jwk.Key, alg) {
			return alg
		}
	}
	return ""
}

// suits tells whether a public key is of the kind and strength that an
// algorithm needs. RSA keys have an upper bound, too: verifying with a huge one
// is work that an attacker would make us do.
func suits(public any, alg string) bool {
	switch k := public.(type) {
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		return slices.Contains(rsaAlgorithms, alg) && bits >= 2048 && bits <= 8192 && k.E >= 3 && k.E%2 == 1
	case *ecdsa.PublicKey:
		return alg == "ES256" && k.Curve == elliptic.P256() || alg == "ES384" && k.Curve == elliptic.P384() ||
			alg == "ES512" && k.Curve == elliptic.P521()
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

var rsaAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

// known are the algorithms that an issuer may be configured with: asymmetric
// ones alone.
var known = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}
