package test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Issue 5 items 4 and 5: what a client says of its purpose, and how strong and
// fresh a login must be.

// expectReload lets the gateway take its changed files, or refuse them with a
// text.
func (h *house) refuses(t *testing.T, want string) {
	t.Helper()
	err := h.process.Reload()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("reload: got %v, want %s", err, want)
	}
}

const purposePolicy = `package gatehouse

permit contains "treatment" if "TREAT" in input.subject.purpose

permit contains "research" if "HRESCH" in input.subject.purpose

forbid contains "broken glass" if "BTG" in input.subject.purpose
`

// CONS-07, C-12, UDAP-02: a header gives nobody a purpose but a client whose
// entry says so, and overrides no token.
func TestAssertedPurpose(t *testing.T) {
	h := openHouse(t, `clients: {"portal": {purposes: [TREAT, HPAYMT], purpose_header: true}, "listed": {purposes: [TREAT]}}`)
	h.write("policy/policy.rego", purposePolicy)
	h.reload(t)
	h.ehr.on("GET /Patient/a", 200, resource("Patient", "a", `"active":true`))
	as := func(client string, purposes ...any) string {
		claims := map[string]any{"client_id": client}
		if len(purposes) > 0 {
			claims["extensions"] = map[string]any{"ihe_iua": map[string]any{"purpose_of_use": purposes}}
		}
		return h.token(claims)
	}
	coding := map[string]any{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
	for _, c := range []struct {
		name, token string
		header      []string
		status      int
		code        string
	}{
		{"asserted", as("portal"), []string{"TREAT"}, 200, ""},
		{"with its system", as("portal"), []string{"http://terminology.hl7.org/CodeSystem/v3-ActReason|TREAT"}, 200, ""},
		{"another the client has", as("portal"), []string{"HPAYMT"}, 403, "policy.denied"},
		{"one it has not", as("portal"), []string{"HRESCH"}, 403, "purpose.not-agreed"},
		{"BTG", as("portal"), []string{"BTG"}, 403, "purpose.not-agreed"},
		{"two", as("portal"), []string{"TREAT, HPAYMT"}, 400, "purpose.malformed"},
		{"two headers", as("portal"), []string{"TREAT", "HPAYMT"}, 400, "purpose.malformed"},
		{"empty", as("portal"), []string{""}, 400, "purpose.malformed"},
		{"another system", as("portal"), []string{"http://x|TREAT"}, 400, "purpose.malformed"},
		{"none", as("portal"), nil, 403, "policy.denied"},
		{"the token's", as("portal", coding), nil, 200, ""},
		{"the same as the token's", as("portal", coding), []string{"TREAT"}, 200, ""},
		{"another than the token's", as("portal", "HPAYMT"), []string{"TREAT"}, 403, "purpose.not-agreed"},
		{"a client that may not", as("listed"), []string{"TREAT"}, 403, "policy.denied"},
		{"a client without an entry", as("anybody"), []string{"TREAT"}, 403, "policy.denied"},
		{"its token counts", as("anybody", "http://terminology.hl7.org/CodeSystem/v3-ActReason|TREAT"), []string{"HRESCH"}, 200, ""},
	} {
		r, _ := http.NewRequest("GET", h.base+"/Patient/a", nil)
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header["X-Purpose-Of-Use"] = c.header
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, resp); got.status != c.status || got.code() != c.code {
			t.Errorf("%s: got %d %s", c.name, got.status, got.body)
		}
	}
	for _, headers := range h.ehr.headers {
		if headers.Get("X-Purpose-Of-Use") != "" {
			t.Error("the header went upstream")
		}
	}
}

const assurancePolicy = `package gatehouse

permit contains "staff" if "staff" in input.subject.roles

forbid contains "labels stay" if input.request.operation == "$meta-delete"

oblige contains {"step_up": {"acr": "mid"}} if "R" in input.resource.labels

oblige contains {"step_up": {"acr": "high"}} if "V" in input.resource.labels

oblige contains {"step_up": {"acr": "high", "max_age": 300}} if "chief" in input.subject.roles

oblige contains {"step_up": {"acr": "mid", "max_age": 600}} if input.action in {"create", "update", "delete"}

oblige contains {"step_up": {"max_age": 60}} if input.interaction == "$everything"
`

// STEP-01, J-19, RFC 9470: for labels, roles, operations and writes; acr are
// compared by their order.
func TestStepUps(t *testing.T) {
	h := openHouse(t)
	h.write("gatehouse.yaml", h.config("acr_order: [low, mid, high, \"9\", \"10\"]"))
	h.write("policy/policy.rego", assurancePolicy)
	h.reload(t)
	plain, restricted := resource("Observation", "p", ref("subject", "Patient/A")), strings.Replace(resource("Observation", "r", ref("subject", "Patient/A")), `"meta":{`, `"meta":{"security":[{"code":"R"},{"code":"V"}],`, 1)
	onlyR := strings.Replace(strings.Replace(restricted, `,{"code":"V"}`, "", 1), `"id":"r"`, `"id":"x"`, 1)
	h.ehr.on("GET /Observation/p", 200, plain)
	h.ehr.on("GET /Observation/r", 200, restricted)
	h.ehr.on("GET /Observation/x", 200, onlyR)
	h.ehr.on("GET /Observation", 200, labelledSet(plain, restricted, onlyR))
	h.ehr.on("GET /Patient/A", 200, resource("Patient", "A", `"active":true`))
	h.ehr.on("GET /Patient/A/$everything", 200, labelledSet(resource("Patient", "A", `"active":true`)))
	h.ehr.on("PUT /Observation/p", 200, "")
	h.ehr.on("DELETE /Observation/p", 204, "")
	h.ehr.on("POST /Observation", 201, "", "Location", "%BASE%/Observation/n/_history/1")
	now := time.Now().Unix()
	login := func(acr string, age int64, roles ...string) string {
		claims := map[string]any{"roles": append(roles, "staff"), "auth_time": now - age}
		if acr != "" {
			claims["acr"] = acr
		}
		return h.token(claims)
	}
	body := `{"resourceType":"Observation","id":"p","status":"final","subject":{"reference":"Patient/A"}}`
	for _, c := range []struct {
		name, method, target, token string
		status                      int
		challenge                   string
	}{
		{"no label", "GET", "/Observation/p", login("", 0), 200, ""},
		{"a label, too weak", "GET", "/Observation/x", login("low", 0), 401, `acr_values="mid"`},
		{"a label, unknown strength", "GET", "/Observation/x", login("", 0), 401, `acr_values="mid"`},
		{"a label, a strength of another order", "GET", "/Observation/x", login("zzz", 0), 401, `acr_values="mid"`},
		{"a label, as strong", "GET", "/Observation/x", login("mid", 0), 200, ""},
		{"a label, stronger", "GET", "/Observation/x", login("high", 0), 200, ""},
		{"stronger, though less as text", "GET", "/Observation/x", login("10", 0), 200, ""},
		{"the stronger of two demands", "GET", "/Observation/r", login("mid", 0), 401, `acr_values="high"`},
		{"a search withholds", "GET", "/Observation", login("mid", 0), 200, ""},
		{"a role, whatever the data", "GET", "/Observation", login("mid", 0, "chief"), 401, `acr_values="high", max_age="300"`},
		{"a role, an absent record", "GET", "/Observation/none", login("mid", 0, "chief"), 401, `max_age="300"`},
		{"a role, too old", "GET", "/Observation/p", login("high", 301, "chief"), 401, `max_age="300"`},
		{"a role, a login yet to come", "GET", "/Observation/p", login("high", -3600, "chief"), 401, `max_age="300"`},
		{"a role, good enough", "GET", "/Observation/p", login("high", 200, "chief"), 200, ""},
		{"an operation", "GET", "/Patient/A/$everything", login("high", 100), 401, `max_age="60"`},
		{"an operation, fresh", "GET", "/Patient/A/$everything", login("", 10), 200, ""},
		{"an update", "PUT", "/Observation/p", login("low", 0), 401, `acr_values="mid", max_age="600"`},
		{"an update, good enough", "PUT", "/Observation/p", login("mid", 0), 200, ""},
		{"a creation", "POST", "/Observation", login("low", 0), 401, `acr_values="mid"`},
		{"a creation, good enough", "POST", "/Observation", login("high", 0), 201, ""},
		{"a deletion", "DELETE", "/Observation/p", login("mid", 700), 401, `max_age="600"`},
	} {
		h.ehr.requests()
		sent := ""
		if c.method == "PUT" || c.method == "POST" {
			sent = body
		}
		got := h.do(c.method, c.target, c.token, sent)
		challenge := strings.Join(got.header.Values("WWW-Authenticate"), " ")
		if got.status != c.status || !strings.Contains(challenge, c.challenge) || (got.status == 401) != strings.Contains(challenge, "insufficient_user_authentication") {
			t.Errorf("%s: got %d %s %s", c.name, got.status, challenge, got.body)
		}
		for _, request := range h.ehr.requests() {
			if got.status == 401 && !strings.HasPrefix(request, "GET") {
				t.Errorf("%s: sent %s", c.name, request)
			}
		}
	}
	if got := h.get("/Observation", login("mid", 0)).ids(t); len(got) != 2 {
		t.Errorf("a search: got %v", got)
	}
	h.write("policy/policy.rego", strings.ReplaceAll(assurancePolicy, `"acr": "mid", "max`, `"acr": "middle", "max`))
	h.refuses(t, `policy.rego:13: obliges the acr "middle", which acr_order does not list: write one of low, mid, high, 9, 10`)
}

// Issue 5, contract §6: what is obliged by name is there, or the policy does not
// load.
func TestObligedNames(t *testing.T) {
	h := openHouse(t)
	for rule, want := range map[string]string{
		`oblige contains {"view": "reserch"} if true`:                                                                `policy.rego:3: obliges the view "reserch", which is not among the views: write one of limited, research, safe-harbor`,
		`oblige contains {"view": data.forms[role]} if some role in input.subject.roles`:                             `forms.yaml:3: obliges the view "bilng"`,
		"oblige contains {\"view\": row.view} if {\n\tsome role in input.subject.roles\n\trow := data.rows[role]\n}": `forms.yaml:5: obliges the view "shrt"`,
		`oblige contains {"view": data.forms.ward} if true`:                                                          "",
	} {
		h.write("policy/policy.rego", "package gatehouse\n\n"+rule+"\n\npermit contains \"staff\" if \"staff\" in input.subject.roles\n")
		h.write("policy/forms.yaml", "forms:\n  ward: limited\n  desk: bilng\nrows:\n  desk: {view: shrt}\n")
		if want == "" {
			h.reload(t)
			continue
		}
		h.refuses(t, want)
	}
}

// Ruling 10.9: what policy obliges is paid from the client's rate.
func TestCost(t *testing.T) {
	h := openHouse(t, `clients: {"*": {limits: {rate: 1/h, burst: 10}}}`)
	h.write("policy/policy.rego", `package gatehouse

permit contains "staff" if "staff" in input.subject.roles

oblige contains {"cost": 4} if input.request.type == "Observation"

oblige contains {"cost": 9} if "R" in input.resource.labels
`)
	h.reload(t)
	h.ehr.on("GET /Patient/a", 200, resource("Patient", "a", `"active":true`))
	h.ehr.on("GET /Patient/r", 200, strings.Replace(resource("Patient", "r", `"active":true`), `"meta":{`, `"meta":{"security":[{"code":"R"}],`, 1))
	h.ehr.on("GET /Observation/p", 200, resource("Observation", "p", ref("subject", "Patient/A")))
	as := func(client string) string {
		return h.token(map[string]any{"roles": []string{"staff"}, "client_id": client})
	}
	for _, c := range []struct {
		name, target string
		served       int // before 429
	}{{"plain", "/Patient/a", 10}, {"a request", "/Observation/p", 2}, {"what is released", "/Patient/r", 2}} {
		token, served := as(c.name), 0
		for h.get(c.target, token).status == 200 && served < 20 {
			served++
		}
		if served != c.served {
			t.Errorf("%s: %d served, want %d", c.name, served, c.served)
		}
	}
}
