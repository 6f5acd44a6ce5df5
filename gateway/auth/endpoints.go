package auth

import "cmp"

// Endpoints are where an issuer's clients go, as its discovery document says.
type Endpoints struct {
	Authorization, Token, Introspection, Revocation string   // absolute URLs, "" where it has none
	Scopes                                          []string // that it says it grants; nil where it does not say
}

// Endpoints of the first issuer, in the order of the configuration, whose
// tokens carry SMART scopes and whose document is known; zero while none is.
func (a *Authenticator) Endpoints() Endpoints {
	for _, name := range a.order {
		i := a.issuers[name]
		m := i.keys.meta.Load()
		if m != nil && cmp.Or(i.config.Scopes, "smart") == "smart" {
			e := Endpoints{m.Authorization, m.Token, m.Introspection, m.Revocation, nil}
			list, _ := m.Scopes.([]any)
			for _, v := range list {
				if s, ok := v.(string); ok {
					e.Scopes = append(e.Scopes, s)
				}
			}
			return e
		}
	}
	return Endpoints{}
}
