//go:build real

package real

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// Scopes that tests ask for.
const (
	userReads  = "user/*.rs fhirUser"
	userWrites = "user/*.cruds fhirUser"
	patientApp = "launch/patient fhirUser patient/*.rs"
)

// tokens are kept well below their lifetime of five minutes.
var tokens struct {
	sync.Mutex
	known map[string]issued
}

type issued struct {
	token string
	at    time.Time
}

// user is a token of somebody at a workplace, by the password grant.
func user(t *testing.T, name, scope string) string {
	t.Helper()
	return token(t, url.Values{"grant_type": {"password"}, "client_id": {"ward-app"}, "client_secret": {"ward-app-secret"},
		"username": {name}, "password": {"password"}, "scope": {scope}})
}

// patient is a token of p1's app.
func patient(t *testing.T, scope string) string {
	t.Helper()
	return token(t, url.Values{"grant_type": {"password"}, "client_id": {"patient-app"}, "username": {"pat"}, "password": {"password"}, "scope": {scope}})
}

func researcher(t *testing.T) string {
	t.Helper()
	return token(t, url.Values{"grant_type": {"password"}, "client_id": {"research-app"}, "client_secret": {"research-app-secret"},
		"username": {"rob"}, "password": {"password"}, "scope": {"user/*.rs"}})
}

func backend(t *testing.T) string {
	t.Helper()
	return token(t, url.Values{"grant_type": {"client_credentials"}, "client_id": {"backend"}, "client_secret": {"backend-secret"}, "scope": {"system/*.rs"}})
}

func token(t *testing.T, form url.Values) string {
	t.Helper()
	tokens.Lock()
	defer tokens.Unlock()
	key := form.Encode()
	if k, ok := tokens.known[key]; ok && time.Since(k.at) < 2*time.Minute {
		return k.token
	}
	got := grant(t, realm.issuer, form)
	if tokens.known == nil {
		tokens.known = map[string]issued{}
	}
	tokens.known[key] = issued{got, time.Now()}
	return got
}

func forgetTokens() {
	tokens.Lock()
	defer tokens.Unlock()
	tokens.known = nil
}

func grant(t *testing.T, issuer string, form url.Values) string {
	t.Helper()
	resp, err := plain.PostForm(issuer+"/protocol/openid-connect/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		Token string `json:"access_token"`
		Error string `json:"error_description"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.Token == "" {
		t.Fatalf("token of %s: status %d, %q, %v", form.Get("client_id"), resp.StatusCode, got.Error, err)
	}
	return got.Token
}

// administer sends a request to Keycloak's admin API for the realm.
func (k *keycloak) administer(t *testing.T, method, path string, body any) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(method, k.url+"/admin/realms/hospital"+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	admin := grant(t, k.url+"/realms/master", url.Values{"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {"admin"}, "password": {"admin"}})
	r.Header.Set("Authorization", "Bearer "+admin)
	r.Header.Set("Content-Type", "application/json")
	resp, err := plain.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: status %d", method, path, resp.StatusCode)
	}
}

// keyID is the `kid` of a token, as text of its header.
func keyID(t *testing.T, token string) string {
	t.Helper()
	var header struct{ Kid string }
	raw, _, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(raw)
	if err == nil {
		err = json.Unmarshal(b, &header)
	}
	if err != nil {
		t.Fatal(err)
	}
	return header.Kid
}
