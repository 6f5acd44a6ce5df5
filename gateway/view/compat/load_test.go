package compat

import (
	"strings"
	"testing"

	"gatehouse/fhir"
)

// D11: what a file may say, and what is wrong with it.
func TestLoadErrors(t *testing.T) {
	rule := func(s string) string { return `{"fhirPathRules":[` + s + `],"parameters":{}}` }
	for _, c := range []struct{ tool, file, want string }{
		{"gpas", `{}`, "there is no compat"},
		{Microsoft, ``, "rules:1:1: "},
		{Microsoft, `{"fhirPathRules":[],}`, "rules:1:2"},
		{Microsoft, `{"fhirPathRules":[]} {}`, "something follows"},
		{Microsoft, `{"parameters":{}}`, "fhirPathRules is missing"},
		{Microsoft, `{"fhirPathRules":[],"fhirPathRules":[]}`, "duplicate"},
		{Microsoft, "{\n\"fhirPathRules\":[{\"path\":\"Patient\",\"path\":\"Patient\",\"method\":\"keep\"}]}", "rules:2:"},
		{Microsoft, `{"fhirVersion":"Stu3","fhirPathRules":[]}`, "for FHIR Stu3, not for R4"},
		{Microsoft, `{"processingErrors":"keep","fhirPathRules":[]}`, "neither raise nor skip"},
		{Microsoft, rule(`{"path":"Patient.id"}`), "a path and a method"},
		{Microsoft, rule(`{"path":"Patient.id","method":"pseudonymize"}`), `method "pseudonymize" is unknown`},
		{Microsoft, rule(`{"path":"Patient.name.where(use='usual)","method":"redact"}`), "string is not closed"},
		{Microsoft, rule(`{"path":"Patient.invalid()","method":"redact"}`), "unknown function"},
		{Microsoft, rule(`{"path":"Patient.name && Patient.id","method":"redact"}`), "unexpected character"},
		{Microsoft, rule(`{"path":"Patient.id","method":"cryptoHash"}`), "needs cryptoHashKey, which is empty"},
		{Microsoft, rule(`{"path":"Patient.id","method":"encrypt"}`), "needs encryptKey"},
		{Microsoft, rule(`{"path":"Patient.birthDate","method":"dateShift"}`), "needs dateShiftKey"},
		{Microsoft, `{"fhirPathRules":[],"parameters":{"encryptKey":"short"}}`, "has 5 bytes; it must have 16, 24 or 32"},
		{Microsoft, `{"fhirPathRules":[],"parameters":{"dateShiftScope":"patient"}}`, "none of resource, file, folder"},
		{Microsoft, `{"fhirPathRules":[],"parameters":{"dateShiftFixedOffsetInDays":"x"}}`, "no number of days"},
		{Microsoft, `{"fhirPathRules":[],"parameters":{"enablePartialDatesForRedact":"perhaps"}}`, "neither true nor false"},
		{Microsoft, rule(`{"path":"Patient.x","method":"perturb"}`), "needs a span"},
		{Microsoft, rule(`{"path":"Patient.x","method":"perturb","span":-1}`), "span is no number"},
		{Microsoft, rule(`{"path":"Patient.x","method":"perturb","span":1,"roundTo":29}`), "roundTo"},
		{Microsoft, rule(`{"path":"Patient.x","method":"perturb","span":1,"rangeType":"wide"}`), "rangeType"},
		{Microsoft, rule(`{"path":"Patient.x","method":"substitute"}`), "needs replaceWith"},
		{Microsoft, rule(`{"path":"Patient.x","method":"generalize"}`), "needs cases"},
		{Microsoft, rule(`{"path":"Patient.x","method":"generalize","cases":{"$this >":"1"}}`), `case "$this >"`},
		{Microsoft, rule(`{"path":"Patient.x","method":"generalize","cases":{"true":"1"},"otherValues":"drop"}`), "otherValues"},
		{Microsoft, rule(`{"path":"Patient.x","method":"generalize","cases":{"$this.matches('(?=x)')":"1"}}`), "look-around"},
		{Miracum, "fhirPathRules:\n  - path: Patient.id\n    method: pseudonymize\n", "rules:2:5: method pseudonymize needs a key"},
		{Miracum, "fhirPathRules: []\nfhirPathRules: []\n", "rules:2:1"},
		{Miracum, "fhirPathRules: []\nparameters: {cryptoHashAlgorithm: md5}\n", "neither HmacSha256 nor Blake3"},
		{Miracum, "fhirPathRules: &x []\n", "anchors"},
		{Miracum, "---\n{}\n---\n{}\n", "more than one document"},
		{Miracum, "", "is empty"},
		{Miracum, "fhirPathRules:\n  - path: Patient.id\n    method: cryptoHash\n    truncateToMaxLength: 0\nparameters: {cryptoHashKey: k}", "truncateToMaxLength"},
	} {
		_, err := Load(c.tool, "rules", []byte(c.file), Options{Version: fhir.R4})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.file, err, c.want)
		}
	}
}

func TestLoads(t *testing.T) {
	for _, c := range []struct{ tool, file string }{
		{Microsoft, bom + `{"fhirVersion":"","fhirPathRules":[{"path":"Patient.id","method":"REDACT"}],"parameters":{"cryptoHashKey":"","encryptKey":"","customSettings":{"a":1}},"processingError":"x"}`},
		{Microsoft, `{"FhirPathRules":[{"path":"Patient.notAnElement","method":"keep"}]}`},
		{Microsoft, `{"fhirPathRules":[{"path":"Patient.x","method":"generalize","cases":"{\"true\":\"1\"}","otherValues":"Keep"}],"parameters":null}`},
		{Microsoft, `{"fhirPathRules":[{"path":"Patient.birthDate","method":"dateShift"}],"parameters":{"dateShiftFixedOffsetInDays":0}}`},
		{Miracum, bom + "---\n# rules\nfhirVersion: R4\nfhirPathRules:\n  - path: Patient.birthDate\n    method: generalize\n    cases:\n      \"$this < @1931-01-01\": \"@1930-01-01\"\n    otherValues: keep\nparameters:\n  restrictedZipCodeTabulationAreas: [036]\n  dateShiftKey: \"\"\n"},
	} {
		e, err := Load(c.tool, "rules", []byte(c.file), Options{Version: fhir.R4})
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
		} else if r := e.params.restricted; len(r) > 0 && r[0] != "036" {
			t.Errorf("prefix %v", r)
		}
	}
}

// A view of such rules hides what they may touch, and searches for it.
func TestTouches(t *testing.T) {
	e := load(t, Microsoft, `{"path":"Organization.name","method":"keep"},{"path":"Resource.id","method":"cryptoHash"},{"path":"nodesByType('HumanName').family","method":"redact"},
		{"path":"nodesByType('date')","method":"dateShift"},{"path":"Patient.address.where(use='old').city","method":"redact"},{"path":"nodesByType('Extension')","method":"redact"},
		{"path":"Observation.value as Quantity","method":"perturb","span":1},{"path":"Observation.component.code.coding.display","method":"redact"},{"path":"Encounter","method":"redact"},
		{"path":"Group.name | Group.code","method":"redact"}`, keyed)
	parts := func(typ string) []string {
		return map[string][]string{"CodeableConcept": {"coding"}, "Coding": {"system", "code"}}[typ]
	}
	for what, want := range map[string]bool{
		"Patient id": true, "Patient name": true, "Patient name.family": true, "Patient name.given": false, "Patient birthDate": true, "Patient gender": false,
		"Patient address": true, "Patient address.city": true, "Patient maritalStatus": false, "Patient extension": true,
		"Observation valueQuantity": true, "Observation value": true, "Observation valueString": false, "Observation code": false, "Observation component.code": false,
		"Observation component.code.coding.display": true, "Encounter status": true, "Group actual": true, "Patient nothing": true, "Patient contact": true,
		"Organization name": false, "Patient meta.lastUpdated": false,
	} {
		typ, element, _ := strings.Cut(what, " ")
		if got := e.Touches(typ, element, parts); got != want {
			t.Errorf("%s: got %v", what, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(true, `{"fhirPathRules":[{"path":"Patient.x","method":"generalize","cases":{"true":"1"}}],"parameters":{"dateShiftKey":"k"}}`)
	f.Add(false, "fhirPathRules:\n  - path: nodesByType('date')\n    method: dateshift\nparameters: {dateShiftKey: a}\n")
	f.Add(false, "a: |\n  x\nb: >\n y\n- c: !!str d")
	doc := []byte(`{"resourceType":"Patient","id":"p","birthDate":"2001-02-03","_birthDate":{"extension":[{"url":"u","valueString":"s"}]},"name":[{"given":["a",null],"_given":[null,{"id":"x"}]}],"multipleBirthInteger":2,"contained":[{"resourceType":"Practitioner","id":"q"}]}`)
	f.Fuzz(func(t *testing.T, isJSON bool, file string) {
		tool := Miracum
		if isJSON {
			tool = Microsoft
		}
		e, err := Load(tool, "rules", []byte(file), Options{Version: fhir.R4, Keys: fakeKeys{}})
		if err != nil {
			return
		}
		out, err := e.Apply(nil, doc, Context{})
		if err != nil {
			return
		}
		if _, err := e.Apply(nil, out, Context{}); err != nil && strings.Contains(err.Error(), "read resource: offset") {
			t.Errorf("%s: wrote %s: %v", file, out, err)
		}
		e.Touches("Patient", "name", nil)
	})
}

// Whatever comes in, what goes out is read again, and names are gone.
func FuzzApply(f *testing.F) {
	e, err := Load(Miracum, "rules", []byte(`{"fhirPathRules":[{"path":"Patient.contact","method":"substitute","replaceWith":{"gender":"other"}},
		{"path":"nodesByType('Extension').where(url='u')","method":"remove"},{"path":"nodesByType('HumanName')","method":"redact"},
		{"path":"nodesByType('date') | nodesByType('instant') | nodesByType('dateTime')","method":"dateShift"},{"path":"nodesByType('integer')","method":"perturb","span":3},
		{"path":"nodesByType('Reference')","method":"cryptoHash"},{"path":"nodesByType('id')","method":"encrypt"}],
		"parameters":{"dateShiftKey":"k","cryptoHashKey":"k","encryptKey":"0123456789abcdef","enablePartialDatesForRedact":true}}`), Options{Version: fhir.R4})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"resourceType":"Patient","id":"p","name":[{"family":"F","_given":[null,{"extension":[{"url":"u","valueHumanName":{"text":"F"}}]}]}],"birthDate":"2001","multipleBirthInteger":3}`)
	f.Add(`{"resourceType":"Bundle","meta":{"lastUpdated":"2001-02-03T04:05:06Z"},"entry":[{"resource":{"resourceType":"Observation","subject":{"reference":"#x"},"contained":[{"resourceType":"Patient","contact":[{"name":{"text":"F"}}]}]}}]}`)
	f.Fuzz(func(t *testing.T, doc string) {
		out, err := e.Apply(nil, []byte(doc), Context{})
		if err != nil {
			return
		}
		again, err := e.Apply(nil, out, Context{})
		if err != nil {
			t.Fatalf("%s: wrote %s: %v", doc, out, err)
		}
		for _, gone := range []string{`"family"`, `"given"`} {
			if strings.Contains(string(again), gone) {
				t.Errorf("%s: %s is left in %s", doc, gone, out)
			}
		}
	})
}
