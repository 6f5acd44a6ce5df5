package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/auth/authtest"
)

// house is the three processes and the issuer.
type house struct {
	dir                      string
	issuer                   *authtest.Issuer
	upstream, proxy, gateway *process
	assembled                *process // nil: there is no nginx here
	clinician, researcher    string   // tokens
}

const publicURL = "http://bench.example.org/fhir"

func open(dir string) (*house, error) {
	issuer, err := authtest.New()
	if err != nil {
		return nil, err
	}
	issuer.Lifetime = 30 * time.Minute
	h := &house{dir: dir, issuer: issuer}
	if err := h.start(); err != nil {
		h.close()
		return nil, err
	}
	h.clinician = issuer.Token(map[string]any{"aud": publicURL, "client_id": "ward-app", "scope": "user/*.rs", "roles": []string{"clinician"},
		"organization": "2", "fhirUser": "Practitioner/7", "purpose_of_use": []string{"TREAT"}})
	h.researcher = issuer.Token(map[string]any{"aud": publicURL, "client_id": "research-app", "scope": "user/*.rs", "roles": []string{"researcher"},
		"purpose_of_use": []string{"HRESCH"}})
	return h, nil
}

func (h *house) start() (err error) {
	if h.upstream, err = start("upstream"); err != nil {
		return err
	}
	if h.proxy, err = start("proxy", "http://"+h.upstream.address); err != nil {
		return err
	}
	if h.assembled, err = h.assemble(); err != nil {
		return err
	}
	for _, k := range []string{"sealing", "audit", "pseudonyms"} {
		if err := config.NewKey(filepath.Join(h.dir, k+".key")); err != nil {
			return err
		}
	}
	file := filepath.Join(h.dir, "gatehouse.yaml")
	if err := os.WriteFile(file, []byte(h.config()), 0o600); err != nil {
		return err
	}
	if h.gateway, err = start("gateway", file); err != nil {
		log, _ := os.ReadFile(file + ".log")
		return fmt.Errorf("%w\n%s", err, log)
	}
	return h.ready()
}

// config has everything on: shipped policies, consents from the upstream with
// the default that denies, durable audit, limits that count and do not bite.
func (h *house) config() string {
	return fmt.Sprintf(`listen: 127.0.0.1:0
admin: 127.0.0.1:0
public_url: %s
insecure_http: true
upstream: {url: http://%s/fhir, fhir_version: R4, max_connections: 256}
issuers:
  - {issuer: %s, audiences: [%s], token_types: [at+jwt], insecure_http: true, claims: {roles: roles, organization: organization, patient: patient, fhir_user: fhirUser, purpose: purpose_of_use}}
clients:
  "*": {limits: {rate: 1000000/s, burst: 1000000, entries: 1000000000/h, patients: 1000000/h, bytes: 1000GiB/h}}
  research-app: {view: research, domain: study-17, purposes: [HRESCH]}
consent: {source: upstream, default: deny}
sealing: {key_file: sealing.key}
pseudonyms: {key_file: pseudonyms.key}
state: {dir: state}
audit: {dir: audit, key_file: audit.key}
limits: {address: {rate: 1000000/s, burst: 1000000}}
`, publicURL, h.upstream.address, h.issuer.URL, publicURL)
}

func (h *house) ready() error {
	for range 1000 {
		if status, err := get("http://" + h.gateway.admin + "/readyz"); err == nil && status == 200 {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("the gateway did not become ready")
}

func (h *house) close() {
	for _, p := range []*process{h.gateway, h.assembled, h.proxy, h.upstream} {
		if p != nil {
			p.stop()
		}
	}
	h.issuer.Close()
}
