package auth

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
)

// BEAR-01, BEAR-02, BEAR-03, J-13, T-15: where a token may stand.
func TestCredentials(t *testing.T) {
	r := newRig(t, nil)
	token := r.issuer.Token(nil)
	header := func(values ...string) http.Header { return http.Header{"Authorization": values} }
	tests := []struct {
		name   string
		header http.Header
		query  string
		want   string
	}{
		{"one Bearer", header("Bearer " + token), "", ""},
		{"scheme in other case", header("bEARER " + token), "", ""},
		{"nothing", nil, "", CodeMissing},
		{"Basic", header("Basic dXNlcjpwdw=="), "", CodeMissing},
		{"empty", header(""), "", CodeMissing},
		{"scheme alone", header("Bearer"), "", CodeMissing},
		{"scheme and space", header("Bearer "), "", CodeMissing},
		{"two spaces", header("Bearer  " + token), "", CodeMisplaced},
		{"tab", header("Bearer\t" + token), "", CodeMissing},
		{"two headers", header("Bearer "+token, "Bearer "+token), "", CodeMisplaced},
		{"Basic beside Bearer", header("Basic dXNlcjpwdw==", "Bearer "+token), "", CodeMisplaced},
		{"comma list", header("Bearer " + token + ", Bearer x"), "", CodeMisplaced},
		{"comma list, Basic first", header("Basic dXNlcjpwdw==, Bearer " + token), "", CodeMisplaced},
		{"trailing word", header("Bearer " + token + " x"), "", CodeMisplaced},
		{"quoted", header(`Bearer "` + token + `"`), "", CodeInvalid},
		{"NUL", header("Bearer " + token + "\x00"), "", CodeInvalid},
		{"query alone", nil, "access_token=" + token, CodeMisplaced},
		{"query beside the header", header("Bearer " + token), "access_token=x", CodeMisplaced},
		{"query, encoded", header("Bearer " + token), "a=b&access%5Ftoken=x", CodeMisplaced},
		{"query, after a semicolon", header("Bearer " + token), "a=b;access_token=x", CodeMisplaced},
		{"query, no value", header("Bearer " + token), "Access_Token", CodeMisplaced},
		{"a value that says so is none", header("Bearer " + token), "name=access_token", ""},
		{"cookie", http.Header{"Cookie": {"a=b; access_token=" + token}}, "", CodeMisplaced},
		{"cookie beside the header", http.Header{"Cookie": {"x=y;Authorization=z"}, "Authorization": {"Bearer " + token}}, "", CodeMisplaced},
		{"another cookie", http.Header{"Cookie": {"a=b"}, "Authorization": {"Bearer " + token}}, "", ""},
		{"websocket protocol", http.Header{"Sec-Websocket-Protocol": {"bearer, " + token}}, "", CodeMisplaced},
		{"BEAR-05 identity headers say nothing", http.Header{"X-User": {"root"}, "X-Forwarded-User": {"root"}}, "", CodeMissing},
	}
	for _, tt := range tests {
		req := httptest.NewRequest("GET", base+"/Patient", nil)
		req.URL.RawQuery = tt.query
		if tt.header != nil {
			req.Header = tt.header
		}
		_, err := r.auth.Authenticate(req)
		if got := codeOf(nil, err); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if err != nil && strings.Contains(err.Text+err.Log+strings.Join(err.Challenges, ""), token) { // BEAR-02
			t.Errorf("%s: the error holds the token", tt.name)
		}
	}
}

// BEAR-03, PRM-02, DPOP-04, RFC 9110 §11.6.1: challenges.
func TestChallenges(t *testing.T) {
	r := newRig(t, nil)
	param := `[a-z_]+="[ !#-\[\]-~]*"`
	grammar := regexp.MustCompile(`^(Bearer|DPoP) ` + param + `(, ` + param + `)*$`)
	tests := []struct {
		token  string
		status int
		error  string
	}{
		{"", 401, ""},
		{"x", 401, `error="invalid_token"`},
		{r.issuer.Token(map[string]any{"iat": 1, "exp": 2}), 401, `error="invalid_token"`},
	}
	for _, tt := range tests {
		req := request(tt.token)
		if tt.token == "" {
			req.Header.Del("Authorization")
		}
		_, err := r.auth.Authenticate(req)
		if err == nil || err.Status != tt.status || len(err.Challenges) != 2 {
			t.Fatalf("%q: %+v", tt.token, err)
		}
		for _, c := range err.Challenges {
			if !grammar.MatchString(c) || strings.Contains(c, "error=") != (tt.error != "") || !strings.Contains(c, tt.error) ||
				!strings.Contains(c, `resource_metadata="https://fhir.example.org/.well-known/oauth-protected-resource/r4"`) {
				t.Errorf("challenge %s", c)
			}
		}
		if !strings.HasPrefix(err.Challenges[0], "Bearer ") || !strings.Contains(err.Challenges[1], `algs="ES256 `) {
			t.Errorf("challenges %q", err.Challenges)
		}
	}
	_, misplaced := r.auth.Authenticate(httptest.NewRequest("GET", base+"/Patient?access_token=x", nil))
	if misplaced.Status != 400 || misplaced.Challenges != nil {
		t.Errorf("misplaced: %+v", misplaced)
	}
	for _, c := range slices.Concat(r.auth.InsufficientScope(`patient/X.rs" , evil="1\`), r.auth.StepUp("high", 300)) {
		if !grammar.MatchString(c) { // T-16
			t.Errorf("challenge %s", c)
		}
	}
	if got := r.auth.StepUp("high", 300)[0]; !strings.Contains(got, // STEP-01
		`error="insufficient_user_authentication", acr_values="high", max_age="300"`) {
		t.Errorf("step-up: %s", got)
	}
}

// MTLS-01, MTLS-02, J-14: a certificate-bound token needs the certificate of
// this very connection.
func TestCertificateBinding(t *testing.T) {
	r := newRig(t, nil)
	own, other := &x509.Certificate{Raw: []byte("own")}, &x509.Certificate{Raw: []byte("other")}
	sum := sha256.Sum256(own.Raw)
	print := base64.RawURLEncoding.EncodeToString(sum[:])
	token := r.issuer.Token(map[string]any{"cnf": map[string]any{"x5t#S256": print}})
	tests := []struct {
		name string
		tls  *tls.ConnectionState
		want string
	}{
		{"own certificate", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{own}}, ""},
		{"own certificate in the chain only", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{other, own}}, CodeBinding},
		{"another certificate", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{other}}, CodeBinding},
		{"no certificate", &tls.ConnectionState{}, CodeBinding},
		{"no TLS", nil, CodeBinding},
	}
	for _, tt := range tests {
		req := request(token)
		req.TLS = tt.tls
		req.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(own.Raw)+":")
		s, err := r.auth.Authenticate(req)
		if got := codeOf(s, err); got != tt.want || err == nil && !s.Bound {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestRequireBinding(t *testing.T) {
	r := newRig(t, func(c *config.Issuer) { c.RequireBinding = true })
	r.want("bearer token where binding is required", r.issuer.Token(nil), CodeBinding)
}

// J-15, S-14: revocation reaches remembered tokens with the next request.
func TestRevoke(t *testing.T) {
	tests := []struct {
		kind, value string
		want        string
	}{
		{"jti", "t1", CodeRevoked}, {"sub", "user", CodeRevoked}, {"client", "app", CodeRevoked}, {"sid", "s1", CodeRevoked},
		{"jti", "t2", ""}, {"sub", "app", ""}, {"client", "user", ""}, {"sid", "t1", ""},
	}
	for _, tt := range tests {
		r := newRig(t, nil)
		token := r.issuer.Token(map[string]any{"jti": "t1", "sid": "s1"})
		r.want("before", token, "")
		if err := r.auth.Revoke(tt.kind, tt.value, r.now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		r.want(tt.kind+" "+tt.value+" revoked", token, tt.want)
		r.want("again", token, tt.want)
		reloaded, err := New([]config.Issuer{r.config}, Options{PublicURL: r.auth.proofs.public, Now: r.now, Previous: r.auth})
		if err != nil {
			t.Fatal(err)
		}
		reloaded.issuers[r.issuer.URL].keys.refresh()
		if got := codeOf(reloaded.Authenticate(request(token))); got != tt.want {
			t.Errorf("%s %s after a reload: %q, want %q", tt.kind, tt.value, got, tt.want)
		}
		r.advance(time.Minute)
		r.want("after the block", token, "")
	}
}

func TestRevokeForEverAndLift(t *testing.T) {
	r := newRig(t, nil)
	token := r.issuer.Token(nil)
	r.auth.Revoke("sub", PrincipalOf("https://other.example.org", "user"), time.Time{})
	r.want("a namesake at another issuer", token, "")
	r.auth.Revoke("sub", PrincipalOf(r.issuer.URL, "user"), r.now().Add(time.Minute))
	r.want("revoked at its issuer", token, CodeRevoked)
	r.auth.Revoke("sub", PrincipalOf(r.issuer.URL, "user"), r.now())
	r.want("lifted at its issuer", token, "")
	r.auth.Revoke("sub", "user", time.Time{})
	r.advance(4 * time.Minute)
	r.want("revoked for ever", token, CodeRevoked)
	r.auth.Revoke("sub", "user", r.now())
	r.want("lifted", token, "")
	for _, kind := range []string{"", "issuer"} {
		if r.auth.Revoke(kind, "x", time.Time{}) == nil {
			t.Errorf("kind %q accepted", kind)
		}
	}
	if r.auth.Revoke("sub", "", time.Time{}) == nil {
		t.Error("empty value accepted")
	}
}

// Remembered tokens are believed to their expiry and no longer.
func TestCacheExpiry(t *testing.T) {
	r := newRig(t, func(c *config.Issuer) { c.ClockSkew = 0 })
	token := r.issuer.Token(nil)
	r.want("fresh", token, "")
	r.advance(5*time.Minute - time.Second)
	r.want("last second", token, "")
	r.advance(time.Second)
	r.want("expired", token, CodeExpired)
}

func TestCacheIsBounded(t *testing.T) {
	c, now := newCache(), time.Now()
	for i := range 3 * cacheMax {
		var d digest
		d[0], d[1], d[2], d[3] = byte(i), byte(i>>8), byte(i>>16), 1
		c.put(&d, &entry{until: now.Add(time.Hour).UnixNano()}, now)
	}
	n := 0
	for i := range c.shards {
		n += len(c.shards[i].entries)
	}
	if n > cacheMax {
		t.Errorf("%d tokens remembered, want at most %d", n, cacheMax)
	}
}

func TestInQuery(t *testing.T) {
	tests := []struct {
		query string
		want  bool
	}{
		{"", false}, {"name=x", false}, {"access_token", true}, {"a&ACCESS_TOKEN=", true}, {"acc%65ss_token=x", true},
		{"x=1;access_token=y", true}, {"%zz=1&access_token=y", true}, {"my_access_token=y", false},
	}
	for _, tt := range tests {
		if got := inQuery(tt.query); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.query, got, tt.want)
		}
	}
}

func TestMetadataURL(t *testing.T) { // C4
	tests := []struct{ base, want string }{
		{"https://fhir.example.org/r4", "https://fhir.example.org/.well-known/oauth-protected-resource/r4"},
		{"https://fhir.example.org/", "https://fhir.example.org/.well-known/oauth-protected-resource"},
		{"https://fhir.example.org:8443/a/b", "https://fhir.example.org:8443/.well-known/oauth-protected-resource/a/b"},
	}
	for _, tt := range tests {
		u, _ := url.Parse(tt.base)
		if got := newChallenger(u).metadata; got != tt.want {
			t.Errorf("%s: %s, want %s", tt.base, got, tt.want)
		}
	}
}
