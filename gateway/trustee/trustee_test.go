package trustee

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/config"
)

// stub is a pseudonym service made from the published interfaces: the operations
// of gPAS's TTP-FHIR gateway, the HTTP annotations of Vfps's pseudonyms.proto, the
// operation of entici as miracum's pseudonymizer calls it, and the MII's operations
// (2026.1.0). None of these products runs here.
type stub struct {
	asked  atomic.Int64
	auth   string
	broken http.HandlerFunc // answers in place of it
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	if s.broken != nil {
		s.broken(w, r)
		return
	}
	if r.Header.Get("Authorization") != s.auth {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, _ := io.ReadAll(r.Body)
	switch path := r.URL.EscapedPath(); {
	case strings.HasPrefix(path, "/gpas/$") && r.Method == "POST" && r.Header.Get("Content-Type") == fhirJSON:
		s.gpas(w, strings.TrimPrefix(path, "/gpas/$"), body)
	case path == "/entici/$pseudonymize" && r.Method == "POST":
		s.entici(w, body)
	case strings.HasPrefix(path, "/mii/$") && r.Method == "POST" && r.Header.Get("Content-Type") == fhirJSON:
		s.mii(w, strings.TrimPrefix(path, "/mii/$"), body)
	case strings.HasPrefix(path, "/v1/namespaces/"):
		s.vfps(w, r.Method, strings.TrimPrefix(path, "/v1/namespaces/"), body)
	default:
		w.WriteHeader(http.StatusNotImplemented)
	}
}

func (s *stub) gpas(w http.ResponseWriter, operation string, body []byte) {
	var p struct {
		Parameter []struct{ Name, ValueString string }
	}
	_ = json.Unmarshal(body, &p)
	in := map[string]string{}
	for _, one := range p.Parameter {
		in[one.Name] = one.ValueString
	}
	original, pseudonym := in["original"], in["pseudonym"]
	switch {
	case in["target"] == "unknown":
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"resourceType":"OperationOutcome"}`)
		return
	case operation == "pseudonymizeAllowCreate":
		pseudonym = in["target"] + "." + original + "-psn"
	case operation == "dePseudonymize":
		var ok bool
		if original, ok = undo(in["target"], pseudonym); !ok {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	id := `{"name":%q,"valueIdentifier":{"system":"https://ths-greifswald.de/gpas","value":%q}}`
	fmt.Fprintf(w, `{"resourceType":"Parameters","parameter":[{"name":"pseudonym","part":[`+id+","+id+","+id+"]}]}", "original", original, "target", in["target"], "pseudonym", pseudonym)
}

type stubParameters struct {
	Parameter []struct {
		Name, ValueString, ValueCode string
		ValueIdentifier              struct{ System, Value string }
	}
}

func (p *stubParameters) of(body []byte) map[string]string {
	_ = json.Unmarshal(body, p)
	in := map[string]string{}
	for _, one := range p.Parameter {
		in[one.Name] = one.ValueIdentifier.System + one.ValueIdentifier.Value + one.ValueString + one.ValueCode
	}
	return in
}

func (s *stub) entici(w http.ResponseWriter, body []byte) {
	in := new(stubParameters).of(body)
	id, ok := strings.CutPrefix(in["identifier"], "urn:ids:")
	if !ok || in["resourceType"] != "Patient" || in["project"] == "unknown" {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	fmt.Fprintf(w, `{"resourceType":"Parameters","parameter":[{"name":"pseudonym","valueIdentifier":{"use":"secondary","system":"urn:x","value":%q}}]}`, in["project"]+"."+id+"-psn")
}

func (s *stub) mii(w http.ResponseWriter, operation string, body []byte) {
	in := new(stubParameters).of(body)
	original, ok := strings.CutPrefix(in["original"], "urn:ids:")
	pseudonym, form := in["context"]+"."+original+"-psn", `{"resourceType":"Parameters","parameter":[%s]}`
	names := []any{"context", in["context"], "original", original, "pseudonym", pseudonym}
	if operation == "de-pseudonymize" {
		pseudonym, form = in["pseudonym"], `{"resourceType":"Parameters","parameter":[{"name":"original","part":[%s]}]}`
		original, ok = undo(in["context"], pseudonym)
		names = []any{"context", in["context"], "value", original, "pseudonym", pseudonym}
	}
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	one := `{"name":%q,"valueIdentifier":{"value":%q}}`
	fmt.Fprintf(w, form, fmt.Sprintf(one+","+one+","+one, names...))
}

func undo(target, pseudonym string) (string, bool) {
	id, ok := strings.CutSuffix(strings.TrimPrefix(pseudonym, target+"."), "-psn")
	return id, ok && strings.HasPrefix(pseudonym, target+".")
}

func (s *stub) vfps(w http.ResponseWriter, method, path string, body []byte) {
	target, rest, _ := strings.Cut(path, "/pseudonyms")
	var in struct{ OriginalValue string }
	_ = json.Unmarshal(body, &in)
	original, pseudonym := in.OriginalValue, target+"."+in.OriginalValue+"-psn"
	if method == "GET" {
		var ok bool
		pseudonym = strings.TrimPrefix(rest, "/")
		if original, ok = undo(target, pseudonym); !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
	}
	fmt.Fprintf(w, `{"pseudonym":{"meta":{},"namespace":%q,"originalValue":%q,"pseudonymValue":%q}}`, target, original, pseudonym)
}

func service(t *testing.T, s *stub, kind, target string) (*Service, *[]error) {
	t.Helper()
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	c := config.PseudonymService{Kind: kind, URL: web.URL, Types: []string{"Patient", "Encounter"}, Target: target, Timeout: config.Duration(300 * time.Millisecond)}
	if kind != "vfps" {
		c.URL += "/" + kind
	}
	if kind == "entici" || kind == "mii" {
		c.System = "urn:ids:"
	}
	if s.auth != "" {
		c.TokenFile = filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(c.TokenFile, []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	failures := &[]error{}
	made, err := New(c, func(err error) { *failures = append(*failures, err) }, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return made, failures
}

// Issue 6 point 12: each dialect names an id in its target and leads back; what the
// service does not know is nothing, and no failure.
func TestDialects(t *testing.T) {
	for _, kind := range []string{"gpas", "vfps", "mii"} {
		s, failures := service(t, &stub{auth: "Bearer secret"}, kind, "{domain}-{type}")
		p, err := s.Pseudonym("study", "Patient", "mrn-1")
		if err != nil || p != "study-Patient.mrn-1-psn" {
			t.Fatalf("%s: %q %v", kind, p, err)
		}
		for _, tt := range []struct{ domain, typ, p, want string }{
			{"study", "Patient", p, "mrn-1"}, {"other", "Patient", p, ""}, {"study", "Encounter", p, ""},
			{"study", "Patient", "mrn-1", ""}, {"study", "Patient", "a/../b?c", ""},
		} {
			if got, err := s.Real(tt.domain, tt.typ, tt.p); got != tt.want || err != nil {
				t.Errorf("%s: %+v leads to %q, %v", kind, tt, got, err)
			}
		}
		if len(*failures) != 0 {
			t.Errorf("%s: %v", kind, *failures)
		}
		if !s.Serves("Patient") || s.Serves("Observation") {
			t.Errorf("%s serves other types", kind)
		}
	}
}

// entici names ids, by project and type, and leads back from none.
func TestEntici(t *testing.T) {
	s, failures := service(t, &stub{auth: "Bearer secret"}, "entici", "{domain}")
	p, err := s.Pseudonym("study", "Patient", "mrn-1")
	if err != nil || p != "study.mrn-1-psn" {
		t.Fatalf("got %q %v", p, err)
	}
	if back, err := s.Real("study", "Patient", p); s.Leads() || back != "" || err != nil {
		t.Errorf("leads back to %q, %v", back, err)
	}
	if p, err := s.Pseudonym("unknown", "Patient", "mrn-1"); p != "" || err == nil || len(*failures) != 1 {
		t.Errorf("an unknown project gives %q, %v", p, err)
	}
}

// A pseudonym that the MII's interface gives several originals for names nobody.
func TestSeveralOriginals(t *testing.T) {
	one := `{"name":"original","part":[{"name":"context","valueIdentifier":{"value":"study"}},{"name":"value","valueIdentifier":{"value":%q}},{"name":"pseudonym","valueIdentifier":{"value":%q}}]}`
	for answer, want := range map[string]string{
		fmt.Sprintf(one, "mrn-1", "p"): "mrn-1", fmt.Sprintf(one, "mrn-1", "q"): "",
		fmt.Sprintf(one, "mrn-1", "p") + "," + fmt.Sprintf(one, "mrn-2", "p"): "", `{"name":"original"}`: "",
	} {
		s, _ := service(t, &stub{broken: func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"resourceType":"Parameters","parameter":[%s]}`, answer)
		}}, "mii", "{domain}")
		if got, err := s.Real("study", "Patient", "p"); got != want || err != nil {
			t.Errorf("%s: got %q, %v", answer, got, err)
		}
	}
}

// A service that fails is no service: nothing of its answer is used, nothing is told
// of ids, and for two seconds it is not asked again.
func TestFailures(t *testing.T) {
	say := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = io.WriteString(w, body) }
	}
	for name, broken := range map[string]http.HandlerFunc{
		"500":            say(500, "mrn-1"),
		"401":            say(401, ""),
		"no JSON":        say(200, "mrn-1"),
		"another answer": say(200, `{"resourceType":"OperationOutcome"}`),
		"an endless one": say(200, strings.Repeat(" ", maxAnswer+2)),
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/x", http.StatusTemporaryRedirect)
		},
		"one that stalls": func(_ http.ResponseWriter, r *http.Request) { time.Sleep(500 * time.Millisecond) },
	} {
		web := &stub{broken: broken}
		s, failures := service(t, web, "gpas", "{domain}")
		for _, want := range []error{nil, ErrDown, ErrDown} {
			p, err := s.Pseudonym("study", "Patient", "mrn-1")
			if p != "" || err == nil || want != nil && !errors.Is(err, want) || strings.Contains(err.Error(), "mrn-1") {
				t.Errorf("%s: %q %v", name, p, err)
			}
		}
		if web.asked.Load() != 1 || len(*failures) != 1 {
			t.Errorf("%s: asked %d times, %v", name, web.asked.Load(), *failures)
		}
		s.now = func() time.Time { return time.Now().Add(rest) }
		web.broken = nil
		if p, err := s.Pseudonym("study", "Patient", "mrn-1"); err != nil || p == "" {
			t.Errorf("%s: it stays down: %v", name, err)
		}
	}
}

// Answers about somebody else, or without a pseudonym, are none; they do not take
// the service from others.
func TestWrongAnswersAreNone(t *testing.T) {
	pair := func(original, target, pseudonym string) string {
		id := `{"name":%q,"valueIdentifier":{"value":%q}}`
		return fmt.Sprintf(`{"resourceType":"Parameters","parameter":[{"name":"pseudonym","part":[`+id+","+id+","+id+"]}]}", "original", original, "target", target, "pseudonym", pseudonym)
	}
	for name, answer := range map[string]string{
		"another's": pair("mrn-2", "study", "x"), "another target's": pair("mrn-1", "other", "x"), "the id itself": pair("mrn-1", "study", "mrn-1"),
		"nothing": pair("mrn-1", "study", ""), "no pair": `{"resourceType":"Parameters"}`,
	} {
		web := &stub{broken: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }}
		s, failures := service(t, web, "gpas", "{domain}")
		for range 2 {
			if p, err := s.Pseudonym("study", "Patient", "mrn-1"); p != "" && err == nil || errors.Is(err, ErrDown) || err == nil {
				t.Errorf("%s: %q %v", name, p, err)
			}
		}
		if len(*failures) != 2 {
			t.Errorf("%s: %v", name, *failures)
		}
	}
}
