package test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/audit"
)

func (h *house) cfg() *config.Config {
	h.t.Helper()
	cfg, problems := config.Load(h.dir + "/gatehouse.yaml")
	if err := problems.Err(); err != nil {
		h.t.Fatal(err)
	}
	return cfg
}

// Issue 7 point 9: what another process blocks is refused by every replica within
// two seconds, by whatever token it comes, and after a restart; what is lifted is
// served again.
func TestBlocks(t *testing.T) {
	t.Parallel() // it waits more than it works
	h := openHouse(t, adminAuth)
	other := h.replica()
	h.ehr.on("GET /Observation/a", 200, obsA)
	token := func() string {
		return h.token(map[string]any{"sub": "ann", "client_id": "ward-app", "fhirUser": "Practitioner/7", "jti": "t1", "sid": "s1", "roles": []string{"staff"}})
	}
	bystander := h.token(map[string]any{"sub": "bob", "client_id": "other", "fhirUser": "Practitioner/8", "jti": "t2", "roles": []string{"staff"}})
	for _, b := range []gateway.Block{{What: "client", Value: "ward-app"}, {What: "user", Value: "ann"}, {What: "user", Value: "Practitioner/7"},
		{What: "token", Value: "t1"}, {What: "session", Value: "s1"}} {
		b.By, b.Reason = "test", "stolen"
		cached := token()
		if got := h.get("/Observation/a", cached); got.status != 200 {
			t.Fatalf("%s: before: %d %s", b.What, got.status, got.body)
		}
		if err := gateway.SetBlock(t.Context(), h.cfg(), &b); err != nil {
			t.Fatal(err)
		}
		for _, one := range []*house{h, other} {
			one.within(2*time.Second, func() bool {
				a := one.get("/Observation/a", cached)
				return a.status == 401 && a.code() == "token.revoked"
			})
			if got := one.get("/Observation/a", token()); got.status != 401 {
				t.Errorf("%s: a fresh token: %d", b.What, got.status)
			}
			if got := one.get("/Observation/a", bystander); got.status != 200 {
				t.Errorf("%s: a bystander: %d", b.What, got.status)
			}
		}
		h.stop()
		h.start()
		if got := h.get("/Observation/a", cached); got.status != 401 {
			t.Errorf("%s: after a restart: %d", b.What, got.status)
		}
		b.Until = time.Time{}
		if err := gateway.LiftBlock(t.Context(), h.cfg(), &b); err != nil {
			t.Fatal(err)
		}
		for _, one := range []*house{h, other} {
			one.within(2*time.Second, func() bool { return one.get("/Observation/a", cached).status == 200 })
		}
	}
}

// Of a blocked patient nobody sees anything: not the patient, not by an emergency
// grant, in no search, and the answer is that of what is not there.
func TestBlockedPatient(t *testing.T) {
	h := openHouse(t, adminAuth, "emergency: {roles: [staff]}")
	h.write("policy/policy.rego", strings.Split(usualPolicy, "forbid")[0])
	if err := h.process.Reload(); err != nil {
		t.Fatal(err)
	}
	h.ehr.on("GET /Observation/a", 200, obsA)
	h.ehr.on("GET /Observation/b", 200, obsB)
	h.ehr.on("GET /Observation", 200, searchset("", obsA, obsB))
	h.ehr.on("PUT /Observation/a", 200, obsA, "ETag", `W/"4"`)
	staff := h.token(map[string]any{"sub": "ann", "fhirUser": "Practitioner/7", "roles": []string{"staff"}})
	if got := h.breakGlass(staff, collapsed); got.status != 201 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	h.ehr.on("GET /Observation?_summary=count", 200, `{"resourceType":"Bundle","type":"searchset","total":2}`)
	bob := h.token(map[string]any{"sub": "bob", "fhirUser": "Practitioner/8", "roles": []string{"staff"}})
	if got := h.get("/Observation?_summary=count", bob); got.status != 200 {
		t.Fatalf("a count before: %d %s", got.status, got.body)
	}
	if got := h.call("POST", "/blocks", h.operator(), `{"what": "patient", "value": "A", "reason": "identity under dispute"}`); got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	own := h.patient("A", "patient/*.rs")
	if got := h.get("/Observation?_summary=count", bob); got.status == 200 {
		t.Errorf("a count tells of the patient: %s", got.body)
	}
	if got := h.get("/_gatehouse/accesses", own); got.status != 404 {
		t.Errorf("the patient's accesses: %d %s", got.status, got.body)
	}
	absent := h.get("/Observation/none", staff)
	for _, token := range []string{staff, own} {
		got := h.get("/Observation/a", token)
		if got.status != 404 || got.body != absent.body {
			t.Errorf("read: %d %s", got.status, got.body)
		}
	}
	if got := h.get("/Observation?code=x", staff); got.status != 200 || !slices.Equal(got.ids(t), []string{"Observation/b"}) {
		t.Errorf("search: %d %s", got.status, got.body)
	}
	h.ehr.requests()
	if got := h.do("PUT", "/Observation/a", staff, obsA); got.status < 400 || slices.ContainsFunc(h.ehr.requests(), func(c string) bool { return strings.HasPrefix(c, "PUT") }) {
		t.Errorf("write: %d %s", got.status, got.body)
	}
	if got := h.call("DELETE", "/blocks?what=patient&value=Patient/A&reason=settled", h.officer(), ""); got.status != 200 {
		t.Errorf("lift: %d %s", got.status, got.body)
	}
	if got := h.get("/Observation/a", own); got.status != 200 {
		t.Errorf("after it was lifted: %d", got.status)
	}
}

// Whose record is blocked is for privacy to know and to lift; an operator may block,
// and make no block of a patient's shorter.
func TestBlocksOfPatientsArePrivacys(t *testing.T) {
	h := openHouse(t, adminAuth)
	h.ehr.on("GET /Observation/a", 200, obsA)
	until := func(in time.Duration) string { return time.Now().Add(in).UTC().Format(time.RFC3339) }
	for _, c := range []struct{ method, target, token, body string }{
		{"POST", "/blocks", h.officer(), `{"what": "patient", "value": "A", "reason": "disputed"}`},
		{"POST", "/blocks", h.operator(), `{"what": "patient", "value": "Patient/A", "until": "` + until(time.Second) + `"}`},
		{"POST", "/blocks", h.operator(), `{"what": "client", "value": "x"}`},
	} {
		if got := h.call(c.method, c.target, c.token, c.body); got.status != 200 || strings.Contains(got.body, "disputed") != strings.Contains(c.body, "disputed") {
			t.Errorf("%s: got %d %s", c.body, got.status, got.body)
		}
	}
	id := h.get("/Observation/a", h.staff()).header.Get("X-Request-Id")
	for token, whole := range map[string]bool{h.officer(): true, h.operator(): false} {
		if got := h.call("GET", "/blocks", token, ""); strings.Contains(got.body, "Patient/A") != whole || !strings.Contains(got.body, `"x"`) {
			t.Errorf("list: %s", got.body)
		}
		if got := h.call("GET", "/decisions/"+id, token, ""); got.status != 200 || strings.Contains(got.body, "patient.blocked") != whole {
			t.Errorf("decisions: %s", got.body)
		}
	}
	if got := h.call("DELETE", "/blocks?what=patient&value=Patient/A", h.operator(), ""); got.status != 403 {
		t.Errorf("lifted: %d %s", got.status, got.body)
	}
	if got := h.call("DELETE", "/blocks?what=patient&value=Patient/none", h.operator(), ""); got.status != 403 {
		t.Errorf("tells which there are: %d %s", got.status, got.body)
	}
	time.Sleep(1100 * time.Millisecond)
	if got := h.get("/Observation/a", h.staff()); got.status != 404 {
		t.Errorf("an operator ended it: %d", got.status)
	}
}

func TestBlocksEndByThemselves(t *testing.T) {
	t.Parallel() // it waits more than it works
	h := openHouse(t)
	h.ehr.on("GET /Observation/a", 200, obsA)
	until := time.Now().Add(8 * time.Second)
	for _, b := range []gateway.Block{{What: "patient", Value: "Patient/A", Until: until}, {What: "user", Value: "bob", Until: until}} {
		if err := gateway.SetBlock(t.Context(), h.cfg(), &b); err != nil {
			t.Fatal(err)
		}
	}
	ann, bob := h.token(map[string]any{"sub": "ann", "roles": []string{"staff"}}), h.token(map[string]any{"sub": "bob", "roles": []string{"staff"}})
	h.within(2*time.Second, func() bool {
		return h.get("/Observation/a", ann).status == 404 && h.get("/Observation/a", bob).status == 401
	})
	time.Sleep(time.Until(until))
	for _, token := range []string{ann, bob} {
		if got := h.get("/Observation/a", token); got.status != 200 {
			t.Errorf("after its end: %d %s", got.status, got.body)
		}
	}
}

// The API says who may, what is wrong, and what is blocked.
func TestBlocksAPI(t *testing.T) {
	h := openHouse(t, adminAuth)
	for _, c := range []struct {
		name, method, path, token, body string
		status                          int
	}{
		{"a clinician", "POST", "/blocks", h.staff(), `{"what": "client", "value": "x"}`, 403},
		{"a clinician reads", "GET", "/blocks", h.staff(), "", 403},
		{"no such thing", "POST", "/blocks", h.operator(), `{"what": "address", "value": "x"}`, 400},
		{"nobody", "POST", "/blocks", h.operator(), `{"what": "client", "value": ""}`, 400},
		{"a group", "POST", "/blocks", h.operator(), `{"what": "patient", "value": "Group/1"}`, 400},
		{"over before it began", "POST", "/blocks", h.operator(), `{"what": "client", "value": "x", "until": "2020-01-01T00:00:00Z"}`, 400},
		{"a reason of two lines", "POST", "/blocks", h.operator(), `{"what": "client", "value": "x", "reason": "a\nb"}`, 400},
		{"a misspelled key", "POST", "/blocks", h.operator(), `{"what": "client", "value": "x", "untill": "2099-01-01T00:00:00Z"}`, 400},
		{"a lift of nothing", "DELETE", "/blocks?what=client&value=x", h.operator(), "", 404},
		{"a block", "POST", "/blocks", h.operator(), `{"what": "client", "value": "x", "reason": "stolen"}`, 200},
		{"the list", "GET", "/blocks", h.officer(), "", 200},
	} {
		if got := h.call(c.method, c.path, c.token, c.body); got.status != c.status {
			t.Errorf("%s: got %d %s", c.name, got.status, got.body)
		} else if c.name == "the list" && !strings.Contains(got.body, `"reason":"stolen"`) {
			t.Errorf("the list: %s", got.body)
		}
	}
}

// Every decision is in the audit trail of each gateway, once, also when it was
// made while the gateway was not running.
func TestBlocksAreRecorded(t *testing.T) {
	h := openHouse(t)
	h.stop()
	for _, b := range []gateway.Block{{What: "client", Value: "x", By: "root", Reason: "stolen"}, {What: "patient", Value: "Patient/A", By: "root", Reason: "disputed by Jane Canary"}} {
		if err := gateway.SetBlock(t.Context(), h.cfg(), &b); err != nil {
			t.Fatal(err)
		}
	}
	h.start()
	b := gateway.Block{What: "client", Value: "x", By: "root", Reason: "found"}
	if err := gateway.LiftBlock(t.Context(), h.cfg(), &b); err != nil {
		t.Fatal(err)
	}
	h.within(2*time.Second, func() bool { return len(h.notices(t, audit.BlockLifted)) == 1 })
	h.stop()
	h.start()
	h.stop()
	set, lifted := h.notices(t, audit.BlockSet), h.notices(t, audit.BlockLifted)
	if len(set) != 2 || len(lifted) != 1 {
		t.Fatalf("%d set, %d lifted", len(set), len(lifted))
	}
	if text, _ := json.Marshal(set[0].Notes); !strings.Contains(string(text), "stolen") || !strings.Contains(string(text), "root") {
		t.Errorf("notes %s", text)
	}
	if r := set[1]; !slices.Equal(r.Patients, []string{"Patient/A"}) || !strings.Contains(string(r.Body), "Canary") {
		t.Errorf("record %+v", r)
	}
	if notes, _ := json.Marshal(set[1].Notes); strings.Contains(string(notes), "Canary") || strings.Contains(string(notes), "Patient/") {
		t.Errorf("the patient stands in the notes: %s", notes)
	}
	h.start()
}

// notices are the records of a code.
func (h *house) notices(t *testing.T, code string) []*audit.Record {
	t.Helper()
	key, err := config.ReadKey(h.dir + "/audit.key")
	if err != nil {
		t.Fatal(err)
	}
	trail, err := audit.OpenReader(h.dir+"/audit", key)
	if err != nil {
		t.Fatal(err)
	}
	var list []*audit.Record
	if _, err := trail.Whole(func(r *audit.Record) error {
		if r.Code == code {
			list = append(list, r)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}
