package auth

import "cmp"

// Endpoints are where an issuer's clients go, as its discovery document says.
type Endpoints struct {
	Authorization, Token, Introspection, Revocation string // absolute URLs, "" where it has none
}

// Endpoints of the first issuer, in the order of the configuration, whose
// tokens carry SMART scopes and whose document is known; zero while none is.
func (a *Authenticator) Endpoints() Endpoints {
	for _, name := range a.order {
		i := a.issuers[name]
		m := i.keys.meta.Load()
		if m != nil && cmp.Or(i.config.Scopes, "smart") == "smart" {
			return Endpoints{m.Authorization, m.Token, m.Introspection, m.Revocation}
		}
	}
	return Endpoints{}
}
