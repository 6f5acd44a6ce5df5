package auth

import (
	"time"

	"gatehouse/gateway/kin"
)

// Subject is the verified caller. It is never changed after authentication and
// is shared by all requests with the same token.
type Subject struct {
	Issuer, ID   string // iss and sub: the principal is the pair
	Client       string // OAuth client id; never empty
	Machine      bool   // no user stands behind the token: sub is the client itself
	Roles        []string
	Organization string   // "Organization/2" or ""
	FHIRUser     string   // "Practitioner/7" or ""
	Patient      string   // launch patient, "Patient/1" or ""
	Encounter    string   // launch encounter, "Encounter/1" or ""
	Context      []string // what else the app was launched about: "ImagingStudy/1", a canonical, each behind "role|" where it has one
	Purpose      []string
	PCF          []byte   // extensions.ihe_pcf as the token has it, JSON; nil: none
	Scopes       []string // as granted, not interpreted; nil where the issuer's tokens carry none
	SMART        bool     // scopes bound what may be done (issuer's `scopes: smart`)
	ACR          string
	AuthTime     time.Time // zero where unknown
	TokenID      string    // jti, "" where absent
	Session      string    // sid, "" where absent
	Kin          kin.Marks // of the surname and address that the token tells; what they are is not kept
	Bound        bool      // the token is bound to a key that the caller has proved (DPoP, mTLS)
	Expires      time.Time // never served after
}

// Key names the principal in handles, limits and audit: the issuer and subject,
// joined so that no two principals share a key. A client is never the user who
// has its name (RFC 9068 §5).
func (s *Subject) Key() string {
	if s.Machine {
		return s.Issuer + "\x00\x00" + s.ID
	}
	return s.Issuer + "\x00" + s.ID
}
