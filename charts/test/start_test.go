package charttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// deployed is what the chart makes, running: the pod's container with the files that
// it mounts, as it is told to start.
type deployed struct {
	container     corev1.Container
	public, admin string // where they listen
	said          *strings.Builder
	process       *os.Process
	root          string // before the paths of its files
}

const patient = `{"resourceType":"Patient","id":"1","active":true}`

// deploy starts the binary in the rendered pod.
func deploy(t *testing.T, idp *issuer) *deployed {
	t.Helper()
	ehr := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(w, patient)
	}))
	t.Cleanup(ehr.Close)
	root, bin := t.TempDir(), build(t)
	public, admin := freePort(t), freePort(t)
	all := rendered(t, least, fmt.Sprintf(`
config:
  listen: 0.0.0.0:%d
  admin: 0.0.0.0:%d
  public_url: https://127.0.0.1:%d/fhir
  upstream: {url: %q, auth: {type: basic, username: gw, password_file: /etc/gatehouse/secrets/ehr/password}}
  issuers: [{issuer: %q, audiences: [a], insecure_http: true}]
  policy: {dir: policy, shadow: shadow}
  consent: {source: none, default: permit}
  notify: {desk: {url: "http://127.0.0.1:1/hook"}}
  audit: {sinks: [{type: otlp, endpoint: "http://127.0.0.1:1"}]}
  limits: {entries: 1000000, address: {rate: 1/h, burst: 20}}
secrets: [{name: ehr, existingSecret: ehr-login}]
files:
  policy/policy.rego: |
    package gatehouse
    permit contains "all" if input.subject.id
    oblige contains {"notify": "desk"} if input.resource.type == "Patient"
  shadow/policy.rego: |
    package gatehouse
    permit contains "nobody" if input.subject.id == "nobody"
`, public, admin, public, ehr.URL, idp.url))
	spec := get[appsv1.StatefulSet](t, all, "StatefulSet//gw-gatehouse").Spec.Template.Spec
	unpack(t, root, spec, all, map[string]map[string]string{
		"gatehouse-keys": {"sealing.key": key(t, bin), "audit.key": key(t, bin)},
		"gatehouse-tls":  pair(t),
		"ehr-login":      {"password": "topsecret\n"},
	})
	d := &deployed{container: spec.Containers[0], root: root, said: &strings.Builder{},
		public: fmt.Sprintf("https://127.0.0.1:%d", public), admin: fmt.Sprintf("https://127.0.0.1:%d", admin)}
	args := append([]string(nil), d.container.Args...)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "/etc/gatehouse", root+"/etc/gatehouse")
	}
	cmd := exec.Command(bin, args...)
	cmd.Env = []string{"POD_NAME=gw-gatehouse-0"}
	cmd.Stderr = d.said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.process = cmd.Process
	t.Cleanup(func() {
		_ = d.process.Signal(syscall.SIGTERM) // one that has ended already is told below
		if err := cmd.Wait(); err != nil {
			t.Errorf("the end: %v: %s", err, d.said)
		}
	})
	return d
}

// The binary starts in the rendered pod, answers the probes, serves, and tells of
// every metric that the rules and the dashboard ask for.
func TestStarts(t *testing.T) {
	idp := newIssuer(t)
	d := deploy(t, idp)
	for _, p := range []*corev1.Probe{d.container.StartupProbe, d.container.LivenessProbe, d.container.ReadinessProbe} {
		if status, body := probe(t, d.container, p.HTTPGet); status != http.StatusOK {
			t.Fatalf("%s: %d %s", p.HTTPGet.Path, status, body)
		}
	}
	if status, body := ask(t, d.public+"/fhir/Patient/1", ""); status != http.StatusUnauthorized {
		t.Errorf("a stranger reads: %d %s", status, body)
	}
	if status, body := ask(t, d.public+"/fhir/Patient/1", idp.token(t)); status != http.StatusOK || body != patient {
		t.Errorf("a caller reads: %d %s", status, body)
	}
	if _, err := os.Stat(filepath.Join(d.root, "var/lib/gatehouse/audit/checkpoint")); err != nil {
		t.Errorf("no audit trail on the volume: %v", err)
	}
	for range 25 { // more than the address may
		ask(t, d.public+"/fhir/Patient/1", "")
	}
	want := []string{"gatehouse_limited_total{", "gatehouse_alerts_total{", "gatehouse_shadow_differences_total{", "gatehouse_audit_sink_failures_total{"}
	page := ""
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, page = ask(t, d.admin+"/metrics", ""); !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(page, w) }) {
			break
		}
	}
	checkQueries(t, page)
}

// build makes the binary of the sources that this chart belongs to.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "gatehouse")
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return bin
}

// unpack makes the container's file system below root: what its mounts bring, with
// root before each path of ours.
func unpack(t *testing.T, root string, spec corev1.PodSpec, all objects, secrets map[string]map[string]string) {
	t.Helper()
	volumes := map[string]corev1.Volume{}
	for _, v := range spec.Volumes {
		volumes[v.Name] = v
	}
	for _, m := range spec.Containers[0].VolumeMounts {
		dir := filepath.Join(root, m.MountPath)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		switch v := volumes[m.Name]; {
		case v.ConfigMap != nil:
			data := get[corev1.ConfigMap](t, all, "ConfigMap//"+v.ConfigMap.Name).Data
			for _, item := range v.ConfigMap.Items {
				files[item.Path] = data[item.Key]
			}
		case v.Secret != nil:
			files = secrets[v.Secret.SecretName]
		case m.Name != "data":
			t.Fatalf("mount %s has no volume", m.Name)
		}
		for name, text := range files {
			text = strings.NewReplacer("/etc/gatehouse", root+"/etc/gatehouse", "/var/lib/gatehouse", root+"/var/lib/gatehouse").Replace(text)
			write(t, filepath.Join(dir, name), text)
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o400); err != nil {
		t.Fatal(err)
	}
}

func key(t *testing.T, bin string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.key")
	if out, err := exec.Command(bin, "keys", "new", name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pair is a secret of type kubernetes.io/tls.
func pair(t *testing.T) map[string]string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"tls.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		"tls.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}
}

// issuer is an identity provider.
type issuer struct {
	url string
	key *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v) // the reader sees what is missing
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("/.well-known/openid-configuration", answer(map[string]any{"issuer": s.URL, "jwks_uri": s.URL + "/jwks",
		"authorization_endpoint": s.URL + "/a", "token_endpoint": s.URL + "/t", "response_types_supported": []string{"code"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"}}))
	mux.Handle("/jwks", answer(map[string]any{"keys": []any{map[string]any{"kty": "EC", "crv": "P-256", "kid": "1", "use": "sig", "alg": "ES256",
		"x": b64(point[1:33]), "y": b64(point[33:])}}}))
	return &issuer{s.URL, private}
}

// token is an access token (RFC 9068) that reads everything.
func (i *issuer) token(t *testing.T) string {
	t.Helper()
	now := time.Now().Unix()
	claims, err := json.Marshal(map[string]any{"iss": i.url, "aud": "a", "sub": "ann", "client_id": "ward", "jti": "1", "iat": now, "exp": now + 300, "scope": "user/*.rs"})
	if err != nil {
		t.Fatal(err)
	}
	text := b64([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"1"}`)) + "." + b64(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + b64(signature)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// probe asks what the kubelet would, until it is content or ten seconds are over.
func probe(t *testing.T, c corev1.Container, get *corev1.HTTPGetAction) (int, string) {
	t.Helper()
	port := get.Port.IntValue()
	for _, p := range c.Ports {
		if p.Name == get.Port.StrVal {
			port = int(p.ContainerPort)
		}
	}
	url := fmt.Sprintf("%s://127.0.0.1:%d%s", strings.ToLower(string(get.Scheme)), port, get.Path)
	var status int
	var body string
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end) && status != http.StatusOK; time.Sleep(50 * time.Millisecond) {
		status, body = ask(t, url, "")
	}
	return status, body
}

// ask does not look at the certificate: nor does the kubelet.
func ask(t *testing.T, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
