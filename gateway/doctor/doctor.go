// Package doctor finds out how an upstream and the issuers behave, and says what
// to write in the configuration because of it. It reads and never writes.
package doctor

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/upstream"

	"github.com/goccy/go-yaml"
)

// The states of a finding.
const (
	Good    = "good"    // as it should be
	Note    = "note"    // to know
	Problem = "problem" // to change
)

// Finding is one thing that was found out. It names no record.
type Finding struct {
	Of    string `json:"of"`   // upstream, or the issuer's name
	Area  string `json:"area"` // capabilities, search, paging, ids, versions, tls, clock, reach, profile
	State string `json:"state"`
	Text  string `json:"text"`
	Set   string `json:"set,omitempty"` // what to write in the configuration
}

func (f Finding) String() string {
	if f.Set != "" {
		return fmt.Sprintf("%s %s: %s: %s; set %s", f.Of, f.Area, f.State, f.Text, f.Set)
	}
	return fmt.Sprintf("%s %s: %s: %s", f.Of, f.Area, f.State, f.Text)
}

// examination is one run.
type examination struct {
	cfg   *config.Config
	up    *upstream.Upstream
	now   func() time.Time
	of    string // whom findings are of now; "": the upstream
	found []Finding
}

func (x *examination) tell(area, state, set, format string, args ...any) {
	x.found = append(x.found, Finding{cmp.Or(x.of, "upstream"), area, state, fmt.Sprintf(format, args...), set})
}

// Examine probes the upstream of a configuration and asks its issuers for the
// time. What cannot be asked is a finding of its own.
func Examine(ctx context.Context, cfg *config.Config, up *upstream.Upstream, now func() time.Time) []Finding {
	x := &examination{cfg: cfg, up: up, now: now}
	c, err := x.capabilities(ctx)
	if err != nil {
		x.tell("capabilities", Problem, "", "%v", err)
		return x.found
	}
	x.describe(c)
	x.profile(c.Software.Name)
	x.connection(ctx)
	x.clocks(ctx)
	typ, rows := x.someRows(ctx)
	if typ == "" {
		x.tell("search", Note, "", "the server shows no resource to the gateway, so how it searches is not known")
		return x.found
	}
	x.searches(ctx, typ)
	x.paging(ctx, typ, rows)
	x.ids(rows)
	x.versions(ctx, c, typ, rows)
	return x.found
}

//go:embed profiles.yaml
var profilesFile []byte

// Profile is what is known of one product.
type Profile struct {
	Name   string   `yaml:"name"`
	Match  []string `yaml:"match"`
	Quirks []struct {
		What string `yaml:"what"`
		Set  string `yaml:"set"`
	} `yaml:"quirks"`
}

// Profiles are the products that are known.
func Profiles() ([]Profile, error) {
	var list []Profile
	err := yaml.UnmarshalWithOptions(profilesFile, &list, yaml.Strict())
	return list, err
}

func (x *examination) profile(software string) {
	list, err := Profiles()
	if err != nil {
		x.tell("profile", Problem, "", "%v", err)
		return
	}
	software = strings.ToLower(software)
	for _, p := range list {
		if !slices.ContainsFunc(p.Match, func(part string) bool { return strings.Contains(software, part) }) {
			continue
		}
		for _, q := range p.Quirks {
			x.tell("profile "+p.Name, Note, q.Set, "%s", q.What)
		}
		return
	}
	x.tell("profile", Note, "", "nothing is known of this product; known are %s", names(list))
}

func names(list []Profile) string {
	var all []string
	for _, p := range list {
		all = append(all, p.Name)
	}
	return strings.Join(all, ", ")
}
