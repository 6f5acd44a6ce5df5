package config

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

func (l *loader) checkUpstream(u *Upstream) {
	u.Parsed = l.checkURL("upstream.url", u.URL)
	if u.Parsed != nil {
		l.checkPlain("upstream.url", u.Parsed, u.InsecureHTTP)
	}
	for i, alias := range u.Aliases {
		if parsed := l.checkURL(index("upstream.aliases", i), alias); parsed != nil {
			u.ParsedAliases = append(u.ParsedAliases, parsed)
		}
	}
	l.checkUpstreamAuth("upstream.auth", &u.Auth, u.InsecureHTTP)
	if u.Auth.Type == "mtls" && u.Parsed != nil && u.Parsed.Scheme != "https" {
		l.report("upstream.auth.type", "mtls needs an https upstream.url")
	}
}

// checkPlain refuses plain http beyond this machine: what travels there is
// patient data and credentials.
func (l *loader) checkPlain(key string, u *url.URL, insecure bool) {
	section := "upstream"
	if strings.HasPrefix(key, "consent.") {
		section = "consent.server"
	}
	if u.Scheme == "http" && !insecure && !loopback(u.Hostname()) {
		l.report(key, "is plain http to another machine; write https, or %s.insecure_http: true on a network that is protected otherwise", section)
	}
}

// credentials are the keys of upstream.auth that each type needs, and of the
// alternatives a|b exactly one.
var credentials = map[string][]string{
	"none":               {},
	"basic":              {"username", "password_file|password_env"},
	"bearer":             {"token_file|token_env"},
	"client_credentials": {"token_url", "client_id", "client_secret_file|client_secret_env"},
	"private_key_jwt":    {"token_url", "client_id", "key_file", "key_id"},
	"mtls":               {"cert_file", "key_file"},
}

// mayHave are keys that a type may have beside those.
var mayHave = map[string][]string{
	"client_credentials": {"scopes"},
	"private_key_jwt":    {"scopes", "algorithm"},
}

// checkUpstreamAuth checks the credentials that stand in a section.
func (l *loader) checkUpstreamAuth(section string, a *UpstreamAuth, insecure bool) {
	needs, known := credentials[a.Type]
	if !known {
		return
	}
	used := append([]string{"type"}, mayHave[a.Type]...)
	for _, need := range needs {
		names := strings.Split(need, "|")
		used = append(used, names...)
		l.checkExactlyOne(section, names, a.Type)
	}
	for f := range eachField(reflect.TypeFor[UpstreamAuth]()) {
		if l.has(join(section, f.name)) && !slices.Contains(used, f.name) {
			l.report(join(section, f.name), "has no effect with type: %s; remove it", a.Type)
		}
	}
	for name, variable := range map[string]string{"password_env": a.PasswordEnv, "token_env": a.TokenEnv, "client_secret_env": a.ClientSecretEnv} {
		if variable != "" && os.Getenv(variable) == "" {
			l.report(join(section, name), "the environment variable %s is unset or empty; set it", variable)
		}
	}
	if u := l.checkEndpoint(section+".token_url", a.TokenURL); u != nil {
		l.checkPlain(section+".token_url", u, insecure)
	}
	if a.Type == "private_key_jwt" && a.Algorithm == "" {
		a.Algorithm = "RS384" // SMART Backend Services asks every server for it
	}
	l.checkUpstreamKey(section, a)
}

func (l *loader) checkExactlyOne(section string, names []string, kind string) {
	var have []string
	for _, name := range names {
		if l.has(join(section, name)) {
			have = append(have, name)
		}
	}
	switch {
	case len(have) == 0:
		l.report(join(section, names[0]), "is required with type: %s%s", kind, or(names[1:]))
	case len(have) > 1:
		l.report(join(section, have[1]), "stands beside %s; keep one of them", have[0])
	}
}

func or(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ", or " + strings.Join(names, " or ")
}

// checkUpstreamKey checks that the private key is of the algorithm, or of the
// certificate.
func (l *loader) checkUpstreamKey(section string, a *UpstreamAuth) {
	key := section + ".key_file"
	if a.KeyFile == "" || l.failed(key) || l.failed(section+".algorithm") {
		return
	}
	if a.Type == "mtls" && a.CertFile != "" && !l.failed(section+".cert_file") {
		if _, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile); err != nil {
			l.report(key, "does not belong to cert_file; name the key of its first certificate")
		}
	}
	if signer, err := ReadPrivateKey(a.KeyFile); a.Type == "private_key_jwt" && err == nil && !signs(signer, a.Algorithm) {
		l.report(key, "is no key for algorithm: %s; name an RSA key for RS…, P-256 for ES256, P-384 for ES384", a.Algorithm)
	}
}

func signs(key crypto.Signer, algorithm string) bool {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return strings.HasPrefix(algorithm, "RS")
	case *ecdsa.PrivateKey:
		return algorithm == map[int]string{256: "ES256", 384: "ES384"}[k.Curve.Params().BitSize]
	}
	return false
}

// checkEndpoint checks a URL that is not a FHIR base; nil when it is left out
// or wrong.
func (l *loader) checkEndpoint(key, text string) *url.URL {
	if text == "" || l.failed(key) {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || strings.Contains(text, "#") {
		l.report(key, "%q is no http or https URL; write https://host/path", l.show(key, text))
		return nil
	}
	if u.User != nil {
		l.report(key, "holds credentials; name them by their own keys, in files")
		return nil
	}
	return u
}

func (l *loader) checkIssuers(c *Config) {
	seen := map[string]int{}
	for i := range c.Issuers {
		issuer, key := &c.Issuers[i], index("issuers", i)
		l.checkIssuer(issuer, key)
		if first, twice := seen[issuer.Issuer]; twice && issuer.Issuer != "" {
			l.report(key+".issuer", "is the same as issuers[%d]; keep one of them", first)
		} else {
			seen[issuer.Issuer] = i
		}
	}
}

func (l *loader) checkIssuer(i *Issuer, key string) {
	if u := l.checkEndpoint(key+".issuer", i.Issuer); u != nil {
		l.checkIssuerURL(key+".issuer", u, i.InsecureHTTP)
	}
	for n, audience := range i.Audiences {
		if strings.TrimSpace(audience) != audience || audience == "*" {
			l.report(index(key+".audiences", n), "%q is no audience; write the exact value that tokens have in aud", audience)
		}
	}
	l.checkAlgorithms(i.Algorithms, key+".algorithms")
	l.checkNotEmpty(i.TokenTypes, key+".token_types")
	if time.Duration(i.ClockSkew) > time.Minute {
		l.report(key+".clock_skew", "is %s; write at most 60s", i.ClockSkew)
	}
	if time.Duration(i.KeyMaxAge) > 10*time.Minute {
		l.report(key+".key_max_age", "is %s; write at most 10m, or a withdrawn key stays valid", i.KeyMaxAge)
	}
	l.checkIntrospection(i, key+".introspection")
}

func (l *loader) checkIssuerURL(key string, u *url.URL, insecure bool) {
	switch {
	case u.RawQuery != "" || u.ForceQuery:
		l.report(key, "has a query; leave it out")
	case u.Scheme == "http" && !insecure:
		l.report(key, "is plain http; write https, or insecure_http: true beside it for tests")
	}
}

// Asymmetric algorithms (RFC 7518, RFC 8037): with a shared secret every
// verifier could sign.
var asymmetric = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"}

func (l *loader) checkAlgorithms(names []string, key string) {
	l.checkNotEmpty(names, key)
	for n, name := range names {
		if !slices.Contains(asymmetric, name) {
			l.report(index(key, n), "%q is no asymmetric algorithm; write some of %s", name, strings.Join(asymmetric, ", "))
		}
	}
}

func (l *loader) checkNotEmpty(list []string, key string) {
	if len(list) == 0 {
		l.report(key, "is empty; name at least one, or leave the key out for the default")
	}
}

func (l *loader) checkIntrospection(i *Issuer, section string) {
	in := i.Introspection
	if u := l.checkEndpoint(section+".url", in.URL); u != nil && u.Scheme == "http" && !i.InsecureHTTP {
		l.report(section+".url", "is plain http; write https")
	}
	if in.Mode != "opaque" && in.Mode != "always" {
		return
	}
	if in.ClientID == "" {
		l.report(section+".client_id", "is required with mode: %s", in.Mode)
	}
	if in.ClientSecretFile == "" {
		l.report(section+".client_secret_file", "is required with mode: %s", in.Mode)
	}
}

func (l *loader) checkAdminAuth(c *Config) {
	if c.AdminAuth == nil {
		return
	}
	if !slices.ContainsFunc(c.Issuers, func(i Issuer) bool { return i.Issuer == c.AdminAuth.Issuer }) {
		l.report("admin_auth.issuer", "is none of the issuers; name one of them")
	}
	for _, role := range sorted(c.AdminAuth.Roles) {
		if role != "operator" && role != "privacy" && role != "compliance" {
			l.report("admin_auth.roles."+role, "is no admin role; write operator, privacy or compliance")
		}
	}
}

func (l *loader) checkViews(c *Config) {
	for _, name := range sorted(c.Views) {
		v, key := c.Views[name], join("views", name)
		switch {
		case l.failed(key):
		case (v.Use == "") == (v.File == ""):
			l.report(key, "names %s; write use: research, or file: views/%s.yaml", cmp.Or(map[bool]string{true: "both a shipped view and a file"}[v.Use != ""], "neither a shipped view nor a file"), name)
		case v.Compat != "" && v.File == "":
			l.report(key+".compat", "has no effect without file; remove it")
		}
		if v.Use == "research" {
			l.needsPseudonyms(c, key)
		}
	}
}

func (l *loader) needsPseudonyms(c *Config, key string) {
	if !c.Pseudonyms.Key().Named() && !l.has("pseudonyms") {
		l.report(key, "makes pseudonyms; add pseudonyms: {key_file: keys/pseudonyms.key}")
	}
}

var shippedViews = []string{"research", "safe-harbor", "limited"}

// declareView declares the shipped view that a key names, and refuses a name that
// no view has.
func (l *loader) declareView(c *Config, key, name string) {
	_, declared := c.Views[name]
	switch {
	case name == "" || declared:
	case slices.Contains(shippedViews, name):
		if c.Views == nil {
			c.Views = map[string]View{}
		}
		c.Views[name] = View{Use: name}
		if name == "research" {
			l.needsPseudonyms(c, key)
		}
	default:
		l.report(key, "%q is not among the views; declare it under views, or write one of %s", name, strings.Join(append(sorted(c.Views), shippedViews...), ", "))
	}
}

// checkClients also declares the shipped views that clients name.
func (l *loader) checkClients(c *Config) {
	for _, id := range sorted(c.Clients) {
		client, key := c.Clients[id], join("clients", id)
		l.checkNewIDs(key+".new_ids", client.NewIDs)
		l.declareView(c, key+".view", client.View)
		l.checkPurposes(id, client, c.Clients["*"])
		l.checkBurst(key+".limits", client.Limits, c.Clients["*"].Limits)
		l.checkBurst(key+".user_limits", client.UserLimits, c.Clients["*"].UserLimits)
	}
	for _, id := range sorted(c.Organizations) {
		l.checkBurst(join("organizations", id)+".limits", c.Organizations[id].Limits, ClientLimits{})
	}
}

func (l *loader) checkBurst(key string, own, all ClientLimits) {
	if own.Burst > 0 && own.Rate == (Rate{}) && all.Rate == (Rate{}) {
		l.report(key+".burst", "has no effect without rate; add rate: 50/s")
	}
}

var idPrefix = regexp.MustCompile(`^[A-Za-z0-9\-.]{0,63}\*$`)

func (l *loader) checkNewIDs(key, ids string) {
	if ids != "" && ids != "none" && !idPrefix.MatchString(ids) {
		l.report(key, "%q is no prefix of ids; write none, or a prefix such as lab-*", l.show(key, ids))
	}
}
