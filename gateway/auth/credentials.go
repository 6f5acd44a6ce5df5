package auth

import (
	"net/http"
	"net/url"
	"strings"
)

// maxToken is the longest token that is looked at (DESIGN §10.13).
const maxToken = 16 << 10

// credentials are what the Authorization header holds.
type credentials struct {
	token string
	dpop  bool // scheme DPoP instead of Bearer
}

// credentialsOf takes the token from the one place where it may stand. A token
// anywhere else ends up in logs and histories, and a second one may be what
// another reader of the request believes (BEAR-01, T-15, J-13).
func credentialsOf(r *http.Request) (credentials, *failure) {
	if inQuery(r.URL.RawQuery) {
		return credentials{}, fail(CodeMisplaced, "token in the query")
	}
	if r.Header["Sec-Websocket-Protocol"] != nil {
		return credentials{}, fail(CodeMisplaced, "Sec-WebSocket-Protocol header")
	}
	if inCookie(r.Header["Cookie"]) {
		return credentials{}, fail(CodeMisplaced, "token in a cookie")
	}
	header := r.Header["Authorization"]
	switch {
	case len(header) == 0:
		return credentials{}, fail(CodeMissing, "no Authorization header")
	case len(header) > 1:
		return credentials{}, fail(CodeMisplaced, "%d Authorization headers", len(header))
	}
	return parseAuthorization(header[0])
}

func parseAuthorization(header string) (credentials, *failure) {
	scheme, token, ok := strings.Cut(header, " ")
	var c credentials
	switch {
	case strings.EqualFold(scheme, "Bearer"):
	case strings.EqualFold(scheme, "DPoP"):
		c.dpop = true
	case strings.Contains(header, ","):
		return c, fail(CodeMisplaced, "a list of credentials")
	default:
		return c, fail(CodeMissing, "an authorization scheme that is not taken")
	}
	if !ok || token == "" {
		return c, fail(CodeMissing, "no token after the scheme")
	}
	if len(token) > maxToken {
		return c, fail(CodeInvalid, "token of %d bytes", len(token))
	}
	c.token = token
	return c, nil
}

// checkSyntax refuses what is no b64token of RFC 6750 §2.1. It is looked at
// only where a token is not remembered.
func checkSyntax(token string) *failure {
	for i := range len(token) {
		switch b := token[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', strings.IndexByte("-._~+/=", b) >= 0:
		case b == ',' || b == ' ' || b == '\t':
			return fail(CodeMisplaced, "a list of credentials")
		default:
			return fail(CodeInvalid, "token with characters that no token has")
		}
	}
	return nil
}

// inQuery tells whether a query names access_token in any spelling. FHIR knows
// no such parameter.
func inQuery(query string) bool {
	for query != "" {
		var pair string
		if i := strings.IndexAny(query, "&;"); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			pair, query = query, ""
		}
		name, _, _ := strings.Cut(pair, "=")
		if strings.Contains(name, "%") {
			name, _ = url.QueryUnescape(name)
		}
		if strings.EqualFold(name, "access_token") {
			return true
		}
	}
	return false
}

// inCookie tells whether a cookie bears the name of a credential. Other cookies
// are those of other applications on the same host, and mean nothing here.
func inCookie(lines []string) bool {
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
			switch strings.ToLower(name) {
			case "access_token", "token", "bearer", "authorization":
				return true
			}
		}
	}
	return false
}
