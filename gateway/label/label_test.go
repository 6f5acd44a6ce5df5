package label

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"gatehouse/fhir"

	"go.yaml.in/yaml/v3"
)

// shipped are the tables that ship, read without the policy's checks.
func shipped(t testing.TB) *Table {
	t.Helper()
	text, err := os.ReadFile("../../policies/labelling.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return table(t, string(text))
}

func table(t testing.TB, text string) *Table {
	t.Helper()
	made, err := compile(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func compile(t testing.TB, text string) (*Table, error) {
	t.Helper()
	var all map[string]any
	if err := yaml.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	return New(tables(all), "N")
}

// tables are those of a policy that names the label OURS.
type tables map[string]any

func (a tables) Table(key string) any { return a[key] }

func (a tables) Names(label string) bool { return label == "OURS" }

func (a tables) Wrong(key string, at []string, text string) error {
	return errors.New(key + " " + strings.Join(at, ".") + " " + text)
}

func labelsOf(t testing.TB, made *Table, resource string) []string {
	t.Helper()
	f, err := fhir.R4.ReadLabelled([]byte(resource), nil, made)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(slices.Values(f.Labels))
}

const hivR = "HIV R"

// Issue 5.3: codes wherever a record may hold them, written as servers write
// them.
func TestShipped(t *testing.T) {
	made := shipped(t)
	condition := func(system, code string) string {
		return `{"resourceType":"Condition","id":"1","code":{"coding":[{"system":"http://example.org","code":"x"},{"system":"` + system + `","code":"` + code + `"}]}}`
	}
	observation := func(member string) string { return `{"resourceType":"Observation","id":"1",` + member + `}` }
	concept := `{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10","code":"B20"}]}`
	sud := "ETH ETHUD NORDSCLCD R SUD"
	for _, c := range []struct{ name, resource, want string }{
		{"nothing", observation(`"status":"final"`), "N"},
		{"another code", condition("http://snomed.info/sct", "444814009"), "N"},
		{"SNOMED", condition("http://snomed.info/sct", "86406008"), hivR},
		{"an ICD range", condition("http://hl7.org/fhir/sid/icd-10", "F10.20"), sud},
		{"the end of a range", condition("http://hl7.org/fhir/sid/icd-10-cm", "B24"), hivR},
		{"beyond it", condition("http://hl7.org/fhir/sid/icd-10-cm", "B25"), "N"},
		{"the German form", condition("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "F10.2+"), sud},
		{"small letters, no dot", condition("http://hl7.org/fhir/sid/icd-10-gm", "f1020"), sud},
		{"by OID", condition("urn:oid:2.16.840.1.113883.6.90", "Z21"), hivR},
		{"https and a slash", condition("https://hl7.org/fhir/sid/icd-10/", "B20"), hivR},
		{"no system", `{"resourceType":"Condition","id":"1","code":{"coding":[{"code":"F10.2"}]}}`, sud},
		{"ICD-9 is no beginning without its system", `{"resourceType":"Condition","id":"1","code":{"coding":[{"code":"29500012"}]}}`, "N"},
		{"a code that is a number", observation(`"valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":86406008}]}`), hivR},
		{"escaped", condition(`http:\/\/snomed.info\/sct`, `8640600\u0038`), hivR},
		{"another system's code of that name", condition("http://loinc.org", "B20"), "N"},
		{"a value", observation(`"valueCodeableConcept":` + concept), hivR},
		{"a component's value", observation(`"component":[{"code":{"text":"x"}},{"code":{"text":"y"},"valueCodeableConcept":` + concept + `}]`), hivR},
		{"an interpretation", observation(`"interpretation":[` + concept + `]`), hivR},
		{"a reason", `{"resourceType":"Encounter","id":"1","reasonCode":[{"text":"x"},` + concept + `]}`, hivR},
		{"a medication", `{"resourceType":"MedicationRequest","id":"1","medicationCodeableConcept":{"coding":[{"system":"http://www.whocc.no/atc","code":"J05AR06"}]}}`, hivR},
		{"a contained medication", `{"resourceType":"MedicationRequest","id":"1","contained":[{"resourceType":"Medication","id":"m","code":{"coding":[{"system":"http://www.whocc.no/atc","code":"J05AR06"}]}}],"medicationReference":{"reference":"#m"}}`, hivR},
		{"a claim's diagnosis", `{"resourceType":"Claim","id":"1","diagnosis":[{"sequence":1,"diagnosisCodeableConcept":` + concept + `}]}`, hivR},
		{"an answer deep in a questionnaire", `{"resourceType":"QuestionnaireResponse","id":"1","item":[{"item":[{"item":[{"answer":[{"valueCoding":{"system":"http://snomed.info/sct","code":"86406008"}}]}]}]}]}`, hivR},
		{"an extension", `{"resourceType":"Patient","id":"1","extension":[{"url":"u","extension":[{"url":"v","valueCoding":{"system":"http://snomed.info/sct","code":"86406008"}}]}]}`, hivR},
		{"a document", `{"resourceType":"Bundle","id":"1","type":"document","entry":[{"resource":{"resourceType":"Condition","id":"2","code":` + concept + `}}]}`, hivR},
		{"a label of its own stays", `{"resourceType":"Condition","id":"1","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"N"},{"system":"http://x","code":"L"}]},"code":` + concept + `}`, "HIV R http://x|L"},
		{"the highest wins", observation(`"meta":{"security":[{"code":"R"},{"code":"L"},{"code":"V"}]}`), "V"},
		{"a low level is a level", observation(`"meta":{"security":[{"code":"L"}]}`), "L"},
		{"what a label brings along", observation(`"meta":{"security":[{"code":"OPIOIDUD"}]}`), "ETH NORDSCLCD OPIOIDUD R SUD"},
		{"42 CFR Part 2", observation(`"meta":{"security":[{"code":"42CFRPart2"}]}`), "42CFRPart2 NORDSCLCD R"},
		{"a contained label", `{"resourceType":"Observation","id":"1","contained":[{"resourceType":"Specimen","meta":{"security":[{"code":"V"}]}}]}`, "V"},
		{"a label on an element", observation(`"status":"final","note":[{"text":"x","extension":[{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label","valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"SDV"}}]}]`), "R SDV"},
		{"a label on an element, spelt by escapes", observation(`"status":"final","note":[{"text":"x","extension":[{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/e\u0078tension-inline-sec\u002dlabel","valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"SDV"}}]}]`), "R SDV"},
		{"a label on a primitive element", observation(`"_status":{"extension":[{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label","valueCoding":{"code":"V"}}]}`), "V"},
	} {
		if got := strings.Join(labelsOf(t, made, c.resource), " "); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestOwnRows(t *testing.T) {
	made := table(t, `
labelling:
  - {confidentiality: R, types: [DocumentReference]}
  - {sensitivity: [PSY], categories: ["http://x|psychiatry"]}
  - {labels: ["http://x|staff"], confidentiality: V, codes: {"http://x": [HIV-POS, AB1-AB3]}}
`)
	for _, c := range []struct{ resource, want string }{
		{`{"resourceType":"DocumentReference","id":"1"}`, "R"},
		{`{"resourceType":"DocumentReference","id":"1","meta":{"security":[{"code":"V"}]}}`, "V"},
		{`{"resourceType":"Condition","id":"1","category":[{"coding":[{"system":"http://x","code":"psychiatry"}]}]}`, "N PSY"},
		{`{"resourceType":"Condition","id":"1","code":{"coding":[{"system":"http://x","code":"hiv-pos"}]}}`, "V http://x|staff"},
		{`{"resourceType":"Condition","id":"1","code":{"coding":[{"system":"http://x","code":"AB2.7"}]}}`, "V http://x|staff"},
		{`{"resourceType":"Condition","id":"1","code":{"coding":[{"system":"http://x","code":"HIV"}]}}`, "N"},
	} {
		if got := strings.Join(labelsOf(t, made, c.resource), " "); got != c.want {
			t.Errorf("%s: got %s, want %s", c.resource, got, c.want)
		}
	}
}

func TestWrongRows(t *testing.T) {
	for text, want := range map[string]string{
		"labelling: [{codes: {icd-10: [A]}}]":                                                     "labelling 0 gives no label: write sensitivity, confidentiality or labels",
		"labelling: [{sensitivity: [HIV]}]":                                                       "labelling 0 is about no record: write codes, types or categories",
		"{labelling: [{sensitivity: [HIV], codes: {icd10: [B20]}}], code_systems: {icd-10: [u]}}": "labelling 0.codes.icd10 is not among code_systems: write icd-10, or the system's URL",
		"labelling: [{sensitivity: [HIV], codes: {'http://x': ['*']}}]":                           "labelling 0.codes.http://x.0 is every code: write the beginning of some, as B20*",
		"labelling: [{sensitivity: [HIV], codes: {'http://x': [A]}, types: [Patient]}]":           "labelling 0 has codes beside types or categories: write two rows, codes count in every type",
	} {
		if _, err := compile(t, text); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestUnknownLabel(t *testing.T) {
	made := shipped(t)
	for _, c := range []struct {
		label string
		want  bool
	}{
		{`{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}`, false},
		{`{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"NOSUCHTHING"}`, true},
		{`{"system":"http://terminology.hl7.org/CodeSystem/v3-ObligationPolicy","code":"SHRED"}`, true},
		{`{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"X"}`, true},
		{`{"system":"http://hospital.example/labels","code":"VIP"}`, false},
		{`{"code":"VIP"}`, false},
		{`{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OURS"}`, false},
	} {
		for at, resource := range map[string]string{"own": `{"resourceType":"Observation","meta":{"security":[` + c.label + `]}}`,
			"contained": `{"resourceType":"Observation","contained":[{"resourceType":"Specimen","meta":{"security":[` + c.label + `]}}]}`} {
			f, err := fhir.R4.ReadLabelled([]byte(resource), nil, made)
			if err != nil || f.UnknownLabel != c.want {
				t.Errorf("%s %s: got %v, %v", at, c.label, f.UnknownLabel, err)
			}
		}
	}
}

// A list of codes where one should stand could hide any.
func TestShapes(t *testing.T) {
	for _, bad := range []string{`["B20"]`, `{"a":1}`} {
		_, err := fhir.R4.ReadLabelled([]byte(`{"resourceType":"Observation","valueCodeableConcept":{"coding":[{"code":`+bad+`}]}}`), nil, shipped(t))
		if err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

const plain = `{"resourceType":"Observation","id":"1","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"8302-2","display":"Body Height"}],"text":"Body Height"},"valueQuantity":{"value":173.2,"unit":"cm","system":"http://unitsofmeasure.org","code":"cm"}}`

// What matches nothing costs look-ups and no memory.
func TestNoAllocations(t *testing.T) {
	made, doc := shipped(t), []byte(plain)
	bare := testing.AllocsPerRun(100, func() { _, _ = fhir.R4.ReadFacts(doc, nil) })
	labelled := testing.AllocsPerRun(100, func() { _, _ = fhir.R4.ReadLabelled(doc, nil, made) })
	if labelled > bare {
		t.Errorf("%v allocations, %v without labels", labelled, bare)
	}
}

func BenchmarkLabel(b *testing.B) {
	made, doc := shipped(b), []byte(plain)
	b.Run("facts", func(b *testing.B) {
		for b.Loop() {
			_, _ = fhir.R4.ReadFacts(doc, nil)
		}
	})
	b.Run("facts and labels", func(b *testing.B) {
		for b.Loop() {
			_, _ = fhir.R4.ReadLabelled(doc, nil, made)
		}
	})
}
