package search

import (
	"testing"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

var own, _ = fhir.NewBaseSet("https://gw.example.org/fhir", "http://ehr.internal:8080/r4")

const observation = `{"resourceType":"Observation","id":"o1","meta":{"lastUpdated":"2024-05-02T10:00:00Z","profile":["http://x/p|1"],
"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},
"identifier":[{"system":"urn:mrn","value":"77"},{"value":"loose"}],
"status":"final","category":[{"coding":[{"system":"http://cat","code":"laboratory"}]},{"text":"none"}],
"code":{"coding":[{"system":"http://loinc.org","code":"1234-5"},{"code":"local"}],"text":"Glucose"},
"subject":{"reference":"Patient/1/_history/4"},"encounter":{"reference":"http://EHR.internal:8080/r4/Encounter/e1"},
"performer":[{"reference":"Practitioner/p","type":"Practitioner"},{"identifier":{"system":"urn:npi","value":"9"}}],
"effectivePeriod":{"start":"2024-05-01T08:00:00Z","end":"2024-05-01T09:00:00Z"},
"valueQuantity":{"value":5.40,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"},
"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"sys"}]},"valueQuantity":{"value":120,"code":"mm"}},
{"code":{"coding":[{"system":"http://loinc.org","code":"dia"}]},"valueQuantity":{"value":80,"code":"mm"}}]}`

const patient = `{"resourceType":"Patient","id":"1","active":true,"name":[{"family":"Müller-Łukas","given":["Ann","Ève"]}],
"telecom":[{"system":"email","value":"a@b"},{"system":"phone","value":"123"}],"birthDate":"1970-06-15","gender":"female",
"address":[{"line":["Main 1"],"city":"Bonn","_line":[null]}],"deceasedDateTime":"2020",
"generalPractitioner":[{"reference":"https://other.example.org/fhir/Practitioner/p"}]}`

const encounter = `{"resourceType":"Encounter","id":"e","class":{"code":"AMB"},"period":{"start":"2024-03"},"subject":{"reference":"Group/g"}}`
const risk = `{"resourceType":"RiskAssessment","id":"r","prediction":[{"probabilityDecimal":0.20}]}`
const condition = `{"resourceType":"Condition","id":"c","onsetRange":{"low":{"value":10,"code":"a"},"high":{"value":20,"code":"a"}}}`
const request = `{"resourceType":"ServiceRequest","id":"s","occurrenceTiming":{"event":["2024-01-05","2024-02-05"],"repeat":{"boundsPeriod":{"start":"2025"}}},
"instantiatesCanonical":["http://plan/x|2"]}`

func param(name, modifier string, values ...string) fhir.Param {
	return fhir.Param{Name: name, Modifier: modifier, Values: values}
}

// SMART-16, SMART-17: granular scopes mean what a search means.
func TestMatch(t *testing.T) {
	for _, c := range []struct {
		resource string
		param    fhir.Param
		want     bool
	}{
		// token
		{observation, param("category", "", "laboratory"), true},
		{observation, param("category", "", "http://cat|laboratory"), true},
		{observation, param("category", "", "http://dog|laboratory"), false},
		{observation, param("category", "", "http://cat|"), true},
		{observation, param("category", "", "http://dog|"), false},
		{observation, param("category", "", "Laboratory"), false},
		{observation, param("category", "", "lab"), false},
		{observation, param("category", "", "x", "laboratory"), true},
		{observation, param("category", "not", "laboratory"), false},
		{observation, param("category", "not", "LABORATORY"), false},
		{observation, param("category", "not", "imaging"), true},
		{observation, param("category", "not", "imaging", "laboratory"), false},
		{observation, param("code", "", "|local"), true},
		{observation, param("code", "", "|1234-5"), false},
		{observation, param("code", "", "none"), false},
		{observation, param("identifier", "", "urn:mrn|77"), true},
		{observation, param("identifier", "", "|loose"), true},
		{observation, param("identifier", "", "|77"), false},
		{observation, param("status", "", "final"), true},
		{observation, param("status", "", "http://x|final"), false},
		{observation, param("status", "not", "http://x|final"), false},
		{observation, param("_id", "", "o1"), true},
		{observation, param("_id", "", "O1"), false},
		{observation, param("_security", "", "R"), true},
		{observation, param("_security", "not", "R"), false},
		{observation, param("combo-code", "", "dia"), true},
		{patient, param("active", "", "true"), true},
		{patient, param("active", "", "false"), false},
		{patient, param("deceased", "", "true"), true},
		{patient, param("deceased", "", "false"), false},
		{patient, param("phone", "", "123"), true},
		{patient, param("phone", "", "a@b"), false},
		{patient, param("telecom", "", "a@b"), true},
		{patient, param("gender", "", "female"), true},
		{encounter, param("class", "", "AMB"), true},
		// string
		{patient, param("family", "", "muller"), true},
		{patient, param("family", "", "luk"), false},
		{patient, param("family", "contains", "UK"), true},
		{patient, param("family", "exact", "Müller-Łukas"), true},
		{patient, param("family", "exact", "müller-łukas"), false},
		{patient, param("name", "", "eve"), true},
		{patient, param("name", "", "bob"), false},
		{patient, param("address", "", "bonn"), true},
		{patient, param("address", "", "main 1"), true},
		{patient, param("name", "", `a\,b`), false},
		// reference
		{observation, param("subject", "", "Patient/1"), true},
		{observation, param("subject", "", "1"), true},
		{observation, param("subject", "Patient", "1"), true},
		{observation, param("subject", "Group", "1"), false},
		{observation, param("subject", "", "Group/1"), false},
		{observation, param("subject", "", "Patient/11"), false},
		{observation, param("patient", "", "https://gw.example.org/fhir/Patient/1"), true},
		{observation, param("patient", "", "https://evil.example.org/fhir/Patient/1"), false},
		{observation, param("encounter", "", "Encounter/e1"), true},
		{observation, param("performer", "identifier", "urn:npi|9"), true},
		{observation, param("performer", "identifier", "urn:npi|8"), false},
		{patient, param("general-practitioner", "", "Practitioner/p"), false},
		{patient, param("general-practitioner", "", "https://other.example.org/fhir/Practitioner/p"), true},
		{encounter, param("patient", "", "g"), false},
		{request, param("instantiates-canonical", "", "http://plan/x"), true},
		{request, param("instantiates-canonical", "", "http://plan/x|3"), false},
		// date
		{patient, param("birthdate", "", "1970"), true},
		{patient, param("birthdate", "", "1970-06-15"), true},
		{patient, param("birthdate", "", "1970-06-16"), false},
		{patient, param("birthdate", "", "ne1970"), false},
		{patient, param("birthdate", "", "lt1971"), true},
		{patient, param("birthdate", "", "lt1970"), false},
		{patient, param("birthdate", "", "le1970"), true},
		{patient, param("birthdate", "", "ge1970-06-15"), true},
		{patient, param("birthdate", "", "gt1970-06-15"), false},
		{patient, param("birthdate", "", "sa1970-06-14"), true},
		{patient, param("birthdate", "", "eb1970-06-15"), false},
		{patient, param("birthdate", "", "ap1970-06"), true},
		{patient, param("death-date", "", "2020-01"), false},
		{observation, param("date", "", "2024-05-01"), true},
		{observation, param("date", "", "2024-05-01T08:30:00Z"), false},
		{observation, param("date", "", "ge2024-05-01T08:30:00Z"), true},
		{observation, param("date", "", "sa2024-04-30"), true},
		{observation, param("date", "", "2024-05-01T03:00-05:00"), false},
		{observation, param("_lastUpdated", "", "2024-05-02"), true},
		{encounter, param("date", "", "gt2030"), true},
		{encounter, param("date", "", "lt2024-01"), false},
		{encounter, param("date", "", "eb2031"), false},
		{request, param("occurrence", "", "2024-02"), true},
		{request, param("occurrence", "", "ge2030"), true},
		{request, param("occurrence", "", "lt2024"), false},
		// number and quantity
		{risk, param("probability", "", "0.2"), true},
		{risk, param("probability", "", "0.25"), false},
		{risk, param("probability", "", "gt0.1"), true},
		{risk, param("probability", "", "lt0.2"), false},
		{risk, param("probability", "", "ap0.21"), true},
		{observation, param("value-quantity", "", "5.4"), true},
		{observation, param("value-quantity", "", "5"), true},
		{observation, param("value-quantity", "", "5.3"), false},
		{observation, param("value-quantity", "", "5.4|http://unitsofmeasure.org|mg"), true},
		{observation, param("value-quantity", "", "5.4||mg"), true},
		{observation, param("value-quantity", "", "5.4|http://other|mg"), false},
		{observation, param("value-quantity", "", "5.4|http://unitsofmeasure.org|g"), false},
		{observation, param("value-quantity", "", "ge5.5"), false},
		{observation, param("value-quantity", "", "1e1"), false},
		{condition, param("onset-age", "", "gt15"), true},
		{condition, param("onset-age", "", "sa15"), false},
		{condition, param("onset-age", "", "eb21||a"), true},
		{condition, param("onset-age", "", "eb21||b"), false},
		// uri, missing, composite
		{observation, param("_profile", "", "http://x/p|1"), true},
		{observation, param("_profile", "", "http://x/p"), false},
		{observation, param("device", "missing", "true"), true},
		{observation, param("device", "missing", "false"), false},
		{observation, param("code", "missing", "false"), true},
		{observation, param("code", "missing", "true"), false},
		{observation, param("code-value-quantity", "", "1234-5$5.4"), true},
		{observation, param("component-code-value-quantity", "", "sys$120"), true},
		{observation, param("component-code-value-quantity", "", "sys$80"), false},
		{observation, param("combo-code-value-quantity", "", "http://loinc.org|dia$lt90||mm"), true},
	} {
		typ, tree := parse(t, c.resource)
		m, err := Compile(fhir.R4, typ, []fhir.Param{c.param}, own)
		if err != nil {
			t.Errorf("%s?%s:%s=%q: %v", typ, c.param.Name, c.param.Modifier, c.param.Values, err)
			continue
		}
		if got, err := m.Match(tree); got != c.want || err != nil {
			t.Errorf("%s?%s:%s=%q: got %v %v, want %v", typ, c.param.Name, c.param.Modifier, c.param.Values, got, err, c.want)
		}
	}
}

func parse(t testing.TB, resource string) (string, *wire.Tree) {
	t.Helper()
	tree := &wire.Tree{}
	if err := tree.Parse([]byte(resource)); err != nil {
		t.Fatal(err)
	}
	return tree.Text(tree.Get(0, "resourceType")), tree
}

// Several parameters are ANDed, and each stands by itself.
func TestMatchAll(t *testing.T) {
	m, err := Compile(fhir.R4, "Observation", []fhir.Param{param("category", "", "laboratory"), param("status", "", "final", "amended")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, tree := parse(t, observation)
	if ok, err := m.Match(tree); !ok || err != nil {
		t.Errorf("got %v %v", ok, err)
	}
	_, other := parse(t, patient)
	if ok, err := m.Match(other); ok || err == nil {
		t.Errorf("a Patient matched an Observation's conditions: %v %v", ok, err)
	}
}

// SMART-19, Q-10: what cannot be evaluated is an error, never ignored.
func TestCompileRefusals(t *testing.T) {
	for _, p := range []fhir.Param{
		param("code", "in", "http://vs"), param("code", "text", "x"), param("code", "above", "x"), param("code", "exact", "x"),
		param("_text", "", "x"), param("_content", "", "x"), param("_query", "", "x"), param("_filter", "", "x"),
		param("_has", "", "x"), param("colour", "", "x"), param("", "", "x"), param("code", ""), param("code", "", ""),
		param("code", "", "a|b|c"), param("code", "", "|"), param("code", "", `a\b`), param("code", "", `a\`),
		param("date", "", "yesterday"), param("date", "", "2024-13"), param("date", "", "2024-1-1"), param("date", "not", "2024"), param("date", "", ""),
		param("date", "", "eq"), param("date", "", "20240101"), param("value-quantity", "", "5|mg"), param("value-quantity", "", "x"),
		param("value-quantity", "", "1e999999999"), param("value-quantity", "", "1/3"), param("value-quantity", "", "0x10"), param("value-quantity", "", "1_0"),
		param("value-quantity", "", "5|http://x|"), param("subject", "Patient", ""), param("subject", "Practitioner", "1"), param("subject", "", "Practitioner/1"),
		param("subject", "above", "1"), param("code", "missing", "maybe"), param("code", "missing", "true", "false"),
		param("code-value-quantity", "", "a"), param("code-value-quantity", "", "a$b$c"), param("_profile", "below", "http://x"),
		{Name: "subject", Chain: []fhir.Hop{{Types: []string{"Patient"}, Name: "name"}}, Values: []string{"x"}},
		{Name: "_has", Has: &fhir.Has{}, Values: []string{"x"}},
	} {
		if _, err := Compile(fhir.R4, "Observation", []fhir.Param{p}, nil); err == nil {
			t.Errorf("%s:%s=%q compiled", p.Name, p.Modifier, p.Values)
		}
	}
	if _, err := Compile(fhir.R4, "Location", []fhir.Param{param("near", "", "1|2")}, nil); err == nil {
		t.Error("near compiled")
	}
	if _, err := Compile(fhir.R4, "Nothing", []fhir.Param{param("_id", "", "1")}, nil); err == nil {
		t.Error("an unknown type compiled")
	}
}
