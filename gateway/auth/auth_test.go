package auth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/auth/authtest"

	"github.com/go-jose/go-jose/v4"
)

const base = "https://fhir.example.org/r4"

// clock is a time that tests move.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// rig is an issuer with an authenticator in front of it, at one time.
type rig struct {
	*clock
	t      testing.TB
	issuer *authtest.Issuer
	config config.Issuer
	auth   *Authenticator
}

func newIssuerServer(t testing.TB, now func() time.Time) *authtest.Issuer {
	i, err := authtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	i.Now = now
	i.Claims = map[string]any{"aud": base}
	return i
}

// newRig starts issuer and authenticator; change edits the issuer's
// configuration first.
func newRig(t testing.TB, change func(*config.Issuer)) *rig {
	r := &rig{clock: new(clock), t: t}
	r.ns.Store(time.Unix(1_800_000_000, 0).UnixNano())
	r.issuer = newIssuerServer(t, r.now)
	r.config = configFor(r.issuer)
	if change != nil {
		change(&r.config)
	}
	r.auth = r.start(r.config)
	return r
}

func configFor(i *authtest.Issuer) config.Issuer {
	name := func(names ...string) config.ClaimPath { return config.ClaimPath{names} }
	return config.Issuer{
		Issuer: i.URL, Audiences: []string{base}, Algorithms: []string{"RS256", "ES256"}, InsecureHTTP: true,
		TokenTypes: []string{"at+jwt", "JWT"}, Scopes: "smart", MaxTokenAge: config.Duration(time.Hour),
		ClockSkew: config.Duration(30 * time.Second), KeyMaxAge: config.Duration(10 * time.Minute),
		KeyCooldown: config.Duration(30 * time.Second),
		Claims: config.Claims{Roles: name("realm_access", "roles"), Organization: name("org"), Patient: name("patient"),
			Encounter: name("encounter"), FHIRUser: name("fhirUser"), Purpose: name("purpose_of_use"),
			Client: config.ClaimPath{{"client_id"}, {"azp"}}, Scope: name("scope")},
	}
}

// start makes an authenticator whose keys have been fetched.
func (r *rig) start(issuers ...config.Issuer) *Authenticator {
	r.t.Helper()
	public, _ := url.Parse(base)
	a, err := New(issuers, Options{PublicURL: public, Now: r.now})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, i := range a.issuers {
		if _, err := i.keys.refresh(); err != nil {
			r.t.Fatal(err)
		}
	}
	return a
}

func request(token string) *http.Request {
	r := httptest.NewRequest("GET", base+"/Patient/1", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// code authenticates and gives the code of the refusal, "" for none.
func (r *rig) code(token string) string { return codeOf(r.auth.Authenticate(request(token))) }

func codeOf(_ *Subject, err *Error) string {
	if err != nil {
		return err.Code
	}
	return ""
}

func (r *rig) want(what, token, code string) {
	r.t.Helper()
	if got := r.code(token); got != code {
		r.t.Errorf("%s: code %q, want %q", what, got, code)
	}
}

func secretFile(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("s3cr:t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sign signs claims over the issuer's usual ones with a header of the test's.
func (r *rig) sign(header map[jose.HeaderKey]any, claims map[string]any) string {
	payload := r.payload(claims)
	return authtest.Sign(r.issuer.SigningKey(), header, payload)
}

// payload gives the claims that a token of the issuer would have.
func (r *rig) payload(claims map[string]any) []byte {
	jws, err := jose.ParseSignedCompact(r.issuer.Token(claims), known)
	if err != nil {
		r.t.Fatal(err)
	}
	return jws.UnsafePayloadWithoutVerification()
}

func TestSubject(t *testing.T) {
	r := newRig(t, nil)
	token := r.issuer.Token(map[string]any{
		"realm_access": map[string]any{"roles": []string{"clinician", "auditor"}}, "org": "2", "patient": "1", "encounter": "Encounter/e1",
		"fhirUser": base + "/Practitioner/7", "purpose_of_use": []any{map[string]any{"system": ActReason[0], "code": "TREAT"}},
		"scope": "patient/Observation.rs  launch", "acr": "high", "auth_time": 1_799_999_000, "jti": "t1", "sid": "s1",
	})
	got, err := r.auth.Authenticate(request(token))
	if err != nil {
		t.Fatal(err)
	}
	want := &Subject{Issuer: r.issuer.URL, ID: "user", Client: "app", Roles: []string{"clinician", "auditor"},
		Organization: "Organization/2", FHIRUser: "Practitioner/7", Patient: "Patient/1", Encounter: "Encounter/e1",
		Purpose: []string{"TREAT"}, Scopes: []string{"patient/Observation.rs", "launch"}, SMART: true, ACR: "high",
		AuthTime: time.Unix(1_799_999_000, 0), TokenID: "t1", Session: "s1", Expires: r.now().Add(5 * time.Minute)}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	again, _ := r.auth.Authenticate(request(token))
	if again != got {
		t.Error("a remembered token gives another Subject pointer")
	}
}

// J-01, J-03, J-06, J-07, J-09, J-16, JWT-01 to JWT-08: claims that a good key
// signed, and still no access token.
func TestClaimsRefused(t *testing.T) {
	r := newRig(t, nil)
	now := r.now().Unix()
	tests := []struct {
		name   string
		claims map[string]any
		want   string
	}{
		{"as it should be", nil, ""},
		{"JWT-05 no iss", map[string]any{"iss": nil}, CodeInvalid},
		{"J-08 iss with trailing slash", map[string]any{"iss": r.issuer.URL + "/"}, CodeInvalid},
		{"J-08 iss in other case", map[string]any{"iss": strings.ToUpper(r.issuer.URL)}, CodeInvalid},
		{"iss a list", map[string]any{"iss": []string{r.issuer.URL}}, CodeInvalid},
		{"JWT-06 no aud", map[string]any{"aud": nil}, CodeAudience},
		{"J-07 empty aud", map[string]any{"aud": ""}, CodeAudience},
		{"J-07 empty list", map[string]any{"aud": []string{}}, CodeAudience},
		{"J-07 other service", map[string]any{"aud": "https://other.example.org"}, CodeAudience},
		{"J-07 prefix", map[string]any{"aud": base[:len(base)-1]}, CodeAudience},
		{"J-07 longer", map[string]any{"aud": base + "/"}, CodeAudience},
		{"J-07 one of several", map[string]any{"aud": []string{"other", base}}, ""},
		{"aud an object", map[string]any{"aud": map[string]any{base: base}}, CodeAudience},
		{"JWT-08 no exp", map[string]any{"exp": nil, "iat": nil}, CodeInvalid},
		{"exp a string", map[string]any{"exp": "1800000300"}, CodeInvalid},
		{"exp negative", map[string]any{"exp": -1}, CodeInvalid},
		{"exp with fraction", map[string]any{"exp": float64(now) + 300.5}, CodeInvalid},
		{"exp huge", map[string]any{"exp": int64(9_007_199_254_740_993)}, CodeInvalid},
		{"expired, within the skew", map[string]any{"exp": now - 29, "iat": now - 300}, ""},
		{"expired, at the skew", map[string]any{"exp": now - 30, "iat": now - 300}, CodeExpired},
		{"not before, within the skew", map[string]any{"nbf": now + 30}, ""},
		{"not before", map[string]any{"nbf": now + 31}, CodeInvalid},
		{"nbf a string", map[string]any{"nbf": "0"}, CodeInvalid},
		{"issued in the future, within the skew", map[string]any{"iat": now + 30}, ""},
		{"issued in the future", map[string]any{"iat": now + 31}, CodeInvalid},
		{"issued after it expires", map[string]any{"iat": now + 20, "exp": now + 10}, CodeInvalid},
		{"SMART-30 lives an hour", map[string]any{"exp": now + 3600}, ""},
		{"SMART-30 lives a day", map[string]any{"exp": now + 86400}, CodeInvalid},
		{"SMART-30 lives a day, iat left out", map[string]any{"exp": now + 86400, "iat": nil}, CodeInvalid},
		{"J-09 NUL in sub", map[string]any{"sub": "user\x00"}, CodeInvalid},
		{"J-09 homoglyph in sub", map[string]any{"sub": "us\u0435r"}, CodeInvalid},
		{"U-05 right-to-left mark in sub", map[string]any{"sub": "\u202euser"}, CodeInvalid},
		{"sub a number", map[string]any{"sub": 7}, CodeInvalid},
		{"sub null", map[string]any{"sub": []any{}}, CodeInvalid},
		{"sub too long", map[string]any{"sub": strings.Repeat("u", 256)}, CodeInvalid},
		{"no client", map[string]any{"client_id": nil}, CodeInvalid},
		{"client by its other name", map[string]any{"client_id": nil, "azp": "app"}, ""},
		{"line break in client", map[string]any{"client_id": "a\r\nb"}, CodeInvalid},
		{"jti an object", map[string]any{"jti": map[string]any{}}, CodeInvalid},
		{"auth_time a string", map[string]any{"auth_time": "now"}, CodeInvalid},
		{"patient that is no id", map[string]any{"patient": "../Observation"}, CodeInvalid},
		{"patient of another type", map[string]any{"patient": "Group/1"}, CodeInvalid},
		{"patient elsewhere", map[string]any{"patient": "https://evil.example/Patient/1"}, CodeInvalid},
		{"P-04 two patients", map[string]any{"patient": []string{"1", "2"}}, CodeInvalid},
		{"P-04 two patients in one", map[string]any{"patient": "1,2"}, CodeInvalid},
		{"roles with control character", map[string]any{"realm_access": map[string]any{"roles": []string{"a\x1bb"}}}, CodeInvalid},
		{"roles a number", map[string]any{"realm_access": map[string]any{"roles": 1}}, CodeInvalid},
		{"purpose a number", map[string]any{"purpose_of_use": []any{1}}, CodeInvalid},
		{"scope an object", map[string]any{"scope": map[string]any{}}, CodeInvalid},
		{"JWT-12 nested too deep", map[string]any{"x": nested(20)}, CodeInvalid},
		{"J-16 64 KiB", map[string]any{"x": strings.Repeat("x", 64<<10)}, CodeInvalid},
		{"J-14 cnf that cannot be checked", map[string]any{"cnf": map[string]any{"kid": "k"}}, CodeBinding},
		{"J-14 cnf empty", map[string]any{"cnf": map[string]any{}}, CodeBinding},
		{"J-14 cnf a string", map[string]any{"cnf": "x"}, CodeBinding},
	}
	for _, tt := range tests {
		r.want(tt.name, r.issuer.Token(tt.claims), tt.want)
	}
}

func nested(n int) any {
	if n == 0 {
		return 1
	}
	return map[string]any{"x": nested(n - 1)}
}

// J-09: bytes that two JSON readers understand differently.
func TestPayloadRefused(t *testing.T) {
	r := newRig(t, nil)
	good := strings.TrimSuffix(string(r.payload(map[string]any{"patient": "A"})), "}")
	tests := []struct{ name, payload, want string }{
		{"unchanged", good + `}`, ""},
		{"case twin is another claim", good + `,"Patient":"B"}`, ""},
		{"patient twice", good + `,"patient":"B"}`, CodeInvalid},
		{"patient twice, escaped", good + `,"p\u0061tient":"B"}`, CodeInvalid},
		{"JWT-12 scope twice", good + `,"scope":"a","scope":"b"}`, CodeInvalid},
		{"twice inside", good + `,"x":{"y":[{"z":1,"z":2}]}}`, CodeInvalid},
		{"invalid UTF-8", good + `,"x":"` + "\xff" + `"}`, CodeInvalid},
		{"lone surrogate", good + `,"x":"\ud800"}`, CodeInvalid},
		{"trailing bytes", good + `}{}`, CodeInvalid},
		{"trailing comma", good + `,}`, CodeInvalid},
		{"exp out of range", strings.Replace(good, `"exp":`, `"exp":1e400,"was":`, 1) + `}`, CodeInvalid},
		{"exp with exponent", strings.Replace(good, `"exp":1800000300`, `"exp":18000003e2`, 1) + `}`, CodeInvalid},
		{"a list", `[` + good + `}]`, CodeInvalid},
		{"null", `null`, CodeInvalid},
		{"nothing", ``, CodeInvalid},
	}
	for _, tt := range tests {
		token := authtest.Sign(r.issuer.SigningKey(), map[jose.HeaderKey]any{"typ": "at+jwt"}, []byte(tt.payload))
		r.want(tt.name, token, tt.want)
		if s, err := r.auth.Authenticate(request(token)); err == nil && s.Patient != "Patient/A" {
			t.Errorf("%s: patient %q", tt.name, s.Patient)
		}
	}
}

// JWT-07, J-07, J-17: other JWTs of the same issuer, signed by the same key.
func TestOtherTokens(t *testing.T) {
	r := newRig(t, nil)
	tests := []struct {
		name   string
		typ    any
		claims map[string]any
		want   string
	}{
		{"RFC 9068", "at+jwt", nil, ""},
		{"media type in full, other case", "application/AT+JWT", nil, ""},
		{"plain JWT", "JWT", nil, ""},
		{"access token with nonce, typed", "at+jwt", map[string]any{"nonce": "n"}, ""},
		{"ID token by nonce", "JWT", map[string]any{"nonce": "n"}, CodeInvalid},
		{"ID token by at_hash", "JWT", map[string]any{"at_hash": "h"}, CodeInvalid},
		{"ID token by its audience", "JWT", map[string]any{"aud": "app"}, CodeInvalid},
		{"ID token, audience configured", "JWT", map[string]any{"client_id": base}, CodeInvalid},
		{"logout token", "logout+jwt", nil, CodeInvalid},
		{"DPoP proof", "dpop+jwt", nil, CodeInvalid},
		{"client assertion", "client-authentication+jwt", nil, CodeInvalid},
		{"no typ", nil, nil, CodeInvalid},
		{"typ a number", 1, nil, CodeInvalid},
		{"typ empty", "", nil, CodeInvalid},
	}
	for _, tt := range tests {
		header := map[jose.HeaderKey]any{}
		if tt.typ != nil {
			header["typ"] = tt.typ
		}
		r.want(tt.name, r.sign(header, tt.claims), tt.want)
	}
}

// JWT-10: a client is not the user who bears its name.
func TestMachine(t *testing.T) {
	r := newRig(t, nil)
	tests := []struct {
		sub  any
		want bool
	}{{nil, true}, {"app", true}, {"user", false}}
	keys := map[string]bool{}
	for _, tt := range tests {
		s, err := r.auth.Authenticate(request(r.issuer.Token(map[string]any{"sub": tt.sub})))
		if err != nil || s.Machine != tt.want {
			t.Errorf("sub %v: machine %+v, %v, want %v", tt.sub, s, err, tt.want)
			continue
		}
		keys[s.Key()] = true
	}
	user, err := r.auth.Authenticate(request(r.issuer.Token(map[string]any{"sub": "app", "client_id": "other"})))
	if err != nil || user.Machine || keys[user.Key()] {
		t.Errorf("user named like a client: %+v, %v; must be another principal", user, err)
	}
}

// J-09: one sub of two issuers is two principals.
func TestPrincipalIsThePair(t *testing.T) {
	r := newRig(t, nil)
	other := newIssuerServer(t, r.now)
	a := r.start(r.config, configFor(other))
	one, err1 := a.Authenticate(request(r.issuer.Token(nil)))
	two, err2 := a.Authenticate(request(other.Token(nil)))
	if err1 != nil || err2 != nil || one.Key() == two.Key() {
		t.Errorf("got %+v (%v) and %+v (%v), want two principals", one, err1, two, err2)
	}
	// J-08: issuer A's name under issuer B's key of the same kid
	token := authtest.Sign(other.SigningKey(), map[jose.HeaderKey]any{"typ": "at+jwt"}, r.payload(nil))
	if got := codeOf(a.Authenticate(request(token))); got != CodeInvalid {
		t.Errorf("issuer A's token signed by B: %q", got)
	}
}

func TestStartAndReady(t *testing.T) {
	r := newRig(t, nil)
	public, _ := url.Parse(base)
	a, err := New([]config.Issuer{r.config}, Options{PublicURL: public})
	if err != nil {
		t.Fatal(err)
	}
	if a.Ready() == nil { // G-07
		t.Error("ready before any key was fetched")
	}
	if got := codeOf(a.Authenticate(request(r.issuer.Token(nil)))); got != CodeUnavailable {
		t.Errorf("before any key: %q, want %q", got, CodeUnavailable)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a.Start(ctx)
	for deadline := time.Now().Add(60 * time.Second); a.Ready() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(a.Ready())
		}
	}
}

func TestNewRefuses(t *testing.T) {
	r := newRig(t, nil)
	public, _ := url.Parse(base)
	tests := []struct {
		name   string
		change func(*config.Issuer)
	}{
		{"http without insecure_http", func(c *config.Issuer) { c.InsecureHTTP = false }},
		{"no URL", func(c *config.Issuer) { c.Issuer = "idp" }},
		{"user in the URL", func(c *config.Issuer) { c.Issuer = "https://a:b@idp.example" }},
		{"JWT-02 none", func(c *config.Issuer) { c.Algorithms = []string{"none"} }},
		{"JWT-03 HMAC", func(c *config.Issuer) { c.Algorithms = []string{"RS256", "HS256"} }},
		{"no algorithms", func(c *config.Issuer) { c.Algorithms = nil }},
		{"no audiences", func(c *config.Issuer) { c.Audiences = nil }},
		{"empty audience", func(c *config.Issuer) { c.Audiences = []string{""} }},
		{"no token types", func(c *config.Issuer) { c.TokenTypes = nil }},
		{"scopes unknown", func(c *config.Issuer) { c.Scopes = "" }},
		{"CA file missing", func(c *config.Issuer) { c.CAFile = "/nonexistent" }},
		{"introspection unknown", func(c *config.Issuer) { c.Introspection.Mode = "sometimes" }},
		{"introspection without secret", func(c *config.Issuer) { c.Introspection.Mode = "always" }},
	}
	for _, tt := range tests {
		c := r.config
		tt.change(&c)
		if _, err := New([]config.Issuer{c}, Options{PublicURL: public}); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
	if _, err := New([]config.Issuer{r.config, r.config}, Options{PublicURL: public}); err == nil {
		t.Error("one issuer twice: accepted")
	}
	if _, err := New(nil, Options{}); err == nil {
		t.Error("no public URL: accepted")
	}
}
