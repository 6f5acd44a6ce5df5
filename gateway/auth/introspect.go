package auth

import (
	"context"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// introspect asks the issuer about a token (RFC 7662). Whatever is not a clear
// answer is a failure of the issuer, which denies (INTR-03).
func (i *issuer) introspect(ctx context.Context, token string) (claims, *failure) {
	answer, err := i.postToken(ctx, token)
	if err != nil {
		return nil, fail(CodeUnavailable, "introspection at issuer %s: %v", i.config.Issuer, err)
	}
	if string(answer["active"]) != "true" { // INTR-01: the boolean alone
		return nil, fail(CodeRevoked, "issuer %s says the token is not active", i.config.Issuer)
	}
	if iss, ok := text(answer["iss"]); answer["iss"] != nil && (!ok || iss != i.config.Issuer) {
		return nil, fail(CodeInvalid, "introspection answer is of another issuer than %s", i.config.Issuer)
	}
	if !isAccessToken(answer) {
		return nil, fail(CodeInvalid, "not an access token")
	}
	return answer, nil
}

func (i *issuer) postToken(ctx context.Context, token string) (claims, error) {
	endpoint := i.config.Introspection.URL
	if meta := i.keys.meta.Load(); endpoint == "" && meta != nil {
		endpoint = meta.Introspection
	}
	if endpoint == "" {
		return nil, fmt.Errorf("no introspection endpoint is known")
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	// RFC 6749 §2.3.1 encodes both before they are joined.
	req.SetBasicAuth(url.QueryEscape(i.config.Introspection.ClientID), url.QueryEscape(i.secret))
	resp, err := i.keys.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answer %s", resp.Status)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" {
		return nil, fmt.Errorf("answer is not application/json")
	}
	doc, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	answer, err := parseClaims(doc)
	if err == nil && answer["active"] == nil {
		err = fmt.Errorf("answer does not say active") // SMART-28
	}
	return answer, err
}

// isAccessToken refuses refresh, ID and logout tokens, which are active, too.
// Keycloak says the kind in typ.
func isAccessToken(answer claims) bool {
	kind, _ := text(answer["token_type"])
	typ, _ := text(answer["typ"])
	switch strings.ToLower(kind) {
	case "", "bearer", "dpop", "access_token", "urn:ietf:params:oauth:token-type:access_token":
	default:
		return false
	}
	return typ == "" || strings.EqualFold(typ, "Bearer") || strings.EqualFold(typ, "DPoP")
}

// confirm lays the issuer's present answer over the claims of a JWT: what the
// answer says is newer, what it leaves out stands as it was signed. Where the
// two speak of different principals or keys, neither is believed.
func confirm(signed, answer claims) (claims, *failure) {
	for _, name := range []string{"iss", "sub", "client_id", "azp", "jti", "cnf"} {
		if a, s := answer[name], signed[name]; a != nil && s != nil && !sameValue(a, s) {
			return nil, fail(CodeInvalid, "introspection answer contradicts the token's %s", name)
		}
	}
	both := maps.Clone(signed)
	maps.Copy(both, answer)
	return both, nil
}

// sameValue compares two values in canonical form (RFC 8785).
func sameValue(a, b jsontext.Value) bool {
	a, b = a.Clone(), b.Clone()
	return a.Canonicalize() == nil && b.Canonicalize() == nil && string(a) == string(b)
}
