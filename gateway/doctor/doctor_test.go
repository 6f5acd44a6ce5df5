package doctor

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/upstream"

	"go.uber.org/zap"
)

// server is a FHIR server with two Observations.
type server struct {
	software string
	careless bool // ignores criteria, has no versions, and serves anybody
	links    string
}

func (s server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/fhir+json")
	known := r.Header.Get("Authorization") != ""
	switch {
	case r.URL.Path == "/fhir/metadata":
		versioning := "no-version"
		if !s.careless {
			versioning = "versioned-update"
		}
		fmt.Fprintf(w, `{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","software":{"name":%q,"version":"7"},"rest":[{"mode":"server","resource":[{"type":"Observation","versioning":%q}]}]}`, s.software, versioning)
	case !known && !s.careless:
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/fhir/Observation/o1":
		if !s.careless {
			w.Header().Set("ETag", `W/"1"`)
		}
		io.WriteString(w, `{"resourceType":"Observation","id":"o1"}`)
	case r.URL.Path != "/fhir/Observation":
		io.WriteString(w, `{"resourceType":"Bundle","type":"searchset","total":0}`)
	case r.URL.Query().Has("gatehouse-unknown") && !s.careless:
		w.WriteHeader(http.StatusBadRequest)
	case len(r.URL.Query()) > 1 && !s.careless:
		io.WriteString(w, `{"resourceType":"Bundle","type":"searchset","total":0}`)
	default:
		fmt.Fprintf(w, `{"resourceType":"Bundle","type":"searchset","link":[{"relation":"next","url":%q}],"entry":[{"resource":{"resourceType":"Observation","id":"o1"}},{"resource":{"resourceType":"Observation","id":"o2"}}]}`, s.links)
	}
}

func examine(t *testing.T, s server) string {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	where, _ := url.Parse(h.URL + "/fhir")
	t.Setenv("TOKEN", "secret")
	c := &config.Config{Upstream: config.Upstream{URL: where.String(), Parsed: where, FHIRVersion: "R4", Auth: config.UpstreamAuth{Type: "bearer", TokenEnv: "TOKEN"}}}
	up, err := upstream.New(c.Upstream, where, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	var text strings.Builder
	for _, f := range Examine(context.Background(), c, up, time.Now) {
		fmt.Fprintln(&text, f)
	}
	return text.String()
}

// Issue 8 point 4: what a server does is found out, and what to set is said.
func TestExamine(t *testing.T) {
	for name, tt := range map[string]struct {
		server server
		want   []string
	}{
		"careful": {server{software: "HAPI FHIR Server", links: "Observation?_getpages=x"}, []string{
			"capabilities: good: HAPI FHIR Server 7, FHIR 4.0.1", "profile HAPI FHIR: note: ", "search: good: Observation?_id is honoured", "search: good: Observation?_security is honoured",
			"search: good: Observation?patient is honoured", "search: good: an unknown parameter is refused (400)", "paging: good: page links are relative, with _getpages",
			"ids: good: ids of up to 2 characters", "versions: good: ", "reach: good: the server refuses whoever asks without credentials (401)", "clock: good: "}},
		"careless": {server{software: "Legacy", careless: true, links: "https://ehr.internal/fhir?page=2"}, []string{
			"search: problem: Observation?_id is ignored", "search: problem: Observation?patient is ignored", "search: note: an unknown parameter is dropped",
			"paging: problem: page links go to another host, where the gateway does not follow; set upstream.aliases: [https://ehr.internal/fhir]",
			"versions: problem: reads have no ETag", "reach: problem: ", "profile: note: nothing is known of this product"}},
	} {
		got := examine(t, tt.server)
		for _, line := range tt.want {
			if !strings.Contains(got, line) {
				t.Errorf("%s: no %q in\n%s", name, line, got)
			}
		}
		if strings.Contains(got, "o1") || strings.Contains(got, "secret") {
			t.Errorf("%s: names a record or a secret:\n%s", name, got)
		}
	}
}

func TestProfiles(t *testing.T) {
	list, err := Profiles()
	if err != nil || len(list) != 6 {
		t.Fatalf("%d profiles, %v", len(list), err)
	}
	for _, p := range list {
		if p.Name == "" || len(p.Match) == 0 || len(p.Quirks) == 0 {
			t.Errorf("%+v", p)
		}
		for _, m := range p.Match {
			if m != strings.ToLower(m) {
				t.Errorf("%s: %q would never match", p.Name, m)
			}
		}
	}
}

func TestClockAndCertificate(t *testing.T) {
	x := &examination{now: time.Now}
	x.clock(&http.Response{Header: http.Header{"Date": {time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}}})
	if f := x.found[0]; f.State != Problem || !strings.Contains(f.Text, "differs by 1h0m") {
		t.Errorf("got %v", f)
	}
}
