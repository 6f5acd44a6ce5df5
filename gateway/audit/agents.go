package audit

import (
	"net/netip"
	"strings"
)

func (x *exporter) agents(r *Record, p pattern) []agent {
	l := []agent{x.client(r, p.client), x.server(p.server)}
	if comprehensive(r, p) {
		l[0].Type.Coding = append(l[0].Type.Coding, application)
	}
	if r.Caller.Subject == "" {
		l[0].Requestor = true
		return l
	}
	l = append(l, user(r, p.user))
	if r.Caller.Organization != "" {
		l = append(l, organization(r))
	}
	return l
}

// comprehensive says whether the event can meet the pattern that tells most of a
// token: it names the client by its id, and the user as who received something.
func comprehensive(r *Record, p pattern) bool {
	return p.user == recipient && r.Caller.Client != "" && r.Caller.Subject != "" && strings.HasPrefix(r.Caller.Token, jtiPrefix)
}

// client is the application, as its token and its connection name it.
func (x *exporter) client(r *Record, role coding) agent {
	who := &reference{Identifier: &identifier{Value: r.Caller.Client}}
	if r.Caller.Client == "" {
		who = &reference{Display: "unknown"}
	}
	return agent{Type: &concept{Coding: []coding{role}}, Who: who, Network: networkOf(r.Address)}
}

func (x *exporter) server(role coding) agent {
	host := strings.TrimPrefix(x.origin, "gatehouse/")
	if end := strings.IndexAny(host, "/@"); end >= 0 {
		host = host[:end]
	}
	return agent{
		Type:    &concept{Coding: []coding{role}},
		Who:     &reference{Identifier: &identifier{Value: x.origin}},
		Network: &network{Address: host, Type: "1"},
	}
}

// networkOf tells an address (type 2) from a name (type 1).
func networkOf(address string) *network {
	if _, err := netip.ParseAddr(address); err == nil {
		return &network{Address: address, Type: "2"}
	}
	if address == "" {
		address = "unknown"
	}
	return &network{Address: address, Type: "1"}
}

// user is the person or service behind the token (AUD-06): no network, since
// nobody is a network device.
func user(r *Record, role coding) agent {
	c := &r.Caller
	a := agent{
		Type:         &concept{Coding: []coding{role}},
		Who:          &reference{Reference: relative(c.User), Identifier: &identifier{System: c.Issuer, Value: c.Subject}},
		Name:         c.Name,
		Requestor:    true,
		PurposeOfUse: purposes(c.Purpose),
	}
	if c.Token != "" {
		a.Type.Coding = append(a.Type.Coding, oauthUser)
		a.Policy = []string{c.Token}
	}
	for _, role := range c.Roles {
		a.Role = append(a.Role, concept{Text: role})
	}
	return a
}

// relative lets pass what is a reference, so that a hostile claim does not
// become one.
func relative(ref string) string {
	if typ, id, ok := strings.Cut(ref, "/"); ok && typ != "" && id != "" && !strings.ContainsAny(ref, `\ :?#`) {
		return ref
	}
	return ""
}

func organization(r *Record) agent {
	a := agent{Type: one(sysRoleClass, "PROV", "healthcare provider"), Who: &reference{Display: "unknown"}}
	if o := r.Caller.Organization; relative(o) != "" {
		a.Who = &reference{Reference: o}
	} else if o != "" {
		a.Who = &reference{Identifier: &identifier{Value: o}}
	}
	return a
}

func purposes(codes []string) []concept {
	var l []concept
	for _, c := range codes {
		l = append(l, concept{Coding: []coding{{System: sysActReason, Code: c}}})
	}
	return l
}
