package view

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/config"
	"gatehouse/fhir"
)

// Issue 6.2: the first case that holds says what is shown; what is no value of the
// element's type, and what nobody can decide, is not.
func TestCases(t *testing.T) {
	const head = "default: keep\nrules:\n  - path: Patient.birthDate | Patient.multipleBirthInteger | Patient.gender | Patient.active | nodesByType('Address').country\n    method: generalize\n    cases:\n      "
	for _, tt := range []struct{ cases, in, want string }{
		{`"$this < @1980-01-01": "@1970"`, `"birthDate":"1975-05-06"`, `"birthDate":"1970"`},
		{`"$this < @1980-01-01": "@1970"`, `"birthDate":"1985-05-06"`, ``},
		{`"$this < @1980-06-01": "@1970"`, `"birthDate":"1980"`, ``}, // nobody knows
		{`"$this < @1980-01-01": "'before'"`, `"birthDate":"1975-05-06"`, ``},
		{`"$this < @1980-01-01": "@1970-01-01T10:00:00Z"`, `"birthDate":"1975-05-06"`, ``},
		{"\"$this < 3\": \"2\"\n      \"$this >= 3\": \"3\"", `"multipleBirthInteger":7`, `"multipleBirthInteger":3`},
		{"\"$this < 9\": \"2\"\n      \"$this < 3\": \"1\"", `"multipleBirthInteger":1`, `"multipleBirthInteger":2`},
		{`"$this < 9": "$this div 2 * 2"`, `"multipleBirthInteger":5`, `"multipleBirthInteger":4`},
		{`"$this < 9": "2.5"`, `"multipleBirthInteger":5`, ``},
		{`"$this in ('male' | 'female')": "'other'"`, `"gender":"male"`, `"gender":"other"`},
		{`"$this in ('male' | 'female')": "'two words'"`, `"gender":"male"`, ``},
		{`"$this = true": "false"`, `"active":true`, `"active":false`},
		{`"$this = true": "1"`, `"active":true`, ``},
		{`"$this in ('NO' | 'SE')": "'Scan\"dinavia'"`, `"address":[{"country":"NO"}]`, `"address":[{"country":"Scan\"dinavia"}]`},
		{"\"$this = 'NO'\": \"'N'\"\n    others: keep", `"address":[{"country":"DE"}]`, `"address":[{"country":"DE"}]`},
		{`"$this = 'NO'": "$this.substring(9)"`, `"address":[{"country":"NO"}]`, ``},
	} {
		got := decode(t, apply(t, ruleView(t, head+tt.cases+"\n"), `{"resourceType":"Patient",`+tt.in+`}`))
		delete(got, "meta")
		delete(got, "resourceType")
		want := decode(t, "{"+tt.want+"}")
		for _, name := range []string{"birthDate", "multipleBirthInteger", "gender", "active"} {
			if got[name] != want[name] {
				t.Errorf("%s on %s: got %v, want %s", tt.cases, tt.in, got, tt.want)
			}
		}
		if x, y := at(got, "address", 0, "country"), at(want, "address", 0, "country"); x != y {
			t.Errorf("%s on %s: got %v, want %s", tt.cases, tt.in, x, tt.want)
		}
	}
}

// A case that fails at run time withholds the resource, and one that cannot be
// compiled fails at load with its place; two loads of one file are one revision.
func TestCasesThatFail(t *testing.T) {
	w := ruleView(t, "default: keep\nrules: [{path: Patient.gender, method: generalize, cases: {\"$this > 5\": \"1\"}}]\n")
	if out, withheld, err := w.Document(nil, []byte(`{"resourceType":"Patient","gender":"male"}`), study); err == nil && !withheld && strings.Contains(string(out), "male") {
		t.Errorf("got %s", out)
	}
	name := filepath.Join(t.TempDir(), "v.yaml")
	load := func(rule string) (*View, error) {
		if err := os.WriteFile(name, []byte("rules:\n  - "+rule+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return Load(fhir.R4, "v", config.View{File: name}, Options{})
	}
	for rule, want := range map[string]string{
		`{path: Patient.gender, method: generalize, cases: {"$this >": "1"}}`:            `v.yaml:2:6: case "$this >"`,
		`{path: Patient.gender, method: generalize, cases: {"true": "nothing()"}}`:       `v.yaml:2:6: case "true": value "nothing()"`,
		`{path: Patient.gender, method: generalize, to: year, cases: {"true": "1"}}`:     "to or cases",
		`{path: Patient.gender, method: generalize, cases: {"true": "1"}, others: drop}`: "others is redact or keep",
		`{path: Patient.gender, method: redact, cases: {"true": "1"}}`:                   "generalize alone",
		`{path: Patient.gender, method: generalize, cases: {"true": 1}}`:                 "in quotes",
	} {
		if _, err := load(rule); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", rule, err, want)
		}
	}
	rule := `{path: Patient.gender, method: generalize, cases: {"true": "'x'"}}`
	a, err := load(rule)
	b, err2 := load(rule)
	c, err3 := load(strings.Replace(rule, "'x'", "'y'", 1))
	if err != nil || err2 != nil || err3 != nil || a.revision != b.revision || a.revision == c.revision {
		t.Errorf("revisions: %v %v %v", err, err2, err3)
	}
	if v := a.Hides("Patient", "gender"); v != Changed {
		t.Errorf("a search by it is judged %d", v)
	}
}

// Issue 6.2: encrypt is AES-GCM: another text each time, opened in its domain and at
// its place alone, by keys of every epoch.
func TestEncrypt(t *testing.T) {
	old, _ := NewCodec(nil, testKey(1))
	c, _ := NewCodec(nil, testKey(1), testKey(2))
	w := ruleView(t, "rules: [{path: Device.lotNumber, method: encrypt}]\n")
	shown := func(by *Codec) string {
		w.codec = by
		text, _ := at(decode(t, apply(t, w, `{"resourceType":"Device","lotNumber":"Läger 7"}`)), "lotNumber").(string)
		return text
	}
	first, second, before := shown(c), shown(c), shown(old)
	if first == second || first == "" || strings.Contains(first, "ger") {
		t.Errorf("got %s and %s", first, second)
	}
	for _, text := range []string{first, second, before} {
		if got, err := c.Open("study", "Device.lotNumber", text); got != "Läger 7" || err != nil {
			t.Errorf("opens to %q, %v", got, err)
		}
	}
	changed := []byte(first)
	changed[9] ^= 'A' ^ 'B'
	for name, try := range map[string][3]string{
		"another domain": {"other", "Device.lotNumber", first}, "another place": {"study", "Device.serialNumber", first},
		"cut": {"study", "Device.lotNumber", first[:len(first)-1]}, "changed": {"study", "Device.lotNumber", string(changed)},
		"not there": {"study", "Device.lotNumber", ""}, "a pseudonym": {"study", "Device.lotNumber", "At" + first[2:]}, "a later epoch": {"study", "Device.lotNumber", "Z" + first[1:]},
	} {
		if got, err := c.Open(try[0], try[1], try[2]); err == nil {
			t.Errorf("%s opens to %q", name, got)
		}
	}
}
