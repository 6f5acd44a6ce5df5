package upstream

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"gatehouse/config"
)

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func file(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keyPair writes a P-256 key and a certificate of it, and gives their paths.
func keyPair(t *testing.T, name string) (key *ecdsa.PrivateKey, keyFile, certFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return key, file(t, "key.pem", keyText), file(t, "cert.pem", certificatePEM(cert))
}

// authorization answers with what a request says of its sender.
func authorization(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/fhir+json")
	name := ""
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		name = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	json.NewEncoder(w).Encode(r.Header.Get("Authorization") + name)
}

func seen(t *testing.T, u *Upstream) string {
	t.Helper()
	_, body, err := u.send(context.Background(), read)
	if err != nil {
		return err.Error()
	}
	defer body.Close()
	var text string
	json.NewDecoder(body).Decode(&text)
	return text
}

func TestSecretsAreReadAgainWhenTheirFileChanges(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(authorization))
	defer s.Close()
	path := file(t, "token", []byte("first\n"))
	logs, _ := observer.New(zap.InfoLevel)
	now := time.Now()
	r, err := newText(path, "", zap.New(logs), func(s string) ([]string, error) { return []string{"Bearer " + s}, nil })
	if err != nil {
		t.Fatal(err)
	}
	r.(*rotating[[]string]).now = func() time.Time { return now }
	u := open(t, s.URL)
	u.auth = header{r}
	step := func(want string) {
		t.Helper()
		now = now.Add(2 * lookEvery)
		if got := seen(t, u); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	step("Bearer first")
	replace(t, path, "second, longer\n", 0o600)
	step("Bearer second, longer")
	replace(t, path, "readable by everybody\n", 0o644)
	step("Bearer second, longer") // G-06: refused, and the last good one stays
	os.Remove(path)
	step("Bearer second, longer")
	replace(t, path, "third\n", 0o600)
	step("Bearer third")
}

func replace(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestStaticCredentials(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(authorization))
	defer s.Close()
	t.Setenv("GH_TOKEN", "from-env")
	for _, tt := range []struct {
		auth config.UpstreamAuth
		want string
	}{
		{config.UpstreamAuth{Type: "none"}, ""},
		{config.UpstreamAuth{Type: "basic", Username: "gw", PasswordFile: file(t, "p", []byte("s:3\n"))}, "Basic Z3c6czoz"},
		{config.UpstreamAuth{Type: "bearer", TokenEnv: "GH_TOKEN"}, "Bearer from-env"},
	} {
		if got := seen(t, open(t, s.URL, func(c *config.Upstream) { c.Auth = tt.auth })); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.auth.Type, got, tt.want)
		}
	}
	for _, auth := range []config.UpstreamAuth{{Type: "bearer", TokenEnv: "GH_UNSET"}, {Type: "bearer", TokenFile: "/nowhere"}, {Type: "magic"}} {
		if _, err := newCredential(auth, nil, zap.NewNop(), time.Now); err == nil {
			t.Errorf("%+v: a credential was made of nothing", auth)
		}
	}
}

// issuer is a token endpoint that counts.
type issuer struct {
	*httptest.Server
	calls  atomic.Int32
	answer func(w http.ResponseWriter, form url.Values, r *http.Request)
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := i.calls.Add(1)
		r.ParseForm()
		if i.answer != nil {
			i.answer(w, r.PostForm, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"access_token": "t" + string(rune('0'+n)), "token_type": "Bearer", "expires_in": 100})
	}))
	t.Cleanup(i.Close)
	return i
}

func TestTokensAreSharedAndRenewedBeforeTheyEnd(t *testing.T) {
	idp := newIssuer(t)
	clock := time.Now()
	var mu sync.Mutex
	now := func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	pass := func(d time.Duration) { mu.Lock(); clock = clock.Add(d); mu.Unlock() }
	c := config.UpstreamAuth{Type: "client_credentials", TokenURL: idp.URL, ClientID: "gw", ClientSecretFile: file(t, "s", []byte("x"))}
	credential, err := newCredential(c, http.DefaultClient, zap.NewNop(), now)
	if err != nil {
		t.Fatal(err)
	}
	apply := func() string {
		h := http.Header{}
		if err := credential.apply(context.Background(), h); err != nil {
			t.Error(err)
		}
		return h.Get("Authorization")
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := apply(); got != "Bearer t1" {
				t.Errorf("got %q", got)
			}
		})
	}
	all.Wait()
	if n := idp.calls.Load(); n != 1 {
		t.Errorf("token endpoint was called %d times, want 1", n)
	}
	pass(85 * time.Second) // still good: used, and renewed behind the request
	if got := apply(); got != "Bearer t1" {
		t.Errorf("got %q", got)
	}
	for deadline := time.Now().Add(60 * time.Second); apply() != "Bearer t2"; {
		if time.Now().After(deadline) {
			t.Fatal("the token was not renewed before it ended")
		}
		time.Sleep(time.Millisecond)
	}
	pass(99 * time.Second) // in its last twentieth: not used
	if got := apply(); got != "Bearer t3" {
		t.Errorf("got %q", got)
	}
}

func TestTokenEndpointFailures(t *testing.T) { // G-02: no secret in errors, no flood, no redirect
	idp := newIssuer(t)
	evil := newIssuer(t)
	c := config.UpstreamAuth{Type: "client_credentials", TokenURL: idp.URL, ClientID: "gw", ClientSecretFile: file(t, "s", []byte("topsecret"))}
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter, url.Values, *http.Request)
	}{
		{"refuses and echoes", func(w http.ResponseWriter, _ url.Values, r *http.Request) {
			_, secret, _ := r.BasicAuth()
			http.Error(w, `{"error":"invalid_client","error_description":"`+secret+`"}`, http.StatusUnauthorized)
		}},
		{"redirects", func(w http.ResponseWriter, _ url.Values, r *http.Request) {
			http.Redirect(w, r, evil.URL, http.StatusTemporaryRedirect)
		}},
		{"another kind of token", func(w http.ResponseWriter, _ url.Values, _ *http.Request) {
			io.WriteString(w, `{"access_token":"topsecret","token_type":"mac","expires_in":9}`)
		}},
		{"no token", func(w http.ResponseWriter, _ url.Values, _ *http.Request) { io.WriteString(w, `{}`) }},
		{"header injection", func(w http.ResponseWriter, _ url.Values, _ *http.Request) {
			io.WriteString(w, `{"access_token":"a\r\nX-Admin: topsecret","token_type":"Bearer"}`)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			idp.answer = tt.answer
			idp.calls.Store(0)
			u := open(t, "http://127.0.0.1:1", func(u *config.Upstream) { u.Auth = c })
			for range 3 {
				_, _, err := u.send(context.Background(), read)
				want(t, err, Credentials)
				if strings.Contains(err.Error(), "topsecret") || strings.Contains(err.Error(), evil.URL) {
					t.Errorf("the error tells: %v", err)
				}
			}
			if n := idp.calls.Load(); n != 1 {
				t.Errorf("token endpoint was called %d times, want 1", n)
			}
		})
	}
	if evil.calls.Load() != 0 {
		t.Error("the client's secret followed a redirect")
	}
}

// SMART-32: an assertion by either algorithm that every server must take, of five
// minutes at most, and never the same twice.
func TestAssertionIsWhatSMARTBackendServicesAskFor(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, key := range map[jose.SignatureAlgorithm]crypto.Signer{jose.ES384: p384, jose.RS384: long, jose.ES256: p256} {
		t.Run(string(algorithm), func(t *testing.T) { holdAssertion(t, key, algorithm) })
	}
}

func holdAssertion(t *testing.T, key crypto.Signer, algorithm jose.SignatureAlgorithm) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyFile := file(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	idp := newIssuer(t)
	var form url.Values
	idp.answer = func(w http.ResponseWriter, f url.Values, r *http.Request) {
		form = f
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"access_token":"ok","token_type":"bearer","expires_in":300}`)
		if r.Header.Get("Authorization") != "" {
			t.Error("an Authorization header stands beside the assertion")
		}
	}
	s := httptest.NewServer(http.HandlerFunc(authorization))
	defer s.Close()
	seenIDs := map[string]bool{}
	for range 2 { // each with a token of its own
		u := open(t, s.URL, func(c *config.Upstream) {
			c.Auth = config.UpstreamAuth{Type: "private_key_jwt", TokenURL: idp.URL, ClientID: "gw", KeyFile: keyFile, KeyID: "k1", Algorithm: string(algorithm), Scopes: []string{"system/*.rs"}}
		})
		if got := seen(t, u); got != "Bearer ok" {
			t.Fatalf("got %q", got)
		}
		token, err := jwt.ParseSigned(form.Get("client_assertion"), []jose.SignatureAlgorithm{algorithm})
		if err != nil {
			t.Fatal(err)
		}
		var claims jwt.Claims
		if err := token.Claims(key.Public(), &claims); err != nil {
			t.Fatal(err)
		}
		if err := claims.Validate(jwt.Expected{Issuer: "gw", Subject: "gw", AnyAudience: jwt.Audience{idp.URL}, Time: time.Now()}); err != nil {
			t.Error(err)
		}
		life := time.Until(claims.Expiry.Time())
		if claims.ID == "" || seenIDs[claims.ID] || life > 5*time.Minute || token.Headers[0].KeyID != "k1" {
			t.Errorf("jti %q, life %s, kid %q", claims.ID, life, token.Headers[0].KeyID)
		}
		seenIDs[claims.ID] = true
		if form.Get("grant_type") != "client_credentials" || form.Get("scope") != "system/*.rs" || form.Get("client_secret") != "" {
			t.Errorf("form: %v", form)
		}
	}
}

func TestClientCertificateIsPresentedAndRotated(t *testing.T) {
	_, keyFile, certFile := keyPair(t, "one")
	s := httptest.NewUnstartedServer(http.HandlerFunc(authorization))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	defer s.Close()
	ca := file(t, "ca.pem", certificatePEM(s.Certificate().Raw))
	auth := config.UpstreamAuth{Type: "mtls", CertFile: certFile, KeyFile: keyFile}
	u := open(t, s.URL, func(c *config.Upstream) { c.CAFile, c.Auth = ca, auth })
	if got := seen(t, u); got != "one" {
		t.Errorf("got %q", got)
	}
	pair, err := newPair(auth, u.carrier, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	_, newKey, newCert := keyPair(t, "two")
	for from, to := range map[string]string{newKey: keyFile, newCert: certFile} {
		text, _ := os.ReadFile(from)
		replace(t, to, string(text), 0o600)
	}
	pair.(*rotating[*tls.Certificate]).next.Store(0)
	leaf, _ := x509.ParseCertificate(pair.get().Certificate[0])
	if leaf.Subject.CommonName != "two" {
		t.Errorf("got %q", leaf.Subject.CommonName)
	}
}
