package test

import (
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/gateway"
)

// Issue 4 item 5: by its id, each decision of a request tells what permitted,
// what forbade, and what nearly permitted. Who asks is recorded.
func TestDecisionsByID(t *testing.T) {
	h := openHouse(t, adminAuth)
	h.ehr.on("GET /Observation", 200, searchset("", obsA, obsR, obsB))
	id := h.get("/Observation", h.staff()).header.Get("X-Request-Id")
	found := decisions(t, h.call("GET", "/decisions/"+id, h.officer(), ""))
	if len(found) != 1 || len(found[0].Entries) != 3 {
		t.Fatalf("got %+v", found)
	}
	restricted := found[0].Entries[1]
	if restricted.Resource != "Observation/r" || restricted.Effect != "withheld" || strings.Join(restricted.Forbids, "") != "restricted" || restricted.Decision != id+".2" {
		t.Errorf("got %+v", restricted)
	}
	one := decisions(t, h.call("GET", "/decisions/"+restricted.Decision, h.operator(), ""))
	if len(one) != 1 || len(one[0].Entries) != 1 || one[0].Entries[0].Resource != "Observation/r" {
		t.Errorf("got %+v", one)
	}
	r := h.call("GET", "/decisions/"+id, h.officer(), "")
	if seen := h.records(t, r.header.Get("X-Request-Id")); len(seen) != 1 || len(seen[0].Patients) != 2 || seen[0].Caller.Subject != "paul" {
		t.Errorf("the look at decisions left %+v", seen)
	}
	for _, unknown := range []string{"nothing", id + ".9", id + ".x", id + ".-1"} {
		if got := h.call("GET", "/decisions/"+unknown, h.officer(), ""); got.status != 404 {
			t.Errorf("%s: got %d %s", unknown, got.status, got.body)
		}
	}
	if got := h.call("GET", "/decisions/"+id, h.staff(), ""); got.status != 403 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// A request that was refused as a whole tells what was missing.
func TestDecisionTellsWhatWasMissing(t *testing.T) {
	h := openHouse(t, adminAuth)
	id := h.get("/Observation", h.token(map[string]any{"roles": []string{"porter"}})).header.Get("X-Request-Id")
	found := decisions(t, h.call("GET", "/decisions/"+id, h.officer(), ""))
	if len(found) != 1 || len(found[0].Near) == 0 || !strings.Contains(found[0].Near[0].Missing[0].Words, "staff is not among the caller's roles (porter)") {
		t.Errorf("got %+v", found)
	}
}

// So does one record of several, where policy.replay has kept what rules read.
func TestDecisionOnARecordTellsWhatWasMissing(t *testing.T) {
	h := openHouse(t, adminAuth)
	h.write("policy/policy.rego", "package gatehouse\n\npermit contains \"final\" if {\n\t\"staff\" in input.subject.roles\n\tinput.resource.status == \"final\"\n}\n")
	if err := h.process.Reload(); err != nil {
		t.Fatal(err)
	}
	h.ehr.on("GET /Observation", 200, searchset("", obsA, strings.Replace(obsB, "final", "preliminary", 1)))
	id := h.get("/Observation", h.staff()).header.Get("X-Request-Id")
	found := decisions(t, h.call("GET", "/decisions/"+id, h.officer(), ""))
	if len(found) != 1 || len(found[0].Entries) != 2 || len(found[0].Entries[1].Near) != 1 {
		t.Fatalf("got %+v", found)
	}
	near := found[0].Entries[1].Near[0]
	if near.Reason != "final" || len(near.Missing) != 1 || near.Missing[0].Words != "the record's status (preliminary) is not final" {
		t.Errorf("got %+v", near)
	}
}

func decisions(t *testing.T, a answer) []gateway.PastDecision {
	t.Helper()
	var got struct{ Decisions []gateway.PastDecision }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
		t.Fatalf("got %d %s: %v", a.status, a.body, err)
	}
	return got.Decisions
}
