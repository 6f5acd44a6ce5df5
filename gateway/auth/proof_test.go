package auth

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"testing"
	"time"

	"gatehouse/gateway/auth/authtest"

	"github.com/go-jose/go-jose/v4"
)

// prover is a client with a DPoP key and a token bound to it.
type prover struct {
	*rig
	key   jose.JSONWebKey
	token string
	made  int
}

func newProver(t testing.TB) *prover {
	p := &prover{rig: newRig(t, nil), key: jose.JSONWebKey{Key: authtest.NewKey(jose.ES256), Algorithm: "ES256"}}
	p.token = p.issuer.Token(map[string]any{"cnf": map[string]any{"jkt": thumbprint(p.key)}})
	return p
}

func thumbprint(k jose.JSONWebKey) string {
	print, _ := k.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(print)
}

// proof signs a proof for GET /Patient/1; header and claims change it.
func (p *prover) proof(key jose.JSONWebKey, header map[jose.HeaderKey]any, claims map[string]any) string {
	p.made++
	sum := sha256.Sum256([]byte(p.token))
	all := map[string]any{"htm": "GET", "htu": base + "/Patient/1", "iat": p.now().Unix(),
		"jti": fmt.Sprint("proof-", p.made), "ath": base64.RawURLEncoding.EncodeToString(sum[:])}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	h := map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": key.Public()}
	maps.Copy(h, header)
	maps.DeleteFunc(h, func(_ jose.HeaderKey, v any) bool { return v == nil })
	payload, _ := json.Marshal(all)
	return authtest.Sign(key, h, payload)
}

func (p *prover) send(scheme, token string, proofs ...string) string {
	req := httptest.NewRequest("GET", "http://10.0.0.7:8080/r4/Patient/1?x=y", nil) // behind a balancer
	req.Header.Set("X-Forwarded-Host", "evil.example")
	req.Header["Authorization"] = []string{scheme + " " + token}
	req.Header["Dpop"] = proofs
	return codeOf(p.auth.Authenticate(req))
}

// DPOP-01, DPOP-02, DPOP-03 (RFC 9449 §4.3, §7.2).
func TestDPoP(t *testing.T) {
	p := newProver(t)
	now := p.now().Unix()
	with := func(claims map[string]any) string { return p.proof(p.key, nil, claims) }
	head := func(header map[jose.HeaderKey]any) string { return p.proof(p.key, header, nil) }
	other := jose.JSONWebKey{Key: authtest.NewKey(jose.ES256), Algorithm: "ES256"}
	hmac := jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), Algorithm: "HS256"}
	tests := []struct {
		name  string
		proof string
		want  string
	}{
		{"good", with(nil), ""},
		{"3 typ missing", head(map[jose.HeaderKey]any{"typ": nil}), CodeProof},
		{"3 typ at+jwt", head(map[jose.HeaderKey]any{"typ": "at+jwt"}), CodeProof},
		{"4 alg HMAC", authtest.Sign(hmac, map[jose.HeaderKey]any{"typ": "dpop+jwt"}, []byte(`{}`)), CodeProof},
		{"4 alg none", unsigned(`{"alg":"none","typ":"dpop+jwt"}`, []byte(`{}`), ""), CodeProof},
		{"5 no jwk", head(map[jose.HeaderKey]any{"jwk": nil}), CodeProof},
		{"6 private jwk", head(map[jose.HeaderKey]any{"jwk": p.key}), CodeProof},
		{"7 signed by another key", p.proof(other, map[jose.HeaderKey]any{"jwk": p.key.Public()}, nil), CodeProof},
		{"8 htm", with(map[string]any{"htm": "POST"}), CodeProof},
		{"8 htm in other case", with(map[string]any{"htm": "get"}), CodeProof},
		{"9 htu of the inner host", with(map[string]any{"htu": "http://10.0.0.7:8080/r4/Patient/1"}), CodeProof},
		{"9 htu of a forged host", with(map[string]any{"htu": "https://evil.example/r4/Patient/1"}), CodeProof},
		{"9 htu another path", with(map[string]any{"htu": base + "/Patient/2"}), CodeProof},
		{"9 htu by http", with(map[string]any{"htu": "http://fhir.example.org/r4/Patient/1"}), CodeProof},
		{"9 htu with query and fragment", with(map[string]any{"htu": base + "/Patient/1?a=b#c"}), ""},
		{"9 htu normalised", with(map[string]any{"htu": "HTTPS://FHIR.example.org:443/r4/P%61tient/1"}), ""},
		{"9 htu with an encoded slash", with(map[string]any{"htu": base + "/Patient%2F1"}), CodeProof},
		{"9 htu missing", with(map[string]any{"htu": nil}), CodeProof},
		{"11 iat missing", with(map[string]any{"iat": nil}), CodeProof},
		{"11 iat a string", with(map[string]any{"iat": fmt.Sprint(now)}), CodeProof},
		{"11 iat old", with(map[string]any{"iat": now - 61}), CodeProof},
		{"11 iat ahead", with(map[string]any{"iat": now + 31}), CodeProof},
		{"11 iat at the edges", with(map[string]any{"iat": now - 60}), ""},
		{"jti missing", with(map[string]any{"jti": nil}), CodeProof},
		{"12 ath missing", with(map[string]any{"ath": nil}), CodeProof},
		{"12 ath of another token", with(map[string]any{"ath": base64.RawURLEncoding.EncodeToString(make([]byte, 32))}), CodeProof},
		{"12 another key than the token's", p.proof(other, nil, nil), CodeBinding},
		{"not a JWT", "x", CodeProof},
		{"crit", head(map[jose.HeaderKey]any{"crit": []string{"x"}, "x": 1}), CodeProof},
	}
	for _, tt := range tests {
		if got := p.send("DPoP", p.token, tt.proof); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDPoPScheme(t *testing.T) {
	p := newProver(t)
	bearer := p.issuer.Token(nil)
	tests := []struct {
		name, scheme, token string
		proofs              []string
		want                string
	}{
		{"1 no proof", "DPoP", p.token, nil, CodeProof},
		{"1 two proofs", "DPoP", p.token, []string{p.proof(p.key, nil, nil), p.proof(p.key, nil, nil)}, CodeProof},
		{"DPOP-02 bound token as Bearer", "Bearer", p.token, nil, CodeBinding},
		{"DPOP-02 bound token as Bearer, with proof", "Bearer", p.token, []string{p.proof(p.key, nil, nil)}, CodeBinding},
		{"DPOP-02 unbound token as DPoP", "DPoP", bearer, []string{p.proof(p.key, nil, nil)}, CodeBinding},
		{"unbound token as Bearer", "Bearer", bearer, nil, ""},
	}
	for _, tt := range tests {
		if got := p.send(tt.scheme, tt.token, tt.proofs...); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// DPOP-03, J-14: a proof works once while it would be fresh, also across a
// reload.
func TestDPoPReplay(t *testing.T) {
	p := newProver(t)
	ahead := p.proof(p.key, nil, map[string]any{"iat": p.now().Unix() + 30})
	if got := p.send("DPoP", p.token, ahead); got != "" {
		t.Fatalf("first use: %q", got)
	}
	for range 18 {
		if got := p.send("DPoP", p.token, ahead); got != CodeProof {
			t.Fatalf("replayed: %q", got)
		}
		p.send("DPoP", p.token, p.proof(p.key, nil, nil))
		p.advance(5 * time.Second)
	}
}

// A full memory refuses: to forget a proof would let it pass twice.
func TestReplayMemoryIsBounded(t *testing.T) {
	m, now := &replays{maxMemory: 200}, time.Now()
	refused := 0
	for i := range 1000 {
		if f := m.remember(fmt.Sprint(i), now); f != nil && f.code == CodeUnavailable {
			refused++
		}
	}
	if refused != 900 || len(m.new)+len(m.old) > 200 {
		t.Errorf("%d refused, %d remembered", refused, len(m.new)+len(m.old))
	}
	for range 2 {
		now = now.Add(2 * (proofAge + proofAhead))
		if f := m.remember("later"+now.String(), now); f != nil {
			t.Errorf("after the window: %v", f)
		}
	}
}
