package config

import (
	"crypto/tls"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checkRules checks what no tag can say: URLs, what belongs together, and what
// is safe only beside something else.
func (l *loader) checkRules(c *Config) {
	if c.Version != 1 {
		l.report("version", "is %d, and this Gatehouse reads 1: run the Gatehouse that the file was written for, or write it for this one", c.Version)
	}
	if l.checkParted(c) {
		return
	}
	l.checkKeys(c)
	l.checkPseudonymService(c.Pseudonyms.Service)
	if c.Tenant == "" {
		l.checkListeners(c)
		l.checkTLS(c)
	}
	c.Base = l.checkBase(c)
	l.checkOrigins(c)
	l.checkUpstream(&c.Upstream)
	l.checkConsent(&c.Consent)
	l.checkIssuers(c)
	l.checkAdminAuth(c)
	l.checkViews(c)
	l.checkClients(c)
	l.checkLabels(c)
	l.checkAssurance(c)
	l.checkPolicy(&c.Policy)
	l.checkOperations(c.Operations)
	l.checkState(c.Limits.State)
	l.checkStateURL(c.State.URL)
	l.checkEmergency(c)
	l.checkReplica(&c.Audit)
	l.checkSpool(&c.Audit)
	l.checkCustodians(&c.Audit)
	l.checkSinks(&c.Audit)
	l.checkPublish(&c.Audit)
	l.checkWatch(c)
	l.checkTelemetry(c.Telemetry)
}

func (l *loader) checkListeners(c *Config) {
	l.checkAddress("listen", c.Listen)
	l.checkAddress("admin", c.Admin)
	if c.Listen == c.Admin && !l.failed("admin") && !strings.HasSuffix(c.Listen, ":0") {
		l.report("admin", "is the public listener; write another address, such as 127.0.0.1:9090")
	}
	if c.TLS == nil && !c.InsecureHTTP && !l.failed("tls") && !l.failed("insecure_http") {
		l.report("listen", "would serve plain http; write tls: {cert_file: …, key_file: …}, or insecure_http: true behind a proxy that terminates TLS or on loopback")
	}
	if c.DrainDelay < 0 || c.DrainDelay > Duration(time.Minute) {
		l.report("drain_delay", "is %s; write at most 60s", c.DrainDelay)
	}
	if c.TLS != nil && c.InsecureHTTP {
		l.report("insecure_http", "contradicts tls; keep one of them")
	}
}

func (l *loader) checkAddress(key, address string) {
	_, port, err := net.SplitHostPort(address)
	number, portErr := strconv.ParseUint(port, 10, 16)
	if _, err := strconv.ParseUint(address, 10, 16); err == nil {
		l.report(key, "%q is a port alone; write 127.0.0.1:%s, or the address that others come to", l.show(key, address), l.show(key, address))
		return
	}
	if err != nil || portErr != nil || number > 65535 {
		l.report(key, "%q is no address; write host:port, such as 127.0.0.1:8080", l.show(key, address))
	}
}

func (l *loader) checkTLS(c *Config) {
	t := c.TLS
	if t == nil || l.failed("tls.cert_file") || l.failed("tls.key_file") {
		return
	}
	if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
		l.report("tls.key_file", "does not belong to tls.cert_file; name the key of its first certificate")
	}
}

func (l *loader) checkBase(c *Config) *url.URL {
	base := l.checkURL("public_url", c.PublicURL)
	if base != nil && base.Scheme == "http" && !l.plain(c) {
		l.report("public_url", "is plain http; write https, or insecure_http: true where tokens may travel unprotected")
	}
	return base
}

// checkURL checks and parses the base URL of a FHIR server.
func (l *loader) checkURL(key, text string) *url.URL {
	if l.failed(key) || text == "" {
		return nil
	}
	wrong := func(what string) *url.URL {
		l.report(key, "%q %s", l.show(key, text), what)
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https":
		return wrong("is no http or https URL; write https://host/path")
	case u.Hostname() == "":
		return wrong("names no host; write https://host/path")
	case u.User != nil: // not quoted: it is a secret
		l.report(key, "holds credentials; name them by their own keys, in files")
		return nil
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return wrong("has a query or fragment; leave it out")
	case len(u.Path) > 1 && strings.HasSuffix(u.Path, "/"):
		return wrong("ends in a slash; leave it out")
	case u.RawPath != "" || strings.Contains(u.EscapedPath(), "%") || !cleanPath(u.Path):
		return wrong("has a path with escapes, empty or dot segments; write it plainly")
	}
	u.Host = strings.ToLower(u.Host)
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u
}

func cleanPath(path string) bool {
	for i, segment := range strings.Split(path, "/") {
		if i > 0 && (segment == "" && path != "/" || segment == "." || segment == "..") {
			return false
		}
	}
	return true
}

// loopback says whether a host can only be this machine. A name other than
// localhost is not asked for: what it means is decided elsewhere.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (l *loader) checkOrigins(c *Config) {
	for i, origin := range c.CORS.Origins {
		key := index("cors.origins", i)
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin || u.Scheme != "https" && u.Scheme != "http" {
			l.report(key, "%q is no origin; write scheme://host or scheme://host:port, in full", l.show(key, origin))
		} else if u.Scheme == "http" && !l.plain(c) && !loopback(u.Hostname()) {
			l.report(key, "is plain http; write https")
		}
	}
}

// checkPolicyData replaces the globs by the files they match.
func (l *loader) checkPolicyData(p *Policy) {
	if p.Dir != "" && !l.failed("policy.dir") {
		if rego, _ := filepath.Glob(filepath.Join(p.Dir, "*.rego")); len(rego) == 0 {
			l.report("policy.dir", "%s: holds no .rego file; leave the key out for the shipped policies", p.Dir)
		}
	}
	var files []string
	for i, pattern := range p.Data {
		key := index("policy.data", i)
		found, err := filepath.Glob(l.absolute(pattern))
		if err != nil || len(found) == 0 {
			l.report(key, "%q matches no file; name one, or remove it", l.show(key, pattern))
		}
		for _, file := range found {
			l.checkDataFile(key, file)
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	p.Data = slices.Compact(files)
}

func (l *loader) checkDataFile(key, file string) {
	switch filepath.Ext(file) {
	case ".yaml", ".yml", ".json":
	default:
		l.report(key, "%s: is neither .yaml nor .json", file)
	}
	if f, err := os.Open(file); err != nil {
		l.report(key, "%s: %s", file, reason(err))
	} else {
		f.Close()
	}
}

// Operations that destroy data or change what searches mean are served to
// nobody, whatever policy says.
var destructive = []string{"$expunge", "$delete-expunge", "$reindex", "$mark-all-resources-for-reindexing"}

func (l *loader) checkOperations(o Operations) {
	for i, name := range o.Allow {
		key := index("operations.allow", i)
		switch {
		case len(name) < 2 || name[0] != '$' || strings.ContainsAny(name[1:], "$/?*% "):
			l.report(key, "%q is no operation; write its name with the $, such as $everything", l.show(key, name))
		case slices.Contains(destructive, name):
			l.report(key, "%s destroys data and is never served; remove it", name)
		}
	}
}

func (l *loader) checkState(state string) {
	if state == "memory" || l.failed("limits.state") {
		return
	}
	u, err := url.Parse(state)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || !database(u.Path) {
		l.report("limits.state", "is neither memory nor a Redis URL; write memory or redis://host:6379/0")
	} else if u.Scheme == "redis" && u.User != nil && !loopback(u.Hostname()) {
		l.report("limits.state", "sends a password unprotected; write rediss://")
	}
}

func (l *loader) checkStateURL(text string) {
	if text == "" || l.failed("state.url") {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Hostname() == "" || len(u.Path) < 2 || u.Fragment != "" {
		l.report("state.url", "is no PostgreSQL URL; write postgres://user@host:5432/database, or leave it out for a file in state.dir")
		return
	}
	if mode := u.Query().Get("sslmode"); !loopback(u.Hostname()) && mode != "require" && mode != "verify-ca" && mode != "verify-full" {
		l.report("state.url", "may travel unprotected; add ?sslmode=verify-full")
	}
}

func database(path string) bool {
	number := strings.TrimPrefix(path, "/")
	_, err := strconv.ParseUint(number, 10, 8)
	return number == "" || err == nil
}
