//go:build real

package real

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// plain follows no redirect and gives up in time.
var plain = &http.Client{Timeout: 60 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// get reads below the gateway's base, or any URL of it.
func get(t *testing.T, target, token string) answer {
	t.Helper()
	return send(t, http.MethodGet, target, token, "")
}

// send makes one request to the gateway; headers are pairs. Whatever the
// answer, it must not name the server behind the gateway.
func send(t *testing.T, method, target, token, body string, headers ...string) answer {
	t.Helper()
	if !strings.HasPrefix(target, "http") {
		target = gate.base + target
	}
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := plain.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	a := answer{resp.StatusCode, resp.Header, string(b)}
	a.namesNobody(t, method+" "+target)
	return a
}

// namesNobody fails where an answer tells of the server behind: its address in
// any spelling, or its make.
func (a answer) namesNobody(t *testing.T, what string) {
	t.Helper()
	all := a.body
	for name, values := range a.header {
		all += "\n" + name + ": " + strings.Join(values, ", ")
	}
	u, err := url.Parse(hapi.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{u.Host, url.QueryEscape(u.Host), ":" + u.Port(), "HAPI", "Jetty", "hapifhir"} {
		if at := strings.Index(all, word); at >= 0 {
			t.Errorf("%s: the answer names the upstream (%q): …%s…", what, word, all[max(0, at-120):min(len(all), at+60)])
		}
	}
}

// want fails unless the answer has this status; every refusal is an
// OperationOutcome with a code.
func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %.600s", a.status, status, a.body)
	}
	if status >= 400 && a.code(t) == "" {
		t.Errorf("status %d without a code: %.300s", status, a.body)
	}
	return a
}

// code is the stable code of an OperationOutcome.
func (a answer) code(t *testing.T) string {
	t.Helper()
	var o struct {
		ResourceType string
		Issue        []struct {
			Details struct {
				Coding []struct{ System, Code string }
			}
		}
	}
	a.into(t, &o)
	if o.ResourceType != "OperationOutcome" || len(o.Issue) == 0 || len(o.Issue[0].Details.Coding) == 0 {
		return ""
	}
	return o.Issue[0].Details.Coding[0].Code
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("status %d: %v: %.300s", a.status, err, a.body)
	}
}

// bundle is what tests look at in a Bundle.
type bundle struct {
	ResourceType, Type string
	Total              *int
	Link               []struct{ Relation, URL string }
	Entry              []struct {
		FullURL  string
		Resource resource
		Search   struct{ Mode string }
		Response struct{ Status, Location, Etag string }
	}
}

type resource struct {
	ResourceType, ID string
	Meta             struct{ VersionID string }
	Subject          struct{ Reference string }
	Status           string
}

func (r resource) ref() string { return r.ResourceType + "/" + r.ID }

func (a answer) bundle(t *testing.T) bundle {
	t.Helper()
	a.want(t, http.StatusOK)
	var b bundle
	a.into(t, &b)
	if b.ResourceType != "Bundle" {
		t.Fatalf("not a Bundle: %.300s", a.body)
	}
	return b
}

func (b bundle) next() string {
	for _, l := range b.Link {
		if l.Relation == "next" {
			return l.URL
		}
	}
	return ""
}

// pages follows next links to the end and returns every entry's reference.
func pages(t *testing.T, target, token string) (refs []string, count int) {
	t.Helper()
	for count < 100 {
		b := get(t, target, token).bundle(t)
		count++
		for _, e := range b.Entry {
			refs = append(refs, e.Resource.ref())
			if e.FullURL != gate.base+"/"+e.Resource.ref() {
				t.Errorf("fullUrl %q of %s", e.FullURL, e.Resource.ref())
			}
		}
		if target = b.next(); target == "" {
			return refs, count
		}
		if len(b.Entry) == 0 {
			t.Errorf("page %d is empty and not the last", count)
		}
	}
	t.Fatalf("more than %d pages", count)
	return nil, 0
}
