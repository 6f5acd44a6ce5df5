package config

import (
	"net/url"
	"strings"
	"time"
	_ "time/tzdata" // a container may have no zones of its own
)

// Consent says where consents come from and what their absence means.
type Consent struct {
	// upstream: its own Consent resources; none: consents are not consulted; or
	// the FHIR base of a separate consent server, https://consents.example.org/fhir.
	Source string `yaml:"source" default:"upstream"`
	// How the gateway comes to the separate server; with such a source alone.
	Server *ConsentServer `yaml:"server"`
	// For patients with no active consent: permit, deny, or a policy of IHE PCF.
	// Policy-basic-normal permits clinicians for treatment;
	// Policy-break-glass-only nobody without an emergency grant, since a token
	// that says BTG has broken no glass.
	Default string `yaml:"default" default:"deny" oneof:"permit deny Policy-basic-normal Policy-all-normal Policy-break-glass-only Policy-deny"`
	// Of several consents that speak of an access: one that denies decides, or
	// the newest by its date.
	Conflicts string `yaml:"conflicts" default:"deny" oneof:"deny newest"`
	// Whose Consents count: performer or organization (R5: grantor, manager,
	// controller), as Organization/2 or system|value. Left out: every Consent
	// that the source holds. Those written through …/_gatehouse/consents count
	// in any case.
	Authors []string `yaml:"authors"`
	// Token roles that are clinicians to the policies of IHE PCF.
	ClinicianRoles []string `yaml:"clinician_roles" default:"clinician,physician,nurse"`
	// Token roles that may list, give and revoke the consents of any patient
	// that they name: a portal, a representative's desk. Left out: nobody but
	// patients themselves.
	PortalRoles []string `yaml:"portal_roles"`
	// OAuth clients with which consents are given and revoked, whatever their
	// scopes; left out: those whose token has a scope that names Consent, such
	// as patient/Consent.cu (c to give, u to revoke). patient/*.cruds is none.
	Clients []string `yaml:"clients"`
	// Zone of dates without one, for instance Europe/Berlin: a consent until
	// 2026-05-01 ends there with that day.
	TimeZone string `yaml:"time_zone" default:"UTC"`
	// How old a consent may be when it decides; 0s: always asked for again.
	MaxStaleness Duration `yaml:"max_staleness" default:"5s" zero:"true"`

	Parsed *url.URL       `yaml:"-"` // Source where it is a URL, without a trailing slash
	Zone   *time.Location `yaml:"-"` // TimeZone
}

// ConsentServer is how the gateway speaks to a consent server of its own.
type ConsentServer struct {
	// The gateway's own credentials there.
	Auth UpstreamAuth `yaml:"auth"`
	// PEM; trusted for this server and its token endpoint instead of the
	// system's roots.
	CAFile string `yaml:"ca_file" path:"certificates"`
	// For an answer.
	Timeout Duration `yaml:"timeout" default:"10s"`
	// Speak plain http to a server that is not on loopback.
	InsecureHTTP bool `yaml:"insecure_http"`
}

func (l *loader) checkConsent(c *Consent) {
	l.checkConsentSource(c)
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil || c.TimeZone == "Local" {
		l.report("consent.time_zone", "%q is no time zone; write one such as Europe/Berlin", l.show("consent.time_zone", c.TimeZone))
	}
	c.Zone = zone
	for i, author := range c.Authors {
		typ, id, ref := strings.Cut(author, "/")
		system, value, identifier := strings.Cut(author, "|")
		if !(identifier && system != "" && value != "" || !identifier && ref && typ != "" && id != "" && !strings.Contains(id, "/")) {
			key := index("consent.authors", i)
			l.report(key, "%q names no author; write a reference such as Organization/2, or an identifier as system|value", l.show(key, author))
		}
	}
}

func (l *loader) checkConsentSource(c *Consent) {
	const key, server = "consent.source", "consent.server"
	if c.Source == "upstream" || c.Source == "none" || l.failed(key) {
		if l.has(server) {
			l.report(server, "has no effect with source: %s; remove it, or write the URL of the consent server as consent.source", c.Source)
		}
		return
	}
	if !strings.Contains(c.Source, "://") {
		l.report(key, "%q is not known; write upstream, none or the FHIR base of a consent server", l.show(key, c.Source))
		return
	}
	if c.Parsed = l.checkURL(key, c.Source); c.Parsed == nil {
		return
	}
	if c.Server == nil {
		c.Server = &ConsentServer{Auth: UpstreamAuth{Type: "none"}, Timeout: Duration(10 * time.Second)}
	}
	l.checkPlain(key, c.Parsed, c.Server.InsecureHTTP)
	l.checkUpstreamAuth(server+".auth", &c.Server.Auth, c.Server.InsecureHTTP)
	if c.Server.Auth.Type == "mtls" && c.Parsed.Scheme != "https" {
		l.report(server+".auth.type", "mtls needs an https consent.source")
	}
}
