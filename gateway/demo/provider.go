package demo

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/gateway/auth/authtest"

	"github.com/go-jose/go-jose/v4"
)

// tokenLife is as long as the gateway takes tokens for.
const tokenLife = time.Hour

// provider is an OpenID provider for the demo: it signs a real access token for
// whoever asks, with no password at all.
type provider struct {
	issuer   string
	audience string
	key      jose.JSONWebKey
}

func newProvider(issuer, audience string) *provider {
	key := jose.JSONWebKey{Key: authtest.NewKey(jose.ES256), KeyID: rand.Text(), Algorithm: string(jose.ES256), Use: "sig"}
	return &provider{issuer: issuer, audience: audience, key: key}
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/.well-known/openid-configuration":
		sendJSON(w, http.StatusOK, map[string]any{"issuer": p.issuer, "jwks_uri": p.issuer + "/keys", "token_endpoint": p.issuer + "/token",
			"grant_types_supported": []string{"password", "client_credentials"}, "id_token_signing_alg_values_supported": []string{"ES256"},
			"response_types_supported": []string{"token"}, "subject_types_supported": []string{"public"}})
	case r.URL.Path == "/keys":
		sendJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{p.key.Public()}})
	case r.URL.Path == "/token" && r.Method == http.MethodPost:
		p.token(w, r)
	case strings.HasPrefix(r.URL.Path, "/token/") && r.Method == http.MethodGet:
		p.bare(w, strings.TrimPrefix(r.URL.Path, "/token/"))
	default:
		http.NotFound(w, r)
	}
}

// everybody are the people of all scenes; the first of a name has the claims.
func everybody() []act { return slices.Concat(cast, revoking, breaking, changing) }

// token is OAuth's token endpoint: a person by the password grant, a service by
// client credentials.
func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	name, client := r.PostFormValue("username"), r.PostFormValue("client_id")
	for _, c := range everybody() {
		claims := c.claims
		if c.name == name && r.PostFormValue("grant_type") == "password" ||
			claims["client_id"] == client && claims["sub"] == client && r.PostFormValue("grant_type") == "client_credentials" {
			sendJSON(w, http.StatusOK, map[string]any{"access_token": p.sign(claims), "token_type": "Bearer",
				"expires_in": int(tokenLife / time.Second), "scope": claims["scope"], "patient": claims["patient"]})
			return
		}
	}
	sendJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
}

// bare gives the token alone, for a shell.
func (p *provider) bare(w http.ResponseWriter, name string) {
	for _, c := range everybody() {
		if c.name == name {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Cache-Control", "no-store")
			_, _ = w.Write([]byte(p.sign(c.claims)))
			return
		}
	}
	http.Error(w, "there is nobody of that name", http.StatusNotFound)
}

func (p *provider) sign(claims map[string]any) string {
	now := time.Now()
	all := map[string]any{"iss": p.issuer, "aud": p.audience, "jti": rand.Text(), "iat": now.Unix(), "auth_time": now.Unix(), "exp": now.Add(tokenLife).Unix()}
	maps.Copy(all, claims)
	payload, err := json.Marshal(all)
	if err != nil {
		panic(err) // claims are program text
	}
	return authtest.Sign(p.key, map[jose.HeaderKey]any{"typ": "at+jwt"}, payload)
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that left needs no answer
}
