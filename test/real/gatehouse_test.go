//go:build real

package real

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// gatehouse is the built binary with its files.
type gatehouse struct {
	dir     string
	port    int
	base    string // public URL
	admin   string
	app     string // origin of a page in a browser
	process *server
}

func newGatehouse(dir string, port, admin, app int) *gatehouse {
	return &gatehouse{dir: dir, port: port, base: fmt.Sprintf("http://127.0.0.1:%d/fhir", port),
		admin: fmt.Sprintf("127.0.0.1:%d", admin), app: fmt.Sprintf("http://127.0.0.1:%d", app)}
}

func (g *gatehouse) binary() string { return filepath.Join(g.dir, "gatehouse") }
func (g *gatehouse) config() string { return filepath.Join(g.dir, "gatehouse.yaml") }

// build compiles the binary and lays down what a user would: keys, a copy of
// the shipped policies with this hospital's tables, and a configuration.
func (g *gatehouse) build() error {
	c := exec.Command("go", "build", "-o", g.binary(), "gatehouse")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	for _, key := range []string{"sealing", "audit", "pseudonyms"} {
		if out, err := g.command("keys", "new", filepath.Join(g.dir, "keys", key+".key")); err != nil {
			return fmt.Errorf("keys new: %w\n%s", err, out)
		}
	}
	return g.copyPolicies()
}

const agreements = `agreements:
  backend:
    - reason: The quality registry may read observations.
      types: [Observation, Patient]
      actions: [read, search]
      purposes: [TREAT]
      until: 2099-12-31
`

const stewards = `  steward:
    - reason: Stewards keep the records of all.
      types: [clinical]
      actions: [read, search, create, update, delete]
      when: always
`

// testers are of the local issuer alone: what they may do is for their scopes to say.
const testers = `package gatehouse

permit contains "testers may do all" if "tester" in input.subject.roles
`

func (g *gatehouse) copyPolicies() error {
	files, err := filepath.Glob("../../policies/*")
	if err != nil || len(files) == 0 {
		return errors.Join(errors.New("no policies to copy"), err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.IsDir() || strings.HasSuffix(f, ".go") {
			continue
		}
		if err := copyFile(f, g.policy(filepath.Base(f))); err != nil {
			return err
		}
	}
	roles, err := os.ReadFile(g.policy("roles.yaml"))
	if err != nil {
		return err
	}
	return errors.Join(g.write("policies/agreements.yaml", agreements), g.write("policies/testers.rego", testers), g.write("policies/roles.yaml", string(roles)+stewards))
}

func (g *gatehouse) policy(name string) string { return filepath.Join(g.dir, "policies", name) }

func (g *gatehouse) write(name, text string) error {
	return os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o600)
}

// serve starts the gateway with a configuration of thirty lines.
func (g *gatehouse) serve(upstream, issuer, local, ledger string) error {
	err := g.write("gatehouse.yaml", fmt.Sprintf(`listen: 127.0.0.1:%d
admin: %s
public_url: %[3]s
insecure_http: true
upstream: {url: %s, fhir_version: R4}
issuers:
  - issuer: %s
    audiences: [%[3]s]
    token_types: [JWT]
    insecure_http: true
    claims:
      roles: realm_access.roles
      organization: organization
      patient: patient
      fhir_user: fhirUser
      purpose: purpose_of_use
      client: [client_id, azp]
  - {issuer: %[6]s, audiences: ["%[3]s"], token_types: [at+jwt], insecure_http: true, claims: {roles: roles}}
cors: {origins: ["%[7]s"]}
operations: {allow: [$everything, $export, $lastn, $docref, $validate]}
limits: {address: {rate: 2000/s, burst: 4000}}
policy: {dir: policies}
consent: {source: upstream, default: deny, max_staleness: 1s}
state: {url: %[8]q}
sealing: {key_file: keys/sealing.key}
pseudonyms: {key_file: keys/pseudonyms.key}
audit: {dir: var/audit, key_file: keys/audit.key}
`, g.port, g.admin, g.base, upstream, issuer, local, g.app, ledger))
	if err != nil {
		return err
	}
	for _, command := range []string{"check", "doctor"} {
		if out, err := g.command(command, "-c", g.config()); err != nil {
			return fmt.Errorf("gatehouse %s: %w\n%s", command, err, out)
		}
	}
	g.process = &server{name: "gatehouse", dir: g.dir, url: g.base, probe: "http://" + g.admin + "/readyz",
		command: []string{g.binary(), "serve", "-c", g.config()}}
	return g.process.start()
}

// command runs the binary to its end and gives what it printed; of one that
// failed, what it said on stderr too.
func (g *gatehouse) command(args ...string) (string, error) {
	c := exec.Command(g.binary(), args...)
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		return out.String() + said.String(), err
	}
	return out.String(), nil
}

// clean tells whether the gateway's log is free of patient data and secrets
// (law 12) after all that the tests did.
func (g *gatehouse) clean() error {
	log, err := os.ReadFile(g.process.logFile())
	if err != nil {
		return err
	}
	for _, secret := range []string{family, "Patient/p", "Bearer ey", "eyJ", "-secret", "password", postgresPassword} {
		if at := bytes.Index(log, []byte(secret)); at >= 0 {
			return fmt.Errorf("the gateway's log holds %q: …%s…", secret, log[max(0, at-200):min(len(log), at+100)])
		}
	}
	return nil
}
