// Package config is the configuration file: its types, whose field comments
// are the reference, and a strict load that reports every problem at once.
//
// The tags of a field say what can be said in one word of it: its default,
// whether it is required, what it may be (oneof) and which kind of file or
// directory it names (path; see paths.go). Relative paths are relative to the
// configuration file. ${NAME} in a value is the environment variable NAME,
// which must be set and not empty. A key that the file leaves out has its
// default; an option that weakens security is named insecure_….
package config

import "net/url"

// Config is one configuration file (DESIGN §5), loaded, checked and with every
// default filled in. Paths are absolute after Load.
type Config struct {
	// Of this format. A later Gatehouse that reads the keys otherwise raises it, and
	// this one then refuses the file.
	Version int `yaml:"version" default:"1"`
	// Public listener, host:port. FHIR is served under the path of public_url.
	Listen string `yaml:"listen" required:"127.0.0.1:8080"`
	// Health, metrics and reload, host:port; never on the public listener.
	// Plain http on loopback; anywhere else it is served with tls (AdminTLS).
	Admin string `yaml:"admin" default:"127.0.0.1:9090"`
	// FHIR base as clients see it; every link that leaves is below it.
	PublicURL string `yaml:"public_url" required:"https://fhir.example.org/r4"`
	// How long a process that was told to stop goes on serving, while /readyz is 503
	// and connections are closed after each answer; at most 60s. Behind a balancer
	// that asks /readyz: longer than it takes to notice.
	DrainDelay Duration `yaml:"drain_delay" default:"0s"`
	// Several gateways in one process, each apart from the others: by name (a to z, 0
	// to 9 and -) the configuration file of each. Such a file has version, listen,
	// admin, tls, insecure_http and drain_delay beside this, and nothing else.
	Tenants map[string]string `yaml:"tenants"`
	// The name under which another file's tenants has this one: listen, admin, tls,
	// insecure_http and drain_delay stand there then, and not here.
	Tenant string `yaml:"tenant"`
	// Embedded stores.
	State State `yaml:"state"`
	// Who may use /api/v1 on the admin listener; left out: nobody.
	AdminAuth *AdminAuth `yaml:"admin_auth"`
	// Browser applications that may call the gateway.
	CORS CORS `yaml:"cors"`
	// Certificate of the listeners; required unless insecure_http.
	TLS *TLS `yaml:"tls"`
	// Serve plain http: behind a proxy that terminates TLS, or on loopback.
	InsecureHTTP bool `yaml:"insecure_http"`
	// The FHIR server that is protected.
	Upstream Upstream `yaml:"upstream" required:"{url: http://127.0.0.1:9000/fhir}"`
	// Whose tokens are accepted; at least one.
	Issuers []Issuer `yaml:"issuers" required:"[{issuer: https://idp.example.org, audiences: [https://fhir.example.org/r4]}]"`
	// Tokens that are bound to a key of the client (RFC 9449).
	DPoP DPoP `yaml:"dpop"`
	// By client id, merged with "*" after Load: what an entry leaves out it
	// takes from "*". Ask Client(id), which also answers for unnamed clients.
	Clients map[string]Client `yaml:"clients"`
	// Rego policies and their data.
	Policy Policy `yaml:"policy"`
	// Levels of assurance (acr), weakest first: a login of a later one will do for
	// an earlier one. Left out: only the same will do.
	ACROrder []string `yaml:"acr_order"`
	// The header by which a client whose entry allows it asserts a purpose of use.
	PurposeHeader string `yaml:"purpose_header" default:"X-Purpose-Of-Use"`
	// Security labels.
	Labels Labels `yaml:"labels"`
	// FHIR Consent.
	Consent Consent `yaml:"consent"`
	// By name. A shipped view that a client names needs no entry here.
	Views map[string]View `yaml:"views"`
	// Key of pseudonyms and date shifts; required where a view needs them.
	// Losing it, every pseudonym that was given out leads nowhere.
	Pseudonyms Pseudonyms `yaml:"pseudonyms"`
	// Key of page links and every other handle.
	Sealing KeySource `yaml:"sealing" required:"{key_file: keys/sealing.key}"`
	// The record of every access.
	Audit Audit `yaml:"audit" required:"{dir: var/audit, key_file: keys/audit.key}"`
	// Emergency access (break the glass); left out: nobody has it.
	Emergency *Emergency `yaml:"emergency"`
	// Webhooks by name, for emergency.notify and for policies that oblige
	// {"notify": name}.
	Notify map[string]Channel `yaml:"notify"`
	// What is watched for in the stream of audit records, and what is done then.
	Watch []Watch `yaml:"watch"`
	// What it tells of its own work beside metrics and logs.
	Telemetry Telemetry `yaml:"telemetry"`
	// FHIR operations that are served.
	Operations Operations `yaml:"operations"`
	// What one address, body and answer may cost.
	Limits Limits `yaml:"limits"`
	// What the users of one organization may use together, by the organization
	// that tokens name, "Organization/2".
	Organizations map[string]Organization `yaml:"organizations"`

	Hash string   `yaml:"-"` // hex SHA-256 of the file's bytes, first 12 digits
	Base *url.URL `yaml:"-"` // PublicURL, parsed, without a trailing slash
	Path string   `yaml:"-"` // of the file, absolute

	written map[string]string // values that named a variable, as written, by key
}

// State is where the stores (vault, grants, reviews, blocks) are.
type State struct {
	// Directory of their files, made when missing.
	Dir string `yaml:"dir" default:"var/state" path:"made"`
	// postgres://user@host/database: grants, reviews, blocks and the pseudonyms that
	// cannot be computed are there, for several replicas, and not in dir. A password stands in ${NAME}.
	URL string `yaml:"url"`
	// Encrypts the stores; left out: derived from the sealing key.
	KeyFile string `yaml:"key_file" path:"key"`
	// Instead of key_file, as for sealing.
	KeyEnv string `yaml:"key_env"`
	// Instead of key_file, as for sealing.
	KeyCommand []string `yaml:"key_command"`

	held *Keys
}

// AdminAuth says whose tokens open the admin API.
type AdminAuth struct {
	// One of the issuers.
	Issuer string `yaml:"issuer" required:"https://idp.example.org/realms/h"`
	// Admin role (operator, privacy, compliance) to the token roles that hold it.
	Roles map[string][]string `yaml:"roles" required:"{operator: [gw-ops]}"`
}

// DPoP says what a proof must hold beside what RFC 9449 demands.
type DPoP struct {
	// A nonce of the gateway's, five minutes old at most: a proof that was made for
	// later use is of no use.
	Nonce bool `yaml:"nonce"`
}

// CORS names browser origins.
type CORS struct {
	// scheme://host[:port], compared exactly; there is no wildcard.
	Origins []string `yaml:"origins"`
}

// TLS is the certificate of the public listener, and of the admin listener off
// loopback.
type TLS struct {
	// PEM, leaf first. Re-read when the file changes.
	CertFile string `yaml:"cert_file" required:"tls/cert.pem" path:"certificates"`
	// PEM private key.
	KeyFile string `yaml:"key_file" required:"tls/key.pem" path:"private"`
	// PEM. Client certificates, which bind tokens (RFC 8705), are verified
	// against these; left out: none is asked for. Re-read when the file changes.
	ClientCAFile string `yaml:"client_ca_file" path:"certificates"`
}

// Pseudonyms say what pseudonyms and date shifts are made with.
type Pseudonyms struct {
	// Readable by its owner alone. Its newest key makes pseudonyms, and those that
	// an older one made still open: gatehouse keys rotate.
	KeyFile string `yaml:"key_file" path:"key"`
	// Instead of key_file, as for sealing.
	KeyEnv string `yaml:"key_env"`
	// Instead of key_file, as for sealing.
	KeyCommand []string `yaml:"key_command"`
	// sealed: a foreign or forged pseudonym is refused here. uuid: the pseudonym of a
	// UUID is a UUID, which has no room for a seal, so a made-up one is asked of the
	// upstream and found absent there; give such clients a rate.
	Shape string `yaml:"shape" default:"sealed" oneof:"sealed uuid"`
	// Keeps apart gateways that share a key: the same id has another pseudonym in
	// each. Changing it changes every pseudonym and date shift.
	Tenant string `yaml:"tenant"`
	// A pseudonym service of a trusted third party that names some types in place of
	// the key; the key names the others, and shifts dates.
	Service *PseudonymService `yaml:"service"`

	held *Keys
}

// PseudonymService is a pseudonym service of a trusted third party.
type PseudonymService struct {
	// gpas: gPAS 1.10.3 or later, by its FHIR operations. vfps: Vfps, by its HTTP API v1.
	// entici: by $pseudonymize; the way back is kept in the vault. mii: the interface of
	// the German Medical Informatics Initiative (2026.1.0), $pseudonymize and $de-pseudonymize.
	Kind string `yaml:"kind" required:"gpas" oneof:"gpas vfps entici mii"`
	// Base below which its interface is.
	URL string `yaml:"url" required:"https://gpas.example.org/ttp-fhir/fhir/gpas"`
	// HTTP basic: the user, with password_file.
	Username string `yaml:"username"`
	// One line.
	PasswordFile string `yaml:"password_file" path:"secret"`
	// Bearer token, in place of username and password_file. One line.
	TokenFile string `yaml:"token_file" path:"secret"`
	// PEM, in place of the system's certificate authorities.
	CAFile string `yaml:"ca_file" path:"certificates"`
	// The service may be plain http to another machine.
	InsecureHTTP bool `yaml:"insecure_http"`
	// Resource types that it names.
	Types []string `yaml:"types" default:"Patient"`
	// entici, mii: the system of the ids that are sent; left out: they have none.
	System string `yaml:"system"`
	// Its domain, namespace, project or context, which must be there: {domain} is the client's domain,
	// {type} the resource's type.
	Target string `yaml:"target" default:"{domain}"`
	// How long one answer may take.
	Timeout Duration `yaml:"timeout" default:"5s"`
}

// Client is what one OAuth client gets.
type Client struct {
	// View that its answers pass; left out: none, policy may oblige one.
	View string `yaml:"view"`
	// Its own space of pseudonyms; left out: the client id.
	Domain string `yaml:"domain"`
	// Purposes of use it may have; a token with another is refused. Left out: any.
	Purposes []string `yaml:"purposes"`
	// Ids that its PUT may create a resource under: "none", or a prefix such as
	// "lab-*" that is its own. Left out: any, and then a PUT to a new id answers
	// otherwise than one to a resource that is hidden.
	NewIDs string `yaml:"new_ids"`
	// It may name one of its purposes in purpose_header where its token names none.
	// From others the header is not read.
	PurposeHeader bool `yaml:"purpose_header"`
	// What it sees of security labels; left out: as labels.show says.
	Labels string `yaml:"labels" oneof:"confidentiality all none"`
	// What it may use, all its users together; a limit left out here and in "*"
	// does not exist.
	Limits ClientLimits `yaml:"limits"`
	// What each user of it may use of that.
	UserLimits ClientLimits `yaml:"user_limits"`
	// How long a user's login at it counts; left out: as long as tokens do.
	Session Session `yaml:"session"`
}

// Session bounds a login by the token's auth_time; a token that does not tell it
// is refused where one of these is set. Services have no session.
type Session struct {
	// Since the login, or the last request that this process saw of it.
	Idle Duration `yaml:"idle"`
	// Since the login.
	Max Duration `yaml:"max"`
}

// View names one set of field rules: shipped (use) or a file, not both.
type View struct {
	// A shipped view.
	Use string `yaml:"use" oneof:"research safe-harbor limited"`
	// Rules (DESIGN §5), or those of another tool with compat.
	File string `yaml:"file" path:"file"`
	// The tool whose rule file this is; such a view is read-only.
	Compat string `yaml:"compat" oneof:"microsoft miracum"`
	// What is read through the view may be changed through it: what was hidden stays, and ids, references, identifiers and shifted dates are turned back.
	Write bool `yaml:"write"`
}

// Audit is the record of every access.
type Audit struct {
	// Directory of the log, made when missing.
	Dir string `yaml:"dir" required:"var/audit" path:"made"`
	// Names the log apart from those of other replicas under this public_url, "${HOSTNAME}"; for good.
	Replica string `yaml:"replica"`
	// Encrypts the records.
	KeyFile string `yaml:"key_file" path:"key"`
	// Instead of key_file, as for sealing.
	KeyEnv string `yaml:"key_env"`
	// Instead of key_file, as for sealing.
	KeyCommand []string `yaml:"key_command"`
	// Signs checkpoints; left out: derived from the sealing key.
	SigningKeyFile string `yaml:"signing_key_file" path:"key"`
	// Instead of signing_key_file, as for sealing.
	SigningKeyEnv string `yaml:"signing_key_env"`
	// Instead of signing_key_file, as for sealing.
	SigningKeyCommand []string `yaml:"signing_key_command"`
	// What becomes of a request that cannot be recorded: refuse, or spool; or by
	// class: {read: spool, search: spool, write: refuse}.
	OnFailure OnFailure `yaml:"on_failure"`
	// Where records wait meanwhile.
	Spool *Spool `yaml:"spool"`
	// A disk that takes longer over one write or flush counts as failed until it
	// answers; 100ms to 5m. A change needs a restart.
	FlushTimeout Duration `yaml:"flush_timeout" default:"5s"`
	// Organizations whose records the upstream holds, "Organization/1": what a caller
	// of another one is given of a patient is recorded as a disclosure.
	Custodians []string `yaml:"custodians"`
	// How long records are kept: what is older leaves the log, a segment at a time.
	Retention Duration `yaml:"retention" default:"6y"`
	// Where records are copied to.
	Sinks []Sink `yaml:"sinks"`
	// Where its checkpoints are published to.
	Publish []Publish `yaml:"publish"`

	held, signing *Keys
}

// Operations names the FHIR operations that are served and judged.
type Operations struct {
	// With their $; an empty list serves none.
	Allow []string `yaml:"allow" default:"$everything,$export"`
}

// Client returns the entry of one client: its own, else "*", else none.
func (c *Config) Client(id string) Client {
	if own, ok := c.Clients[id]; ok {
		return own
	}
	return c.Clients["*"]
}
