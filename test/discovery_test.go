package test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Discovery, CORS, /metadata and reload: what the gateway says of itself.

// SMART-01 to SMART-05, PRM-01, C4, E-07: the documents are the gateway's own.
func TestDiscoveryDocuments(t *testing.T) {
	h := openHouse(t, "cors: {origins: [https://app.example.org]}")
	root := strings.TrimSuffix(h.base, "/fhir")
	for _, path := range []string{"/fhir/.well-known/smart-configuration", "/.well-known/oauth-protected-resource/fhir", "/.well-known/oauth-protected-resource", "/fhir/.well-known/oauth-protected-resource"} {
		r, err := http.NewRequest(http.MethodGet, root+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "application/fhir+xml")
		r.Header.Set("Origin", "https://anywhere.example")
		got := roundTrip(t, r)
		var doc map[string]any
		if err := json.Unmarshal([]byte(got.body), &doc); err != nil || got.status != 200 || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d %s %s", path, got.status, got.header.Get("Content-Type"), got.body)
		}
		if got.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %v", path, got.header)
		}
		h.noCanary(t, got)
		h.recorded(t, &attack{status: 200}, got)
		if strings.Contains(path, "protected-resource") && doc["resource"] != "http://gw.example.org/fhir" {
			t.Errorf("resource is %v", doc["resource"])
		}
		if strings.Contains(path, "smart") {
			methods, _ := doc["code_challenge_methods_supported"].([]any)
			if !slices.Contains(methods, any("S256")) || slices.Contains(methods, any("plain")) {
				t.Errorf("got %v", methods)
			}
			list, _ := doc["capabilities"].([]any)
			if doc["authorization_endpoint"] == nil && slices.Contains(list, any("launch-standalone")) {
				t.Error("SMART-04: a launch without an authorization endpoint is offered")
			}
		}
	}
	// SMART-05: what the login alone grants is listed where the login knows it.
	var smart struct {
		Scopes []string `json:"scopes_supported"`
	}
	if err := json.Unmarshal([]byte(h.get("/.well-known/smart-configuration", "").body), &smart); err != nil || !slices.Contains(smart.Scopes, "user/*.cruds") || slices.Contains(smart.Scopes, "openid") {
		t.Errorf("scopes_supported: %v %v", smart.Scopes, err)
	}
	// PRM-02, BEAR-03: a 401 says where to look and, with nothing sent, no error.
	got := h.get("/Observation/a", "")
	challenge := strings.Join(got.header.Values("WWW-Authenticate"), "\n")
	if got.status != 401 || !strings.Contains(challenge, `resource_metadata="http://gw.example.org/.well-known/oauth-protected-resource/fhir"`) || strings.Contains(challenge, "error=") {
		t.Errorf("got %d %s", got.status, challenge)
	}
}

func roundTrip(t *testing.T, r *http.Request) answer {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, resp)
}

// SMART-09: registered origins, errors included; preflight without a token.
func TestCORS(t *testing.T) {
	h := openHouse(t, "cors: {origins: [https://app.example.org]}")
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /metadata", 200, capabilities)
	for _, c := range []struct {
		method, target, origin, token string
		status                        int
		allow                         string
	}{
		{"OPTIONS", "/Observation/a", "https://app.example.org", "", 204, "https://app.example.org"},
		{"OPTIONS", "/Observation/a", "https://evil.example", "", 204, ""},
		{"OPTIONS", "/Observation/a", "https://app.example.org.evil", "", 204, ""},
		{"OPTIONS", "/Observation/a", "null", "", 204, ""},
		{"GET", "/Observation/a", "https://app.example.org", "", 401, "https://app.example.org"},
		{"GET", "/Observation/a", "https://app.example.org", h.staff(), 200, "https://app.example.org"},
		{"GET", "/Observation/a", "https://evil.example", h.staff(), 200, ""},
		{"GET", "/Nonsense", "https://app.example.org", h.staff(), 400, "https://app.example.org"},
		{"GET", "/metadata", "https://evil.example", "", 200, "*"},
	} {
		got := h.do(c.method, c.target, c.token, "", "Origin", c.origin, "Access-Control-Request-Method", "GET")
		if got.status != c.status || got.header.Get("Access-Control-Allow-Origin") != c.allow || got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%+v: got %d %v", c, got.status, got.header)
		}
		if c.allow == "https://app.example.org" && c.method == "GET" && !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
			t.Errorf("%+v: exposed %s", c, got.header.Get("Access-Control-Expose-Headers"))
		}
		if !strings.Contains(got.header.Get("Vary"), "Origin") {
			t.Errorf("%+v: Vary %s", c, got.header.Get("Vary"))
		}
	}
	// A batch may ask for the metadata; its answer stays as closed as it was.
	got := h.do("POST", "", h.staff(), `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"metadata"}},{"request":{"method":"GET","url":"Observation/a"}}]}`, "Origin", "https://evil.example")
	if got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a batch is open to %s", got.header.Get("Access-Control-Allow-Origin"))
	}
}

const capabilities = `{"resourceType":"CapabilityStatement","id":"Canary","publisher":"Canary","url":"%BASE%/metadata","name":"Canary","description":"Canary","fhirVersion":"4.0.1","status":"active","date":"2026-01-01",
"software":{"name":"Canary","version":"Canary"},"implementation":{"description":"Canary","url":"%BASE%"},"format":["xml","json"],"contact":[{"name":"Canary"}],
"rest":[{"mode":"server","documentation":"Canary","security":{"extension":[{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","extension":[{"url":"token","valueUri":"%BASE%/token"}]}]},
"interaction":[{"code":"transaction"},{"code":"history-system"}],"operation":[{"name":"expunge","definition":"%BASE%/x"}],
"resource":[{"type":"Observation","profile":"%BASE%/Canary","documentation":"Canary","interaction":[{"code":"read","documentation":"Canary"},{"code":"search-type"},{"code":"Canary"}],"searchInclude":["Observation:subject","Canary %BASE%"],"searchRevInclude":["Provenance:target"],
"searchParam":[{"name":"code","type":"token","documentation":"Canary"},{"name":"_filter","type":"special"},{"name":"Canary","type":"string"}],"operation":[{"name":"lastn","definition":"%BASE%/x"}]},
{"type":"Canary"},{"type":"Subscription","interaction":[{"code":"create"}]},{"type":"Patient","interaction":[{"code":"read"}]}]}]}`

// FHIR-22, SMART-08: the CapabilityStatement tells what is true of the gateway
// and nothing of what is behind it.
func TestMetadata(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /metadata", 200, capabilities)
	h.attack(t, []attack{{id: "FHIR-22", target: "/metadata", status: 200, calls: []string{"GET /metadata"}}})
	got := h.get("/metadata", "")
	var doc struct {
		FHIRVersion    string
		Implementation struct{ URL string }
		Rest           []struct {
			Resource []struct {
				Type        string
				Interaction []struct{ Code string }
				SearchParam []struct{ Name string }
			}
		}
	}
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil || doc.FHIRVersion != "4.0.1" || doc.Implementation.URL != "http://gw.example.org/fhir" || len(doc.Rest) != 1 {
		t.Fatalf("got %s", got.body)
	}
	types := []string{}
	for _, r := range doc.Rest[0].Resource {
		types = append(types, r.Type)
	}
	if !strings.Contains(got.body, `"name":"everything"`) || strings.Contains(got.body, "lastn") || strings.Contains(got.body, "expunge") {
		t.Errorf("operations: %s", got.body)
	}
	if !slices.Equal(types, []string{"Observation", "Patient"}) || len(doc.Rest[0].Resource[0].Interaction) != 2 || len(doc.Rest[0].Resource[0].SearchParam) != 1 {
		t.Errorf("got %v %+v", types, doc.Rest[0].Resource[0])
	}
	h.attack(t, []attack{
		{id: "E-08", method: "POST", target: "/metadata", status: 401},
		{id: "J-18", method: "POST", target: "/metadata", token: h.staff(), status: 405},
	})
}

// C-16: a bad configuration or policy changes nothing and is reported; a good
// one is swapped in whole, and what was refused is allowed at once.
func TestReload(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Observation/r", 200, obsR)
	reload := func() int {
		r, err := http.Post("http://"+h.process.AdminAddr()+"/-/reload", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		return r.StatusCode
	}
	still := func(what string) {
		t.Helper()
		if a, r := h.get("/Observation/a", h.staff()), h.get("/Observation/r", h.staff()); a.status != 200 || r.status != 404 {
			t.Errorf("%s: got %d and %d", what, a.status, r.status)
		}
	}
	good, err := os.ReadFile(filepath.Join(h.dir, "gatehouse.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"unknown key":     string(good) + "nonsense: 1\n",
		"not YAML":        ":\n\t-",
		"empty":           "",
		"missing key":     strings.Replace(string(good), "sealing.key", "other.key", 1),
		"http upstream":   strings.Replace(string(good), "url: http://", "url: ftp://", 1),
		"another listen":  strings.Replace(string(good), "listen: 127.0.0.1:0", "listen: 127.0.0.1:1", 1),
		"unknown view":    string(good) + "clients: {app: {view: nonsense}}\n",
		"unreached login": strings.Replace(string(good), h.issuer.URL, "http://127.0.0.1:1", 1),
	} {
		h.write("gatehouse.yaml", text)
		if what == "unreached login" {
			continue // takes its time: see the next
		}
		if got := reload(); got != http.StatusUnprocessableEntity {
			t.Errorf("%s: reload says %d", what, got)
		}
		still(what)
	}
	h.write("gatehouse.yaml", string(good))
	for what, text := range map[string]string{
		"syntax":      "package gatehouse\npermit contains",
		"typo":        "package gatehouse\npermit contains \"x\" if \"staff\" in input.subject.rolls",
		"other":       "package gatekeeper\npermit contains \"x\" if true",
		"conflict":    "package gatehouse\npermit := 1\npermit := 2",
		"network":     "package gatehouse\npermit contains \"x\" if http.send({\"url\":\"http://x\",\"method\":\"get\"})",
		"environment": "package gatehouse\npermit contains \"x\" if opa.runtime().env.X",
		"nothing":     "",
	} {
		h.write("policy/policy.rego", text)
		if got := reload(); got != http.StatusUnprocessableEntity {
			t.Errorf("C-03 %s: reload says %d", what, got)
		}
		still(what)
	}
	h.write("policy/policy.rego", "package gatehouse\npermit contains \"staff\" if \"staff\" in input.subject.roles\n")
	if got := reload(); got != 200 {
		t.Errorf("a good policy: reload says %d", got)
	}
	if got := h.get("/Observation/r", h.staff()); got.status != 200 {
		t.Errorf("the new policy is not in force: %d", got.status)
	}
	h.write("policy/policy.rego", usualPolicy)
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if h.get("/Observation/r", h.staff()).status == 404 {
			break
		}
		time.Sleep(30 * time.Millisecond)
	}
	still("SIGHUP")
	r, err := http.NewRequest(http.MethodPost, "http://"+h.process.AdminAddr()+"/-/reload", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://evil.example")
	if got := roundTrip(t, r); got.status != http.StatusForbidden {
		t.Errorf("G-03: a browser may reload: %d", got.status)
	}
}

// G-03: nothing of the admin listener is on the public one.
func TestAdminApart(t *testing.T) {
	h := openHouse(t)
	root := strings.TrimSuffix(h.base, "/fhir")
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/-/reload", "/api/v1/policies", "/debug/pprof/", "/debug/vars", "/fhir/livez", "/fhir/metrics"} {
		for _, token := range []string{"", h.staff()} {
			r, err := http.NewRequest(http.MethodGet, root+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			if got := roundTrip(t, r); got.status != 401 && got.status != 404 && got.status != 400 {
				t.Errorf("%s: got %d %s", path, got.status, got.body)
			}
		}
	}
	for _, path := range []string{"/fhir/Observation/a", "/debug/pprof/", "/api/v1/policies"} {
		r, err := http.Get("http://" + h.process.AdminAddr() + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != 404 && r.StatusCode != 401 && r.StatusCode != 403 {
			t.Errorf("%s: got %d", path, r.StatusCode)
		}
	}
}
