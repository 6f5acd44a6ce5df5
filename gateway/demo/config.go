package demo

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/config"
	"gatehouse/policies"
)

// places is where everything of one demo is.
type places struct {
	dir, config, roles, audit, log string
	base                           string // of FHIR through the gateway
	public, admin                  string // host:port
	store                          string // base of the FHIR server
	issuer                         string
}

const configText = `# The demo's configuration: edit it, and the gateway takes it up as it runs; a
# bad edit changes nothing and is told in %[1]s and on /readyz.
# A configuration for your own server needs no more than these sections.

listen: %[2]s                # the public listener
admin: %[3]s                 # health, metrics, reload
public_url: %[4]s     # the FHIR base as clients see it
insecure_http: true                     # plain http, which is for loopback alone

# The FHIR server that is protected. Yours stands here: its URL and, under auth,
# the gateway's own credentials there. Links to its former name are its own too.
upstream: {url: "%[5]s", aliases: ["%[7]s"], fhir_version: R4, auth: {type: none}}

# Whose tokens are accepted, and which claim says what.
issuers:
  - issuer: %[6]s
    audiences: ["%[4]s"]
    algorithms: [ES256]
    token_types: [at+jwt]
    insecure_http: true                 # plain http, for this demo's provider
    claims: {roles: roles, organization: organization, patient: patient, fhir_user: fhirUser, purpose: purpose_of_use}

# What each client may use; what an entry leaves out it takes from "*".
clients:
  "*": {limits: {rate: 50/s, burst: 200}}
  research-app: {view: research, domain: study-17, purposes: [HRESCH]}

# The shipped rules read these tables: who may do what is in roles.yaml.
policy: {data: [policies/*.yaml]}

# Consents are looked up on the FHIR server; who has given none is not shown.
consent: {source: upstream, default: deny, max_staleness: 5s}

# Breaking the glass: who may, and who reviews it, on the admin API.
emergency: {roles: [clinician], max_duration: 30m, step_up: {acr: mfa, max_age: 15m}, review_within: 72h}
admin_auth: {issuer: %[6]s, roles: {privacy: [privacy-officer], operator: [operator], compliance: [compliance-officer]}}

# Made by "gatehouse keys new FILE". Without pseudonyms.key the pseudonyms
# that were given out lead nowhere; without audit.key nobody can read the trail.
sealing: {key_file: keys/sealing.key}
pseudonyms: {key_file: keys/pseudonyms.key}
state: {dir: var/state, key_file: keys/state.key}
audit: {dir: var/audit, key_file: keys/audit.key, signing_key_file: keys/audit-signing.key}

operations: {allow: [$everything]}
`

// agreements take the place of the shipped table, which is empty.
const agreementsText = `# Backend services, by OAuth client id. A row allows what a role's row allows,
# to a token without a user or patient in it, up to and with the day "until"
# (UTC); an expired agreement refuses.
agreements:
  lab-service:
    - reason: The laboratory may look up what it has measured.
      types: [Observation, DiagnosticReport]
      actions: [read, search]
      purposes: [TREAT]
      until: 2099-12-31
`

// furnish writes configuration, keys and policy tables into the directory.
func (p *places) furnish() error {
	for _, name := range []string{"sealing", "pseudonyms", "state", "audit", "audit-signing"} {
		if err := config.NewKey(filepath.Join(p.dir, "keys", name+".key")); err != nil {
			return err
		}
	}
	tables := filepath.Join(p.dir, "policies")
	if err := os.MkdirAll(tables, 0o700); err != nil {
		return fmt.Errorf("make directory of policy tables: %w", err)
	}
	names, err := fs.Glob(policies.Files, "*.yaml")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := fs.ReadFile(policies.Files, name)
		if err != nil {
			return err
		}
		if name == "agreements.yaml" {
			text = []byte(agreementsText)
		}
		if err := write(filepath.Join(tables, name), text); err != nil {
			return err
		}
	}
	text := fmt.Sprintf(configText, p.log, p.public, p.admin, p.base, p.store, p.issuer, FormerBase)
	return write(p.config, []byte(text))
}

func write(path string, text []byte) error {
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// newPlaces makes the directory: a temporary one, or dir, which must be empty.
func newPlaces(dir string) (*places, error) {
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "gatehouse-demo-")
	} else {
		if dir, err = filepath.Abs(dir); err == nil {
			err = os.MkdirAll(dir, 0o700)
		}
		if found, _ := os.ReadDir(dir); err == nil && len(found) > 0 {
			return nil, fmt.Errorf("directory %s is not empty; name a new one", dir)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make the demo's directory: %w", err)
	}
	return &places{dir: dir, config: filepath.Join(dir, "gatehouse.yaml"), roles: filepath.Join(dir, "policies", "roles.yaml"),
		audit: filepath.Join(dir, "var", "audit"), log: filepath.Join(dir, "gatehouse.log")}, nil
}

// command is how the person at the screen runs this program.
func command() string {
	path, err := os.Executable()
	if err != nil || strings.Contains(path, "go-build") {
		return "go run ."
	}
	return path
}
