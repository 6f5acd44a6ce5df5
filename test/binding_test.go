package test

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway/auth/authtest"

	"github.com/go-jose/go-jose/v4"
)

// prover is a client with a key of its own and a token that is bound to it. The
// package tests of auth hold every rule of RFC 9449 §4.3; these that the gateway is
// wired to them.
type prover struct {
	h     *house
	key   jose.JSONWebKey
	token string
	made  int
}

func (h *house) prover() *prover {
	p := &prover{h: h, key: jose.JSONWebKey{Key: authtest.NewKey(jose.ES256), Algorithm: "ES256"}}
	print, err := p.key.Thumbprint(crypto.SHA256)
	if err != nil {
		h.t.Fatal(err)
	}
	p.token = h.token(map[string]any{"roles": []string{"staff"}, "cnf": map[string]any{"jkt": base64.RawURLEncoding.EncodeToString(print)}})
	return p
}

// proof signs one for GET /Observation/a; claims change it.
func (p *prover) proof(claims map[string]any) string {
	p.made++
	sum := sha256.Sum256([]byte(p.token))
	all := map[string]any{"htm": "GET", "htu": "http://gw.example.org/fhir/Observation/a", "iat": time.Now().Unix(),
		"jti": fmt.Sprint("proof-", p.made), "ath": base64.RawURLEncoding.EncodeToString(sum[:])}
	maps.Copy(all, claims)
	payload, err := json.Marshal(all)
	if err != nil {
		p.h.t.Fatal(err)
	}
	return authtest.Sign(p.key, map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": p.key.Public()}, payload)
}

func (p *prover) send(scheme, proof string, more ...string) answer {
	return p.h.do("GET", "/Observation/a", "", "", append([]string{"Authorization", scheme + " " + p.token, "DPoP", proof}, more...)...)
}

// DPOP-01 to DPOP-04, J-14: what is bound to a key is of no use without it.
func TestDPoP(t *testing.T) {
	h := openHouse(t, "dpop: {nonce: true}", "cors: {origins: [https://app.example.org]}")
	h.ehr.on("GET /Observation/a", 200, obsA)
	p := h.prover()
	first := p.send("DPoP", p.proof(nil), "Origin", "https://app.example.org")
	nonce := first.header.Get("DPoP-Nonce")
	challenge := strings.Join(first.header.Values("WWW-Authenticate"), "\n")
	if first.status != 401 || first.code() != "token.nonce" || nonce == "" || !strings.Contains(challenge, `DPoP realm=`) || !strings.Contains(challenge, `error="use_dpop_nonce"`) ||
		!strings.Contains(first.header.Get("Access-Control-Expose-Headers"), "DPoP-Nonce") {
		t.Fatalf("without a nonce: %d %s %v", first.status, first.body, first.header)
	}
	good := p.proof(map[string]any{"nonce": nonce})
	if got := p.send("DPoP", good); got.status != 200 || got.header.Get("DPoP-Nonce") == "" {
		t.Fatalf("with the nonce: %d %s", got.status, got.body)
	}
	h.ehr.requests()
	for id, got := range map[string]answer{
		"DPOP-03 again":             p.send("DPoP", good),
		"DPOP-01 forged nonce":      p.send("DPoP", p.proof(map[string]any{"nonce": nonce[:20] + "AAAAAAAAAAAA"})),
		"DPOP-01 nonce of nobody":   p.send("DPoP", p.proof(map[string]any{"nonce": "x"})),
		"DPOP-02 as Bearer":         p.send("Bearer", p.proof(map[string]any{"nonce": nonce})),
		"DPOP-01 htm":               p.send("DPoP", p.proof(map[string]any{"nonce": nonce, "htm": "DELETE"})),
		"DPOP-01 htu of a listener": p.send("DPoP", p.proof(map[string]any{"nonce": nonce, "htu": h.base + "/Observation/a"}), "X-Forwarded-Host", "gw.example.org"),
		"DPOP-01 htu of another":    p.send("DPoP", p.proof(map[string]any{"nonce": nonce, "htu": "http://gw.example.org/fhir/Observation/b"})),
		"DPOP-01 ath":               p.send("DPoP", p.proof(map[string]any{"nonce": nonce, "ath": "x"})),
		"DPOP-01 old":               p.send("DPoP", p.proof(map[string]any{"nonce": nonce, "iat": time.Now().Unix() - 600})),
		"DPOP-01 none":              h.do("GET", "/Observation/a", "", "", "Authorization", "DPoP "+p.token),
	} {
		if got.status != http.StatusUnauthorized {
			t.Errorf("%s: got %d %s", id, got.status, got.body)
		}
		h.noCanary(t, got)
	}
	if calls := h.ehr.requests(); len(calls) > 0 {
		t.Errorf("the upstream got %q", calls)
	}
}

// MTLS-01, MTLS-02: a certificate that a header speaks of is nobody's.
func TestCertificateHeaders(t *testing.T) {
	h := openHouse(t)
	token := h.token(map[string]any{"roles": []string{"staff"}, "cnf": map[string]any{"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}})
	for _, name := range []string{"Client-Cert", "X-Client-Cert", "X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "Ssl-Client-Cert", "X-ARR-ClientCert"} {
		h.attack(t, []attack{{id: "MTLS-02 " + name, target: "/Observation/a", token: token, header: []string{name, ":MIIB:"}, status: 401, code: "token.binding"}})
	}
}

// SMART-11: of a token for several servers the part for this one counts, and with
// none the token is another's.
func TestSeveralServers(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Observation/b", 200, obsB)
	detail := func(location, patient, scope string) map[string]any {
		return map[string]any{"type": "smart_on_fhir", "locations": []string{location}, "fhirVersions": []string{"4.0.1"}, "patient": patient, "scope": scope}
	}
	token := func(details ...any) string {
		return h.token(map[string]any{"scope": "patient/*.rs", "patient": "B", "fhirUser": "Patient/A", "authorization_details": details})
	}
	here, there := "http://gw.example.org/fhir", "https://elsewhere.example/fhir"
	both := token(detail(there, "B", "patient/*.cruds"), detail(here, "A", "patient/Observation.rs"))
	h.attack(t, []attack{
		{id: "SMART-11 the patient here", target: "/Observation/a", token: both, status: 200, calls: anyCalls, released: []string{"Observation/a"}},
		{id: "SMART-11 not the one there", target: "/Observation/b", token: both, status: 404, calls: anyCalls, withheld: []string{"Observation/b"}},
		{id: "SMART-11 not the scopes there", target: "/Condition/1", token: both, status: 403},
		{id: "SMART-11 elsewhere alone", target: "/Observation/a", token: token(detail(there, "A", "patient/*.rs")), status: 401, code: "token.audience"},
		{id: "SMART-11 twice", target: "/Observation/a", token: token(detail(here, "A", "patient/*.rs"), detail(here, "B", "patient/*.rs")), status: 401},
	})
}

// INTR-01 to INTR-03, SMART-26, SMART-34, J-15: a token that is asked about counts as
// long as its issuer says so, and not at all where it cannot be asked.
func TestIntrospection(t *testing.T) {
	h := openHouse(t)
	h.write("gatehouse.yaml", strings.Replace(h.config(), "insecure_http: true, claims", "insecure_http: true, introspection: {mode: opaque, client_id: gw, client_secret_file: secret, cache_ttl: 1s}, claims", 1))
	h.write("secret", "hush-hush-hush")
	h.stop()
	h.start()
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Observation/b", 200, obsB)
	good := map[string]any{"active": true, "iss": h.issuer.URL, "aud": "http://gw.example.org/fhir", "sub": "u", "client_id": "app", "scope": "patient/*.rs", "patient": "A",
		"fhirUser": "Patient/A", "exp": time.Now().Unix() + 300, "iat": time.Now().Unix()}
	say := func(token string, changes map[string]any) string {
		one := maps.Clone(good)
		maps.Copy(one, changes)
		h.issuer.Answer(token, one)
		return token
	}
	status := func(id, token string, want int) {
		t.Helper()
		if got := h.get("/Observation/a", token); got.status != want {
			t.Errorf("%s: got %d %s, want %d", id, got.status, got.body, want)
		}
	}
	status("SMART-26 context from introspection", say("opaque-good", nil), 200)
	status("INTR-01 active as text", say("opaque-text", map[string]any{"active": "true"}), 401)
	status("SMART-28 active left out", say("opaque-none", map[string]any{"active": nil}), 401)
	status("INTR-01 another audience", say("opaque-aud", map[string]any{"aud": "x"}), 401)
	status("INTR-01 another issuer", say("opaque-iss", map[string]any{"iss": "https://other.example"}), 401)
	status("INTR-01 expired", say("opaque-exp", map[string]any{"exp": time.Now().Unix() - 100}), 401)
	status("unknown", "opaque-unknown", 401)
	h.attack(t, []attack{{id: "SMART-26 not B", target: "/Observation/b", token: "opaque-good", status: 404, calls: anyCalls, withheld: []string{"Observation/b"}}})
	say("opaque-good", map[string]any{"active": false})
	time.Sleep(1100 * time.Millisecond)
	status("INTR-02 revoked", "opaque-good", 401)
	h.issuer.Fault(authtest.Introspection, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", 500) })
	status("INTR-03 down", say("opaque-down", nil), 503)
}
