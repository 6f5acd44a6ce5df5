package test

import (
	"strings"
	"testing"
)

// Law 5, 6: what a view hides is not seen through _elements and _summary, nor told
// by them; a projection of a hidden element is the same whether it is there or not.
func TestProjectionsUnderAView(t *testing.T) {
	h := openResearch(t)
	study := h.researcher("study")
	p := h.pseudonym(t, study)
	bare := strings.Replace(patientSeen, `"photo":[{"contentType":"image/png","data":"Q2FuYXJ5"}],`, "", 1)
	for _, query := range []string{"_elements=name", "_elements=photo", "_elements=identifier,telecom,address", "_elements=contact,extension,contained,text", "_elements=birthDate,_birthDate",
		"_elements=meta", "_elements=link", "_summary=text", "_summary=data", "_summary=true", "_elements=identifier.value", "_elements=Patient.name", "_elements=resourceType,name", "_elements=NAME"} {
		var answers []string
		for _, stored := range []string{patientSeen, bare} {
			h.ehr.on("GET /Patient/mrn-19700101", 200, stored, "ETag", `W/"7Canary"`)
			h.ehr.on("GET /Patient", 200, searchset("", stored))
			for _, target := range []string{"/Patient/" + p + "?" + query, "/Patient?_id=" + p + "&" + query} {
				got := h.get(target, study)
				h.noReal(t, got)
				if got.status != 200 && got.status != 400 {
					t.Errorf("%s: got %d %s", target, got.status, got.body)
				}
				body, _, _ := strings.Cut(got.body, `"diagnostics"`)
				answers = append(answers, body)
			}
		}
		if answers[0] != answers[2] || answers[1] != answers[3] {
			t.Errorf("%s tells whether there is a photo:\n%s\n%s", query, answers[0], answers[2])
		}
	}
}

// with UUIDs as pseudonyms another domain's, a real one and one that is
// made up are the same 404, on every way in; what is asked upstream is no id that the
// caller knows.
func TestUUIDsOfOthers(t *testing.T) {
	const real = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	h := newHouse(t, "R4")
	h.write("gatehouse.yaml", strings.Replace(h.config(`clients:
  study: {view: rw, domain: study-17}
  other: {view: rw, domain: study-18}`, "views: {rw: {use: research, write: true}}"), "pseudonyms: {key_file: pseudonyms.key}", "pseudonyms: {key_file: pseudonyms.key, shape: uuid}", 1))
	h.start()
	seen := strings.ReplaceAll(patientSeen, "mrn-19700101", real)
	h.ehr.on("GET /Patient/"+real, 200, seen)
	h.ehr.on("GET /Patient", 200, searchset("", seen))
	study := h.researcher("study")
	theirs, ours := h.pseudonym(t, h.researcher("other")), h.pseudonym(t, study)
	if theirs == ours || ours == real || len(ours) != 36 {
		t.Fatalf("got %s and %s", ours, theirs)
	}
	body := func(id string) string { return `{"resourceType":"Patient","id":"` + id + `","active":true}` }
	for _, id := range []string{theirs, real, "00000000-0000-4000-8000-000000000000", strings.ToUpper(ours), ours + "0"} {
		h.ehr.requests()
		for name, got := range map[string]answer{
			"read": h.get("/Patient/"+id, study), "put": h.do("PUT", "/Patient/"+id, study, body(id)), "history": h.get("/Patient/"+id+"/_history", study),
			"patch":  h.do("PATCH", "/Patient/"+id, study, `[{"op":"add","path":"/active","value":true}]`, "Content-Type", "application/json-patch+json"),
			"delete": h.do("DELETE", "/Patient/"+id, study, ""), "everything": h.get("/Patient/"+id+"/$everything", study),
		} {
			h.noReal(t, got)
			if got.status != 404 && !(name == "put" && (got.status == 404 || got.status == 422 || got.status == 403)) {
				t.Errorf("%s of %s: got %d %s", name, id, got.status, got.body)
			}
		}
		for _, asked := range h.ehr.requests() {
			if strings.Contains(asked, id) || strings.Contains(asked, real) {
				t.Errorf("%s: the upstream got %s", id, asked)
			}
		}
	}
	if got := h.get("/Patient/"+ours, study); got.status != 200 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
