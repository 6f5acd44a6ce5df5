package view

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/config"
	"gatehouse/fhir"
)

func foreignView(t *testing.T, tool, rules string) *View {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	return loadView(t, config.View{File: file, Compat: tool})
}

const microsoftRules = `{"fhirPathRules":[{"path":"Resource.id","method":"cryptoHash"},{"path":"nodesByType('Reference').reference","method":"cryptoHash"},
	{"path":"nodesByType('HumanName')","method":"redact"},{"path":"nodesByType('Coding').display","method":"redact"},{"path":"nodesByType('Coding').userSelected","method":"keep"}],
	"parameters":{"cryptoHashKey":"k"}}`

// DESIGN §10.14: such a view is read-only, is not searched for what a rule may
// touch, and reads nothing under the id that it hides.
func TestForeignInbound(t *testing.T) {
	w := foreignView(t, "microsoft", microsoftRules)
	for url, want := range map[string]Outcome{
		"Patient?gender=male": Proceed, "Observation?code=http://loinc.org|1-8&status=final": Proceed, "Patient?_sort=gender": Proceed,
		"Patient/p1": Absent, "Patient/p1/_history/1": Absent, "Patient/p1/Observation": Absent, "Patient/p1/$everything": Absent,
	} {
		if got, _, err := w.Inbound(parseURL(t, url), study); err != nil || got != want {
			t.Errorf("%s: got %v %v, want %v", url, got, err, want)
		}
	}
	for _, url := range []string{"Patient?name=Adams", "Patient?family:exact=Adams", "Patient?_id=p1", "Observation?subject=Patient/p1", "Observation?patient.name=Adams",
		"Patient?_has:Observation:patient:code=x", "Patient?_sort=family", "Observation?_include=Observation:subject", "Observation?code:text=x", "Patient?phonetic=Adams"} {
		if _, _, err := w.Inbound(parseURL(t, url), study); err == nil || err.Code != "view.parameter-hidden" {
			t.Errorf("%s: got %v", url, err)
		}
	}
	if _, _, err := w.Inbound(&fhir.Access{Interaction: fhir.Update, Type: "Patient", ID: "p1"}, study); err == nil || err.Code != "view.read-only" {
		t.Errorf("update: got %v", err)
	}
}

// Laid over each other, a view of ours and one of another tool both take away.
func TestForeignOverlay(t *testing.T) {
	const doc = `{"resourceType":"Patient","id":"p1","gender":"male","name":[{"family":"Adams"}],"photo":[{"title":"T"}]}`
	other := foreignView(t, "microsoft", microsoftRules)
	for _, w := range []*View{testView(t, "research").Overlay(other), other.Overlay(testView(t, "research"))} {
		got, err := w.Apply(nil, []byte(doc), Context{Domain: "study", Patient: "Patient/p1"})
		if err != nil {
			t.Fatal(err)
		}
		for _, gone := range []string{"p1", "Adams", "photo"} {
			if strings.Contains(string(got), gone) {
				t.Errorf("%s is left in %s", gone, got)
			}
		}
		if _, _, err := w.Inbound(parseURL(t, "Patient?family=Adams"), study); err == nil {
			t.Error("searched for a hidden name")
		}
	}
}

// D12 and DEIDENTIFICATION §6: without a service, pseudonyms come from the
// house's key: the same for the same text, another for another.
func TestForeignPseudonyms(t *testing.T) {
	w := foreignView(t, "miracum", `
fhirPathRules:
  - {path: nodesByType('id'), method: pseudonymize, domain: P}
  - {path: nodesByType('Identifier').value, method: pseudonymize, domain: P}
  - {path: nodesByType('Reference').reference, method: pseudonymize, domain: P}
`)
	show := func(id, value, domain string) (string, string, string) {
		doc := `{"resourceType":"Patient","id":"` + id + `","identifier":[{"value":"` + value + `"}],"link":[{"other":{"reference":"Patient/` + id + `"}}]}`
		got, err := w.Apply(nil, []byte(doc), Context{Domain: domain})
		if err != nil {
			t.Fatal(err)
		}
		texts := strings.Split(string(got), `"`)
		after := func(name string) string {
			for i, s := range texts {
				if s == name && texts[i+1] == ":" {
					return texts[i+2]
				}
			}
			return ""
		}
		return after("id"), after("value"), after("reference")
	}
	id, value, ref := show("123", "123", "")
	again, other, _ := show("123", "12 4", "")
	foreign, _, _ := show("123", "123", "study")
	if id == "" || id == "123" || value != id || ref != "Patient/"+id || again != id || other == id || foreign == id || !fhir.ValidID(id) {
		t.Errorf("got %s %s %s, %s %s, %s", id, value, ref, again, other, foreign)
	}
	if _, err := Load(fhir.R4, "x", config.View{File: w.name, Compat: "miracum"}, Options{}); err == nil {
		t.Error("a missing file loads")
	}
}
