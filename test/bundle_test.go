package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/policy"
)

// publisher signs policy bundles and hands out the latest.
type publisher struct {
	t      *testing.T
	key    []byte
	public []byte
	url    string
	latest atomic.Pointer[[]byte] // nil: it does not answer
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKCS8PrivateKey(key)
	pub, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	p := &publisher{t: t, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), public: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub})}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw := p.latest.Load()
		if raw == nil || r.Header.Get("Authorization") != "Bearer puller" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		_, _ = w.Write(*raw)
	}))
	t.Cleanup(s.Close)
	p.url = s.URL + "/policy.tar.gz"
	return p
}

// build signs rules.
func (p *publisher) build(revision, rules string) []byte {
	p.t.Helper()
	raw, err := policy.BuildBundle(policy.Options{Files: map[string][]byte{"policy.rego": []byte(rules)}, Name: "x"}, revision, &policy.SigningKey{PEM: p.key, Algorithm: "ES256"})
	if err != nil {
		p.t.Fatal(err)
	}
	return raw
}

func (p *publisher) publish(revision, rules string) {
	raw := p.build(revision, rules)
	p.latest.Store(&raw)
}

// bundleHouse decides by what a publisher publishes.
func bundleHouse(t *testing.T, p *publisher, more string) *house {
	t.Helper()
	h := newHouse(t, "R4")
	h.write("publisher.pem", string(p.public))
	h.write("puller.token", "puller\n")
	text := strings.Replace(h.config(), "policy: {dir: policy}", fmt.Sprintf("policy: {bundle: {url: %q, public_key_file: publisher.pem, token_file: puller.token, poll: 20ms%s}}", p.url, more), 1)
	h.write("gatehouse.yaml", text)
	h.ehr.on("GET /Observation/open", 200, `{"resourceType":"Observation","id":"open","status":"final","subject":{"reference":"Patient/1"}}`)
	return h
}

func (h *house) awaits(t *testing.T, want string) {
	t.Helper()
	last := ""
	for range 300 {
		if last = h.readyz(t); strings.Contains(last, want) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("/readyz does not say %s: %s", want, last)
}

// Issue 4.9: bundles are taken up as they are published; an older one, another
// under the same revision, one that another has signed and one that does not load
// change nothing, and after a restart the last good one stands.
func TestPolicyBundle(t *testing.T) {
	p := newPublisher(t)
	p.publish("9", usualPolicy)
	h := bundleHouse(t, p, "")
	h.start()
	if got := h.get("/Observation/open", h.staff()); got.status != 200 {
		t.Fatal(got)
	}
	nobody := strings.Replace(usualPolicy, `if "staff" in`, `if "nobody" in`, 1)
	p.publish("10", nobody)
	h.awaits(t, `"policy":"10-`)
	if got := h.get("/Observation/open", h.staff()); got.status != 403 {
		t.Errorf("under the new bundle: %v", got)
	}
	if m := h.metrics(); !strings.Contains(m, `gatehouse_policy_info{revision="10-`) || strings.Contains(m, `gatehouse_policy_info{revision="9-`) {
		t.Error("the metrics do not name the policy in force")
	}

	other := newPublisher(t)
	broken := p.build("12", usualPolicy)
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"older":         {p.build("9", usualPolicy), "is older than 10"},
		"same revision": {p.build("10", usualPolicy), "is another than the one that was in force"},
		"stranger":      {other.build("11", usualPolicy), "failed to verify"},
		"cut":           {broken[:len(broken)/2], "read bundle"},
		"unsigned":      {unsignedBundle(t, "13"), "signature"},
	} {
		p.latest.Store(&c.raw)
		h.awaits(t, c.want)
		if got := h.get("/Observation/open", h.staff()); got.status != 403 || !strings.Contains(h.readyz(t), `"policy":"10-`) {
			t.Errorf("%s: %v", name, got)
		}
	}

	h.stop()
	p.latest.Store(nil)
	h.start() // the publisher is away
	h.awaits(t, `"policy":"10-`)
	old := p.build("9", usualPolicy)
	p.latest.Store(&old) // replayed after the restart
	h.awaits(t, "is older than 10")
	last := h.trail(t)
	for _, r := range last[len(last)-1:] {
		if r.Decision.Revision != "" && !strings.HasPrefix(r.Decision.Revision, "10-") {
			t.Errorf("recorded under %s", r.Decision.Revision)
		}
	}
	cfg, problems := config.Load(filepath.Join(h.dir, "gatehouse.yaml"))
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	if o, err := gateway.LivePolicy(cfg); err != nil || o.Revision != "10" {
		t.Errorf("commands take %v for the live policy: %v", o.Revision, err)
	}
}

func unsignedBundle(t *testing.T, revision string) []byte {
	t.Helper()
	raw, err := policy.BuildBundle(policy.Options{Files: map[string][]byte{"policy.rego": []byte(usualPolicy)}, Name: "x"}, revision, nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// A publisher that is silent for too long: what the configuration says.
func TestPolicyBundleGoesStale(t *testing.T) {
	t.Parallel() // it waits more than it works
	for consequence, status := range map[string]int{"deny": 503, "keep": 200} {
		p := newPublisher(t)
		p.publish("1", usualPolicy)
		h := bundleHouse(t, p, ", max_staleness: 1s, on_stale: "+consequence)
		h.start()
		token := h.staff()
		if got := h.get("/Observation/open", token); got.status != 200 {
			t.Fatal(got)
		}
		p.latest.Store(nil)
		time.Sleep(2200 * time.Millisecond)
		got := h.get("/Observation/open", token)
		if got.status != status || status == 503 && got.code() != "policy.stale" {
			t.Errorf("%s: %v", consequence, got)
		}
		if ready := strings.Contains(h.readyz(t), `"ready":true`); ready != (status == 200) {
			t.Errorf("%s: ready is %v", consequence, ready)
		}
		p.publish("1.1", usualPolicy)
		h.awaits(t, `"policy":"1.1-`)
		for range 100 { // the reload itself may have taken longer than the bundle may be silent
			if got = h.get("/Observation/open", token); got.status == 200 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if got.status != 200 {
			t.Errorf("%s, and heard again: %v", consequence, got)
		}
	}
}

// A file, and an OCI image layout with the bundle as its layer; a damaged blob is
// none.
func TestPolicyBundleFile(t *testing.T) {
	p := newPublisher(t)
	raw := p.build("3", usualPolicy)
	digest := func(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
	manifest := fmt.Sprintf(`{"schemaVersion":2,"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s"}]}`, digest(raw))
	for name, damage := range map[string]bool{"b.tar.gz": false, "image": false, "damaged": true} {
		h := newHouse(t, "R4")
		h.write("publisher.pem", string(p.public))
		h.write("b.tar.gz", string(raw))
		for _, dir := range []string{"image", "damaged"} {
			h.write(dir+"/index.json", fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s"}]}`, digest([]byte(manifest))))
			h.write(dir+"/blobs/sha256/"+digest([]byte(manifest)), manifest)
			h.write(dir+"/blobs/sha256/"+digest(raw), string(raw))
		}
		h.write("damaged/blobs/sha256/"+digest(raw), string(p.build("4", usualPolicy)))
		h.write("gatehouse.yaml", strings.Replace(h.config(), "policy: {dir: policy}", "policy: {bundle: {file: "+name+", public_key_file: publisher.pem}}", 1))
		process, err := gateway.Open(filepath.Join(h.dir, "gatehouse.yaml"), h.log.logger())
		if damage {
			if err == nil || !strings.Contains(err.Error(), "is damaged") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		process.Close()
	}
}
