package test

import (
	"net/http"
	"strings"
	"testing"
)

// Issue 3 item 7: labels that the record has survive. W-11: what was read in a
// changed form is not written back.

const obsLabelled = `{"resourceType":"Observation","id":"a","meta":{"versionId":"3","security":[{"system":"http://x","code":"L"},{"code":"R"}]},"status":"final","subject":{"reference":"Patient/A"}}`

func TestLabels(t *testing.T) {
	h := openHouse(t)
	h.write("policy/labels.rego", `package gatehouse

permit contains "labels" if {
	"labeller" in input.subject.roles
	input.interaction != "$meta-delete"
}
`)
	h.reload(t)
	w := h.ward(t, "PUT /Observation/a")
	h.ehr.on("GET /Observation/a", 200, obsLabelled)
	trusted := h.token(map[string]any{"roles": []string{"labeller", "trusted"}})
	master := h.token(map[string]any{"roles": []string{"staff", "trusted"}})
	plain := body("a", ref("subject", "Patient/A"))
	const remove = `[{"op":"remove","path":"/meta/security/1"}]`
	row := func(id, method, body, token string, status int, code, sent string) writing {
		r := writing{attack: attack{id: id, method: method, target: "/Observation/a", body: body, token: token, status: status, code: code, calls: anyCalls}}
		if method == "PATCH" {
			r.header = []string{"Content-Type", "application/json-patch+json"}
		}
		if sent != "" {
			r.sent, r.changed = []string{"PUT /Observation/a " + sent}, []string{"Observation/a"}
		}
		return r
	}
	kept := `"meta":{"security":[{"code":"R"},{"system":"http://x","code":"L"}]}`
	some := body("a", ref("subject", "Patient/A")+`,"meta":{"security":[{"system":"http://x","code":"L"}],"tag":[]}`)
	hidden := row("a label that the caller cannot see", "PUT", plain, h.patient("A", "patient/*.cruds"), 404, "resource.not-found", "")
	hidden.withheld = []string{"Observation/a"}
	w.attack(t, []writing{
		hidden,
		row("left out", "PUT", plain, trusted, 200, "", strings.TrimSuffix(plain, "}")+","+kept+"}"),
		row("left out, by whoever may take them off", "PUT", plain, master, 200, "", strings.TrimSuffix(plain, "}")+","+kept+"}"),
		row("one left out", "PUT", some, trusted, 200, "", strings.Replace(some, `"L"}]`, `"L"},{"code":"R"}]`, 1)),
		row("other meta", "PUT", body("a", ref("subject", "Patient/A")+`,"meta":{"profile":["http://p"]}`), trusted, 200, "",
			body("a", ref("subject", "Patient/A")+`,"meta":{"profile":["http://p"],"security":[{"code":"R"},{"system":"http://x","code":"L"}]}`)),
		row("O-06 taken off by a patch", "PATCH", remove, trusted, 403, "resource.labels", ""),
		row("taken off by whoever may", "PATCH", remove, master, 200, "", strings.Replace(obsLabelled, `,{"code":"R"}`, "", 1)),
	})
}

// reload lets the gateway take its changed files.
func (h *house) reload(t *testing.T) {
	t.Helper()
	r, err := http.Post("http://"+h.process.AdminAddr()+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode >= 300 {
		t.Fatalf("reload: %d", r.StatusCode)
	}
}

// W-11, FHIR-14: who reads through a view writes nothing back, whether the view
// is the client's, obliged for the type, or obliged for the resource.
func TestViewsAreReadOnly(t *testing.T) {
	h := openHouse(t, `clients: {"viewer": {view: research, domain: study}}`)
	h.write("policy/views.rego", `package gatehouse

oblige contains {"view": "research"} if {
	"billing" in input.subject.roles
	input.action == "read"
}

oblige contains {"view": "research"} if {
	"desk" in input.subject.roles
	input.resource.status == "final"
}

oblige contains {"step_up": {"acr": "high"}} if {
	"weak" in input.subject.roles
	input.action == "update"
}
`)
	h.reload(t)
	w := h.ward(t, "PUT /Observation/a", "POST /Observation")
	h.ehr.on("GET /Observation/a", 200, obsA)
	as := func(role string) string { return h.token(map[string]any{"roles": []string{"staff", role}}) }
	put := body("a", ref("subject", "Patient/A"))
	test := `[{"op":"test","path":"/code/text","value":"x"}]`
	row := func(id, method, body, token string, status int, code string, calls ...string) writing {
		r := writing{attack: attack{id: id, method: method, target: "/Observation/a", body: body, token: token, status: status, code: code, calls: calls}}
		if method == "PATCH" {
			r.header = []string{"Content-Type", "application/json-patch+json"}
		}
		return r
	}
	const get = "GET /Observation/a"
	w.attack(t, []writing{
		row("the client's view", "PUT", put, h.token(map[string]any{"roles": []string{"staff"}, "client_id": "viewer"}), 403, "view.read-only"),
		row("obliged for reading", "PUT", put, as("billing"), 422, "resource.partial", get),
		row("W-04 a test of what a view hides", "PATCH", test, as("billing"), 403, "patch.reads", get),
		row("W-04 a copy of what a view hides", "PATCH", `[{"op":"copy","from":"/code/text","path":"/status"}]`, as("billing"), 403, "patch.reads", get),
		row("W-04 a test with u alone", "PATCH", test, h.patient("A", "patient/Observation.u"), 403, "patch.reads", get),
		row("obliged for the resource", "PUT", put, as("desk"), 403, "view.read-only"),
		row("J-19 step-up", "PUT", put, as("weak"), 401, "policy.step-up"),
	})
}
