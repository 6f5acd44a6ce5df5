// Package authtest is an identity provider inside the process, for tests and
// for the demo: discovery, keys, signing, rotation, introspection, faults and
// counters. It listens on loopback, speaks plain http and authenticates nobody.
package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The paths below Issuer.URL.
const (
	Discovery     = "/.well-known/openid-configuration"
	Keys          = "/keys"
	Introspection = "/introspect"
)

// Issuer is a running provider. It is safe for concurrent use; set its exported
// fields before the first token.
type Issuer struct {
	URL      string           // the issuer identifier
	Now      func() time.Time // of iat and exp; time.Now
	Lifetime time.Duration    // of tokens; five minutes
	Type     string           // JWT typ; "at+jwt"
	Claims   map[string]any   // that every token has unless it says otherwise

	server *http.Server
	mu     sync.Mutex
	keys   []jose.JSONWebKey // private; the last one signs
	serial int
	hits   map[string]int
	faults map[string]http.HandlerFunc
	answer map[string]map[string]any // introspection, by token
}

// New starts a provider on a free loopback port, with one ES256 key.
func New() (*Issuer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the test issuer: %w", err)
	}
	i := &Issuer{URL: "http://" + l.Addr().String(), Now: time.Now, Lifetime: 5 * time.Minute, Type: "at+jwt",
		hits: make(map[string]int), faults: make(map[string]http.HandlerFunc), answer: make(map[string]map[string]any)}
	i.Rotate(jose.ES256)
	i.server = &http.Server{Handler: i, ReadHeaderTimeout: 5 * time.Second}
	go i.server.Serve(l)
	return i, nil
}

// Close ends the provider and its connections.
func (i *Issuer) Close() { i.server.Close() }

// Rotate publishes a new key and signs with it from now on; the old ones stay
// published until Retire.
func (i *Issuer) Rotate(alg jose.SignatureAlgorithm) {
	private := NewKey(alg)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.serial++
	i.keys = append(i.keys, jose.JSONWebKey{Key: private, KeyID: fmt.Sprintf("key-%d", i.serial), Algorithm: string(alg), Use: "sig"})
}

// Retire publishes the signing key alone.
func (i *Issuer) Retire() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[len(i.keys)-1:]
}

// SigningKey is the private key that signs now, with its kid and alg.
func (i *Issuer) SigningKey() jose.JSONWebKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1]
}

// Token signs an access token with the given claims over Issuer.Claims over the
// usual ones: iss, sub "user", client_id "app", jti, iat, exp. A claim that is
// nil is left out.
func (i *Issuer) Token(claims map[string]any) string {
	now := i.Now()
	all := map[string]any{"iss": i.URL, "sub": "user", "client_id": "app", "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(i.Lifetime).Unix()}
	maps.Copy(all, i.Claims)
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(all)
	if err != nil {
		panic(err) // claims are test text
	}
	return Sign(i.SigningKey(), map[jose.HeaderKey]any{"typ": i.Type}, payload)
}

// Sign makes a compact JWS of any payload with any header.
func Sign(key jose.JSONWebKey, header map[jose.HeaderKey]any, payload []byte) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key},
		&jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		panic(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}

// NewKey makes a private key for an algorithm.
func NewKey(alg jose.SignatureAlgorithm) (key crypto.Signer) {
	var err error
	switch alg {
	case jose.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		panic(err)
	}
	return key
}

// Answer sets what introspection says of a token from now on; nil: not active.
func (i *Issuer) Answer(token string, answer map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer[token] = answer
}

// Fault serves a path by h instead; nil ends the fault.
func (i *Issuer) Fault(path string, h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.faults[path] = h
}

// Hits is how often a path was asked for.
func (i *Issuer) Hits(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hits[path]
}

// ServeHTTP serves discovery, keys and introspection.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.hits[r.URL.Path]++
	fault := i.faults[r.URL.Path]
	i.mu.Unlock()
	switch {
	case fault != nil:
		fault(w, r)
	case r.URL.Path == Discovery:
		reply(w, map[string]any{"issuer": i.URL, "jwks_uri": i.URL + Keys, "introspection_endpoint": i.URL + Introspection})
	case r.URL.Path == Keys:
		reply(w, i.published())
	case r.URL.Path == Introspection && r.Method == http.MethodPost:
		reply(w, i.introspected(r.PostFormValue("token")))
	default:
		http.NotFound(w, r)
	}
}

func (i *Issuer) published() (set jose.JSONWebKeySet) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, k := range i.keys {
		set.Keys = append(set.Keys, k.Public())
	}
	return set
}

func (i *Issuer) introspected(token string) map[string]any {
	i.mu.Lock()
	defer i.mu.Unlock()
	if answer := i.answer[token]; answer != nil {
		return answer
	}
	return map[string]any{"active": false}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}
