package test

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/gateway/audit"
)

// patientsNamed are those that the outcome record of an answer names in what
// was asked, apart from what came back.
func (h *house) patientsNamed(t *testing.T, a answer) []string {
	t.Helper()
	records := h.records(t, a.header.Get("X-Request-Id"))
	if len(records) == 0 {
		t.Fatalf("%d %s left no record", a.status, a.body)
	}
	return recordNames(records[len(records)-1])
}

func recordNames(r *audit.Record) []string {
	var l []string
	l = append(l, r.Patients...)
	if r.Type == "Patient" && r.ID != "" && !slices.Contains(l, "Patient/"+r.ID) {
		l = append(l, "Patient/"+r.ID)
	}
	slices.Sort(l)
	return l
}

// A-RPT-4: whoever asks about a patient and is refused is in that patient's
// report: the record names whom the request named.
func TestRefusedRequestsNameTheirPatients(t *testing.T) {
	h := openHouse(t)
	nobody := h.token(map[string]any{"roles": []string{"visitor"}})
	narrow := h.token(map[string]any{"roles": []string{"staff"}, "scope": "user/Encounter.r"})
	tests := []struct{ target, want string }{
		{"/Patient/p1", "Patient/p1"},
		{"/Patient/p1/_history", "Patient/p1"},
		{"/Patient/p1/Observation", "Patient/p1"},
		{"/Observation?patient=p1", "Patient/p1"},
		{"/Observation?patient=Patient/p1,Patient/p2", "Patient/p1 Patient/p2"},
		{"/Observation?subject=p1", "Patient/p1"},
		{"/Observation?subject:Patient=p1", "Patient/p1"},
		{"/Observation?subject=http://gw.example.org/fhir/Patient/p1", "Patient/p1"},
		{"/Observation?subject=Group/g1", ""},
		{"/Observation?subject=http://elsewhere.example.org/Patient/p1", ""},
		{"/Observation?performer=Patient/p3", "Patient/p3"},
		{"/Observation?patient._id=p1", "Patient/p1"},
		{"/Patient?_id=p1,p2", "Patient/p1 Patient/p2"},
		{"/Observation?_id=o1", ""},
		{"/Encounter?_has:Observation:encounter:patient=p1", "Patient/p1"},
		{"/Observation?patient:missing=true", ""},
		{"/Practitioner/p1", ""},
	}
	for _, tt := range tests {
		for who, token := range map[string]string{"policy": nobody, "scope": narrow} {
			got := h.get(tt.target, token)
			if got.status != 403 {
				t.Errorf("%s: %d %s", tt.target, got.status, got.body)
				continue
			}
			if named := strings.Join(h.patientsNamed(t, got), " "); named != tt.want {
				t.Errorf("%s refused by %s names %q, want %q", tt.target, who, named, tt.want)
			}
		}
	}
}

// A-RPT-4, D-03: under a view the record names the patient and never a
// pseudonym, which would be a patient that nobody is.
func TestPseudonymsAreNoPatientsOfARecord(t *testing.T) {
	h := openResearch(t)
	study := h.researcher("study")
	p := h.pseudonym(t, study)
	other := h.researcher("other")
	tests := []struct{ target, token, want string }{
		{"/Patient/" + p, study, "Patient/mrn-19700101"},
		{"/Observation?subject=Patient/" + p, study, "Patient/mrn-19700101"},
		{"/Patient/" + p, other, ""}, // nobody there
		{"/Observation?subject=Patient/" + p, other, ""},
		{"/Patient/mrn-19700101", study, ""},
	}
	for _, tt := range tests {
		if named := strings.Join(h.patientsNamed(t, h.get(tt.target, tt.token)), " "); named != tt.want {
			t.Errorf("%s names %q, want %q", tt.target, named, tt.want)
		}
	}
	denied := h.do("PUT", "/Patient/"+p, study, `{"resourceType":"Patient","id":"`+p+`"}`)
	if named := h.patientsNamed(t, denied); denied.status != 403 || len(named) != 0 {
		t.Errorf("a write through a view: %d, names %v", denied.status, named)
	}
}
