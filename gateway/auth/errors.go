package auth

import (
	"fmt"
	"net/url"
	"strings"
)

// Error is a request that is not authenticated.
type Error struct {
	Status     int      // 400, 401 or 503
	Code       string   // stable, one of the Code constants
	Challenges []string // WWW-Authenticate values, for 401 (RFC 6750 §3, RFC 9449 §7.1)
	Text       string   // for the client
	Log        string   // for the log: says why; holds no token and no claim values
}

func (e *Error) Error() string { return e.Code + ": " + e.Log }

// The stable codes of Error.
const (
	CodeMissing     = "token.missing"      // 401: no credentials, or of a scheme that is not taken
	CodeMisplaced   = "token.misplaced"    // 400: in the query, a cookie, or more than once
	CodeInvalid     = "token.invalid"      // 401: not a token that this gateway takes
	CodeExpired     = "token.expired"      // 401
	CodeAudience    = "token.audience"     // 401: meant for another service
	CodeRevoked     = "token.revoked"      // 401: ended before its time, or not active at its issuer
	CodeBinding     = "token.binding"      // 401: bound to a key that was not proved, or not bound where it must be
	CodeProof       = "token.proof"        // 401: the DPoP proof is not accepted
	CodeNonce       = "token.nonce"        // 401: the DPoP proof lacks a nonce of the gateway's, see Nonce
	CodeUnavailable = "issuer.unavailable" // 503: its keys or its answer cannot be had
)

var texts = map[string]string{
	CodeMissing:     "Send an access token in the Authorization header.",
	CodeMisplaced:   "Send exactly one access token, in the Authorization header and nowhere else.",
	CodeInvalid:     "The access token is not accepted. Get a new one from your authorization server.",
	CodeExpired:     "The access token has expired. Get a new one.",
	CodeAudience:    "The access token is meant for another service. Ask for one with this server as audience.",
	CodeRevoked:     "The access token is not active any more. Sign in again.",
	CodeBinding:     "The access token is bound to a key. Send the matching proof with it.",
	CodeProof:       "The DPoP proof is not accepted. Make a new one for this request.",
	CodeNonce:       "Make the DPoP proof again with the nonce in the header DPoP-Nonce.",
	CodeUnavailable: "The authorization server cannot be reached to check the token. Try again later.",
}

// failure is a reason to refuse: a code, and what the log is told.
type failure struct{ code, log string }

func (f *failure) Error() string { return f.code + ": " + f.log }

func fail(code, format string, args ...any) *failure {
	return &failure{code: code, log: fmt.Sprintf(format, args...)}
}

// challenger writes WWW-Authenticate values.
type challenger struct {
	realm, metadata, proofAlgs string
}

func newChallenger(public *url.URL) challenger {
	// RFC 9728 §3.1: the well-known part goes between the host and the path.
	meta := url.URL{Scheme: public.Scheme, Host: public.Host,
		Path: "/.well-known/oauth-protected-resource" + strings.TrimSuffix(public.Path, "/")}
	return challenger{realm: public.String(), metadata: meta.String(), proofAlgs: strings.Join(proofAlgorithms(), " ")}
}

// values are the challenges of one 401, for Bearer and for DPoP; attributes
// are pairs of name and value.
func (c challenger) values(attributes ...string) []string {
	bearer := params("Bearer", append([]string{"realm", c.realm}, append(attributes, "resource_metadata", c.metadata)...))
	dpop := params("DPoP", append([]string{"realm", c.realm, "algs", c.proofAlgs}, append(attributes, "resource_metadata", c.metadata)...))
	return []string{bearer, dpop}
}

func params(scheme string, pairs []string) string {
	var b strings.Builder
	b.WriteString(scheme)
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, ` %s="%s"`, pairs[i], quotable(pairs[i+1]))
	}
	return b.String()
}

// quotable leaves of s what may stand in a quoted-string unescaped
// (RFC 6750 §3): what a caller chose, such as a scope, cannot end it.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
}

// refusal makes the Error of a failure.
func (c challenger) refusal(f *failure) *Error {
	e := &Error{Status: 401, Code: f.code, Text: texts[f.code], Log: f.log}
	switch f.code {
	case CodeMisplaced:
		e.Status = 400
	case CodeUnavailable:
		e.Status = 503
	case CodeMissing: // RFC 6750 §3.1: no error code where nothing was sent
		e.Challenges = c.values()
	case CodeProof:
		e.Challenges = c.values("error", "invalid_dpop_proof", "error_description", e.Text)
	case CodeNonce:
		e.Challenges = c.values("error", "use_dpop_nonce", "error_description", e.Text)
	default:
		e.Challenges = c.values("error", "invalid_token", "error_description", e.Text)
	}
	return e
}
