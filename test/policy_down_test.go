package test

import (
	"strings"
	"testing"
)

// C-01, C-04, ruling 10.3: rules that cannot be evaluated deny, and alarm: the
// request before the upstream is asked, or the one record that they fail on.
func TestPolicyInErrorDeniesAndAlarms(t *testing.T) {
	for name, c := range map[string]struct {
		rule   string
		status int
		calls  int
	}{
		"by the caller alone":      {`forbid contains "x" if to_number(input.subject.roles[0]) > 1`, 503, 0},
		"by a record":              {`forbid contains "x" if to_number(input.resource.status) > 1`, 404, 1},
		"by two values at once":    {"forbid contains \"x\" if level == \"a\"\nlevel := \"a\" if input.action == \"read\"\nlevel := \"b\" if \"staff\" in input.subject.roles", 404, 1},
		"by an unknown obligation": {`oblige contains {input.resource.status: "x"} if input.action == "read"`, 404, 1},
	} {
		h := openHouse(t)
		h.write("policy/policy.rego", usualPolicy+c.rule+"\n")
		if err := h.process.Reload(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		h.ehr.on("GET /Observation/a", 200, obsA)
		got := h.get("/Observation/a", h.staff())
		if calls := h.ehr.requests(); got.status != c.status || len(calls) != c.calls || strings.Contains(got.body, "final") {
			t.Errorf("%s: got %d %s after %v", name, got.status, got.body, calls)
		}
		if m := h.metrics(); !strings.Contains(m, `gatehouse_alarms_total{what="policy.error"} 1`) {
			t.Errorf("%s: no alarm: %s", name, m[strings.Index(m, "gatehouse_alarms"):][:200])
		}
	}
}
