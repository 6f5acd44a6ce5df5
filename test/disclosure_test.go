package test

import (
	"strings"
	"testing"
)

// AUD-02…08: each BALP profile is met by some event, with what it demands.
func TestEveryBALPProfileIsClaimed(t *testing.T) {
	h := newHouse(t, "R4")
	h.write("gatehouse.yaml", strings.Replace(h.config("consent: {source: upstream, default: permit}"), "key_file: audit.key}", "key_file: audit.key, custodians: [Organization/1]}", 1))
	h.start()
	obs, org := obsA, `{"resourceType":"Organization","id":"o","meta":{"versionId":"1"}}`
	h.ehr.on("GET /Observation/a", 200, obs, "ETag", `W/"1"`)
	h.ehr.on("GET /Observation/a/_history/1", 200, obs, "ETag", `W/"1"`)
	h.ehr.on("PUT /Observation/a", 200, obs, "ETag", `W/"2"`)
	h.ehr.on("DELETE /Observation/a", 204, "")
	h.ehr.on("POST /Observation", 201, obs, "Location", "%BASE%/Observation/a/_history/1")
	h.ehr.on("GET /Observation", 200, searchset("", obs))
	h.ehr.on("GET /Organization/o", 200, org, "ETag", `W/"1"`)
	h.ehr.on("GET /Organization", 200, searchset("", org))
	h.ehr.on("PUT /Organization/o", 200, org)
	h.ehr.on("DELETE /Organization/o", 204, "")
	h.ehr.on("POST /Organization", 201, org, "Location", "%BASE%/Organization/o/_history/1")
	h.consents(`{"resourceType":"Consent","id":"c","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],"patient":{"reference":"Patient/A"},"dateTime":"2026-01-01","provision":{"type":"permit"}}`)
	ours := h.token(map[string]any{"roles": []string{"staff"}, "organization": "Organization/1", "jti": "j-1", "purpose_of_use": []string{"TREAT"}})
	theirs := h.token(map[string]any{"roles": []string{"staff"}, "organization": "Organization/9", "jti": "j-2", "purpose_of_use": []string{"HRESCH"}})
	patch := `[{"op":"replace","path":"/status","value":"final"}]`
	for _, r := range []struct{ method, target, body, kind string }{
		{"GET", "/Observation/a", "", ""}, {"GET", "/Observation/a/_history/1", "", ""}, {"PUT", "/Observation/a", obs, ""}, {"PATCH", "/Observation/a", patch, jsonPatch},
		{"POST", "/Observation", strings.Replace(obs, `"id":"a",`, "", 1), ""}, {"DELETE", "/Observation/a", "", ""}, {"GET", "/Observation", "", ""},
		{"GET", "/Organization/o", "", ""}, {"PUT", "/Organization/o", org, ""}, {"POST", "/Organization", `{"resourceType":"Organization"}`, ""},
		{"DELETE", "/Organization/o", "", ""}, {"GET", "/Organization?_id=o", "", ""},
	} {
		headers := []string{}
		if r.kind != "" {
			headers = []string{"Content-Type", r.kind}
		}
		if got := h.do(r.method, r.target, ours, r.body, headers...); got.status >= 300 {
			t.Errorf("%s %s: %d %s", r.method, r.target, got.status, got.body)
		}
	}
	if got := h.events(t)["PrivacyDisclosure.Source"]; got != 0 {
		t.Errorf("%d disclosures to the own organization", got)
	}
	h.get("/Observation/a", theirs)
	h.get("/Observation/none", theirs)
	h.get("/Observation", theirs)
	h.get("/Organization/o", theirs)
	unnamed := h.token(map[string]any{"roles": []string{"staff"}, "jti": nil})
	h.get("/Organization/o", unnamed)
	h.stop()
	got := h.events(t)
	if got["PrivacyDisclosure.Source"] != 2 {
		t.Errorf("%d disclosures, want 2: a read and a search", got["PrivacyDisclosure.Source"])
	}
	for _, r := range h.trail(t) {
		if strings.Contains(r.Caller.Token, ours[len(ours)-40:]) || strings.Contains(r.Caller.Token, unnamed[len(unnamed)-40:]) {
			t.Errorf("the trail holds a token: %q", r.Caller.Token)
		}
	}
	for name := range balpProfiles {
		if got[name] == 0 {
			t.Errorf("no event claims %s", name)
		}
	}
}
