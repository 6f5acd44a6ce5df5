package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/auth/authtest"

	"github.com/go-jose/go-jose/v4"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// unsigned makes a token of any header and signature.
func unsigned(header string, payload []byte, signature string) string {
	return b64(header) + "." + b64(string(payload)) + "." + b64(signature)
}

// J-01, J-03, J-16, JWT-01 to JWT-04, JWT-12: headers and signatures.
func TestHeaderRefused(t *testing.T) {
	r := newRig(t, nil)
	key, payload := r.issuer.SigningKey(), r.payload(nil)
	own := func(header map[jose.HeaderKey]any) string {
		header["typ"] = "at+jwt"
		return authtest.Sign(key, header, payload)
	}
	good := own(map[jose.HeaderKey]any{})
	parts := strings.Split(good, ".")
	attacker := jose.JSONWebKey{Key: authtest.NewKey(jose.ES256), KeyID: key.KeyID, Algorithm: "ES256"}
	attackerJWK, _ := json.Marshal(attacker.Public())
	jku := newIssuerServer(t, r.now) // counts who follows a header
	tests := []struct{ name, token, want string }{
		{"unchanged", good, ""},
		{"J-01 alg none", unsigned(`{"alg":"none","typ":"at+jwt"}`, payload, ""), CodeInvalid},
		{"J-01 alg None", unsigned(`{"alg":"None","typ":"at+jwt"}`, payload, ""), CodeInvalid},
		{"J-01 alg nOnE with signature", unsigned(`{"alg":"nOnE","typ":"at+jwt"}`, payload, "x"), CodeInvalid},
		{"J-01 empty signature", parts[0] + "." + parts[1] + ".", CodeInvalid},
		{"J-01 two parts", parts[0] + "." + parts[1], CodeInvalid},
		{"four parts", good + ".x", CodeInvalid},
		{"JWE, five parts", good + ".x.y", CodeInvalid},
		{"J-16 dots", strings.Repeat(".", 10_000), CodeInvalid},
		{"J-16 two dots", "..", CodeInvalid},
		{"no alg", unsigned(`{"typ":"at+jwt"}`, payload, "x"), CodeInvalid},
		{"alg twice", unsigned(`{"alg":"none","alg":"ES256","typ":"at+jwt"}`, payload, ""), CodeInvalid},
		{"header no object", unsigned(`"ES256"`, payload, "x"), CodeInvalid},
		{"header in another base64", "%%%." + parts[1] + "." + parts[2], CodeInvalid},
		{"signature cut", good[:len(good)-4], CodeInvalid},
		{"payload changed", parts[0] + "." + b64(strings.Replace(string(payload), "user", "root", 1)) + "." + parts[2], CodeInvalid},
		{"J-03 kid a path", own(map[jose.HeaderKey]any{"kid": "../../dev/null"}), CodeInvalid},
		{"J-03 kid SQL", own(map[jose.HeaderKey]any{"kid": "x' UNION SELECT 'k"}), CodeInvalid},
		{"J-03 kid long", own(map[jose.HeaderKey]any{"kid": strings.Repeat("k", 4000)}), CodeInvalid},
		{"kid a number", unsigned(`{"alg":"ES256","typ":"at+jwt","kid":1}`, payload, "x"), CodeInvalid},
		{"JWT-04 crit", own(map[jose.HeaderKey]any{"crit": []string{"exp"}, "exp": 1}), CodeInvalid},
		{"JWT-04 b64", own(map[jose.HeaderKey]any{"b64": true}), CodeInvalid},
		{"JWT-12 zip", own(map[jose.HeaderKey]any{"zip": "DEF"}), CodeInvalid},
		{"JWT-04 attacker's jwk", authtest.Sign(attacker, map[jose.HeaderKey]any{"typ": "at+jwt", "jwk": json.RawMessage(attackerJWK)}, payload), CodeInvalid},
		{"JWT-04 jku", authtest.Sign(attacker, map[jose.HeaderKey]any{"typ": "at+jwt", "jku": jku.URL + authtest.Keys, "x5u": jku.URL}, payload), CodeInvalid},
		{"JWT-05 another's signature under our kid", authtest.Sign(attacker, map[jose.HeaderKey]any{"typ": "at+jwt"}, payload), CodeInvalid},
	}
	for _, tt := range tests {
		r.want(tt.name, tt.token, tt.want)
	}
	if n := jku.Hits(authtest.Keys); n != 0 {
		t.Errorf("JWT-04: %d fetches of a jku", n)
	}
}

// JWT-03: public keys used as HMAC secrets.
func TestKeyConfusion(t *testing.T) {
	r := newRig(t, nil)
	key := r.issuer.SigningKey()
	public := key.Public()
	der, _ := x509.MarshalPKIXPublicKey(public.Key)
	jwk, _ := public.MarshalJSON()
	secrets := map[string][]byte{"DER": der, "JWK": jwk,
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}
	for name, secret := range secrets {
		hmac := jose.JSONWebKey{Key: secret, KeyID: public.KeyID, Algorithm: "HS256"}
		r.want("HS256 with the public key as "+name,
			authtest.Sign(hmac, map[jose.HeaderKey]any{"typ": "at+jwt"}, r.payload(nil)), CodeInvalid)
	}
}

// JWT-01: an algorithm that is not listed, or not the key's.
func TestAlgorithms(t *testing.T) {
	r := newRig(t, func(c *config.Issuer) { c.Algorithms = []string{"RS256", "PS256", "ES256"} })
	r.issuer.Rotate(jose.RS256)
	r.auth = r.start(r.config)
	key := r.issuer.SigningKey()
	tests := []struct{ alg, want string }{{"RS256", ""}, {"PS256", CodeInvalid}, {"RS384", CodeInvalid}}
	for _, tt := range tests {
		other := key
		other.Algorithm = tt.alg
		r.want("RS256 key used for "+tt.alg, authtest.Sign(other, map[jose.HeaderKey]any{"typ": "at+jwt"}, r.payload(nil)), tt.want)
	}
	strict := r.config
	strict.Algorithms = []string{"ES256"}
	r.issuer.Rotate(jose.ES256)
	r.auth = r.start(strict)
	r.want("RS256 where ES256 alone is allowed", authtest.Sign(key, map[jose.HeaderKey]any{"typ": "at+jwt"}, r.payload(nil)), CodeInvalid)
	r.want("ES256", r.issuer.Token(nil), "")
}

// OIDC-03, J-03: a token without kid is verified only where no choice is left.
func TestNoKeyID(t *testing.T) {
	r := newRig(t, nil)
	anonymous := r.issuer.SigningKey()
	anonymous.KeyID = ""
	token := func() string {
		return authtest.Sign(anonymous, map[jose.HeaderKey]any{"typ": "at+jwt"}, r.payload(nil))
	}
	r.want("one key", token(), "")
	r.issuer.Rotate(jose.RS256)
	r.auth = r.start(r.config)
	r.want("one key of that algorithm", token(), "")
	r.issuer.Rotate(jose.ES256)
	r.auth = r.start(r.config)
	r.want("two keys of that algorithm", token(), CodeInvalid)
}

// OIDC-02, J-12: rotation needs no restart, and a key that is gone takes the
// remembered tokens with it.
func TestRotation(t *testing.T) {
	r := newRig(t, nil)
	old := r.issuer.Token(nil)
	r.want("before", old, "")
	r.issuer.Rotate(jose.ES256)
	r.want("new key", r.issuer.Token(nil), "")
	r.want("old key, still published", old, "")
	r.issuer.Retire()
	r.want("old key, retired but not yet known", old, "")
	r.auth.issuers[r.issuer.URL].keys.refresh()
	r.want("old key, gone", old, CodeInvalid)
	r.want("new key, after", r.issuer.Token(nil), "")
}

// J-10: a flood of invented key ids makes one fetch and evicts nothing.
func TestUnknownKeyFlood(t *testing.T) {
	r := newRig(t, nil)
	good := r.issuer.Token(nil)
	before := r.issuer.Hits(authtest.Keys)
	flood := func(n int) {
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range n / 4 {
					key := r.issuer.SigningKey()
					key.KeyID = fmt.Sprintf("invented-%d-%d", g, i)
					r.want("invented kid", authtest.Sign(key, map[jose.HeaderKey]any{"typ": "at+jwt"}, r.payload(nil)), CodeInvalid)
				}
			})
		}
		wg.Wait()
	}
	flood(200)
	if got := r.issuer.Hits(authtest.Keys) - before; got != 1 {
		t.Errorf("%d fetches in one interval, want 1", got)
	}
	r.want("good key after the flood", good, "")

	r.issuer.Rotate(jose.ES256)
	rotated := r.issuer.Token(nil)
	r.want("new key within the cooldown", rotated, CodeInvalid)
	r.advance(31 * time.Second)
	r.want("new key after the cooldown", rotated, "")

	stale := authtest.Sign(jose.JSONWebKey{Key: authtest.NewKey(jose.ES256), KeyID: "stale", Algorithm: "ES256"},
		map[jose.HeaderKey]any{"typ": "at+jwt"}, r.payload(nil))
	before = r.issuer.Hits(authtest.Keys)
	for range 5 {
		r.advance(31 * time.Second)
		r.want("the same unknown kid", stale, CodeInvalid)
	}
	if got := r.issuer.Hits(authtest.Keys) - before; got != 1 {
		t.Errorf("negative cache: %d fetches for one id, want 1", got)
	}
}

// Those who come while the keys are fetched wait for it and are not refused.
func TestRotationUnderLoad(t *testing.T) {
	r := newRig(t, nil)
	r.issuer.Rotate(jose.ES256)
	release := make(chan struct{})
	r.issuer.Fault(authtest.Discovery, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		w.WriteHeader(http.StatusInternalServerError)
	})
	var wg sync.WaitGroup
	for range 20 {
		token := r.issuer.Token(nil)
		wg.Go(func() { r.want("new key while it is fetched", token, "") })
	}
	time.Sleep(20 * time.Millisecond)
	close(release)
	wg.Wait()
}

// J-10, OIDC-02: the last good keys serve to their age and no longer.
func TestKeysDown(t *testing.T) {
	r := newRig(t, nil)
	keys := r.auth.issuers[r.issuer.URL].keys
	fresh := func() string { return r.issuer.Token(nil) }
	remembered := r.issuer.Token(map[string]any{"exp": r.now().Add(time.Hour).Unix()})
	r.want("before", remembered, "")
	down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	r.issuer.Fault(authtest.Keys, down)
	r.advance(9 * time.Minute)
	if _, err := keys.refresh(); err == nil {
		t.Error("a failing fetch is no error")
	}
	r.want("within the keys' age", fresh(), "")
	r.issuer.Rotate(jose.ES256)
	r.want("an id that cannot be looked up", fresh(), CodeUnavailable)
	r.advance(time.Minute)
	r.want("beyond the keys' age", fresh(), CodeUnavailable)
	r.want("beyond the keys' age, remembered", remembered, CodeUnavailable)
	if r.auth.Ready() == nil {
		t.Error("ready without keys")
	}
	r.issuer.Fault(authtest.Keys, nil)
	keys.refresh()
	r.want("back again", fresh(), "")
	r.want("back again, remembered", remembered, "")
}

// J-11, OIDC-01, JWT-13: what is published is not believed blindly.
func TestPublishedRefused(t *testing.T) {
	good := jose.JSONWebKey{Key: authtest.NewKey(jose.ES256), KeyID: "good", Algorithm: "ES256", Use: "sig"}
	weak, _ := rsa.GenerateKey(rand.Reader, 1024)
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	jwks := func(keys ...any) string {
		doc, _ := json.Marshal(map[string]any{"keys": keys})
		return string(doc)
	}
	public := func(k crypto.Signer, change func(*jose.JSONWebKey)) jose.JSONWebKey {
		j := jose.JSONWebKey{Key: k.Public(), KeyID: "k"}
		change(&j)
		return j
	}
	plain := func(*jose.JSONWebKey) {}
	tests := []struct {
		name, doc string
		want      int // keys taken; -1: refused whole
	}{
		{"one key", jwks(good.Public()), 1},
		{"use enc beside it", jwks(good.Public(), public(p256, func(j *jose.JSONWebKey) { j.Use = "enc" })), 1},
		{"use enc alone", jwks(public(p256, func(j *jose.JSONWebKey) { j.Use = "enc" })), -1},
		{"key_ops without verify", `{"keys":[` + withMember(public(p256, plain), `"key_ops":["encrypt"]`) + `]}`, -1},
		{"key_ops with verify", `{"keys":[` + withMember(public(p256, plain), `"key_ops":["verify"]`) + `]}`, 1},
		{"alg for another use", jwks(public(p256, func(j *jose.JSONWebKey) { j.Algorithm = "ECDH-ES" })), -1},
		{"alg of another kind", jwks(public(p256, func(j *jose.JSONWebKey) { j.Algorithm = "RS256" })), -1},
		{"weak RSA", jwks(public(weak, plain)), -1},
		{"curve not for ES256", jwks(public(authtest.NewKey(jose.ES384), plain)), -1},
		{"point off the curve", `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"` + strings.Repeat("A", 42) + `Q","y":"` + strings.Repeat("A", 42) + `Q"}]}`, -1},
		{"private key", jwks(good.Public(), jose.JSONWebKey{Key: p256, KeyID: "p"}), -1},
		{"symmetric key", jwks(good.Public(), map[string]any{"kty": "oct", "k": "c2VjcmV0", "kid": "s"}), -1},
		{"unknown kind beside it", jwks(good.Public(), map[string]any{"kty": "XYZ", "kid": "s"}), 1},
		{"same kid and alg", jwks(good.Public(), public(p256, func(j *jose.JSONWebKey) { j.KeyID = "good" })), -1},
		{"keys twice", `{"keys":[],` + jwks(good.Public())[1:], -1},
		{"no keys", `{"keys":[]}`, -1},
		{"keys an object", `{"keys":{}}`, -1},
		{"too many", jwks(many(good.Public(), 65)...), -1},
		{"not JSON", `<html>`, -1},
	}
	for _, tt := range tests {
		set, err := parseKeys([]byte(tt.doc), []string{"RS256", "ES256"})
		if got := len(set); (err != nil) != (tt.want < 0) || err == nil && got != tt.want {
			t.Errorf("%s: %d keys, %v, want %d", tt.name, got, err, tt.want)
		}
	}
}

func withMember(k jose.JSONWebKey, member string) string {
	doc, _ := k.MarshalJSON()
	return "{" + member + "," + string(doc[1:])
}

func many(k jose.JSONWebKey, n int) (keys []any) {
	for i := range n {
		k.KeyID = fmt.Sprint(i)
		keys = append(keys, k)
	}
	return keys
}

// OIDC-01, J-11, G-01: where metadata and keys may come from.
func TestFetchRefused(t *testing.T) {
	elsewhere := newIssuerServer(t, time.Now)
	answer := func(doc string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, doc) }
	}
	tests := []struct {
		name, path string
		fault      func(url string) http.HandlerFunc
	}{
		{"metadata of another issuer", authtest.Discovery, func(u string) http.HandlerFunc {
			return answer(`{"issuer":"` + elsewhere.URL + `","jwks_uri":"` + u + `/keys"}`)
		}},
		{"metadata with a trailing slash", authtest.Discovery, func(u string) http.HandlerFunc {
			return answer(`{"issuer":"` + u + `/","jwks_uri":"` + u + `/keys"}`)
		}},
		{"keys on another host", authtest.Discovery, func(u string) http.HandlerFunc {
			return answer(`{"issuer":"` + u + `","jwks_uri":"` + elsewhere.URL + `/keys"}`)
		}},
		{"introspection on another host", authtest.Discovery, func(u string) http.HandlerFunc {
			return answer(`{"issuer":"` + u + `","jwks_uri":"` + u + `/keys","introspection_endpoint":"` + elsewhere.URL + `/x"}`)
		}},
		{"no jwks_uri", authtest.Discovery, func(u string) http.HandlerFunc { return answer(`{"issuer":"` + u + `"}`) }},
		{"keys by file", authtest.Discovery, func(u string) http.HandlerFunc {
			return answer(`{"issuer":"` + u + `","jwks_uri":"file:///etc/passwd"}`)
		}},
		{"metadata redirects", authtest.Discovery, func(string) http.HandlerFunc {
			return http.RedirectHandler(elsewhere.URL+authtest.Discovery, http.StatusFound).ServeHTTP
		}},
		{"keys redirect", authtest.Keys, func(string) http.HandlerFunc {
			return http.RedirectHandler(elsewhere.URL+authtest.Keys, http.StatusFound).ServeHTTP
		}},
		{"keys of 5 MB", authtest.Keys, func(string) http.HandlerFunc {
			return answer(`{"keys":[` + strings.Repeat(" ", 5<<20) + `]}`)
		}},
	}
	for _, tt := range tests {
		r := newRig(t, nil)
		r.issuer.Fault(tt.path, tt.fault(r.issuer.URL))
		i, err := newIssuer(r.config, Options{PublicURL: r.auth.proofs.public, Now: r.now})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := i.keys.refresh(); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
		if _, ok := i.keys.keys(r.now()); ok {
			t.Errorf("%s: left keys behind", tt.name)
		}
	}
	if n := elsewhere.Hits(authtest.Keys) + elsewhere.Hits(authtest.Discovery); n != 0 {
		t.Errorf("%d requests to another host", n)
	}
}

// OIDC-01: plain http is refused also where metadata names it.
func TestCheckURL(t *testing.T) {
	tests := []struct {
		url          string
		strict, test bool
	}{
		{"https://idp.example/keys", true, true},
		{"http://idp.example/keys", false, true},
		{"file:///etc/passwd", false, false},
		{"https://user:pw@idp.example/keys", false, false},
		{"/keys", false, false},
		{"", false, false},
	}
	for _, tt := range tests {
		_, strict := checkURL(tt.url, false)
		_, test := checkURL(tt.url, true)
		if (strict == nil) != tt.strict || (test == nil) != tt.test {
			t.Errorf("%q: %v, %v", tt.url, strict, test)
		}
	}
}

// OIDC-02: Cache-Control may shorten the period, never lengthen it.
func TestRefreshPeriod(t *testing.T) {
	tests := []struct {
		header string
		want   time.Duration
	}{
		{"", 150 * time.Second},
		{"public, max-age=60", time.Minute},
		{"max-age=1", 5 * time.Second},
		{"max-age=0, no-store", 150 * time.Second},
		{"max-age=86400", 150 * time.Second},
		{"max-age=x", 150 * time.Second},
	}
	for _, tt := range tests {
		if got := refreshPeriod(http.Header{"Cache-Control": {tt.header}}, 10*time.Minute); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.header, got, tt.want)
		}
	}
}
