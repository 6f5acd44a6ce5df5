package config

import (
	"slices"
	"strings"
	"time"
)

// Emergency is breaking the glass: one patient's record, for a limited time,
// whatever their consent, and reviewed afterwards.
type Emergency struct {
	// Token roles that may open it.
	Roles []string `yaml:"roles" required:"[clinician]"`
	// For how long at most; who asks for less gets less.
	MaxDuration Duration `yaml:"max_duration" default:"60m"`
	// The login that opening needs; left out: any.
	StepUp StepUp `yaml:"step_up"`
	// Channels of notify that hear of each opening.
	Notify []string `yaml:"notify"`
	// How soon somebody of the privacy role must have reviewed it.
	ReviewWithin Duration `yaml:"review_within" default:"72h"`
	// Who has a review overdue opens no other.
	BlockOverdue bool `yaml:"block_overdue" default:"true"`
}

// StepUp is how strong and how fresh a login must be.
type StepUp struct {
	// This acr, or one that acr_order puts above it.
	ACR string `yaml:"acr"`
	// Since auth_time.
	MaxAge Duration `yaml:"max_age"`
}

// Channel is a webhook: alerts are posted there as JSON, and nothing else of
// the gateway goes out.
type Channel struct {
	// https, or http on loopback. Redirects are not followed.
	URL string `yaml:"url" required:"https://alerts.example.org/hook"`
	// One line: sent as Authorization: Bearer. Re-read when it changes.
	TokenFile string `yaml:"token_file" path:"secret"`
	// PEM; trusted instead of the system's roots.
	CAFile string `yaml:"ca_file" path:"certificates"`
}

// longestEmergency bounds emergency.max_duration: beyond it, it is no emergency
// but an access that policy should give.
const longestEmergency = 24 * time.Hour

func (l *loader) checkEmergency(c *Config) {
	for _, name := range sorted(c.Notify) {
		key := join("notify", name) + ".url"
		if u := l.checkEndpoint(key, c.Notify[name].URL); u != nil && u.Scheme == "http" && !loopback(u.Hostname()) {
			l.report(key, "is plain http to another machine; write https")
		}
	}
	e := c.Emergency
	if e == nil {
		return
	}
	for i, role := range e.Roles {
		if strings.TrimSpace(role) != role || role == "*" {
			l.report(index("emergency.roles", i), "%q is no role; write one as tokens have it", role)
		}
	}
	if time.Duration(e.MaxDuration) > longestEmergency {
		l.report("emergency.max_duration", "is %s; write at most 24h", e.MaxDuration)
	}
	for i, name := range e.Notify {
		if _, ok := c.Notify[name]; !ok {
			l.report(index("emergency.notify", i), "%q is no channel; declare it: notify: {%s: {url: https://…}}", name, name)
		}
	}
	if c.AdminAuth == nil || !slices.Contains(sorted(c.AdminAuth.Roles), "privacy") {
		l.report("emergency", "needs somebody who reviews; add admin_auth: {issuer: …, roles: {privacy: [privacy-officer]}}")
	}
}
