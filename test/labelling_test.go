package test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Issue 5 item 3: records are labelled by what they hold, on a server that
// labels none.

const icd10 = "http://hl7.org/fhir/sid/icd-10"

// coded is a Condition of patient A with a code, and members before that.
func coded(id, code, more string) string {
	return `{"resourceType":"Condition","id":"` + id + `","meta":{"versionId":"1"` + more + `},"subject":{"reference":"Patient/A"},"code":{"coding":[{"system":"` + icd10 + `","code":"` + code + `"}],"text":"JANECANARY"}}`
}

// labelledSet is an upstream's answer.
func labelledSet(resources ...string) string {
	var entries []string
	for _, r := range resources {
		entries = append(entries, `{"resource":`+r+`,"search":{"mode":"match"}}`)
	}
	return `{"resourceType":"Bundle","type":"searchset","entry":[` + strings.Join(entries, ",") + `]}`
}

const labelPolicy = `package gatehouse

permit contains "staff" if "staff" in input.subject.roles

forbid contains "HIV" if {
	"HIV" in input.resource.labels
	not "infectiology" in input.subject.roles
}

forbid contains "very restricted" if "V" in input.resource.labels

forbid contains "unlabelled" if {
	"paranoid" in input.subject.roles
	"N" in input.resource.labels
}
`

func TestLabelling(t *testing.T) {
	h := openHouse(t)
	h.write("policy/policy.rego", labelPolicy)
	h.reload(t)
	all := []string{coded("plain", "J45", ""), coded("hiv", "B20.1", ""), coded("says-n", "B24", `,"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"N"}]`),
		strings.Replace(coded("held", "J45", ""), `"subject"`, `"contained":[{"resourceType":"Observation","id":"o","valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":"86406008"}]}}],"subject"`, 1),
		strings.Replace(coded("inline", "J45", ""), `"subject"`, `"note":[{"extension":[{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label","valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}}],"text":"x"}],"subject"`, 1)}
	h.ehr.on("GET /Condition", 200, labelledSet(all...))
	for i, id := range []string{"plain", "hiv", "says-n", "held", "inline"} {
		h.ehr.on("GET /Condition/"+id, 200, all[i])
	}
	staff := h.staff()
	infectiology := h.token(map[string]any{"roles": []string{"staff", "infectiology"}})
	paranoid := h.token(map[string]any{"roles": []string{"staff", "infectiology", "paranoid"}})
	for _, c := range []struct {
		name, token string
		want        []string
	}{
		{"who may not see HIV", staff, []string{"Condition/plain"}},
		{"who may", infectiology, []string{"Condition/plain", "Condition/hiv", "Condition/says-n", "Condition/held"}},
		{"N is what nothing raises", paranoid, []string{"Condition/hiv", "Condition/says-n", "Condition/held"}},
	} {
		if got := h.get("/Condition?patient=A", c.token).ids(t); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		for _, id := range []string{"plain", "hiv", "says-n", "held", "inline"} {
			want := http.StatusNotFound
			if slices.Contains(c.want, "Condition/"+id) {
				want = http.StatusOK
			}
			if got := h.get("/Condition/"+id, c.token).status; got != want {
				t.Errorf("%s: %s: got %d, want %d", c.name, id, got, want)
			}
		}
	}
}

// A write is judged by the labels that it would have.
func TestLabelledWrites(t *testing.T) {
	h := openHouse(t)
	h.write("policy/policy.rego", labelPolicy)
	h.reload(t)
	h.ehr.on("POST /Condition", 201, "", "Location", "%BASE%/Condition/new/_history/1")
	body := strings.NewReplacer(`"id":"new",`, "", `"versionId":"1"`, "").Replace(coded("new", "B20", ""))
	if got := h.do("POST", "/Condition", h.staff(), body); got.status != http.StatusForbidden {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := h.do("POST", "/Condition", h.token(map[string]any{"roles": []string{"staff", "infectiology"}}), body); got.status != http.StatusCreated {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// The table is a policy table as any other; what records are taken for that
// nothing labels is said in the configuration.
func TestOwnLabelling(t *testing.T) {
	h := openHouse(t, "labels: {unlabelled: V}")
	h.write("policy/policy.rego", labelPolicy)
	h.write("policy/labelling.yaml", "labelling:\n  - {confidentiality: L, types: [Condition]}\n")
	h.reload(t)
	h.ehr.on("GET /Condition/hiv", 200, coded("hiv", "B20", ""))
	h.ehr.on("GET /Observation/a", 200, obsA)
	if got := h.get("/Condition/hiv", h.staff()); got.status != http.StatusOK {
		t.Errorf("by the table of one's own: got %d", got.status)
	}
	if got := h.get("/Observation/a", h.staff()); got.status != http.StatusNotFound {
		t.Errorf("unlabelled: got %d", got.status)
	}
}
