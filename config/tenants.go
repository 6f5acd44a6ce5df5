package config

import (
	"path/filepath"
	"reflect"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// This file is about one process that is several gateways: an outer file with the
// listeners, and a file of each tenant with everything else.

// maxTenants bounds what stands in metrics as a label, and the stores held open.
const maxTenants = 64

// ofProcess are the keys that belong to a process and not to a gateway of it.
var ofProcess = []string{"listen", "admin", "tls", "insecure_http", "drain_delay"}

var tenantName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// HasTenants tells whether a file is one of several gateways, LoadTenants' and not
// Load's. A file that cannot be read is none: Load says why.
func HasTenants(path string) bool {
	text, err := readBounded(path, maxFile)
	if err != nil {
		return false
	}
	root, problem := parse(text)
	if problem != nil {
		return false
	}
	var members []*ast.MappingValueNode
	switch m := root.(type) {
	case *ast.MappingNode:
		members = m.Values
	case *ast.MappingValueNode:
		members = append(members, m)
	}
	return slices.ContainsFunc(members, func(v *ast.MappingValueNode) bool { return v.Key.GetToken().Value == "tenants" })
}

// LoadTenants reads a file that HasTenants and those that it names, and returns
// every problem of any of them. The outer Config has the listeners alone; those of
// the tenants have them too.
func LoadTenants(path string) (outer *Config, tenants map[string]*Config, all Problems) {
	if outer, all = LoadOuter(path); len(all) > 0 {
		return nil, nil, all
	}
	tenants = map[string]*Config{}
	for _, name := range sorted(outer.Tenants) {
		c, problems := outer.LoadTenant(name)
		all, tenants[name] = append(all, problems...), c
	}
	if len(all) > 0 {
		return nil, nil, all
	}
	return outer, tenants, nil
}

// LoadOuter reads a file that HasTenants, and not those that it names.
func LoadOuter(path string) (*Config, Problems) { return newLoader(path).load() }

// LoadTenant is Load for the file of a tenant of c.
func (c *Config) LoadTenant(name string) (*Config, Problems) {
	l := newLoader(c.Tenants[name])
	l.outer, l.called = c, name
	return l.load()
}

// SameProcess tells whether the listeners and the names of the tenants are the same.
func (c *Config) SameProcess(other *Config) bool {
	return c.Listen == other.Listen && c.Admin == other.Admin && c.InsecureHTTP == other.InsecureHTTP && c.DrainDelay == other.DrainDelay &&
		reflect.DeepEqual(c.TLS, other.TLS) && reflect.DeepEqual(c.Tenants, other.Tenants)
}

// elsewhere tells whether another file has a key that is required.
func (l *loader) elsewhere(key string) bool {
	if l.has("tenants") {
		return parent(key) == "" && !slices.Contains(ofProcess, key)
	}
	return l.has("tenant") && slices.Contains(ofProcess, key)
}

// plain tells whether plain http is allowed, or not known of: a tenant's file that is
// loaded alone does not say how it is served.
func (l *loader) plain(c *Config) bool { return c.InsecureHTTP || c.Tenant != "" && l.outer == nil }

// checkParted checks what the two kinds of file may have, and all of an outer one; it
// tells whether that is all that there is to check.
func (l *loader) checkParted(c *Config) (done bool) {
	if l.has("tenants") {
		l.checkOuter(c)
		return true
	}
	if l.outer != nil && c.Tenant != l.called && !l.failed("tenant") {
		l.report("tenant", "is another than that under which %s names this file; write tenant: %s", filepath.Base(l.outer.Path), l.called)
	}
	if !l.has("tenant") {
		return false
	}
	for _, key := range ofProcess {
		if l.has(key) {
			l.report(key, "belongs to the process: write it in the file that has this one among its tenants, and not here")
		}
	}
	if o := l.outer; o != nil {
		c.Listen, c.Admin, c.TLS, c.InsecureHTTP, c.DrainDelay = o.Listen, o.Admin, o.TLS, o.InsecureHTTP, o.DrainDelay
	}
	return false
}

func (l *loader) checkOuter(c *Config) {
	for f := range eachField(reflect.TypeFor[Config]()) {
		if l.has(f.name) && f.name != "version" && f.name != "tenants" && !slices.Contains(ofProcess, f.name) {
			l.report(f.name, "belongs to a gateway: write it in the files of tenants, and not here")
		}
	}
	l.checkListeners(c)
	l.checkTLS(c)
	if len(c.Tenants) == 0 {
		l.report("tenants", "is empty; for example tenants: {north: north/gatehouse.yaml}")
	}
	if len(c.Tenants) > maxTenants {
		l.report("tenants", "are %d; write at most %d, and run another process for the others", len(c.Tenants), maxTenants)
	}
	seen := map[string]string{}
	for _, name := range sorted(c.Tenants) {
		key, file := join("tenants", name), l.absolute(c.Tenants[name])
		c.Tenants[name] = file
		switch {
		case !tenantName.MatchString(name):
			l.report(key, "is no name of a tenant; write up to 32 of a to z, 0 to 9 and -, such as north")
		case seen[file] != "":
			l.report(key, "is the file of %s too; write one for each", seen[file])
		default:
			l.checkPath(key, file, "file")
		}
		seen[file] = name
	}
}
