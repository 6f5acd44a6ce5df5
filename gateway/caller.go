package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/consent"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/limit"
	"gatehouse/gateway/policy"
	"gatehouse/gateway/scope"
	"gatehouse/gateway/view"
)

// caller is a verified subject with what this snapshot's configuration says of
// it. It is made once per token and shared by its requests.
type caller struct {
	subject  *auth.Subject
	grants   *scope.Grants
	client   config.Client
	info     policy.ClientInfo
	actor    consent.Actor
	view     *view.View // the client's own; nil: resources as they are
	viewName string
	domain   string
	parties  []limit.Party // whom its requests count against
	marks    judge.Marks
	bind     string // what its handles are bound to
	session  string // names its login, where the client's entry bounds logins
	glass    string // what its emergency grants are bound to; "": it can have none
	refused  *failure
}

// nobody is the caller of what needs no token.
var nobody = &caller{subject: &auth.Subject{}, grants: scope.Parse(fhir.R4, nil, "", nil)}

// callerOf returns the caller of a subject. Subjects are the same pointer as
// long as their token is remembered, so this is a map lookup but once.
func (s *snapshot) callerOf(subject *auth.Subject) (*caller, error) {
	c, ok := s.callers.Get(subject)
	if !ok {
		c = s.newCaller(subject)
		s.callers.Add(subject, c)
		if subject.SMART {
			s.stores.granted.note(subject.Client, subject.Scopes, s.now())
		}
	}
	if c.refused != nil {
		return c, c.refused
	}
	return c, nil
}

func (s *snapshot) newCaller(subject *auth.Subject) *caller {
	client := s.cfg.Client(subject.Client)
	c := &caller{subject: subject, client: client, grants: scope.Unbound, viewName: client.View, domain: client.Domain}
	if subject.SMART {
		c.grants = scope.Parse(s.grammar.Version, subject.Scopes, subject.Patient, s.grammar.Bases)
	}
	c.marks = s.marks(client, subject)
	c.info = policy.ClientInfo{ID: subject.Client, Config: clientInfo(client)}
	c.actor = consent.Actor{User: subject.FHIRUser, Organization: subject.Organization, Client: subject.Client, Machine: subject.Machine,
		Roles: subject.Roles, Purpose: withoutBTG(subject.Purpose),
		Residual: consent.ReadResidual(subject.PCF, s.bases, s.cfg.Consent.Zone)}
	if client.Session != (config.Session{}) {
		c.session = sessionKey(subject)
	}
	if s.mayBreakGlass(c) {
		c.glass = glassBind(subject)
	}
	c.parties = s.parties(c)
	c.bind = strings.Join([]string{subject.Key(), subject.Client, subject.Patient, client.View, client.Domain,
		strings.Join(subject.Purpose, " ")}, "\x00")
	for _, p := range subject.Purpose {
		if len(client.Purposes) > 0 && !slices.Contains(client.Purposes, p) {
			c.refused = &failure{status: http.StatusForbidden, code: "purpose.not-agreed",
				text: "Your client has no agreement for the purpose of use that the token names."}
		}
	}
	if client.View != "" {
		w, err := s.view(client.View)
		if err != nil {
			c.refused = internal(err)
		}
		c.view = w
	}
	return c
}

// withoutBTG are the purposes that a token may claim towards consents: one that
// says it breaks the glass has not done so (C-12).
func withoutBTG(purposes []string) []string {
	return slices.DeleteFunc(slices.Clone(purposes), func(p string) bool { return p == "BTG" })
}

// versionTag makes the client's version of a resource seen through a view:
// equal versions have equal tags for one client, and tell nothing across
// clients. A view with pseudonyms makes tags that a vread can open again.
func (x *exchange) versionTag(m *matter) func(*view.View, *fhir.Facts) string {
	return func(w *view.View, f *fhir.Facts) string {
		if tag, err := w.Version(m.domain, f.Type, f.ID, f.VersionID); err == nil && tag != f.VersionID {
			return tag
		}
		h := hmac.New(sha256.New, x.s.tagKey)
		for _, part := range []string{f.VersionID, x.caller.viewName, m.domain, x.caller.subject.Client} {
			h.Write([]byte(part))
			h.Write([]byte{0})
		}
		return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
	}
}

// clientInfo is what policy may know of the client's entry.
func clientInfo(c config.Client) map[string]any {
	info := map[string]any{"view": c.View, "domain": c.Domain}
	purposes := make([]any, 0, len(c.Purposes))
	for _, p := range c.Purposes {
		purposes = append(purposes, p)
	}
	info["purposes"] = purposes
	return info
}
