package test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/audit/watch"
)

const kinRules = `watch:
  - {detector: same-surname, roles: [staff]}
  - {detector: same-address, roles: [staff]}`

// kinHouse has a nurse called Möller, who lives at 5 Elm Street, and patients some of
// whom are of her kin.
func kinHouse(t *testing.T) *house {
	h := openHouse(t, kinRules)
	person := func(typ, id, family, street string) string {
		return `{"resourceType":"` + typ + `","id":"` + id + `","meta":{"versionId":"1"},"name":[{"family":"` + family +
			`"}],"address":[{"line":["` + street + `"],"postalCode":"0150","city":"Oslo"}]}`
	}
	h.ehr.on("GET /Practitioner/7", 200, person("Practitioner", "7", "Möller", "5 Elm Street"))
	h.ehr.on("GET /PractitionerRole/9", 200, `{"resourceType":"PractitionerRole","id":"9","practitioner":{"reference":"Practitioner/7"}}`)
	h.ehr.on("GET /Patient/son", 200, person("Patient", "son", "MOELLER-Hansen", "1 Oak Road"))
	h.ehr.on("GET /Patient/lodger", 200, person("Patient", "lodger", "Canarysen", "Elm St. 5"))
	h.ehr.on("GET /Patient/else", 200, person("Patient", "else", "Canarysen", "2 Fir Lane"))
	h.ehr.on("GET /Observation/son", 200, `{"resourceType":"Observation","id":"son","meta":{"versionId":"1"},"status":"final","subject":{"reference":"Patient/son"}}`)
	h.ehr.on("GET /Patient?_id=son&_count=200", 200, searchset("", person("Patient", "son", "MOELLER-Hansen", "1 Oak Road")))
	return h
}

// Issue 7.7: an access to somebody of one's own name or home says so, whether it is
// the Patient that is read or what is about them; the name is known from fhirUser or
// from the token.
func TestSameNameAndHome(t *testing.T) {
	h := kinHouse(t)
	nurse := map[string]any{"sub": "nurse", "roles": []string{"staff"}, "fhirUser": "Practitioner/7"}
	role := map[string]any{"sub": "role", "roles": []string{"staff"}, "fhirUser": "PractitionerRole/9"}
	claimed := map[string]any{"sub": "claimed", "roles": []string{"staff"}, "family_name": "Canarysen",
		"address": map[string]any{"street_address": "2 Fir Lane", "locality": "OSLO"}}
	other := map[string]any{"sub": "other", "roles": []string{"doctor", "trusted"}, "fhirUser": "Practitioner/7"}
	mother := map[string]any{"sub": "mother", "roles": []string{"staff"}, "fhirUser": "RelatedPerson/1", "family_name": "Moeller"}
	for _, test := range []struct {
		who    map[string]any
		target string
		want   audit.Same
	}{
		{nurse, "/Observation/son", audit.SameSurname}, // nobody has read the Patient yet
		{nurse, "/Patient/son", audit.SameSurname},
		{nurse, "/Patient/lodger", audit.SameAddress},
		{nurse, "/Patient/else", 0},
		{role, "/Patient/son", audit.SameSurname},
		{claimed, "/Patient/lodger", audit.SameSurname},
		{claimed, "/Patient/else", audit.SameSurname | audit.SameAddress},
		{other, "/Patient/son", 0},  // no rule is about the role
		{mother, "/Patient/son", 0}, // a relative is no member of the staff
	} {
		got := h.get(test.target, h.token(test.who))
		entries := h.records(t, got.header.Get("X-Request-Id"))
		if len(entries) != 1 || len(entries[0].Entries) != 1 {
			if test.who["sub"] == "other" { // whom the usual policy lets see nothing
				continue
			}
			t.Fatalf("%v %s: status %d, %d records", test.who["sub"], test.target, got.status, len(entries))
		}
		if same := entries[0].Entries[0].Same; same != test.want {
			t.Errorf("%v %s: got %b, want %b", test.who["sub"], test.target, same, test.want)
		}
	}

	h.within(time.Minute, func() bool { return len(h.notices(t, "watch.same-address")) == 2 })
	said := map[string]bool{}
	if _, err := gateway.Detect(context.Background(), h.cfg(), time.Time{}, func(a *watch.Alert) error {
		said[a.Caller.Subject+" "+a.Evidence+" "+strings.Join(a.Patients, " ")] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"nurse 1 accesses within 1d to 1 patients who bear a surname of the caller Patient/son",
		"nurse 1 accesses within 1d to 1 patients who live at an address of the caller Patient/lodger",
		"role 1 accesses within 1d to 1 patients who bear a surname of the caller Patient/son",
		"claimed 1 accesses within 1d to 1 patients who bear a surname of the caller Patient/lodger",
		"claimed 1 accesses within 1d to 1 patients who live at an address of the caller Patient/else",
	} {
		if !said[want] {
			t.Errorf("a replay does not say %q: %v", want, said)
		}
	}
	if text := strings.ToLower(h.log.String()); strings.Contains(text, "canarysen") || strings.Contains(text, "elm st") {
		t.Error("the log names somebody")
	}
	if len(said) != 5 {
		t.Errorf("%d alerts: %v", len(said), said)
	}
}

// A person who cannot be looked up is not compared, which raises an alarm; the access
// goes on. No rule, no lookup.
func TestKinThatCannotBeRead(t *testing.T) {
	h := kinHouse(t)
	h.ehr.handle("GET /Practitioner/7", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusInternalServerError) })
	nurse := h.token(map[string]any{"roles": []string{"staff"}, "fhirUser": "Practitioner/7"})
	for range 2 {
		if got := h.get("/Patient/son", nurse); got.status != 200 {
			t.Fatalf("status %d", got.status)
		}
	}
	if h.alarms(t, "watch.kin") != "2" {
		t.Errorf("%q alarms", h.alarms(t, "watch.kin"))
	}
	asked := 0
	for _, r := range h.ehr.requests() {
		if r == "GET /Practitioner/7" {
			asked++
		}
	}
	if asked > 3 { // the retries of one lookup
		t.Errorf("the server was asked %d times: a failure is not remembered", asked)
	}
	cfg, err := os.ReadFile(filepath.Join(h.dir, "gatehouse.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	h.write("gatehouse.yaml", strings.Replace(string(cfg), kinRules, "", 1))
	h.reload(t)
	h.get("/Patient/lodger", nurse)
	if got := h.ehr.requests(); len(got) != 1 {
		t.Errorf("without a rule: %v", got)
	}
}
