package gateway

import (
	"net/http"
	"slices"
)

// cors are the origins whose pages may call the FHIR API (SMART-09).
type cors struct {
	origins []string
	purpose string // header of the purpose of use
}

func newCORS(origins []string, purpose string) cors { return cors{origins, purpose} }

const exposed = "ETag, Location, Content-Location, Last-Modified, Retry-After, X-Progress, X-Record-Notice, X-Request-Id, WWW-Authenticate, DPoP-Nonce"

var vary = []string{"Authorization, Origin"}

// answer marks an answer as readable for a registered origin; errors too,
// without which an app in a browser cannot tell why it was refused.
func (c cors) answer(h http.Header, r *http.Request) {
	h["Vary"] = vary
	if origin := r.Header.Get("Origin"); origin != "" && slices.Contains(c.origins, origin) {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", exposed)
	}
}

// preflight answers OPTIONS, which carries no token. An origin that is not
// registered gets the same answer without leave.
func (c cors) preflight(w http.ResponseWriter) {
	h := w.Header()
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, DPoP, Content-Type, Accept, Prefer, If-Match, If-None-Match, If-Modified-Since, If-None-Exist, X-Request-Id, "+c.purpose)
		h.Set("Access-Control-Max-Age", "600")
	}
	h.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	w.WriteHeader(http.StatusNoContent)
}
