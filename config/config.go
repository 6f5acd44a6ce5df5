// Package config is the configuration file: its types, whose field comments
// are the reference, and a strict load that reports every problem at once.
package config

import (
	"crypto/tls"
	"net/url"
	"time"
)

// Config is one configuration file (DESIGN §5), loaded, checked and with every
// default filled in. Paths are absolute after Load.
type Config struct {
	Listen       string            `yaml:"listen"`        // public listener, host:port
	Admin        string            `yaml:"admin"`         // health, metrics, admin API; default 127.0.0.1:0 … see reference
	PublicURL    string            `yaml:"public_url"`    // FHIR base as clients see it
	State        State             `yaml:"state"`         // embedded stores
	AdminAuth    *AdminAuth        `yaml:"admin_auth"`    // who may use /api/v1 on the admin listener; absent: nobody
	CORS         CORS              `yaml:"cors"`          //
	TLS          *TLS              `yaml:"tls"`           //
	InsecureHTTP bool              `yaml:"insecure_http"` // serve plain http
	Upstream     Upstream          `yaml:"upstream"`      //
	Issuers      []Issuer          `yaml:"issuers"`       //
	Clients      map[string]Client `yaml:"clients"`       // by client id; "*" is what an entry leaves out
	Policy       Policy            `yaml:"policy"`        //
	Consent      Consent           `yaml:"consent"`       //
	Views        map[string]View   `yaml:"views"`         //
	Pseudonyms   KeyFile           `yaml:"pseudonyms"`    //
	Sealing      KeyFile           `yaml:"sealing"`       //
	Audit        Audit             `yaml:"audit"`         //
	Operations   Operations        `yaml:"operations"`    //
	Limits       Limits            `yaml:"limits"`        //

	Hash string   `yaml:"-"` // hex SHA-256 of the file's bytes, first 12 digits
	Base *url.URL `yaml:"-"` // PublicURL, parsed, without a trailing slash
	Path string   `yaml:"-"` // of the file
}

type State struct {
	Dir     string `yaml:"dir"`
	KeyFile string `yaml:"key_file"`
}

type AdminAuth struct {
	Issuer string              `yaml:"issuer"`
	Roles  map[string][]string `yaml:"roles"` // operator, privacy -> token roles
}

type CORS struct {
	Origins []string `yaml:"origins"`
}

type TLS struct {
	CertFile     string `yaml:"cert_file"`
	KeyFile      string `yaml:"key_file"`
	ClientCAFile string `yaml:"client_ca_file"`
}

type KeyFile struct {
	KeyFile string `yaml:"key_file"`
}

type Upstream struct {
	URL                    string       `yaml:"url"`
	FHIRVersion            string       `yaml:"fhir_version"` // R4 | R4B | R5 | STU3; "" asks /metadata
	Auth                   UpstreamAuth `yaml:"auth"`
	CAFile                 string       `yaml:"ca_file"`
	Timeout                Duration     `yaml:"timeout"`         // whole answer of an ordinary interaction; default 30s
	MaxConnections         int          `yaml:"max_connections"` // default 256
	InsecureUnpinnedWrites bool         `yaml:"insecure_unpinned_writes"`
	Parsed                 *url.URL     `yaml:"-"`
}

type UpstreamAuth struct {
	Type             string   `yaml:"type"` // none | basic | bearer | client_credentials | private_key_jwt | mtls
	Username         string   `yaml:"username"`
	PasswordFile     string   `yaml:"password_file"`
	PasswordEnv      string   `yaml:"password_env"`
	TokenFile        string   `yaml:"token_file"`
	TokenEnv         string   `yaml:"token_env"`
	TokenURL         string   `yaml:"token_url"`
	ClientID         string   `yaml:"client_id"`
	ClientSecretFile string   `yaml:"client_secret_file"`
	ClientSecretEnv  string   `yaml:"client_secret_env"`
	KeyFile          string   `yaml:"key_file"`  // private key: private_key_jwt, mtls
	CertFile         string   `yaml:"cert_file"` // mtls
	KeyID            string   `yaml:"key_id"`
	Algorithm        string   `yaml:"algorithm"` // private_key_jwt: RS384 | ES384 | RS256 | ES256
	Scopes           []string `yaml:"scopes"`
}

type Issuer struct {
	Issuer         string        `yaml:"issuer"`
	Audiences      []string      `yaml:"audiences"`
	Algorithms     []string      `yaml:"algorithms"`  // default RS256, ES256
	TokenTypes     []string      `yaml:"token_types"` // default at+jwt
	InsecureHTTP   bool          `yaml:"insecure_http"`
	CAFile         string        `yaml:"ca_file"`
	Claims         Claims        `yaml:"claims"`
	Scopes         string        `yaml:"scopes"` // smart | none
	Introspection  Introspection `yaml:"introspection"`
	MaxTokenAge    Duration      `yaml:"max_token_age"`
	ClockSkew      Duration      `yaml:"clock_skew"`      // default 30s, at most 60s
	KeyMaxAge      Duration      `yaml:"key_max_age"`     // JWKS kept at most so long; default 10m
	KeyCooldown    Duration      `yaml:"key_cooldown"`    // between fetches for unknown key ids; default 30s
	RequireBinding bool          `yaml:"require_binding"` // tokens without cnf are refused
}

// Claims says which claim holds what: a name, a dotted path
// (realm_access.roles), or a list of alternatives tried in order.
type Claims struct {
	Roles        ClaimPath `yaml:"roles"`
	Organization ClaimPath `yaml:"organization"`
	Patient      ClaimPath `yaml:"patient"`
	Encounter    ClaimPath `yaml:"encounter"`
	FHIRUser     ClaimPath `yaml:"fhir_user"`
	Purpose      ClaimPath `yaml:"purpose"`
	Client       ClaimPath `yaml:"client"`
	Scope        ClaimPath `yaml:"scope"`
}

type Introspection struct {
	Mode             string   `yaml:"mode"` // never | opaque | always
	URL              string   `yaml:"url"`  // default from discovery
	ClientID         string   `yaml:"client_id"`
	ClientSecretFile string   `yaml:"client_secret_file"`
	CacheTTL         Duration `yaml:"cache_ttl"` // default 30s: the revocation bound
}

type Client struct {
	View     string       `yaml:"view"`
	Domain   string       `yaml:"domain"`
	Purposes []string     `yaml:"purposes"` // a token with another purpose is refused
	Limits   ClientLimits `yaml:"limits"`
}

type ClientLimits struct {
	Rate     Rate `yaml:"rate"`     // requests and batch entries
	Burst    int  `yaml:"burst"`    //
	Patients Rate `yaml:"patients"` // distinct patients released
	Entries  Rate `yaml:"entries"`  // resources released
	Bytes    Rate `yaml:"bytes"`    // bytes released; N counts bytes ("100MiB/h")
}

type Policy struct {
	Dir  string   `yaml:"dir"`
	Data []string `yaml:"data"`
}

type Consent struct {
	Source       string   `yaml:"source"`  // upstream | none
	Default      string   `yaml:"default"` // permit | deny
	MaxStaleness Duration `yaml:"max_staleness"`
}

type View struct {
	Use    string `yaml:"use"`
	File   string `yaml:"file"`
	Compat string `yaml:"compat"` // microsoft | miracum
}

type Audit struct {
	Dir            string   `yaml:"dir"`
	KeyFile        string   `yaml:"key_file"`
	SigningKeyFile string   `yaml:"signing_key_file"`
	OnFailure      string   `yaml:"on_failure"` // refuse
	Retention      Duration `yaml:"retention"`
	Sinks          []any    `yaml:"sinks"`
}

type Operations struct {
	Allow []string `yaml:"allow"` // default $everything, $export
}

type Limits struct {
	Address  AddressLimits `yaml:"address"`
	Body     Size          `yaml:"body"`     // request body; default 16MiB
	State    string        `yaml:"state"`    // memory | redis://…
	Entries  int           `yaml:"entries"`  // entries of a batch or transaction; default 1000
	Resource Size          `yaml:"resource"` // one upstream resource; default 8MiB
	Window   Size          `yaml:"window"`   // read ahead of an answer; default 4MiB
}

type AddressLimits struct {
	Rate  Rate `yaml:"rate"`  // default 200/s
	Burst int  `yaml:"burst"` // default 400
}

// Rate is N per Per, written "50/s", "500/h", "100MiB/h"; the zero Rate is no limit.
type Rate struct {
	N   float64
	Per time.Duration
}

// Duration is written as Go writes it, and with d, w and y (365 days): "5s", "180d", "6y".
type Duration time.Duration

// Size is bytes, written "16MiB", "64KiB", "1GiB" or a plain number.
type Size int64

// ClaimPath is a list of alternatives, each a path of member names.
type ClaimPath [][]string

var _ = tls.VersionTLS12
