package compat

import (
	"strings"
	"testing"

	"gatehouse/fhir"
)

// Issue 6.4: lint names dead rules of the tools' files; each is told where it stands,
// and none that can still find something.
func TestDeadRules(t *testing.T) {
	const file = `{"fhirPathRules": [
{"path": "Patient.name", "method": "redact"},
{"path": "Patient.name.family", "method": "keep"},
{"path": "Patient.naem", "method": "redact"},
{"path": "Patiemt.name", "method": "redact"},
{"path": "Observation.value", "method": "redact"},
{"path": "nodesByType('Identifier')", "method": "redact"},
{"path": "Encounter.nodesByType('Identifier').value", "method": "keep"},
{"path": "Patient.identifier", "method": "keep"},
{"path": "Patient.contact.where(gender = 'male')", "method": "redact"},
{"path": "Patient.contact.where(gender = 'male')", "method": "keep"},
{"path": "Patient.contact.where(gender = 'female')", "method": "keep"},
{"path": "Practitioner", "method": "redact"},
{"path": "Practitioner.name", "method": "keep"},
{"path": "Person.name", "method": "keep"},
{"path": "Resource", "method": "keep"},
{"path": "Device.lotNumber", "method": "redact"}]}`
	e, err := Load(Microsoft, "r.json", []byte(file), Options{Version: fhir.R4})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range e.Findings() {
		if at, what, ok := strings.Cut(f, ": never applies: "); ok {
			lines = append(lines, strings.Split(at, ":")[1]+" "+what)
		}
	}
	want := []string{"3 Patient.name.family: an earlier rule names all that it does", "4 Patient.naem: Patient has no element naem", "5 Patiemt.name: Patiemt is no resource type",
		"8 Encounter.nodesByType('Identifier').value: an earlier rule names all that it does", "11 Patient.contact.where(gender = 'male'): an earlier rule names all that it does",
		"14 Practitioner.name: an earlier rule names all that it does", "17 Device.lotNumber: an earlier rule names all that it does"}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}
