package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gatehouse/config"
	"gatehouse/gateway/auth/authtest"
	"gatehouse/gateway/demo"
)

const public = "http://soak.example.org/fhir"

// world is the gateway as a process, and what it talks to.
type world struct {
	dir, base, admin string
	issuer           *authtest.Issuer
	upstream         *http.Server
	gateway          *exec.Cmd
}

func open(dir string) (*world, error) {
	w := &world{dir: dir}
	var err error
	if w.issuer, err = authtest.New(); err != nil {
		return nil, err
	}
	w.issuer.Lifetime = 50 * time.Minute // what is older than an hour is refused
	store, err := w.serveStore()
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"sealing", "audit", "pseudonyms"} {
		if err := config.NewKey(filepath.Join(dir, key+".key")); err != nil {
			return nil, err
		}
	}
	return w, w.start(store)
}

// serveStore is the demo's FHIR server, which also answers exports and a search whose
// answer has 30 MB.
func (w *world) serveStore() (base string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	base = "http://" + l.Addr().String() + "/fhir"
	store, err := demo.NewStore(base)
	if err == nil {
		err = store.Load(demo.Patients(200))
	}
	if err != nil {
		return "", err
	}
	w.upstream = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/fhir")
		switch {
		case path == "/$export":
			out.Header().Set("Content-Location", base+"/jobs/1")
			out.WriteHeader(http.StatusAccepted)
		case path == "/jobs/1":
			out.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(out, `{"transactionTime":"2026-01-02T03:04:05Z","request":"%s/$export","requiresAccessToken":false,"output":[{"type":"Observation","url":"%[1]s/files/1"}],"error":[]}`, base)
		case path == "/files/1":
			out.Header().Set("Content-Type", "application/fhir+ndjson")
			many(out, "", "\n", 5000)
		case path == "/Observation" && strings.Contains(r.URL.RawQuery, "huge"):
			out.Header().Set("Content-Type", "application/fhir+json")
			_, _ = io.WriteString(out, `{"resourceType":"Bundle","type":"searchset","entry":[`)
			many(out, `{"resource":`, "},", 60000)
			_, _ = fmt.Fprintf(out, `{"resource":%s}]}`, observation(0))
		default:
			store.ServeHTTP(out, r)
		}
	})}
	go w.upstream.Serve(l)
	return base, nil
}

func observation(i int) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":"huge-%d","status":"final","code":{"text":"huge"},"subject":{"reference":"Patient/p%03d"},"note":[{"text":"%s"}]}`, i, i%200+1, strings.Repeat("x", 300))
}

func many(out io.Writer, before, after string, n int) {
	for i := range n {
		if _, err := io.WriteString(out, before+observation(i)+after); err != nil {
			return
		}
	}
}

// free are two addresses that nothing listens on.
func free() (addresses [2]string, err error) {
	for i := range addresses {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return addresses, err
		}
		defer l.Close()
		addresses[i] = l.Addr().String()
	}
	return addresses, nil
}

func (w *world) start(store string) error {
	ports, err := free()
	if err != nil {
		return err
	}
	w.base, w.admin = "http://"+ports[0]+"/fhir", "http://"+ports[1]
	text := fmt.Sprintf(`listen: %s
admin: %s
public_url: %s
insecure_http: true
upstream: {url: %s, fhir_version: R4}
issuers:
  - {issuer: %s, audiences: [%[3]s], token_types: [at+jwt], insecure_http: true, claims: {roles: roles, patient: patient}}
clients:
  "*": {limits: {rate: 100000/s, burst: 100000, entries: 1000000000/h, bytes: 1000GiB/h, patients: 1000000/h}}
  research: {view: research, domain: study}
policy: {dir: policy}
operations: {allow: [$everything, $export]}
consent: {source: none, default: permit}
pseudonyms: {key_file: pseudonyms.key}
sealing: {key_file: sealing.key}
state: {dir: state}
audit: {dir: audit, key_file: audit.key}
limits: {address: {rate: 100000/s, burst: 100000}}
`, ports[0], ports[1], public, store, w.issuer.URL)
	policy := "package gatehouse\n\npermit contains \"staff\" if \"staff\" in input.subject.roles\n"
	binary := filepath.Join(w.dir, "gatehouse")
	err = errors.Join(os.WriteFile(filepath.Join(w.dir, "gatehouse.yaml"), []byte(text), 0o600),
		os.Mkdir(filepath.Join(w.dir, "policy"), 0o700), os.WriteFile(filepath.Join(w.dir, "policy", "policy.rego"), []byte(policy), 0o600))
	if err != nil {
		return err
	}
	if out, err := exec.Command("go", "build", "-o", binary, "gatehouse").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w %s", err, out)
	}
	w.gateway = exec.Command(binary, "serve", "-c", filepath.Join(w.dir, "gatehouse.yaml"))
	w.gateway.SysProcAttr = dieWithUs
	return w.begin()
}

// begin starts the process and waits until it is ready.
func (w *world) begin() error {
	var log bytes.Buffer
	w.gateway.Stderr = &limited{&log}
	began := time.Now()
	if err := w.gateway.Start(); err != nil {
		return err
	}
	for time.Since(began) < time.Minute {
		if r, err := patient.Get(w.admin + "/readyz"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				fmt.Printf("ready after %.2f s\n", time.Since(began).Seconds())
				return nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("the gateway did not become ready: %s", log.String())
}

// limited keeps the first of a log: it is there to say why a start failed.
type limited struct{ *bytes.Buffer }

func (l *limited) Write(b []byte) (int, error) {
	if l.Len() < 1<<16 {
		l.Buffer.Write(b)
	}
	return len(b), nil
}

func (w *world) close() error {
	_ = w.gateway.Process.Signal(syscall.SIGTERM)
	err := w.gateway.Wait()
	w.issuer.Close()
	return errors.Join(err, w.upstream.Close())
}

func (w *world) token(client string) string {
	return w.issuer.Token(map[string]any{"aud": public, "scope": "user/*.cruds system/*.rs", "roles": []string{"staff"}, "client_id": client})
}
