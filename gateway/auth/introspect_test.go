package auth

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/auth/authtest"
)

func introspecting(mode string) func(t testing.TB) *rig {
	return func(t testing.TB) *rig {
		return newRig(t, func(c *config.Issuer) {
			c.Introspection = config.Introspection{Mode: mode, ClientID: "gw:1", ClientSecretFile: secretFile(t), CacheTTL: config.Duration(30 * time.Second)}
		})
	}
}

// answer is what introspection says of a token, with changes.
func (r *rig) answer(changes map[string]any) map[string]any {
	a := map[string]any{"active": true, "iss": r.issuer.URL, "sub": "user", "client_id": "app", "aud": base,
		"scope": "patient/*.rs", "patient": "1", "exp": r.now().Unix() + 300}
	maps.Copy(a, changes)
	maps.DeleteFunc(a, func(_ string, v any) bool { return v == nil })
	return a
}

// INTR-01, SMART-26, SMART-28, J-15.
func TestOpaque(t *testing.T) {
	r := introspecting("opaque")(t)
	now := r.now().Unix()
	tests := []struct {
		name    string
		changes map[string]any
		want    string
	}{
		{"active", nil, ""},
		{"not active", map[string]any{"active": false}, CodeRevoked},
		{"INTR-01 active a string", map[string]any{"active": "true"}, CodeRevoked},
		{"INTR-01 active a number", map[string]any{"active": 1}, CodeRevoked},
		{"SMART-28 active missing", map[string]any{"active": nil}, CodeUnavailable},
		{"other issuer", map[string]any{"iss": "https://evil.example"}, CodeInvalid},
		{"iss a list", map[string]any{"iss": []string{r.issuer.URL}}, CodeInvalid},
		{"iss not said", map[string]any{"iss": nil}, ""},
		{"other audience", map[string]any{"aud": "other"}, CodeAudience},
		{"no audience", map[string]any{"aud": nil}, CodeAudience},
		{"expired all the same", map[string]any{"exp": now - 60}, CodeExpired},
		{"no exp, issued lately", map[string]any{"exp": nil, "iat": now - 60}, ""},
		{"no exp, issued long ago", map[string]any{"exp": nil, "iat": now - 2*3600}, CodeExpired},
		{"neither exp nor iat", map[string]any{"exp": nil}, CodeInvalid},
		{"lives too long", map[string]any{"iat": now, "exp": now + 86400}, CodeInvalid},
		{"refresh token", map[string]any{"token_type": "refresh_token"}, CodeInvalid},
		{"refresh token of Keycloak", map[string]any{"typ": "Refresh"}, CodeInvalid},
		{"ID token of Keycloak", map[string]any{"typ": "ID"}, CodeInvalid},
		{"Bearer of Keycloak", map[string]any{"typ": "Bearer", "token_type": "Bearer"}, ""},
		{"bound to a certificate", map[string]any{"cnf": map[string]any{"x5t#S256": "x"}}, CodeBinding},
		{"no client", map[string]any{"client_id": nil}, CodeInvalid},
	}
	for i, tt := range tests {
		token := fmt.Sprint("opaque-", i)
		r.issuer.Answer(token, r.answer(tt.changes))
		r.want(tt.name, token, tt.want)
	}
	r.want("unknown token", "opaque-unknown", CodeRevoked)
	s, err := r.auth.Authenticate(request("opaque-0"))
	if err != nil || s.Patient != "Patient/1" || s.ID != "user" || len(s.Scopes) != 1 {
		t.Errorf("subject %+v, %v", s, err)
	}
	r.want("a JWT needs no introspection", r.issuer.Token(nil), "")
}

// The request: credentials encoded as RFC 6749 §2.3.1 says, token in the body.
func TestIntrospectionRequest(t *testing.T) {
	r := introspecting("opaque")(t)
	var got *http.Request
	r.issuer.Fault(authtest.Introspection, func(w http.ResponseWriter, req *http.Request) {
		req.ParseForm()
		got = req
		w.WriteHeader(http.StatusUnauthorized)
	})
	r.want("our credentials refused", "opaque", CodeUnavailable)
	id, secret, _ := got.BasicAuth()
	if id != "gw%3A1" || secret != "s3cr%3At" || got.Method != "POST" || got.URL.RawQuery != "" ||
		got.PostForm.Get("token") != "opaque" || got.PostForm.Get("token_type_hint") != "access_token" {
		t.Errorf("got %s %s, %q:%q, %v", got.Method, got.URL, id, secret, got.PostForm)
	}
}

// INTR-03: whatever is no clear answer denies as a failure of the issuer.
func TestIntrospectionDown(t *testing.T) {
	serve := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	const active = `{"active":true}`
	tests := []struct {
		name  string
		fault http.HandlerFunc
	}{
		{"500", serve(500, "application/json", active)},
		{"204", serve(204, "", "")},
		{"not JSON", serve(200, "application/json", "<html>")},
		{"not said to be JSON", serve(200, "text/html", active)},
		{"active twice", serve(200, "application/json", `{"active":false,"active":true}`)},
		{"cut short", serve(200, "application/json", `{"active":true,`)},
		{"a list", serve(200, "application/json", `[`+active+`]`)},
		{"5 MB", serve(200, "application/json", strings.Repeat(" ", 5<<20)+active)},
		{"redirect", http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect).ServeHTTP},
		{"slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"connection reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	}
	r := introspecting("opaque")(t)
	for _, i := range r.auth.issuers {
		i.keys.client.Timeout = 300 * time.Millisecond
	}
	for i, tt := range tests {
		r.issuer.Fault(authtest.Introspection, tt.fault)
		_, err := r.auth.Authenticate(request(fmt.Sprint("opaque-", i)))
		if err == nil || err.Status != 503 || err.Challenges != nil {
			t.Errorf("%s: %+v, want 503", tt.name, err)
		}
	}
}

// INTR-02, J-15: an answer is believed no longer than cache_ttl, nor than the
// token lives.
func TestIntrospectionCache(t *testing.T) {
	r := introspecting("opaque")(t)
	r.issuer.Answer("opaque", r.answer(nil))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { r.want("active", "opaque", "") })
	}
	wg.Wait()
	for range 20 {
		r.want("active", "opaque", "")
	}
	if n := r.issuer.Hits(authtest.Introspection); n > 3 {
		t.Errorf("%d introspections for one token", n)
	}
	r.issuer.Answer("opaque", nil) // revoked at the issuer
	r.advance(29 * time.Second)
	r.want("revoked, within the bound", "opaque", "")
	r.advance(time.Second)
	r.want("revoked, beyond the bound", "opaque", CodeRevoked)

	r.issuer.Answer("short", r.answer(map[string]any{"exp": r.now().Unix() + 10}))
	r.want("short-lived", "short", "")
	r.advance(45 * time.Second)
	r.want("short-lived, over", "short", CodeExpired)
}

func TestIntrospectionUncached(t *testing.T) {
	r := newRig(t, func(c *config.Issuer) {
		c.Introspection = config.Introspection{Mode: "opaque", ClientID: "gw", ClientSecretFile: secretFile(t)}
	})
	r.issuer.Answer("opaque", r.answer(nil))
	r.want("active", "opaque", "")
	r.issuer.Answer("opaque", nil)
	r.want("revoked, cache_ttl 0s", "opaque", CodeRevoked)
}

// Mode always: a JWT is verified and confirmed.
func TestAlways(t *testing.T) {
	r := introspecting("always")(t)
	tests := []struct {
		name   string
		claims map[string]any
		answer map[string]any
		want   string
	}{
		{"confirmed", nil, map[string]any{"active": true}, ""},
		{"revoked", nil, nil, CodeRevoked},
		{"another subject", nil, map[string]any{"active": true, "sub": "root"}, CodeInvalid},
		{"another client", nil, map[string]any{"active": true, "client_id": "other"}, CodeInvalid},
		{"another key", map[string]any{"cnf": map[string]any{"jkt": "a"}}, map[string]any{"active": true, "cnf": map[string]any{"jkt": "b"}}, CodeInvalid},
		{"binding left out by the answer stands", map[string]any{"cnf": map[string]any{"jkt": "a"}}, map[string]any{"active": true}, CodeBinding},
		{"another audience by now", nil, map[string]any{"active": true, "aud": "other"}, CodeAudience},
		{"JWT for another audience", map[string]any{"aud": "other"}, map[string]any{"active": true}, CodeAudience},
	}
	for _, tt := range tests {
		token := r.issuer.Token(tt.claims)
		r.issuer.Answer(token, tt.answer)
		r.want(tt.name, token, tt.want)
	}
	token := r.issuer.Token(map[string]any{"scope": "user/*.cruds"})
	r.issuer.Answer(token, map[string]any{"active": true, "scope": "patient/*.rs", "patient": "9"})
	s, err := r.auth.Authenticate(request(token))
	if err != nil || s.Patient != "Patient/9" || len(s.Scopes) != 1 || s.Scopes[0] != "patient/*.rs" {
		t.Errorf("SMART-26: got %+v, %v, want the answer's scope and patient", s, err)
	}
	before := r.issuer.Hits(authtest.Introspection)
	r.want("forged JWT", r.issuer.Token(nil)[1:], CodeInvalid)
	if r.issuer.Hits(authtest.Introspection) != before {
		t.Error("a token that does not verify was shown to the issuer")
	}
}

// A token that does not name its issuer is shown to one issuer alone.
func TestOpaqueIssuerIsOne(t *testing.T) {
	r := introspecting("opaque")(t)
	other := configFor(newIssuerServer(t, r.now))
	public, _ := url.Parse(base)
	other.Introspection = r.config.Introspection
	if _, err := New([]config.Issuer{r.config, other}, Options{PublicURL: public}); err == nil {
		t.Error("two issuers for opaque tokens: accepted")
	}
	never := newRig(t, nil)
	never.want("opaque token where none is asked", "opaque", CodeInvalid)
}
