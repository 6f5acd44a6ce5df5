package test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway/audit"
	"gatehouse/gateway/auth/authtest"

	"github.com/go-jose/go-jose/v4"
)

// Group J end to end: the package tests hold every case, these that the gateway
// is wired to them, and that a refusal is recorded and tells nothing.

func unsigned(header string, claims map[string]any, signature string) string {
	b, err := json.Marshal(claims)
	if err != nil {
		panic(err) // claims are test text
	}
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(header)) + "." + e(b) + "." + signature
}

func TestTokens(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, strings.Replace(obsA, `"x"`, `"Canary"`, 1))
	now := time.Now().Unix()
	good := map[string]any{"iss": h.issuer.URL, "sub": "user", "client_id": "app", "aud": "http://gw.example.org/fhir", "scope": "user/*.cruds",
		"roles": []string{"staff"}, "jti": rand.Text(), "iat": now, "exp": now + 300}
	key := h.issuer.SigningKey()
	with := func(claims map[string]any) string {
		all := map[string]any{"roles": []string{"staff"}}
		for k, v := range claims {
			all[k] = v
		}
		return h.token(all)
	}
	typed := func(typ string) string {
		b, err := json.Marshal(good)
		if err != nil {
			t.Fatal(err)
		}
		return authtest.Sign(key, map[jose.HeaderKey]any{"typ": typ}, b)
	}
	foreign := jose.JSONWebKey{Key: authtest.NewKey(jose.ES256), KeyID: key.KeyID, Algorithm: "ES256"}
	b, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	staff := h.staff()
	head, rest, _ := strings.Cut(staff, ".")
	var rows []attack
	for _, c := range []struct{ id, token string }{
		{"J-01 none", unsigned(`{"alg":"none","typ":"at+jwt"}`, good, "")},
		{"J-01 None", unsigned(`{"alg":"nOnE","typ":"at+jwt"}`, good, "")},
		{"J-01 two parts", head + "." + strings.Split(rest, ".")[0]},
		{"JWT-03 HMAC", unsigned(`{"alg":"HS256","typ":"at+jwt","kid":"`+key.KeyID+`"}`, good, "AAAA")},
		{"JWT-04 embedded key", authtest.Sign(foreign, map[jose.HeaderKey]any{"typ": "at+jwt", "jwk": foreign.Public()}, b)},
		{"J-08 another key under the same kid", authtest.Sign(foreign, map[jose.HeaderKey]any{"typ": "at+jwt"}, b)},
		{"J-03 kid", authtest.Sign(jose.JSONWebKey{Key: foreign.Key, KeyID: "../../dev/null", Algorithm: "ES256"}, map[jose.HeaderKey]any{"typ": "at+jwt"}, b)},
		{"JWT-07 typ", typed("JWT")}, {"JWT-07 logout", typed("logout+jwt")}, {"JWT-07 DPoP", typed("dpop+jwt")},
		{"J-07 aud", with(map[string]any{"aud": "http://gw.example.org/fhir/other"})},
		{"J-07 aud prefix", with(map[string]any{"aud": "http://gw.example.org/fhi"})},
		{"J-07 no aud", with(map[string]any{"aud": nil})},
		{"J-08 iss", with(map[string]any{"iss": h.issuer.URL + "/"})},
		{"J-06 expired", with(map[string]any{"exp": now - 100})},
		{"J-06 no exp", with(map[string]any{"exp": nil, "iat": nil})},
		{"J-06 exp text", with(map[string]any{"exp": "soon"})},
		{"J-06 future", with(map[string]any{"nbf": now + 200})},
		{"SMART-30 day", with(map[string]any{"exp": now + 86400})},
		{"J-14 bound", with(map[string]any{"cnf": map[string]any{"jkt": "x"}})},
		{"J-16 dots", strings.Repeat(".", 10000)},
		{"J-16 huge", strings.Repeat("x", 20000)},
		{"changed", staff[:len(staff)-4] + "AAAA"},
	} {
		rows = append(rows, attack{id: c.id, target: "/Observation/a", token: c.token, status: http.StatusUnauthorized})
	}
	h.attack(t, rows)
	// Rotation without a restart; one fetch for a flood of unknown keys.
	before := h.issuer.Hits(authtest.Keys)
	for range 20 {
		h.get("/Observation/a", authtest.Sign(jose.JSONWebKey{Key: foreign.Key, KeyID: rand.Text(), Algorithm: "ES256"}, map[jose.HeaderKey]any{"typ": "at+jwt"}, b))
	}
	if hits := h.issuer.Hits(authtest.Keys) - before; hits > 1 {
		t.Errorf("J-10: %d fetches for unknown keys", hits)
	}
}

// JWT-11, J-13: a token is seen in no log and no record.
func TestTokenIsNowhere(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA)
	staff := h.staff()
	h.get("/Observation/a", staff)
	h.get("/Observation/a?access_token="+staff, "")
	h.get("/Observation?code="+staff[:40], staff)
	for _, header := range []string{"Cookie", "X-Token"} {
		h.do("GET", "/Observation/a", "", "", header, "access_token="+staff)
	}
	h.stop()
	_, rest, _ := strings.Cut(staff, ".")
	secret := rest[:60]
	if strings.Contains(h.log.String(), secret) {
		t.Error("BEAR-02: the log has the token")
	}
	for _, r := range h.trail(t) {
		if r.Kind == audit.Outcome && !strings.HasPrefix(string(r.Query), "/fhir/Observation") {
			t.Errorf("U-03: the record does not say what was asked: %d %s %q", r.Status, r.Code, r.Query)
		}
		if b, err := json.Marshal(r); err != nil || strings.Contains(string(b), secret) {
			t.Errorf("BEAR-02: the record has the token: %s %v", b, err)
		}
		if strings.Contains(string(r.Query), secret) {
			t.Errorf("BEAR-02: the record's query has the token")
		}
	}
}
