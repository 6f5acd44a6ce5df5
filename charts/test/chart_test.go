package charttest

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// The pod has no more rights than it needs (issue 8 item 6): the restricted
// profile of the Pod Security Standards, and nothing but its volume to write to.
func TestPodIsRestricted(t *testing.T) {
	for name, all := range map[string]objects{"least": rendered(t, least), "everything": rendered(t, least, everything, "config: "+shared)} {
		pod := get[appsv1.StatefulSet](t, all, "StatefulSet//gw-gatehouse").Spec.Template.Spec
		s := pod.SecurityContext
		if s.RunAsNonRoot == nil || !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: pod: %+v", name, s)
		}
		c := pod.Containers[0].SecurityContext
		if !*c.ReadOnlyRootFilesystem || *c.AllowPrivilegeEscalation || *c.Privileged || !slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) || c.Capabilities.Add != nil {
			t.Errorf("%s: container: %+v", name, c)
		}
		if *pod.AutomountServiceAccountToken || pod.HostNetwork || pod.HostPID || pod.HostIPC || len(pod.Containers) != 1 || pod.InitContainers != nil {
			t.Errorf("%s: %+v", name, pod)
		}
		for _, m := range pod.Containers[0].VolumeMounts {
			if m.ReadOnly == (m.MountPath == "/var/lib/gatehouse") {
				t.Errorf("%s: %s: read only is %v", name, m.MountPath, m.ReadOnly)
			}
		}
		for _, v := range pod.Volumes {
			if v.HostPath != nil || v.Secret != nil && *v.Secret.DefaultMode != 0o440 {
				t.Errorf("%s: volume %+v", name, v)
			}
		}
	}
}

// No secret is in what the chart renders: they are named alone (SEC-04).
func TestSecretsByReference(t *testing.T) {
	docs, err := render(values(t, least, everything, "config: "+shared))
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range docs {
		if strings.Contains(doc, "kind: Secret\n") {
			t.Errorf("a secret is rendered:\n%s", doc)
		}
	}
	all := parse(t, docs)
	pod := get[appsv1.StatefulSet](t, all, "StatefulSet//gw-gatehouse").Spec.Template.Spec
	named := map[string]string{}
	for _, v := range pod.Volumes {
		if v.Secret != nil {
			named[v.Name] = v.Secret.SecretName
		}
	}
	want := map[string]string{"keys": "other-keys", "tls": "gw-gatehouse-tls", "secret-ehr": "ehr-login"}
	if !reflect.DeepEqual(named, want) {
		t.Errorf("secrets %v, want %v", named, want)
	}
	if got := get[certificate](t, all, "Certificate//gw-gatehouse").Spec; got.SecretName != "gw-gatehouse-tls" || !slices.Equal(got.DNSNames, []string{"fhir.example.org"}) {
		t.Errorf("certificate %+v", got)
	}
}

// Replicas have each a log of their own that outlives them, spread over nodes, and
// one at a time may be taken away.
func TestReplicas(t *testing.T) {
	all := rendered(t, least, everything, "config: "+shared)
	set := get[appsv1.StatefulSet](t, all, "StatefulSet//gw-gatehouse").Spec
	if set.Replicas != nil {
		t.Error("the number of replicas is set beside the autoscaler's")
	}
	keep := set.PersistentVolumeClaimRetentionPolicy
	if keep.WhenDeleted != appsv1.RetainPersistentVolumeClaimRetentionPolicyType || keep.WhenScaled != appsv1.RetainPersistentVolumeClaimRetentionPolicyType {
		t.Errorf("the audit trail goes with its replica: %+v", keep)
	}
	if len(set.VolumeClaimTemplates) != 1 || set.VolumeClaimTemplates[0].Name != "data" {
		t.Errorf("claims %+v", set.VolumeClaimTemplates)
	}
	hpa := get[autoscalingv2.HorizontalPodAutoscaler](t, all, "HorizontalPodAutoscaler//gw-gatehouse").Spec
	if hpa.ScaleTargetRef.Kind != "StatefulSet" || hpa.ScaleTargetRef.Name != "gw-gatehouse" {
		t.Errorf("scales %+v", hpa.ScaleTargetRef)
	}
	pdb := get[policyv1.PodDisruptionBudget](t, all, "PodDisruptionBudget//gw-gatehouse").Spec
	if pdb.MaxUnavailable.IntValue() != 1 || !reflect.DeepEqual(pdb.Selector, set.Selector) {
		t.Errorf("budget %+v", pdb)
	}
	spread := set.Template.Spec.TopologySpreadConstraints
	if len(spread) != 2 || !reflect.DeepEqual(spread[1].LabelSelector, set.Selector) {
		t.Errorf("spread %+v", spread)
	}
	monitor := get[serviceMonitor](t, all, "ServiceMonitor//gw-gatehouse").Spec
	pods := get[corev1.Service](t, all, "Service//gw-gatehouse-pods")
	for k, v := range monitor.Selector.MatchLabels {
		if pods.Labels[k] != v {
			t.Errorf("the monitor wants %s=%s, the service has %q", k, v, pods.Labels[k])
		}
	}
	public := get[corev1.Service](t, all, "Service//gw-gatehouse")
	if len(public.Spec.Ports) != 1 || public.Spec.Ports[0].TargetPort.String() != "public" {
		t.Errorf("the public service leads to more than the public listener: %+v", public.Spec.Ports)
	}
	if len(get[prometheusRule](t, all, "PrometheusRule//gw-gatehouse").Spec.Groups) == 0 {
		t.Error("no rules")
	}
}

// What a gateway refuses to change by reload restarts its pod, and nothing else does:
// a reload that is refused would take up nothing of a change, ever.
func TestRestarts(t *testing.T) {
	mark := func(config string) string {
		set := get[appsv1.StatefulSet](t, rendered(t, least, "config: "+config), "StatefulSet//gw-gatehouse")
		return set.Spec.Template.Annotations["gatehouse/restart"]
	}
	for config, want := range map[string]bool{
		`{limits: {state: "rediss://redis.example.org:6379/0"}}`: true,
		`{audit: {replica: other}}`:                              true,
		`{state: {dir: /var/lib/gatehouse/other}}`:               true,
		`{limits: {address: {rate: 9/s}}}`:                       false,
		`{consent: {default: permit}}`:                           false,
	} {
		if got := mark(config) != mark("{}"); got != want {
			t.Errorf("%s restarts: %v, want %v", config, got, want)
		}
	}
}

// What a pod cannot start with, or would start unprotected with, is refused before
// anything is applied, in words that say what to write.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, values, want string }{
		{"nothing said", "config: null", "config"},
		{"no upstream", "config: {upstream: null}", "upstream"},
		{"misspelt key", "config: {upsteam: {url: x}}", "upsteam"},
		{"misspelt below", "config: {audit: {retentoin: 6y}}", "retentoin"},
		{"wrong kind", "config: {limits: {entries: many}}", "entries"},
		{"no such word", "config: {consent: {default: allow}}", "consent"},
		{"no duration", "config: {upstream: {timeout: soon}}", "timeout"},
		{"of the chart", "replica: 2", "replica"},
		{"replicas alone", "replicas: 2", "PostgreSQL"},
		{"replicas without Redis", `{replicas: 2, config: {state: {url: "postgres://gw@pg/gw"}}}`, "Redis"},
		{"autoscaling alone", "autoscaling: {enabled: true}", "PostgreSQL"},
		{"admin on loopback", "config: {admin: 127.0.0.1:9090}", "0.0.0.0:9090"},
		{"a policy that cuts off", "networkPolicy: {upstream: {namespace: ''}}", "networkPolicy.egress"},
		{"a policy for all pods", "networkPolicy: {upstream: {policy: true, podLabels: null}}", "podLabels"},
		{"a path out of the directory", "files: {../x: y}", "files"},
		{"no keys", "keys: {existingSecret: ''}", "existingSecret"},
	} {
		_, err := render(values(t, least, c.values))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a word of %q", c.name, err, c.want)
		}
	}
}

// A process of several gateways renders, with their files beside its own; what
// cannot run is refused.
func TestTenants(t *testing.T) {
	const tenants = `
config: {sealing: null, state: null, audit: null, tenants: {north: north.yaml}}
networkPolicy: {upstream: {namespace: ehr, podLabels: {app: hapi}}}
`
	all := rendered(t, tenants, "files: {north.yaml: 'tenant: north'}")
	data := get[corev1.ConfigMap](t, all, "ConfigMap//gw-gatehouse").Data
	if got := data["gatehouse.yaml"]; data["north.yaml"] != "tenant: north" || !strings.Contains(got, "tenants:") || strings.Contains(got, "sealing") || strings.Contains(got, "audit") {
		t.Errorf("got %v", data)
	}
	for _, c := range []struct{ values, want string }{
		{"files: {south.yaml: 'tenant: south'}", "config.tenants.north names north.yaml"},
		{"{replicas: 2, files: {north.yaml: 'tenant: north'}}", "files[north.yaml].state.url"},
		{"{files: {north.yaml: ''}, tls: {certManager: {enabled: true}}}", "dnsNames"},
	} {
		if _, err := render(values(t, tenants, c.values)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a word of %q", c.values, err, c.want)
		}
	}
}

// Every configuration that the sources show passes the schema and comes out of the
// chart as it went in, numbers and all.
func TestConfigComesOutAsItWentIn(t *testing.T) {
	for _, file := range []string{"../../config/example.yaml", "../../config/minimal.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]any
		if err := yaml.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		want["admin"] = "0.0.0.0:9090"
		want["limits"] = map[string]any{"entries": float64(1000000), "body": "16MiB"}
		all := values(t, least)
		all["config"] = want
		docs, err := render(all)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out := get[corev1.ConfigMap](t, parse(t, docs), "ConfigMap//gw-gatehouse").Data["gatehouse.yaml"]
		var got map[string]any
		if err := yaml.UnmarshalStrict([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		for key := range want {
			if !contains(got[key], want[key]) {
				t.Errorf("%s: %s: %v became %v", file, key, want[key], got[key])
			}
		}
		if !strings.Contains(out, "entries: 1000000\n") {
			t.Errorf("a number changed its form:\n%s", out)
		}
	}
}

// contains tells whether got is want, with what the chart's defaults add.
func contains(got, want any) bool {
	w, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(got, want)
	}
	g, ok := got.(map[string]any)
	if !ok {
		return false
	}
	for key := range w {
		if !contains(g[key], w[key]) {
			return false
		}
	}
	return true
}

// The values that the page for operators shows render, and its gateway reaches what
// they name.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "```yaml hospital.yaml\n")
	text, _, end := strings.Cut(text, "\n```\n")
	if !ok || !end {
		t.Fatal("docs/operations.md shows no hospital.yaml")
	}
	all := rendered(t, text)
	ehr := pod{"ehr", labels.Set{"app": "hapi"}}
	gw := pod{"gateway", labels.Set{"app.kubernetes.io/name": "gatehouse", "app.kubernetes.io/instance": "gw"}}
	if !all.connects(gw, ehr, intstr.FromInt(8443)) || all.connects(pod{"apps", nil}, ehr, intstr.FromInt(8443)) {
		t.Error("the EHR is not reached through the gateway alone")
	}
}
