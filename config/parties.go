package config

import "net/url"

// Upstream is the FHIR server that is protected.
type Upstream struct {
	// FHIR base of the server.
	URL string `yaml:"url" required:"http://127.0.0.1:9000/fhir"`
	// Other FHIR bases by which the server names itself in links.
	Aliases []string `yaml:"aliases"`
	// FHIR release of the server, by whose definitions everything is judged. Left
	// out: read from its /metadata, once, at start.
	FHIRVersion string `yaml:"fhir_version" oneof:"R4 R4B R5 STU3"`
	// The gateway's own credentials there; the client's are never forwarded.
	Auth UpstreamAuth `yaml:"auth"`
	// PEM; trusted for this server and its token endpoint instead of the
	// system's roots.
	CAFile string `yaml:"ca_file" path:"certificates"`
	// For an answer of up to 256 KiB from the request to its last byte; a
	// longer one has the same time again for each 256 KiB. Operations have ten
	// times as long.
	Timeout Duration `yaml:"timeout" default:"30s"`
	// Instead of timeout, for requests of one class.
	Timeouts Timeouts `yaml:"timeouts"`
	// Connections at once; to a server of plain http half of them are for reads.
	MaxConnections int `yaml:"max_connections" default:"256"`
	// Requests of clients that it works on at once; others wait for a second. Left
	// out: half of max_connections, the rest being for what answers are judged by.
	MaxRequests int `yaml:"max_requests"`
	// When the server is left alone for a while.
	Breaker Breaker `yaml:"breaker"`
	// Speak plain http to a server that is not on loopback.
	InsecureHTTP bool `yaml:"insecure_http"`
	// Allow writes to a server without versions or If-Match: concurrent
	// changes can then pass a judgement made on an older state.
	InsecureUnpinnedWrites bool `yaml:"insecure_unpinned_writes"`

	Parsed        *url.URL   `yaml:"-"` // URL, parsed, without a trailing slash
	ParsedAliases []*url.URL `yaml:"-"` // Aliases, likewise
}

// Timeouts are those of the classes of requests; what is left out is
// upstream.timeout, and ten times that for operations.
type Timeouts struct {
	// Of one resource or version.
	Read Duration `yaml:"read"`
	// Searches and histories.
	Search Duration `yaml:"search"`
	// Creates, updates, patches, deletes, transactions.
	Write Duration `yaml:"write"`
	// Operations and exports.
	Operation Duration `yaml:"operation"`
}

// Breaker stops sending what a server in trouble would fail anyway.
type Breaker struct {
	// So many requests within ten seconds that failed (no connection, no answer in
	// time, or 502, 503, 504), being half of all at least, and it is left alone.
	Failures int `yaml:"failures" default:"20"`
	// For so long; then a few requests try it.
	Rest Duration `yaml:"rest" default:"5s"`
}

// UpstreamAuth is how the gateway authenticates to the upstream. A secret is
// in a file (re-read when it changes) or in an environment variable, not both.
type UpstreamAuth struct {
	Type string `yaml:"type" default:"none" oneof:"none basic bearer client_credentials private_key_jwt mtls"`
	// basic
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file" path:"secret"`
	PasswordEnv  string `yaml:"password_env"`
	// bearer
	TokenFile string `yaml:"token_file" path:"secret"`
	TokenEnv  string `yaml:"token_env"`
	// client_credentials (RFC 6749 §4.4) and private_key_jwt (RFC 7523): the
	// token endpoint and the client registered there.
	TokenURL         string `yaml:"token_url"`
	ClientID         string `yaml:"client_id"`
	ClientSecretFile string `yaml:"client_secret_file" path:"secret"`
	ClientSecretEnv  string `yaml:"client_secret_env"`
	// private_key_jwt, mtls: PEM private key.
	KeyFile string `yaml:"key_file" path:"private"`
	// mtls: PEM certificate of key_file.
	CertFile string `yaml:"cert_file" path:"certificates"`
	// private_key_jwt: the assertion's kid and alg; alg left out: RS384.
	KeyID     string `yaml:"key_id"`
	Algorithm string `yaml:"algorithm" oneof:"RS256 RS384 ES256 ES384"`
	// Asked for at the token endpoint.
	Scopes []string `yaml:"scopes"`
}

// Issuer is one identity provider and how its access tokens are read.
type Issuer struct {
	// Compared exactly with the token's iss; discovery is below it.
	Issuer string `yaml:"issuer" required:"https://idp.example.org/realms/h"`
	// One of these must be in aud, exactly.
	Audiences []string `yaml:"audiences" required:"[https://fhir.example.org/r4]"`
	// Asymmetric signature algorithms.
	Algorithms []string `yaml:"algorithms" default:"RS256,ES256"`
	// Values of the JWT header typ that an access token may have. Many
	// providers write JWT; naming it here accepts that.
	TokenTypes []string `yaml:"token_types" default:"at+jwt"`
	// The issuer may be plain http: tests.
	InsecureHTTP bool `yaml:"insecure_http"`
	// PEM; trusted for this issuer instead of the system's roots.
	CAFile string `yaml:"ca_file" path:"certificates"`
	// Which claim holds what.
	Claims Claims `yaml:"claims"`
	// none: this issuer's tokens carry no SMART scopes, policy alone decides.
	Scopes string `yaml:"scopes" default:"smart" oneof:"smart none"`
	// RFC 7662.
	Introspection Introspection `yaml:"introspection"`
	// Longest life of a token: exp − iat, and now − iat where there is no exp.
	MaxTokenAge Duration `yaml:"max_token_age" default:"1h"`
	// Allowed difference of clocks, at most 60s.
	ClockSkew Duration `yaml:"clock_skew" default:"30s" zero:"true"`
	// Its keys are used at most so long without a fresh fetch; at most 10m.
	KeyMaxAge Duration `yaml:"key_max_age" default:"10m"`
	// Between fetches for unknown key ids.
	KeyCooldown Duration `yaml:"key_cooldown" default:"30s"`
	// Refuse tokens that are bound to no key (cnf: DPoP, mTLS).
	RequireBinding bool `yaml:"require_binding"`
}

// Claims says which claim holds what; see ClaimPath for how it is written.
type Claims struct {
	Roles        ClaimPath `yaml:"roles" default:"roles"`
	Organization ClaimPath `yaml:"organization" default:"organization"`
	Patient      ClaimPath `yaml:"patient" default:"patient"`
	Encounter    ClaimPath `yaml:"encounter" default:"encounter"`
	FHIRUser     ClaimPath `yaml:"fhir_user" default:"fhirUser"`
	Purpose      ClaimPath `yaml:"purpose" default:"purpose_of_use"`
	// For the detectors same-surname and same-address of watch, which also read the
	// resource that fhirUser names. The address has the form of OpenID Connect
	// (street_address, postal_code, locality).
	Surname ClaimPath `yaml:"surname" default:"family_name"`
	Address ClaimPath `yaml:"address" default:"address"`
	// Here alone a list of names is a list of alternatives.
	Client ClaimPath `yaml:"client,alternatives" default:"client_id,azp"`
	Scope  ClaimPath `yaml:"scope" default:"scope"`
}

// Introspection asks the issuer about each token.
type Introspection struct {
	// opaque: tokens that are no JWT; always: every token.
	Mode string `yaml:"mode" default:"never" oneof:"never opaque always"`
	// Left out: from discovery.
	URL              string `yaml:"url"`
	ClientID         string `yaml:"client_id"`
	ClientSecretFile string `yaml:"client_secret_file" path:"secret"`
	// How long an answer is believed: the bound on revocation; 0s: never.
	CacheTTL Duration `yaml:"cache_ttl" default:"30s" zero:"true"`
}
