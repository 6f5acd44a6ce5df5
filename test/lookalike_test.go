package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// P-01, P-03, B-04: entries that are alike in all but their type are read by the
// table of their own: on a page of several types no label and no patient is lost.
func TestEntriesAlikeButForType(t *testing.T) {
	h := openHouse(t, "operations: {allow: [$everything]}")
	const entry = `{"fullUrl":"%%BASE%%/%s/%d","resource":{"resourceType":%[1]q,"id":"%[2]d","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":%[3]q}]},%[4]q:{"reference":"Patient/%[5]s"}},"search":{"mode":"match"}}`
	page := func(member string, rows ...[3]string) string {
		list := make([]string, len(rows))
		for i, r := range rows {
			list[i] = fmt.Sprintf(entry, r[0], i+1, r[1], member, r[2])
		}
		return `{"resourceType":"Bundle","type":"searchset","entry":[` + strings.Join(list, ",") + `]}`
	}
	h.ehr.on("GET /Patient/A", 200, `{"resourceType":"Patient","id":"A","meta":{"versionId":"1"}}`)
	types := []string{"AllergyIntolerance", "CarePlan", "Condition", "DiagnosticReport", "DocumentReference", "Encounter", "Immunization", "MedicationRequest", "Observation", "Procedure"}
	for _, first := range types {
		for _, then := range types {
			for _, member := range []string{"subject", "patient"} {
				h.ehr.on("GET /Patient/A/$everything", 200, page(member, [3]string{first, "N", "A"}, [3]string{first, "N", "A"}, [3]string{then, "R", "A"}, [3]string{then, "R", "A"}, [3]string{then, "R", "A"}))
				a := h.get("/Patient/A/$everything", h.staff())
				if a.status != 200 || slices.Contains(a.ids(t)[min(2, len(a.ids(t))):], then+"/4") {
					t.Errorf("%s, then restricted %s of a %s: %d %s", first, then, member, a.status, a.body)
				}
			}
		}
	}
}
