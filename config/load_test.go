package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// folder is a directory with the keys that a configuration names.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"state", "sealing", "audit", "audit-signing", "pseudonyms"} {
		if err := NewKey(filepath.Join(dir, "keys", name+".key")); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The configuration of a newcomer, in less than twenty lines (issue 2, "Seen by").
const minimal = `
listen: 127.0.0.1:8080
public_url: http://127.0.0.1:8080/fhir
insecure_http: true
upstream: {url: http://127.0.0.1:9000/fhir}
issuers:
  - issuer: https://idp.example.org/realms/h
    audiences: [http://127.0.0.1:8080/fhir]
sealing: {key_file: keys/sealing.key}
audit: {dir: var/audit, key_file: keys/audit.key}
`

func TestMinimalConfigLoadsWithStrictDefaults(t *testing.T) {
	dir := folder(t)
	c, problems := Load(write(t, dir, "gatehouse.yaml", minimal))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what      string
		got, want any
	}{
		{"consent.source", c.Consent.Source, "upstream"},
		{"consent.default", c.Consent.Default, "deny"},
		{"consent.max_staleness", time.Duration(c.Consent.MaxStaleness), 5 * time.Second},
		{"admin", c.Admin, "127.0.0.1:9090"},
		{"audit.dir", c.Audit.Dir, filepath.Join(dir, "var/audit")},
		{"audit.on_failure", c.Audit.OnFailure, "refuse"},
		{"audit.retention", time.Duration(c.Audit.Retention), 6 * 365 * 24 * time.Hour},
		{"operations.allow", strings.Join(c.Operations.Allow, " "), "$everything $export"},
		{"limits.body", c.Limits.Body, Size(16 << 20)},
		{"limits.address.rate", c.Limits.Address.Rate, Rate{200, time.Second}},
		{"limits.address.burst", c.Limits.Address.Burst, 400},
		{"issuers[0].token_types", strings.Join(c.Issuers[0].TokenTypes, " "), "at+jwt"},
		{"issuers[0].scopes", c.Issuers[0].Scopes, "smart"},
		{"issuers[0].claims.client", c.Issuers[0].Claims.Client.String(), "client_id or azp"},
		{"upstream.auth.type", c.Upstream.Auth.Type, "none"},
		{"upstream.timeout", time.Duration(c.Upstream.Timeout), 30 * time.Second},
		{"base", c.Base.String(), "http://127.0.0.1:8080/fhir"},
		{"length of hash", len(c.Hash), 12},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.what, tt.got, tt.want)
		}
	}
}
