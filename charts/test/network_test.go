package charttest

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// pod is one end of a connection. Its named ports are the gateway's.
type pod struct {
	namespace string
	labels    labels.Set
}

func (p pod) in(s metav1.LabelSelector) bool {
	sel, err := metav1.LabelSelectorAsSelector(&s)
	return err == nil && sel.Matches(p.labels)
}

// The EHR is reached through the gateway alone, the admin listener by nobody who is
// not named, and the gateway reaches what it needs.
func TestNetwork(t *testing.T) {
	all := rendered(t, least, "networkPolicy: {upstream: {policy: true}}")
	gw := pod{"gateway", labels.Set{"app.kubernetes.io/name": "gatehouse", "app.kubernetes.io/instance": "gw"}}
	ehr := pod{"ehr", labels.Set{"app": "hapi"}}
	app := pod{"apps", labels.Set{"app": "ward"}}
	neighbour := pod{"gateway", labels.Set{"app": "other"}}
	impostor := pod{"apps", gw.labels}
	prometheus := pod{"monitoring", nil}
	public, admin, fhir := intstr.FromString("public"), intstr.FromString("admin"), intstr.FromInt(8080)
	for _, c := range []struct {
		name     string
		from, to pod
		port     intstr.IntOrString
		want     bool
	}{
		{"gateway to the EHR", gw, ehr, fhir, true},
		{"an app to the gateway", app, gw, public, true},
		{"an app past the gateway", app, ehr, fhir, false},
		{"a neighbour of the EHR", pod{"ehr", nil}, ehr, fhir, false},
		{"a neighbour of the gateway", neighbour, ehr, fhir, false},
		{"the gateway's labels elsewhere", impostor, ehr, fhir, false},
		{"the EHR by another port", gw, ehr, intstr.FromInt(5432), false},
		{"an app to the admin listener", app, gw, admin, false},
		{"Prometheus, not named", prometheus, gw, admin, false},
		{"the gateway to an app", gw, app, intstr.FromInt(443), false},
	} {
		if got := all.connects(c.from, c.to, c.port); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	named := rendered(t, least, "networkPolicy: {monitoring: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}")
	if !named.connects(prometheus, gw, admin) || named.connects(app, gw, admin) {
		t.Error("the peers of networkPolicy.monitoring are not who reads the admin listener")
	}
}

// connects says what the rendered policies let happen, by the rules of Kubernetes:
// a pod that no policy of a direction selects is open in it.
func (all objects) connects(from, to pod, port intstr.IntOrString) bool {
	out, in := verdict{}, verdict{}
	for _, o := range all {
		p, ok := o.(*networkingv1.NetworkPolicy)
		if !ok {
			continue
		}
		namespace := p.Namespace
		if namespace == "" {
			namespace = "gateway"
		}
		for _, kind := range p.Spec.PolicyTypes {
			switch {
			case kind == networkingv1.PolicyTypeEgress && namespace == from.namespace && from.in(p.Spec.PodSelector):
				out.selected = true
				for _, r := range p.Spec.Egress {
					out.allowed = out.allowed || named(r.To, to) && through(r.Ports, port)
				}
			case kind == networkingv1.PolicyTypeIngress && namespace == to.namespace && to.in(p.Spec.PodSelector):
				in.selected = true
				for _, r := range p.Spec.Ingress {
					in.allowed = in.allowed || named(r.From, from) && through(r.Ports, port)
				}
			}
		}
	}
	return out.passes() && in.passes()
}

type verdict struct{ selected, allowed bool }

func (v verdict) passes() bool { return !v.selected || v.allowed }

func named(peers []networkingv1.NetworkPolicyPeer, p pod) bool {
	if len(peers) == 0 {
		return true
	}
	for _, peer := range peers {
		space := pod{"", labels.Set{"kubernetes.io/metadata.name": p.namespace}}
		if peer.IPBlock != nil || peer.NamespaceSelector == nil || !space.in(*peer.NamespaceSelector) {
			continue
		}
		if peer.PodSelector == nil || p.in(*peer.PodSelector) {
			return true
		}
	}
	return false
}

func through(ports []networkingv1.NetworkPolicyPort, port intstr.IntOrString) bool {
	for _, p := range ports {
		if p.Port == nil || *p.Port == port {
			return true
		}
	}
	return len(ports) == 0
}
