//go:build real

package real

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/gateway/auth/authtest"
	"gatehouse/gateway/demo"
)

// This file is three replicas of the built binary behind a balancer, on one Redis
// and one PostgreSQL, in front of a small FHIR server.

const fleetURL = "http://fleet.example.org/fhir"

type fleet struct {
	dir      string
	issuer   *authtest.Issuer
	redis    *redis
	replicas []*replicaProcess
	turn     atomic.Uint64
	client   *http.Client
}

// replicaProcess is one of the three.
type replicaProcess struct {
	*server
	name, public, admin string
	unwell              atomic.Bool
}

func startFleet(t *testing.T, names ...string) *fleet {
	t.Helper()
	f := &fleet{dir: t.TempDir()}
	var err error
	if f.issuer, err = authtest.New(); err != nil {
		t.Fatal(err)
	}
	f.issuer.Lifetime = time.Hour
	t.Cleanup(f.issuer.Close)
	ports, err := freePorts(8)
	if err != nil {
		t.Fatal(err)
	}
	f.redis = startRedis(t, f.dir, ports[7])
	fleetSchema(t)
	for _, key := range []string{"sealing", "audit", "pseudonyms"} {
		if out, err := gate.command("keys", "new", filepath.Join(f.dir, key+".key")); err != nil {
			t.Fatal(err, out)
		}
	}
	f.write(t, "policy/policy.rego", fleetPolicy)
	upstream := fleetStore(t, ports[6])
	for i, name := range names {
		r := &replicaProcess{name: name, public: fmt.Sprintf("127.0.0.1:%d", ports[i]), admin: fmt.Sprintf("127.0.0.1:%d", ports[3+i])}
		f.write(t, name+".yaml", f.config(r, upstream))
		r.server = &server{name: "replica-" + name, dir: f.dir, probe: "http://" + r.admin + "/readyz",
			command: []string{gate.binary(), "serve", "-c", filepath.Join(f.dir, name+".yaml")}}
		f.replicas = append(f.replicas, r)
		t.Cleanup(func() { r.stop() })
		if err := r.start(); err != nil {
			t.Fatal(err)
		}
	}
	f.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	go f.look(t.Context())
	return f
}

const fleetPolicy = `package gatehouse

permit contains "staff" if "staff" in input.subject.roles

permit contains "self" if {
	input.subject.patient != ""
	input.subject.patient in input.resource.patients
}

permit contains "research" if "researcher" in input.subject.roles
`

// config differs between replicas in where they listen and what they write.
func (f *fleet) config(r *replicaProcess, upstream string) string {
	return fmt.Sprintf(`listen: %s
admin: %s
public_url: %s
drain_delay: 500ms
insecure_http: true
upstream: {url: %s, fhir_version: R4}
issuers:
  - {issuer: %s, audiences: [%[3]s], token_types: [at+jwt], insecure_http: true, claims: {roles: roles, patient: patient}}
clients:
  limited: {limits: {rate: 10/s, burst: 10}}
  research: {view: research, domain: study}
policy: {dir: policy}
consent: {source: none, default: permit}
pseudonyms: {key_file: pseudonyms.key}
sealing: {key_file: sealing.key}
state: {dir: state-%[6]s, url: %[7]q}
audit: {dir: audit-%[6]s, replica: %[6]s, key_file: audit.key}
limits: {address: {rate: 10000/s, burst: 10000}, state: %[8]q, replicas: 3}
`, r.public, r.admin, fleetURL, upstream, f.issuer.URL, r.name, ledger.url+"&search_path=fleet", f.redis.url())
}

// fleetSchema gives the fleet tables of its own in the PostgreSQL of all tests.
func fleetSchema(t *testing.T) {
	t.Helper()
	db, err := sql.Open("pgx", ledger.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "DROP SCHEMA IF EXISTS fleet CASCADE; CREATE SCHEMA fleet"); err != nil {
		t.Fatal(err)
	}
}

// fleetStore serves synthetic patients, and gives its base.
func fleetStore(t *testing.T, port int) string {
	t.Helper()
	base := fmt.Sprintf("http://127.0.0.1:%d/fhir", port)
	store, err := demo.NewStore(base)
	if err == nil {
		err = store.Load(demo.Patients(20))
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: store, ReadHeaderTimeout: 10 * time.Second}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return base
}

func (f *fleet) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// look asks each replica whether it is ready, as a balancer does.
func (f *fleet) look(ctx context.Context) {
	for ctx.Err() == nil {
		for _, r := range f.replicas {
			r.unwell.Store(!answers(ctx, r.probe))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// next is the replica whose turn it is, of those that are ready; where none is, of
// all.
func (f *fleet) next() *replicaProcess {
	for range f.replicas {
		if r := f.replicas[f.turn.Add(1)%uint64(len(f.replicas))]; !r.unwell.Load() {
			return r
		}
	}
	return f.replicas[f.turn.Add(1)%uint64(len(f.replicas))]
}

// send is the balancer: each request goes to the next replica, or where that does
// not listen to the one after it.
func (f *fleet) send(r *http.Request) (*http.Response, error) {
	r.Host = strings.TrimPrefix(strings.TrimSuffix(fleetURL, "/fhir"), "http://")
	r.URL.Scheme = "http"
	var err error
	for range f.replicas {
		r.URL.Host = f.next().public
		var resp *http.Response
		if resp, err = f.client.Do(r); !errors.Is(err, syscall.ECONNREFUSED) {
			return resp, err
		}
		if r.GetBody != nil {
			r.Body, _ = r.GetBody()
		}
	}
	return nil, err
}

// kill ends a replica as a power cut would.
func (r *replicaProcess) kill(t *testing.T) {
	t.Helper()
	if err := r.running.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-r.ended
	r.running = nil
}

// readyz is what a replica says of itself.
func (r *replicaProcess) readyz() string {
	resp, err := plain.Get(r.probe)
	if err != nil {
		return err.Error()
	}
	a, err := readAll(resp)
	if err != nil {
		return err.Error()
	}
	return a.body
}

// all waits until every replica's /readyz holds the words.
func (f *fleet) all(t *testing.T, within time.Duration, holds func(readyz string) bool) {
	t.Helper()
	for _, r := range f.replicas {
		last := ""
		for deadline := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
			if last = r.readyz(); holds(last) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("replica %s says after %s: %s", r.name, within, last)
			}
		}
	}
}
