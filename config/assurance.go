package config

import (
	"net/http"
	"slices"
	"strings"
)

// ownHeaders are those that mean something else already.
var ownHeaders = []string{"Accept", "Authorization", "Content-Length", "Content-Type", "Cookie", "Dpop", "Host", "If-Match", "If-Modified-Since", "If-None-Exist",
	"If-None-Match", "Origin", "Prefer", "Transfer-Encoding", "X-Request-Id"}

// checkAssurance checks what callers' logins and purposes are held to.
func (l *loader) checkAssurance(c *Config) {
	for i, acr := range c.ACROrder {
		if acr == "" || strings.TrimSpace(acr) != acr {
			l.report(index("acr_order", i), "%q is no acr; write it as tokens have it", acr)
		} else if slices.Index(c.ACROrder, acr) < i {
			l.report(index("acr_order", i), "%q stands here twice; keep one of them", acr)
		}
	}
	if name := c.PurposeHeader; name != "" && (strings.ContainsFunc(name, notToken) || slices.Contains(ownHeaders, http.CanonicalHeaderKey(name))) {
		l.report("purpose_header", "%q is no header of its own; write X-Purpose-Of-Use", name)
	}
	if e := c.Emergency; e != nil && e.StepUp.ACR != "" && len(c.ACROrder) > 0 && !slices.Contains(c.ACROrder, e.StepUp.ACR) {
		l.report("emergency.step_up.acr", "is not in acr_order; write one of %s", strings.Join(c.ACROrder, ", "))
	}
}

func notToken(r rune) bool {
	return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') && r != '-'
}

// checkPurposes holds a client that may assert a purpose to those that it lists.
func (l *loader) checkPurposes(id string, client Client, all Client) {
	key := join("clients", id) + ".purpose_header"
	switch {
	case !client.PurposeHeader || !l.has(key):
	case id == "*":
		l.report(key, "lets every client assert a purpose; write it in the entries of those that may")
	case len(client.Purposes) == 0 && len(all.Purposes) == 0:
		l.report(key, "needs purposes, the ones that may be asserted; for example purposes: [TREAT]")
	case slices.Contains(client.Purposes, "BTG"):
		l.report(key, "does not break the glass; take BTG out of purposes, or see emergency")
	}
}
