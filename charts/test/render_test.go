package charttest

import (
	"fmt"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// least is what a user of the chart must say.
const least = `
config:
  public_url: https://fhir.example.org/r4
  upstream: {url: http://ehr.ehr.svc:8080/fhir, fhir_version: R4, insecure_http: true}
  issuers: [{issuer: https://idp.example.org/realms/h, audiences: [https://fhir.example.org/r4]}]
networkPolicy: {upstream: {namespace: ehr, podLabels: {app: hapi}}}
`

// everything switches on all that the chart can do.
const everything = `
networkPolicy:
  upstream: {policy: true, alsoFrom: [{podSelector: {matchLabels: {job: backup}}}]}
  egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 443}]}]
  clients: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress}}}]
  monitoring: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
autoscaling: {enabled: true}
env: [{name: PGPASSWORD, valueFrom: {secretKeyRef: {name: pg, key: password}}}]
files: {tables/roles.yaml: "roles: {}\n", views/year.yaml: "default: keep\n"}
image: {digest: sha256:0123456789012345678901234567890123456789012345678901234567890123, pullSecrets: [{name: pull}]}
keys: {existingSecret: other-keys}
monitoring: {serviceMonitor: {enabled: true, labels: {release: prom}}, rules: {enabled: true}, dashboard: {enabled: true}}
nodeSelector: {disk: ssd}
persistence: {storageClass: fast}
podAnnotations: {a: b}
podLabels: {team: ehr}
priorityClassName: high
secrets: [{name: ehr, existingSecret: ehr-login}]
service: {type: LoadBalancer, annotations: {x: "y"}}
serviceAccount: {annotations: {role: gw}}
tls: {existingSecret: "", certManager: {enabled: true, issuerRef: {kind: ClusterIssuer, name: ca}}}
tolerations: [{key: a, operator: Exists}]
`

// shared is the part of config that several replicas need.
const shared = `{state: {url: "postgres://gw:${PGPASSWORD}@pg.example.org/gw"}, limits: {state: "rediss://redis.example.org:6379/0"}}`

// values lays one text over another, as helm does with several -f.
func values(t *testing.T, texts ...string) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, text := range texts {
		var next map[string]any
		if err := yaml.Unmarshal([]byte(text), &next); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		all = chartutil.MergeTables(next, all)
	}
	return all
}

// render gives the manifests, one by one.
func render(vals map[string]any) ([]string, error) {
	chart, err := loader.Load("../gatehouse")
	if err != nil {
		return nil, err
	}
	caps := chartutil.DefaultCapabilities.Copy()
	all, err := chartutil.ToRenderValues(chart, vals, chartutil.ReleaseOptions{Name: "gw", Namespace: "gateway", IsInstall: true}, caps)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return nil, err
	}
	var docs []string
	for name, text := range files {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for _, doc := range strings.Split(text, "\n---\n") {
			if strings.TrimSpace(doc) != "" {
				docs = append(docs, doc)
			}
		}
	}
	return docs, nil
}

// objects are rendered manifests, decoded with every field known.
type objects map[string]any // by kind/namespace/name, the namespace empty where left out

func parse(t *testing.T, docs []string) objects {
	t.Helper()
	all := objects{}
	for _, doc := range docs {
		var head struct {
			APIVersion, Kind string
			Metadata         struct{ Name, Namespace string }
		}
		if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		o := typeOf(head.APIVersion + "/" + head.Kind)
		if o == nil {
			t.Fatalf("nobody knows %s %s", head.APIVersion, head.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(doc), o); err != nil {
			t.Fatalf("%s: %v in:\n%s", head.Kind, err, doc)
		}
		id := fmt.Sprintf("%s/%s/%s", head.Kind, head.Metadata.Namespace, head.Metadata.Name)
		if all[id] != nil {
			t.Fatalf("%s is there twice", id)
		}
		all[id] = o
	}
	return all
}

func typeOf(kind string) any {
	switch kind {
	case "v1/ConfigMap":
		return &corev1.ConfigMap{}
	case "v1/Service":
		return &corev1.Service{}
	case "v1/ServiceAccount":
		return &corev1.ServiceAccount{}
	case "apps/v1/StatefulSet":
		return &appsv1.StatefulSet{}
	case "policy/v1/PodDisruptionBudget":
		return &policyv1.PodDisruptionBudget{}
	case "autoscaling/v2/HorizontalPodAutoscaler":
		return &autoscalingv2.HorizontalPodAutoscaler{}
	case "networking.k8s.io/v1/NetworkPolicy":
		return &networkingv1.NetworkPolicy{}
	case "cert-manager.io/v1/Certificate":
		return &certificate{}
	case "monitoring.coreos.com/v1/ServiceMonitor":
		return &serviceMonitor{}
	case "monitoring.coreos.com/v1/PrometheusRule":
		return &prometheusRule{}
	}
	return nil
}

// rendered is what the chart makes of values, or the end of the test.
func rendered(t *testing.T, texts ...string) objects {
	t.Helper()
	docs, err := render(values(t, texts...))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, docs)
}

// get is the one object of a kind and name.
func get[T any](t *testing.T, all objects, id string) *T {
	t.Helper()
	o, ok := all[id].(*T)
	if !ok {
		t.Fatalf("no %s among %d objects", id, len(all))
	}
	return o
}
