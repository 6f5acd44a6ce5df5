package path

import (
	"strings"
	"testing"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

const patient = `{"resourceType":"Patient","id":"p1","active":true,"birthDate":"1970-05-17","multipleBirthInteger":2,
"name":[{"use":"official","family":"Chalmers","given":["Peter","James"]},{"use":"usual","given":["Jim"]}],
"identifier":[{"type":{"coding":[{"system":"http://t","code":"MR"}]},"system":"urn:a","value":"1"},{"system":"urn:b","value":"22"}],
"contact":[{"name":{"family":"du Marche"},"gender":"female"}],
"extension":[{"url":"http://x","valueString":"E"}],
"contained":[{"resourceType":"Practitioner","name":[{"family":"Inside"}]}]}`

func results(t *testing.T, doc, expr string) (string, error) {
	t.Helper()
	e, err := Compile(fhir.R4, expr)
	if err != nil {
		return "", err
	}
	var tree wire.Tree
	if err := tree.Parse([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	items, err := e.Eval(&tree, 0)
	var out []string
	for _, i := range items {
		if i.Node >= 0 {
			out = append(out, string(tree.Raw(i.Node)))
		} else {
			out = append(out, i.value.text)
		}
	}
	return strings.Join(out, ";"), err
}

func TestEval(t *testing.T) {
	for expr, want := range map[string]string{
		"Patient.id": `"p1"`, "Resource.id": `"p1"`, "id": `"p1"`, "Observation.id": "", "DomainResource.active": "true",
		"Patient.name.given": `"Peter";"James";"Jim"`, "Patient.multipleBirth": "2", "Patient.multipleBirthInteger": "2",
		"Patient.name.where(use='usual').given":                          `"Jim"`,
		"Patient.name.where(use='usual' or family='Chalmers').use":       `"official";"usual"`,
		"nodesByType('HumanName').family":                                `"Chalmers";"du Marche"`,
		"Patient.nodesByName('gender')":                                  `"female"`,
		"Patient.contact.nodesByType('HumanName').nodesByType('string')": `"du Marche"`,
		"nodesByType('Humanname')":                                       "",
		"nodesByType('Identifier').where(type.coding.where(system='http://t' and code='MR').exists()).value":       `"1"`,
		"nodesByType('Identifier').where(type.coding.where(system='http://t' and code='MR').exists().not()).value": `"22"`,
		"Patient.id | Patient.active | Patient.id":                                                                 `"p1";true`,
		"Patient.multipleBirth as integer":                                                                         "2",
		"(Patient.multipleBirth as integer) + 1":                                                                   "3",
		"Patient.multipleBirth.ofType(boolean)":                                                                    "",
		"Patient.name.exists()":                                                                                    "true",
		"Patient.photo.empty()":                                                                                    "true",
		"Patient.birthDate < @1980-01-01":                                                                          "true",
		"Patient.birthDate >= @1970":                                                                               "",
		"Patient.birthDate > @1969":                                                                                "true",
		"Patient.name.first().family.startsWith('Chal')":                                                           "true",
		"Patient.birthDate.toString().substring(0,4)":                                                              "1970",
		`Patient.birthDate.toString().replaceMatches('^(?<year>\d{4})-(?<month>\d{2})-(?<day>\d{2})$', '${year}-${month}')`: "1970-05",
		"Patient.identifier.count() div 2 = 1":          "true",
		"Patient.contact.gender in ('male' | 'female')": "true",
		"Patient.identifier.system contains 'urn:b'":    "true",
		"Patient.name.where($this.use ~ 'USUAL').given": `"Jim"`,
		"Patient.extension('http://x').value":           `"E"`,
		"Patient is Patient":                            "true",
		"'a' + 'b'":                                     "ab",
		"7 / 2":                                         "3.5",
		"Patient.name[1].given":                         `"Jim"`,
		"Patient.active = 'true'":                       "false",
	} {
		got, err := results(t, patient, expr)
		if err != nil || got != want {
			t.Errorf("%s\n got %s %v\nwant %s", expr, got, err, want)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for expr, want := range map[string]string{
		"Patient.invalid()": "column 9: unknown function", "Patient.name.where(use='usual": "column 24: string is not closed",
		"Patient.active && true": "column 16: unexpected character", "Patient.name.where(": "unexpected end", "": "unexpected end",
		"Patient..name": "column 9", "Foo.bar": "column 1: not a type", "Patient.name)": "column 13", "Patient.name as Foo": "not a type",
		"a.replaceMatches('(?=x)', '')": "look-around", "nodesByType()": "0 arguments", "%foo": "unknown variable", "a.where()": "0 arguments", "``": "name is empty",
		strings.Repeat("(", 1000): "nested too deeply",
	} {
		if _, err := Compile(fhir.R4, expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", expr, err, want)
		}
	}
}

func TestEvalErrors(t *testing.T) {
	for _, expr := range []string{"Patient.name.where(given)", "Patient.name.given = 'x'", "Patient.id < 3", "Patient.active + 1"} {
		if got, err := results(t, patient, expr); err == nil {
			t.Errorf("%s: no error but %s", expr, got)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add("Patient.name.where(use='usual' and family ~ 'x').given[0].substring(1, 2)")
	f.Add("nodesByType('Identifier').value | @2020-01-01T00:00:00Z")
	f.Fuzz(func(t *testing.T, expr string) {
		e, err := Compile(fhir.R4, expr)
		if err != nil {
			return
		}
		var tree wire.Tree
		tree.Parse([]byte(patient))
		e.Eval(&tree, 0)
	})
}
