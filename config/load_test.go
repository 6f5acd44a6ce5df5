package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
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

// load loads one of the shipped examples as if it stood in dir.
func load(t *testing.T, dir, name string) *Config {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return loadText(t, dir, string(text))
}

func loadText(t *testing.T, dir, text string) *Config {
	t.Helper()
	c, problems := Load(write(t, dir, "gatehouse.yaml", text))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return c
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
func TestMinimalConfigLoadsWithStrictDefaults(t *testing.T) {
	dir := folder(t)
	c := load(t, dir, "minimal.yaml")
	for _, tt := range []struct {
		what      string
		got, want any
	}{
		{"consent.source", c.Consent.Source, "upstream"},
		{"consent.default", c.Consent.Default, "deny"},
		{"consent.max_staleness", time.Duration(c.Consent.MaxStaleness), 5 * time.Second},
		{"admin", c.Admin, "127.0.0.1:9090"},
		{"audit.dir", c.Audit.Dir, filepath.Join(dir, "var/audit")},
		{"audit.on_failure", c.Audit.OnFailure, OnFailure{"refuse", "refuse", "refuse", "refuse"}},
		{"audit.retention", time.Duration(c.Audit.Retention), 6 * 365 * 24 * time.Hour},
		{"operations.allow", strings.Join(c.Operations.Allow, " "), "$everything $export"},
		{"limits.body", c.Limits.Body, Size(16 << 20)},
		{"limits.address.rate", c.Limits.Address.Rate, Rate{200, time.Second}},
		{"limits.address.burst", c.Limits.Address.Burst, 400},
		{"issuers[0].algorithms", strings.Join(c.Issuers[0].Algorithms, " "), "RS256 ES256"},
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

// example is a directory in which config/example.yaml loads.
func example(t *testing.T) string {
	dir := fixture(t)
	certificate(t, dir, "tls/ca.pem", "tls/ca-key.pem")
	for name, text := range map[string]string{
		"keys/introspection.secret": "topsecret\n", "policies/own.rego": "package gatehouse\n",
		"tables/roles.yaml": "roles: {}\n", "tables/labels.yaml": "labels: {}\n", "views/rules.json": "{}\n",
	} {
		write(t, dir, name, text)
	}
	return dir
}

// DESIGN §5's keys, all of them.
func TestExampleLoads(t *testing.T) {
	dir := example(t)
	c := load(t, dir, "example.yaml")
	claims := c.Issuers[0].Claims
	for _, tt := range []struct {
		what      string
		got, want any
	}{
		{"clients.research-app.limits", c.Client("research-app").Limits, ClientLimits{Rate: Rate{20, time.Second}, Burst: 100, Patients: Rates{{500, time.Hour}}}},
		{"clients.research-app.domain", c.Client("research-app").Domain, "study-17"},
		{"unnamed client", c.Client("other").Limits.Burst, 100},
		{"clients.ward-app.limits.bytes", c.Client("ward-app").Limits.Bytes, Rate{1 << 30, time.Hour}},
		{"claims.roles", claims.Roles.String(), "realm_access.roles"},
		{"claims.client", claims.Client.String(), "client_id or azp"},
		{"policy.data", strings.Join(c.Policy.Data, " "), filepath.Join(dir, "tables/labels.yaml") + " " + filepath.Join(dir, "tables/roles.yaml")},
		{"views.old-tool.file", c.Views["old-tool"].File, filepath.Join(dir, "views/rules.json")},
		{"admin_auth", strings.Join(c.AdminAuth.Roles["privacy"], " "), "privacy-officer"},
		{"upstream", c.Upstream.Parsed.String(), "http://127.0.0.1:9000/fhir"},
		{"insecure", len(c.Insecure()), 0},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.what, tt.got, tt.want)
		}
	}
}

// A URL with a port needs no quotes wherever it stands.
func TestColonsInText(t *testing.T) {
	dir := folder(t)
	text, err := os.ReadFile("minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := loadText(t, dir, string(text)+"cors: {origins: [http://127.0.0.1:3000, \"https://b.example:1\", https://c.example]}\n")
	want := []string{"http://127.0.0.1:3000", "https://b.example:1", "https://c.example"}
	if !slices.Equal(c.CORS.Origins, want) {
		t.Errorf("got %q", c.CORS.Origins)
	}
	for _, bad := range []string{"[{http://a: 1}]", "[{http://a:1}]", "[http://a: 1]", "[\"http://a\":1]", "{http://a:1}"} {
		if _, problems := Load(write(t, dir, "gatehouse.yaml", string(text)+"cors: {origins: "+bad+"}\n")); problems.Err() == nil {
			t.Errorf("%s is taken for text", bad)
		}
	}
}

func TestClaimPaths(t *testing.T) {
	dir := folder(t)
	text, err := os.ReadFile("minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ claims, roles, client string }{
		{"roles: realm_access.roles", "realm_access|roles", "client_id,azp"},
		{"roles: [resource_access, my.app, roles]", "resource_access|my.app|roles", "client_id,azp"},
		{"roles: ['https://example.org/roles']", "https://example.org/roles", "client_id,azp"},
		{"roles: [[a, b], [c.d]]", "a|b,c.d", "client_id,azp"},
		{"client: azp", "roles", "azp"},
		{"client: [client_id, act.client]", "roles", "client_id,act|client"},
		{"client: [[client.id]]", "roles", "client.id"},
	} {
		c := loadText(t, dir, strings.ReplaceAll(string(text), "roles: realm_access.roles", tt.claims))
		if got := flat(c.Issuers[0].Claims.Roles); got != tt.roles {
			t.Errorf("%s: roles %s, want %s", tt.claims, got, tt.roles)
		}
		if got := flat(c.Issuers[0].Claims.Client); got != tt.client {
			t.Errorf("%s: client %s, want %s", tt.claims, got, tt.client)
		}
	}
}

func flat(p ClaimPath) string {
	var paths []string
	for _, names := range p {
		paths = append(paths, strings.Join(names, "|"))
	}
	return strings.Join(paths, ",")
}

// A client that names a shipped view needs no entry under views.
func TestShippedViewNeedsNoDeclaration(t *testing.T) {
	text, err := os.ReadFile("minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := loadText(t, folder(t), string(text)+"clients: {app: {view: limited}}\n")
	if got := c.Views["limited"]; got != (View{Use: "limited"}) {
		t.Errorf("got %+v", got)
	}
}

func TestVariablesAreValuesAndNeverKeys(t *testing.T) { // G-06
	text, err := os.ReadFile("minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GH_BODY", "1MiB")
	t.Setenv("GH_ENTRIES", "7")
	t.Setenv("GH_VIEW", "limited, purposes: [TREAT]")
	dir := folder(t)
	c := loadText(t, dir, string(text)+"limits: {body: \"${GH_BODY}\", entries: \"${GH_ENTRIES}\"}\n")
	if c.Limits.Body != 1<<20 || c.Limits.Entries != 7 {
		t.Errorf("got %v, %v", c.Limits.Body, c.Limits.Entries)
	}
	if _, problems := Load(write(t, dir, "x.yaml", string(text)+"clients: {app: {view: \"${GH_VIEW}\"}}\n")); len(problems) != 1 {
		t.Errorf("got %v, want an unknown view", problems)
	}
}

func TestDumpLoadsAgainAndHoldsNoSecret(t *testing.T) {
	dir := example(t)
	text, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GH_REDIS", "rediss://:topsecret@redis.example.org:6379/0")
	variants := map[string]string{
		"variable": `"${GH_REDIS}"`,
		"literal":  `"rediss://:topsecret@redis.example.org:6379/0"`,
	}
	for name, state := range variants {
		c := loadText(t, dir, strings.Replace(string(text), "state: memory", "state: "+state, 1))
		dump := c.Dump()
		if strings.Contains(dump, "topsecret") || !strings.Contains(dump, "clock_skew: 30s") {
			t.Errorf("%s:\n%s", name, dump)
		}
		again := loadText(t, dir, dump)
		if dump != again.Dump() {
			t.Errorf("%s: got\n%s\nwant\n%s", name, again.Dump(), dump)
		}
	}
}

func TestInsecureOptionsAreListed(t *testing.T) {
	text, err := os.ReadFile("minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "9000/fhir}", "9000/fhir, insecure_http: true, insecure_unpinned_writes: true}", 1)
	changed = strings.Replace(changed, "issuer: https://idp.example.org/realms/h\n", "issuer: http://idp.example.org\n    insecure_http: true\n", 1)
	got := strings.Join(loadText(t, folder(t), changed).Insecure(), " ")
	if want := "insecure_http upstream.insecure_http upstream.insecure_unpinned_writes issuers[0].insecure_http"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNewKeyNeverOverwritesAndIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "a.key")
	if err := NewKey(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	first, err := ReadKey(path)
	if err != nil || len(first) != KeySize {
		t.Fatalf("got %d bytes, %v", len(first), err)
	}
	if err := NewKey(path); err == nil {
		t.Error("a key was overwritten")
	}
	if again, _ := ReadKey(path); string(again) != string(first) {
		t.Error("the key has changed")
	}
}

func TestFileThatIsNone(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{"nowhere.yaml": "does not exist", ".": "is not a regular file"} {
		_, problems := Load(filepath.Join(dir, path))
		if len(problems) != 1 || !strings.HasSuffix(problems.String(), want) {
			t.Errorf("%s: got %q, want … %s", path, problems, want)
		}
	}
}

// Whatever the file holds, Load says so and does not fall over.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"minimal.yaml", "example.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, "fuzz.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if c, problems := Load(path); (c == nil) != (len(problems) > 0) {
			t.Errorf("%v with %v", c, problems)
		}
	})
}
