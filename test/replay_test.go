package test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/policy"
)

const nothingRestricted = `package gatehouse

permit contains "staff" if "staff" in input.subject.roles

permit contains "reference data" if {
	input.subject.patient != ""
	count(input.resource.patients) == 0
}

permit contains "final results for guests" if {
	"guest" in input.subject.roles
	input.resource.status == "final"
}

permit contains "weekly report" if {
	"auditor" in input.subject.roles
	input.action == "search"
}
`

// replay puts the house's past to a policy.
func (h *house) replay(t *testing.T, rules string) *gateway.Replay {
	t.Helper()
	h.write("candidate/policy.rego", rules)
	cfg, problems := config.Load(filepath.Join(h.dir, "gatehouse.yaml"))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	o, err := policy.Named(filepath.Join(h.dir, "candidate"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := gateway.ReplayPast(context.Background(), cfg, gateway.ReplayOptions{Candidate: o})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (h *house) past(t *testing.T) {
	t.Helper()
	h.ehr.on("GET /Observation/open", 200, `{"resourceType":"Observation","id":"open","status":"final","subject":{"reference":"Patient/1"}}`)
	h.ehr.on("GET /Observation/shut", 200, `{"resourceType":"Observation","id":"shut","status":"final","subject":{"reference":"Patient/1"},"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}}`)
	h.ehr.on("GET /Observation", 200, `{"resourceType":"Bundle","type":"searchset","entry":[
		{"resource":{"resourceType":"Observation","id":"a","status":"final","subject":{"reference":"Patient/1"}}},
		{"resource":{"resourceType":"Observation","id":"b","status":"final","subject":{"reference":"Patient/2"}}}]}`)
	staff, self := h.staff(), h.patient("1", "patient/*.rs")
	for _, c := range []struct {
		path, token string
		status      int
	}{{"/Observation/open", staff, 200}, {"/Observation/shut", staff, 404}, {"/Observation", self, 200}, {"/Observation/open", self, 200},
		{"/Observation", h.token(map[string]any{"roles": []string{"auditor"}}), 403}} {
		if got := h.get(c.path, c.token); got.status != c.status {
			t.Fatalf("%s: %d %s", c.path, got.status, got.body)
		}
	}
}

// Issue 4.7: past decisions under another policy: what would newly be allowed and
// denied, by rule, client, role and type.
func TestReplay(t *testing.T) {
	h := openHouse(t)
	h.past(t)
	same := h.replay(t, usualPolicy)
	if same.Decisions != same.Same || same.Decisions == 0 || len(same.Changes)+len(same.Unknown) > 0 {
		t.Errorf("under the same policy: %+v", same)
	}
	got := h.replay(t, nothingRestricted)
	var lines []string
	for _, c := range got.Changes {
		lines = append(lines, strings.Join([]string{c.Change, c.Rule, c.Roles, c.Type, c.Action}, "|"))
	}
	want := []string{
		"newly allowed|staff|staff|Observation|read",
		"newly denied|no longer permitted: self||Observation|search",
		"newly denied|no longer permitted: self||Observation|read",
		"newly looked at|some resources may be permitted|auditor|Observation|search",
	}
	slices.Sort(lines)
	slices.Sort(want)
	if !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
	if len(got.Unknown) != 0 { // whatever their status: the guests were nobody
		t.Errorf("not replayed: %+v", got.Unknown)
	}
}

// What the trail did not keep is told, and policy.replay: all keeps it.
func TestReplayTellsWhatWasNotKept(t *testing.T) {
	final := strings.Replace(nothingRestricted, `"guest" in input.subject.roles`, `"R" in input.resource.labels`, 1)
	final = strings.Replace(final, `"staff" in input.subject.roles`, `"nobody" in input.subject.roles`, 1)
	for _, c := range []struct{ config, why string }{
		{"", "the trail did not keep resource.status"},
		{"policy: {dir: policy, replay: all}", ""},
		{"policy: {dir: policy, replay: off}", "the trail kept nothing to replay it by"},
	} {
		h := openHouse(t)
		if c.config != "" {
			h.write("gatehouse.yaml", strings.Replace(h.config(), "policy: {dir: policy}", c.config, 1))
			h.reload(t)
		}
		h.past(t)
		got := h.replay(t, final)
		told := len(got.Unknown) > 0 && strings.HasPrefix(got.Unknown[0].Why, c.why)
		if c.why == "" && len(got.Unknown) > 0 || c.why != "" && !told {
			t.Errorf("%s: %+v", c.config, got)
		}
	}
}

// Writes are replayed as writes, each entry of a transaction as what it does.
func TestReplayOfWrites(t *testing.T) {
	h := openHouse(t)
	h.ehr.on("GET /Observation/o", 200, `{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/1"},"meta":{"versionId":"3"}}`, "ETag", `W/"3"`)
	h.ehr.on("PUT /Observation/o", 200, `{}`, "ETag", `W/"4"`)
	h.ehr.on("POST ", 200, `{"resourceType":"Bundle","type":"transaction-response","entry":[{"response":{"status":"201","location":"Basic/9/_history/1"}},{"response":{"status":"200","etag":"W/\"4\""}}]}`)
	body := `{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/1"}}`
	if got := h.do("PUT", "/Observation/o", h.staff(), body); got.status != 200 {
		t.Fatal(got)
	}
	readers := strings.Replace(usualPolicy, `if "staff" in input.subject.roles`, "if {\n\t\"staff\" in input.subject.roles\n\tinput.action in {\"read\", \"search\", \"create\"}\n}", 1)
	got := h.replay(t, readers)
	if len(got.Changes) != 1 || got.Changes[0].Action != "update" || got.Changes[0].Change != gateway.NewlyDenied {
		t.Errorf("%+v", got)
	}
	bundle := `{"resourceType":"Bundle","type":"transaction","entry":[
		{"resource":{"resourceType":"Basic","code":{"text":"x"}},"request":{"method":"POST","url":"Basic"}},
		{"resource":` + body + `,"request":{"method":"PUT","url":"Observation/o"}}]}`
	if got := h.do("POST", "", h.staff(), bundle); got.status != 200 {
		t.Fatal(got)
	}
	got = h.replay(t, readers)
	if len(got.Changes) != 1 || got.Changes[0].Action != "update" || got.Changes[0].Count != 2 || got.Same != 1 {
		t.Errorf("with a transaction: %+v", got)
	}
}
