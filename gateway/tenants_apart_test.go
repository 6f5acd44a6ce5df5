package gateway

import (
	"strings"
	"testing"

	"gatehouse/config"
)

// Issue 8 point 4: what no path and no key shows two tenants to have in common.
func TestTenantsShareElsewhere(t *testing.T) {
	publishing := func(name, typ, url string) *config.Config {
		return &config.Config{Audit: config.Audit{Dir: "/x/" + name + "/audit", Publish: []config.Publish{{Type: typ, URL: url}}}, State: config.State{Dir: "/x/" + name + "/state"}}
	}
	const bucket, other = "https://bucket.example.org/{size}", "https://other.example.org/{size}"
	for _, tt := range []struct {
		typ, url string
		refused  bool
	}{{"s3", bucket, true}, {"http", bucket, true}, {"s3", other, false}, {"witness", bucket, false}} {
		why := sharedPlaces(publishing("north", tt.typ, tt.url), publishing("south", tt.typ, bucket))
		if got := strings.Contains(strings.Join(why, "\n"), "write over"); got != tt.refused {
			t.Errorf("%s %s: %q", tt.typ, tt.url, why)
		}
	}
	asking := func(issuer, mode, url string) *config.Config {
		return &config.Config{Issuers: []config.Issuer{{Issuer: issuer, Audiences: []string{"fhir"}, Introspection: config.Introspection{Mode: mode, URL: url}}}}
	}
	south := asking("https://idp.example.org/south", "opaque", "https://idp.example.org/introspect")
	for _, tt := range []struct {
		issuer, mode, url string
		refused           bool
	}{
		{"https://idp.example.org/south", "never", "", true},
		{"https://idp.example.org/north", "opaque", "https://idp.example.org/introspect", true},
		{"https://idp.example.org/north", "always", "https://idp.example.org/introspect", true},
		{"https://idp.example.org/north", "never", "https://idp.example.org/introspect", false},
		{"https://idp.example.org/north", "opaque", "https://idp.example.org/north/introspect", false},
		{"https://idp.example.org/north", "opaque", "", false},
	} {
		if why := sharedAudience(asking(tt.issuer, tt.mode, tt.url), south); (len(why) > 0) != tt.refused {
			t.Errorf("%+v: %q", tt, why)
		}
	}
	naming := func(url, target string) *config.Config {
		return &config.Config{Pseudonyms: config.Pseudonyms{Service: &config.PseudonymService{URL: url, Target: target}}}
	}
	const gpas = "https://gpas.example.org/gpas"
	for _, tt := range []struct {
		url, target string
		refused     bool
	}{{gpas, "{domain}", true}, {gpas + "/", "{domain}", true}, {gpas, "north-{domain}", false}, {"https://other.example.org/gpas", "{domain}", false}} {
		if why := sharedNames(naming(tt.url, tt.target), naming(gpas, "{domain}")); (len(why) > 0) != tt.refused {
			t.Errorf("%+v: %q", tt, why)
		}
	}
}
