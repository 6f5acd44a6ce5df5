package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/config"
)

// This file refuses tenants that would share something by which one could reach, read
// or name what is another's.

// apart is every reason for which the gateways may not run side by side.
func apart(tenants map[string]*config.Config) error {
	var problems []error
	names := slices.Sorted(maps.Keys(tenants))
	for i, a := range names {
		for _, b := range names[i+1:] {
			for _, why := range slices.Concat(sharedPath(tenants[a], tenants[b]), sharedPlaces(tenants[a], tenants[b]), sharedSecrets(tenants[a], tenants[b]),
				sharedAudience(tenants[a], tenants[b]), sharedNames(tenants[a], tenants[b])) {
				problems = append(problems, fmt.Errorf("tenants %s and %s: %s", a, b, why))
			}
		}
	}
	return errors.Join(problems...)
}

// sharedPath compares without regard to case: a base that differs by that alone would
// be another's by one slip of a pen.
func sharedPath(a, b *config.Config) []string {
	left, right := strings.ToLower(a.Base.EscapedPath())+"/", strings.ToLower(b.Base.EscapedPath())+"/"
	if strings.HasPrefix(left, right) || strings.HasPrefix(right, left) {
		return []string{fmt.Sprintf("public_url: the path of %s is that of %s, or below it; give each a path of its own", a.PublicURL, b.PublicURL)}
	}
	return nil
}

// places are the directories and databases that a gateway writes.
func places(c *config.Config) map[string]string {
	all := map[string]string{"audit.dir": c.Audit.Dir, "state.dir": c.State.Dir}
	if c.Audit.Spool != nil {
		all["audit.spool.dir"] = c.Audit.Spool.Dir
	}
	for i, p := range c.Audit.Publish {
		if p.Path != "" {
			all[fmt.Sprintf("audit.publish[%d].path", i)] = p.Path
		}
	}
	for i, s := range c.Audit.Sinks {
		if s.Path != "" {
			all[fmt.Sprintf("audit.sinks[%d].path", i)] = s.Path
		}
	}
	return all
}

func sharedPlaces(a, b *config.Config) (why []string) {
	theirs := places(b)
	for key, mine := range places(a) {
		for other, place := range theirs {
			if mine, place := real(mine), real(place); inside(mine, place) || inside(place, mine) {
				why = append(why, fmt.Sprintf("%s of one and %s of the other are one directory, or one is inside the other: %s", key, other, mine))
			}
		}
	}
	if a.State.URL != "" && a.State.URL == b.State.URL { // not quoted: it may hold a password
		why = append(why, "state.url is the same; give each a database of its own")
	}
	for i, mine := range a.Audit.Publish {
		if j := slices.IndexFunc(b.Audit.Publish, func(p config.Publish) bool { return p.URL == mine.URL }); j >= 0 && (mine.Type == "s3" || mine.Type == "http") {
			why = append(why, fmt.Sprintf("audit.publish[%d].url of one and audit.publish[%d].url of the other are the same: each would write over the other's checkpoints", i, j))
		}
	}
	slices.Sort(why)
	return why
}

// real follows links as far as the path is there.
func real(path string) string {
	for rest := ""; ; {
		if found, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(found, rest)
		}
		parent := filepath.Dir(path)
		if parent == path {
			return filepath.Join(path, rest)
		}
		path, rest = parent, filepath.Join(filepath.Base(path), rest)
	}
}

func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// sharedSecrets compares every key of one with every key of the other: with one in
// common, handles, pseudonyms or records of one would open at the other.
func sharedSecrets(a, b *config.Config) (why []string) {
	theirs := keysOf(b)
	for _, mine := range keysOf(a) {
		if i := slices.IndexFunc(theirs, func(k namedKey) bool { return bytes.Equal(k.key, mine.key) }); i >= 0 {
			why = append(why, fmt.Sprintf("%s of one and %s of the other hold the same key; make one for each: gatehouse keys new FILE", mine.name, theirs[i].name))
		}
	}
	return slices.Compact(why)
}

// sharedAudience finds tokens that would be good at both: an issuer that both believe,
// and an audience that both accept.
func sharedAudience(a, b *config.Config) (why []string) {
	for _, mine := range a.Issuers {
		for _, theirs := range b.Issuers {
			if mine.Issuer != theirs.Issuer && !sameIntrospection(&mine.Introspection, &theirs.Introspection) {
				continue
			}
			for _, audience := range mine.Audiences {
				if slices.Contains(theirs.Audiences, audience) {
					why = append(why, fmt.Sprintf("a token of %s for %s would be good at both; give each an audience of its own", mine.Issuer, audience))
				}
			}
		}
	}
	return why
}

// sameIntrospection tells whether two issuers have opaque tokens looked up at one
// place, whose answers need not say of which issuer a token is.
func sameIntrospection(a, b *config.Introspection) bool {
	return a.Mode != "never" && b.Mode != "never" && a.URL != "" && a.URL == b.URL
}

// sharedNames finds one pseudonym service that names for both in one domain: a
// pseudonym of one would lead the other to its record of the same id.
func sharedNames(a, b *config.Config) []string {
	mine, theirs := a.Pseudonyms.Service, b.Pseudonyms.Service
	if mine == nil || theirs == nil || strings.TrimRight(mine.URL, "/") != strings.TrimRight(theirs.URL, "/") || mine.Target != theirs.Target {
		return nil
	}
	return []string{fmt.Sprintf("pseudonyms.service: both name in %s at one service; give each a target of its own", mine.Target)}
}

// checkTenants is Check for a file with tenants: of each, and of what they may not share.
func checkTenants(path string, out io.Writer) error {
	outer, tenants, problems := config.LoadTenants(path)
	if err := problems.Err(); err != nil {
		return err
	}
	errs := []error{apart(tenants)}
	for _, name := range slices.Sorted(maps.Keys(tenants)) {
		if err := checkOne(outer.Tenants[name], tenants[name], out); err != nil {
			errs = append(errs, fmt.Errorf("tenant %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
