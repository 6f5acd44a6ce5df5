package compat

import (
	"crypto/sha256"
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

type fixedKeys struct{ seed string }

func (fixedKeys) Pseudonym(_, _, text string) (string, error) { return text, nil }
func (k fixedKeys) MAC(domain, label, text string) ([]byte, error) {
	sum := sha256.Sum256([]byte(k.seed + domain + label + text))
	return sum[:], nil
}

// Issue 6.4, DEIDENTIFICATION §6: a file with empty keys is refused, and runs as it is
// under a key that is given for it: the same each time, another under another key.
func TestEmptyKeys(t *testing.T) {
	const file = "fhirPathRules:\n  - {path: Patient.id, method: cryptoHash}\n  - {path: Patient.birthDate, method: dateShift}\n  - {path: Patient.name.family, method: encrypt}\nparameters: {cryptoHashKey: \"\", dateShiftKey: \"\", encryptKey: \"\"}\n"
	shown := func(o Options) string {
		o.Version = fhir.R4
		e, err := Load(Miracum, "r.yaml", []byte(file), o)
		if err != nil {
			return err.Error()
		}
		out, err := e.Apply(nil, []byte(`{"resourceType":"Patient","id":"mrn-1","birthDate":"1980-05-06","name":[{"family":"Adams"}]}`), Context{})
		if err != nil {
			t.Fatal(err)
		}
		text, _, _ := strings.Cut(string(out), `"name"`) // encrypted with a nonce
		return text
	}
	for name, o := range map[string]Options{"no key": {}, "a key for pseudonyms alone": {Keys: fixedKeys{"a"}}, "no keys to fill from": {Fill: true}} {
		if got := shown(o); !strings.Contains(got, "cryptoHash needs cryptoHashKey, which is empty") || !strings.Contains(got, "dateShiftKey") || !strings.Contains(got, "encryptKey") {
			t.Errorf("%s: got %s", name, got)
		}
	}
	one, again, other := shown(Options{Keys: fixedKeys{"a"}, Fill: true}), shown(Options{Keys: fixedKeys{"a"}, Fill: true}), shown(Options{Keys: fixedKeys{"b"}, Fill: true})
	if one != again || one == other || strings.Contains(one, "mrn-1") || !strings.Contains(one, `"id"`) {
		t.Errorf("got %s, %s, %s", one, again, other)
	}
}
