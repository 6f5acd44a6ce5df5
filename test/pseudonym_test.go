package test

import (
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/gateway"
	"gatehouse/gateway/reidentify"
)

type resolveAnswer struct {
	ID, State string
	Resolved  []gateway.Resolved
}

func (h *house) resolve(token, path, body string, status int, code string) (got resolveAnswer) {
	h.t.Helper()
	a := h.call("POST", "/pseudonyms"+path, token, body)
	if a.status != status || code != "" && !strings.Contains(a.body, `"code":"`+code+`"`) {
		h.t.Fatalf("%s: got %d %s", path, a.status, a.body)
	}
	_ = json.Unmarshal([]byte(a.body), &got)
	return got
}

// X-10, ruling 11: at the admin API nobody finds out alone whom a pseudonym
// stands for, be it keyed or in the vault, and each step is in the trail before
// its answer.
func TestResolvingTakesTwo(t *testing.T) {
	t.Parallel() // it waits more than it works
	h := openHouse(t, adminAuth, "clients:\n  study: {view: research, domain: study-17}\n  safe: {view: safe-harbor, domain: s}")
	h.ehr.on("GET /Patient", 200, searchset("", patientSeen))
	ann := h.token(map[string]any{"sub": "ann", "roles": []string{"privacy-officer"}})
	second := h.token(map[string]any{"sub": "ann", "client_id": "another", "roles": []string{"privacy-officer"}})
	bob := h.officer()
	seen := h.get("/Patient", h.researcher("study")).ids(t)[0]
	ask := func(domain, id string) string {
		return `{"domain": "` + domain + `", "reason": "finding", "ids": ["` + id + `"]}`
	}
	h.resolve(h.operator(), "", ask("study-17", seen), 403, "admin.role")
	h.resolve(h.staff(), "", ask("study-17", seen), 403, "admin.role")
	h.resolve(ann, "", ask("study-17", "Patient/mrn-19700101"), 400, "admin.request")
	h.resolve(ann, "", `{"domain": "study-17", "ids": ["`+seen+`"]}`, 400, "admin.request")
	id := h.resolve(ann, "", ask("study-17", seen), 200, "").ID
	h.resolve(second, "", ask("study-17", seen), 429, "pseudonym.rate")
	h.resolve(ann, "/"+id+"/show", "", 409, "pseudonym.state")
	h.resolve(second, "/"+id+"/approve", "", 403, "pseudonym.own")
	h.resolve(bob, "/nothing/approve", "", 404, "admin.not-found")
	if got := h.resolve(bob, "/"+id+"/approve", "", 200, ""); got.State != "approved" || len(got.Resolved) != 0 {
		t.Errorf("got %+v", got)
	}
	h.resolve(bob, "/"+id+"/show", "", 403, "pseudonym.reader")
	got := h.resolve(ann, "/"+id+"/show", "", 200, "")
	if len(got.Resolved) != 1 || got.Resolved[0].Real != "Patient/mrn-19700101" || got.State != "read" {
		t.Errorf("got %+v", got)
	}
	h.resolve(ann, "/"+id+"/show", "", 409, "pseudonym.state")
	var steps []string
	for _, r := range h.records(t, id) {
		steps = append(steps, strings.TrimPrefix(r.Code, "pseudonym."))
	}
	if s := strings.Join(steps, " "); s != "asked refused approved refused read" {
		t.Errorf("the trail tells %s", s)
	}
	if a := h.call("GET", "/pseudonyms", bob, ""); a.status != 200 || !strings.Contains(a.body, id) || strings.Contains(a.body, "mrn-") {
		t.Errorf("got %d %s", a.status, a.body)
	}

	// A surrogate leads through the vault, which this process holds; another
	// domain's pseudonym leads nowhere.
	surrogate := h.get("/Patient", h.researcher("safe")).ids(t)[0]
	id = h.resolve(bob, "", `{"domain": "s", "reason": "finding", "ids": ["`+surrogate+`", "`+seen+`"]}`, 200, "").ID
	h.resolve(ann, "/"+id+"/approve", "", 200, "")
	got = h.resolve(bob, "/"+id+"/show", "", 200, "")
	if len(got.Resolved) != 2 || got.Resolved[0].Real != "Patient/mrn-19700101" || got.Resolved[1].Real != "" {
		t.Errorf("got %+v", got)
	}
}

// A command cannot read through the vault while the gateway holds it, and that
// does not spend the reading; what was done while nobody served is recorded then.
func TestResolvingByCommand(t *testing.T) {
	t.Parallel() // it waits more than it works
	h := openHouse(t, adminAuth, "clients: {safe: {view: safe-harbor, domain: s}}")
	h.ehr.on("GET /Patient", 200, searchset("", patientSeen))
	surrogate := h.get("/Patient", h.researcher("safe")).ids(t)[0]
	ann, bob := reidentify.Person{Issuer: "i", Subject: "ann"}, reidentify.Person{Issuer: "i", Subject: "bob"}
	on := func(f func(*gateway.PseudonymDesk) error) error {
		return gateway.OnPseudonyms(h.cfg(), f)
	}
	var id string
	err := on(func(d *gateway.PseudonymDesk) error {
		r, err := d.Ask(t.Context(), ann, "s", "finding", "Patient", []string{surrogate})
		if err == nil {
			id = r.ID
			_, err = d.Approve(t.Context(), bob, id)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	show := func() (found []gateway.Resolved, err error) {
		err = on(func(d *gateway.PseudonymDesk) error { _, found, err = d.Show(t.Context(), ann, id); return err })
		return found, err
	}
	if found, err := show(); err == nil || !strings.Contains(err.Error(), "holds the vault") || found != nil {
		t.Errorf("got %v, %v", found, err)
	}
	h.stop()
	if found, err := show(); err != nil || len(found) != 1 || found[0].Real != "Patient/mrn-19700101" {
		t.Errorf("got %v, %v", found, err)
	}
	h.start()
	if list := h.records(t, id); len(list) != 3 || list[2].Code != "pseudonym.read" {
		t.Errorf("the trail tells %+v", list)
	}
}

// Who a command is run by, where two people are needed, a token tells.
func TestPersonOfToken(t *testing.T) {
	h := openHouse(t, adminAuth)
	for _, c := range []struct{ token, want string }{
		{h.officer(), ""},
		{h.operator(), "does not hold the role"},
		{h.staff(), "does not hold the role"},
		{"nonsense", "not taken"},
		{h.token(map[string]any{"sub": "bot", "client_id": "bot", "roles": []string{"privacy-officer"}}), "program"},
	} {
		who, err := gateway.PersonOf(t.Context(), h.cfg(), c.token, "privacy")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || err == nil && who.Subject != "paul" {
			t.Errorf("got %+v, %v, want %s", who, err, c.want)
		}
	}
	if err := gateway.SetBlock(t.Context(), h.cfg(), &gateway.Block{What: "user", Value: "paul", By: "test"}); err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.PersonOf(t.Context(), h.cfg(), h.officer(), "privacy"); err == nil {
		t.Error("a blocked user is taken")
	}
	without := *h.cfg()
	without.AdminAuth = nil
	if _, err := gateway.PersonOf(t.Context(), &without, h.officer(), "privacy"); err == nil {
		t.Error("a token is taken that nobody trusts")
	}
}

// Issue 6.9: identifiers and texts that a view encrypted are resolved like ids, in
// their domain and at their place alone; what is none by its form is not taken, since
// it would reach the trail.
func TestResolvingTexts(t *testing.T) {
	h := newHouse(t, "R4")
	h.write("views/v.yaml", "extends: research\nrules: [{path: Device.lotNumber, method: encrypt}]\n")
	h.write("gatehouse.yaml", h.config(adminAuth, "views: {v: {file: views/v.yaml}}", "clients:\n  study: {view: v, domain: study-17}\n  other: {view: v, domain: study-18}"))
	h.start()
	h.ehr.on("GET /Patient", 200, searchset("", patientSeen))
	h.ehr.on("GET /Device", 200, searchset("", `{"resourceType":"Device","id":"dev1","lotNumber":"LOT\tCanary"}`))
	ann, bob := h.token(map[string]any{"sub": "ann", "roles": []string{"privacy-officer"}}), h.officer()
	var seen struct {
		Entry []struct {
			Resource struct {
				Identifier []struct{ System, Value string }
				LotNumber  string
			}
		}
	}
	for _, target := range []string{"/Patient", "/Device"} {
		got := h.get(target, h.researcher("study"))
		h.noReal(t, got)
		if err := json.Unmarshal([]byte(got.body), &seen); err != nil || got.status != 200 {
			t.Fatalf("%v: %s", err, got.body)
		}
		if target == "/Patient" {
			id := seen.Entry[0].Resource.Identifier[0]
			of := []string{"Identifier/" + id.System + "|" + id.Value, "Identifier/" + id.System[:len(id.System)-1] + "|" + id.Value, "Identifier/|" + id.Value}
			h.resolved(t, ann, bob, "study-17", of, "urn:hospital:mrn|MRNCanary", "", "")
		}
	}
	lot := seen.Entry[0].Resource.LotNumber
	h.resolved(t, bob, ann, "study-17", []string{"Device.lotNumber/" + lot, "Device.serialNumber/" + lot}, "LOT\tCanary", "")
	carl := h.token(map[string]any{"sub": "carl", "roles": []string{"privacy-officer"}})
	for _, bad := range []string{"Identifier/urn:hospital:mrn|MRN123", "Identifier/" + lot, "Device.lotNumber/LOT 7", "lotNumber/" + lot, "Device/" + lot, "Identifier/urn x|" + lot} {
		asked, _ := json.Marshal(map[string]any{"domain": "study-17", "reason": "finding", "ids": []string{bad}})
		h.resolve(carl, "", string(asked), 400, "admin.request")
	}
	h.resolved(t, carl, ann, "study-18", []string{"Device.lotNumber/" + lot}, "")
}

// resolved takes all three steps.
func (h *house) resolved(t *testing.T, asks, approves, domain string, ids []string, want ...string) {
	t.Helper()
	asked, _ := json.Marshal(map[string]any{"domain": domain, "reason": "finding", "ids": ids})
	id := h.resolve(asks, "", string(asked), 200, "").ID
	h.resolve(approves, "/"+id+"/approve", "", 200, "")
	got := h.resolve(asks, "/"+id+"/show", "", 200, "").Resolved
	for i, w := range want {
		if len(got) != len(want) || got[i].Real != w || got[i].Pseudonym != ids[i] {
			t.Errorf("got %+v, want %q", got, want)
		}
	}
}
