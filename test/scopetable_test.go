package test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/test/scopetable"
)

// STANDARDS §1.1, row by row, for every set of letters: an interaction is served with
// those that it takes, and refused before the upstream is touched with any others, as
// a request of its own and as an entry of a batch (SMART-14, SMART-15, S-01, S-03).
func TestInteractionsByScope(t *testing.T) {
	h := openHouse(t, "operations: {allow: [$everything, $export, $lastn, $docref, $validate]}", "limits: {address: {rate: 100000/s, burst: 100000}}")
	ids := scopetable.IDs{Patient: "A", Observation: "a", Version: "3", Binary: "A", New: "new"}
	patient := resource("Patient", "A", `"name":[{"text":"x"}]`)
	found, nothing := searchset("", obsA), searchset("")
	history := strings.Replace(found, "searchset", "history", 1)
	for request, body := range map[string]string{
		"GET /Observation/a": obsA, "GET /Observation/a/_history/3": obsA, "GET /Observation/a/_history": history, "GET /Observation/_history": history, "GET /_history": history,
		"GET /Observation": found, "POST /Observation/_search": found, "GET ": found, "GET /": found, "GET /Patient/A/Observation": found, "GET /Patient/A": patient,
		"GET /Patient": searchset("", patient), "GET /Patient/A/$everything": searchset("", patient), "GET /DocumentReference/$docref": nothing,
		"GET /Observation?_id=new&_count=50": nothing,
		"POST /Observation/$validate":        `{"resourceType":"OperationOutcome","issue":[]}`, "POST /Observation/a/$validate": `{"resourceType":"OperationOutcome","issue":[]}`,
		"GET /Binary/A": resource("Binary", "A", ref("securityContext", "Patient/A")), "GET /metadata": capabilities,
	} {
		h.ehr.on(request, 200, body)
	}
	h.ehr.on("GET /$export", 202, "", "Content-Location", "%BASE%/job/1")
	h.ward(t, "POST /Observation", "PUT /Observation/a", "PUT /Observation/new", "DELETE /Observation/a")
	for _, row := range scopetable.Rows {
		row = row.Fill(ids)
		for _, letters := range scopetable.Letters() {
			scope := strings.TrimSpace(row.Context + "/" + row.Type + "." + letters + " " + row.Also)
			token := h.token(map[string]any{"roles": []string{"staff"}, "scope": scope})
			h.ehr.requests()
			got := h.do(row.Method, row.Path, token, row.Body, row.Header...)
			calls := h.ehr.requests()
			switch granted := row.Granted(letters); {
			case granted && got.status != row.Status:
				t.Errorf("%s with %s: got %d %s, want %d", row.Name, scope, got.status, got.body, row.Status)
			case !granted && (got.status != http.StatusForbidden || len(calls) > 0 && row.Name != "conditional update, of none"):
				t.Errorf("%s with %s: got %d after %q, want 403", row.Name, scope, got.status, calls)
			}
			h.noCanary(t, got)
		}
	}
}
