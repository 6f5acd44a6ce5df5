package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway"
)

// shadowHouse watches a candidate beside its policy.
func shadowHouse(t *testing.T, candidate string) *house {
	t.Helper()
	h := openHouse(t)
	h.write("candidate/policy.rego", candidate)
	text := h.config(strings.ReplaceAll("admin_auth: {issuer: %ISSUER%, roles: {compliance: [reviewer]}}", "%ISSUER%", h.issuer.URL))
	h.write("gatehouse.yaml", strings.Replace(text, "policy: {dir: policy}", "policy: {dir: policy, shadow: candidate}", 1))
	h.reload(t)
	return h
}

func (h *house) reviewer() string { return h.token(map[string]any{"roles": []string{"reviewer"}}) }

// shadowed waits until the shadow has been asked n times.
func (h *house) shadowed(t *testing.T, n int64) *gateway.ShadowReport {
	t.Helper()
	for range 200 {
		var got struct{ Shadow *gateway.ShadowReport }
		a := h.call("GET", "/policies", h.reviewer(), "")
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 || got.Shadow == nil {
			t.Fatal(a)
		}
		unknown := int64(0)
		for _, g := range got.Shadow.Unknown {
			unknown += g.Count
		}
		if got.Shadow.Decisions+unknown >= n || got.Shadow.Problem != "" {
			return got.Shadow
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the shadow was not asked")
	return nil
}

// C-20, issue 4.6: a shadow changes no answer; what it would change is counted
// by rule, client, role and type.
func TestShadow(t *testing.T) {
	h := shadowHouse(t, nothingRestricted)
	h.past(t) // the answers are those of the policy in force
	r := h.shadowed(t, 5)
	if r.Allowed != 1 || r.Denied != 2 || r.Looked != 1 || r.Same != 1 || len(r.Changes) != 4 {
		t.Errorf("%+v", r)
	}
	m := h.metrics()
	for _, want := range []string{
		`gatehouse_shadow_decisions_total{result="newly_denied"} 2`, `gatehouse_shadow_decisions_total{result="same"} 1`,
		`gatehouse_shadow_differences_total{by="role",change="newly_allowed",name="staff"} 1`,
		`gatehouse_shadow_differences_total{by="rule",change="newly_denied",name="no longer permitted: self"} 2`,
		`gatehouse_shadow_differences_total{by="type",change="newly_allowed",name="Observation"} 1`,
	} {
		if !strings.Contains(m, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(fmt.Sprint(r), "Patient/1") {
		t.Errorf("the report names a patient: %+v", r)
	}
	if ready := h.readyz(t); !strings.Contains(ready, `"shadow_policy":"`+r.Candidate+`"`) {
		t.Error(ready)
	}
	if got := h.call("GET", "/policies", h.officer(), ""); got.status != 403 {
		t.Errorf("the privacy role reads of policies: %v", got)
	}
}

func (h *house) readyz(t *testing.T) string {
	t.Helper()
	r, err := http.Get("http://" + h.process.AdminAddr() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

// A shadow that fails, to load or at a record, stops nothing (C-20).
func TestShadowFails(t *testing.T) {
	h := shadowHouse(t, "package gatehouse\n\npermit contains input.subject.role if true\n")
	h.past(t)
	if ready := h.readyz(t); !strings.Contains(ready, `"ready":true`) || !strings.Contains(ready, "input.subject.role does not exist: did you mean roles?") {
		t.Error(ready)
	}
	if r := h.shadowed(t, 0); !strings.Contains(r.Problem, "did you mean roles?") {
		t.Errorf("%+v", r)
	}

	h = shadowHouse(t, "package gatehouse\n\npermit contains \"x\" if to_number(input.resource.id) > 1\n")
	h.past(t)
	if r := h.shadowed(t, 5); len(r.Unknown) == 0 || !strings.HasPrefix(r.Unknown[0].Why, "a rule of the candidate failed: ") || strings.Contains(r.Unknown[0].Why, "open") {
		t.Errorf("%+v", r)
	}
}

// A reason that a rule computes may hold what it read; reports and labels of
// metrics do not.
func TestShadowTellsNoComputedReason(t *testing.T) {
	h := shadowHouse(t, "package gatehouse\n\npermit contains sprintf(\"of %v\", [input.resource.patients]) if true\n")
	h.past(t)
	if r := h.shadowed(t, 5); strings.Contains(fmt.Sprint(r), "Patient/1") || !strings.Contains(fmt.Sprint(r), "a reason that is computed") {
		t.Errorf("%+v", r)
	}
	if m := h.metrics(); strings.Contains(m, "Patient/1") {
		t.Error("a label names a patient")
	}
}
