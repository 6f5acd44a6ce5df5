package view

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/fhir"
)

func testView(t testing.TB, use string) *View {
	t.Helper()
	return viewOf(t, fhir.R4, use)
}

func viewOf(t testing.TB, v fhir.Version, use string) *View {
	t.Helper()
	return load(t, v, config.View{Use: use})
}

func loadView(t testing.TB, c config.View) *View {
	t.Helper()
	return load(t, fhir.R4, c)
}

func load(t testing.TB, v fhir.Version, c config.View) *View {
	t.Helper()
	now := func() time.Time { return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) }
	w, err := Load(v, "test", c, Options{Codec: testCodec(t), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// ruleView compiles rules written in the test.
func ruleView(t testing.TB, yaml string) *View {
	t.Helper()
	name := filepath.Join(t.TempDir(), "v.yaml")
	if err := os.WriteFile(name, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return loadView(t, config.View{File: name})
}

var study = Context{Domain: "study", Patient: "Patient/1", Base: "https://gw.example.org/r4"}

func apply(t testing.TB, w *View, doc string) string {
	t.Helper()
	c := study
	c.Own, _ = fhir.NewBaseSet("https://gw.example.org/r4", "http://up:9000/fhir")
	out, err := w.Apply(nil, []byte(doc), c)
	if err != nil {
		t.Fatalf("%v on %s", err, doc)
	}
	return string(out)
}

const redacted = `"meta":{"security":[{"system":"` + observationValue + `","code":"REDACTED"}]}`

func TestRules(t *testing.T) {
	for _, c := range []struct{ name, rules, in, want string }{
		{"default deny", "[{path: Patient.active, method: keep}]",
			`{"resourceType":"Patient","active":true,"gender":"male"}`, `{"resourceType":"Patient","active":true,` + redacted + `}`},
		{"bytes stay", "[{path: Observation, method: keep}]",
			"{ \"resourceType\" : \"Observation\",\n \"status\":\"final\", \"valueQuantity\":{ \"value\" : 1.10 } }", "{ \"resourceType\" : \"Observation\",\n \"status\":\"final\", \"valueQuantity\":{ \"value\" : 1.10 } }"},
		{"unknown element", "[{path: Patient, method: keep}]",
			`{"resourceType":"Patient","ssn":"1","active":true}`, `{"resourceType":"Patient","active":true,` + redacted + `}`},
		{"wrong shape", "[{path: Patient, method: keep}]",
			`{"resourceType":"Patient","gender":{"a":"b"},"active":"x","birthDate":["1970"],"name":{"family":"F"}}`, `{"resourceType":"Patient",` + redacted + `}`},
		{"first match wins", "[{path: Patient.name.use, method: keep}, {path: Patient.name, method: redact}, {path: Patient, method: keep}]",
			`{"resourceType":"Patient","name":[{"use":"usual","family":"F"}]}`, `{"resourceType":"Patient","name":[{"use":"usual"}],` + redacted + `}`},
		{"empty objects go", "[{path: Patient.name.use, method: keep}]",
			`{"resourceType":"Patient","name":[{"family":"F"},{"use":"usual"},{"family":"G"}]}`, `{"resourceType":"Patient","name":[{"use":"usual"}],` + redacted + `}`},
		{"by type, at any depth", "[{path: nodesByType('HumanName'), method: redact}, {path: Patient, method: keep}]",
			`{"resourceType":"Patient","contact":[{"name":{"family":"F"},"gender":"male"}],"contained":[{"resourceType":"Person","name":[{"family":"F"}]}]}`,
			`{"resourceType":"Patient","contact":[{"gender":"male"}],"contained":[{"resourceType":"Person"}],` + redacted + `}`},
		{"by name", "[{path: nodesByName('display'), method: redact}, {path: Patient, method: keep}]",
			`{"resourceType":"Patient","generalPractitioner":[{"reference":"Practitioner/1","display":"Dr"}]}`, `{"resourceType":"Patient","generalPractitioner":[{"reference":"Practitioner/1"}],` + redacted + `}`},
		{"choice by base name, D-11", "[{path: Observation.value, method: redact}, {path: Observation, method: keep}]",
			`{"resourceType":"Observation","valueString":"x","valueQuantity":{"value":1}}`, `{"resourceType":"Observation",` + redacted + `}`},
		{"choice as type", "[{path: Observation.value as Quantity, method: keep}]",
			`{"resourceType":"Observation","valueQuantity":{"value":1}}`, `{"resourceType":"Observation","valueQuantity":{"value":1}}`},
		{"required", "[{path: Observation.status, method: redact}, {path: Observation, method: keep}]",
			`{"resourceType":"Observation","status":"final"}`, `{"resourceType":"Observation","_status":` + absent + `,"meta":{"security":[{"system":"` + observationValue + `","code":"REDACTED"},{"system":"` + observationValue + `","code":"MASKED"}]}}`},
		{"labels are added", "[{path: Patient.meta, method: keep}]",
			`{"resourceType":"Patient","meta":{"security":[{"code":"R"}]},"active":true}`, `{"resourceType":"Patient","meta":{"security":[{"code":"R"},{"system":"` + observationValue + `","code":"REDACTED"}]}}`},
		{"labels in a meta without", "[{path: Patient.meta, method: keep}]",
			`{"resourceType":"Patient","meta":{"versionId":"1"},"active":true}`, `{"resourceType":"Patient","meta":{"versionId":"1","security":[{"system":"` + observationValue + `","code":"REDACTED"}]}}`},
		{"extensions by url", "[{path: nodesByType('Extension'), method: redact, unless: {url: [http://a]}}, {path: Patient, method: keep}]",
			`{"resourceType":"Patient","extension":[{"url":"http://b","valueString":"x"},{"url":"http://a","valueCode":"M"}],"_birthDate":{"extension":[{"url":"http://c","valueCode":"M"}]}}`,
			`{"resourceType":"Patient","extension":[{"url":"http://a","valueCode":"M"}],` + redacted + `}`},
		{"names beside", "[{path: nodesByType('Extension'), method: redact, unless: {url: [http://a]}}, {path: Patient, method: keep}]",
			`{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[{"extension":[{"url":"http://x"}]},{"extension":[{"url":"http://a","valueCode":"q"}]}]}]}`,
			`{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[null,{"extension":[{"url":"http://a","valueCode":"q"}]}]}],` + redacted + `}`},
		{"where", "[{path: \"Patient.identifier.where(system='a').value\", method: redact}, {path: Patient, method: keep}]",
			`{"resourceType":"Patient","identifier":[{"system":"a","value":"1"},{"system":"b","value":"2"}]}`,
			`{"resourceType":"Patient","identifier":[{"system":"a"},{"system":"b","value":"2"}],` + redacted + `}`},
		{"zip", "[{path: nodesByType('Address').postalCode, method: generalize, to: zip, digits: 3, lists: ['2010']}]",
			`{"resourceType":"Patient","address":[{"postalCode":"98028-1830"},{"postalCode":"20301"},{"postalCode":"EC1A 1BB"}]}`,
			`{"resourceType":"Patient","address":[{"postalCode":"980"},{"postalCode":"000"}],"meta":{"security":[{"system":"` + observationValue + `","code":"REDACTED"},{"system":"` + observationValue + `","code":"ABSTRED"}]}}`},
		{"zip of 2020", "[{path: nodesByType('Address').postalCode, method: generalize, to: zip, digits: 3, lists: ['2020']}]",
			`{"resourceType":"Patient","address":[{"postalCode":"89101"},{"postalCode":"77201"},{"postalCode":"09012"}]}`,
			`{"resourceType":"Patient","address":[{"postalCode":"891"},{"postalCode":"000"},{"postalCode":"000"}],"meta":{"security":[{"system":"` + observationValue + `","code":"ABSTRED"}]}}`},
		{"ages", "[{path: nodesByType('Age').value, method: generalize, to: age, max_age: 89}, {path: nodesByType('Quantity').value, method: generalize, to: age, max_age: 89}, {path: Observation, method: keep}, {path: Condition, method: keep}]",
			`{"resourceType":"Observation","valueQuantity":{"value":1200,"unit":"mo"},"component":[{"valueQuantity":{"value":95.5,"unit":"mg"}},{"valueQuantity":{"value":91,"code":"a"}}]}`,
			`{"resourceType":"Observation","valueQuantity":{"value":1080,"unit":"mo"},"component":[{"valueQuantity":{"value":95.5,"unit":"mg"}},{"valueQuantity":{"value":90,"code":"a"}}],"meta":{"security":[{"system":"` + observationValue + `","code":"ABSTRED"}]}}`},
		{"remove contained", "[{path: Patient, method: keep}, {path: Practitioner, method: remove}]",
			`{"resourceType":"Patient","contained":[{"resourceType":"Practitioner","id":"p"}],"active":true}`, `{"resourceType":"Patient","active":true,` + redacted + `}`},
		{"substitute", "[{path: Patient.gender, method: substitute, with: '\"unknown\"'}]",
			`{"resourceType":"Patient","gender":"male"}`, `{"resourceType":"Patient","gender":"unknown"}`},
	} {
		if got := apply(t, ruleView(t, "rules: "+c.rules+"\n"), c.in); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// Law 8: what cannot be read, or has no type, is withheld.
func TestUnreadableIsWithheld(t *testing.T) { // D-15
	w := testView(t, "research")
	for _, doc := range []string{``, `null`, `[]`, `{}`, `{"resourceType":"Nothing"}`, `{"resourceType":"Patient"`, `{"resourceType":"Patient","id":"a b"}`,
		`{"resourceType":"Patient","id":"1","id":"2"}`, `{"resourceType":["Patient"]}`, "<html>"} {
		if out, err := w.Apply([]byte("x"), []byte(doc), study); err == nil || string(out) != "x" {
			t.Errorf("%s: %s %v", doc, out, err)
		}
	}
	if _, err := w.Apply(nil, []byte(`{"resourceType":"Patient","id":"1"}`), Context{}); err == nil {
		t.Error("no domain: shown")
	}
}

func TestRuleFileErrors(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"rules:\n  - {path: Patient.id, method: hide}", `v.yaml:2:6: method "hide" is unknown`},
		{"rules:\n  - path: Patient.id\n    method: keep\n  - path: Patient.name.where(\n    method: redact\n", "v.yaml:4:5: path"},
		{"rules: [{path: Patient.nam, method: keep}]", "v.yaml:1:10: Patient has no element nam"},
		{"rules: [{path: nodesByType('Humanname'), method: keep}]", "Humanname is not a type"},
		{"rules: [{path: Patient.id, method: keep, metod: x}]", "v.yaml:1:"},
		{"rules: [{path: Patient.birthDate, method: dateShift, range: wide}]", `range "wide"`},
		{"rules: [{path: Patient.birthDate, method: generalize, to: decade}]", `generalize to "decade"`},
		{"rules: [{path: Patient.id, method: keep}]\ndefault: allow", "neither deny nor keep"},
		{"extends: nothing\nrules: []", "extends"},
		{"{}", "no rules"},
		{"rules: [{path: nodesByType('Coding').code, method: keep, when: {system: ['@standard']}}]", "no built-in list"},
	} {
		name := filepath.Join(t.TempDir(), "v.yaml")
		os.WriteFile(name, []byte(c.yaml), 0o600)
		_, err := Load(fhir.R4, "test", config.View{File: name}, Options{Codec: testCodec(t)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.yaml, err, c.want)
		}
	}
}

// What a version id is bound to changes with every part of a rule that decides.
func TestRevisionOfConditions(t *testing.T) {
	const when = "default: keep\nrules: [{path: nodesByType('Extension'), method: redact, when: {url: [a]}}]\n"
	first := ruleView(t, when).revision
	if again := ruleView(t, when).revision; again != first {
		t.Errorf("the same file: %s and %s", first, again)
	}
	for _, change := range [][2]string{{"[a]", "[b]"}, {"[a]", "[a, b]"}, {"when", "unless"}, {"{url", "{id"}} {
		if other := ruleView(t, strings.Replace(when, change[0], change[1], 1)).revision; other == first {
			t.Errorf("%v: the revision stays", change)
		}
	}
}

// The Census of 2020 counts 894 prefixes, 18 of them with at most 20,000 people.
func TestZIPLists(t *testing.T) {
	for list, want := range map[string]int{"2000": 17, "2010": 14, "2020": 18 + 1000 - 894} {
		got := map[string]bool{}
		for _, p := range strings.Fields(restrictedZIP[list]) {
			got[p] = len(p) == 3
		}
		if len(got) != want || got[""] {
			t.Errorf("%s: %d prefixes, want %d", list, len(got), want)
		}
	}
}
