package view

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/config"
	"gatehouse/fhir"
)

const storedPatient = `{"resourceType":"Patient","id":"1","meta":{"versionId":"3","source":"urn:ehr"},"active":true,
"identifier":[{"system":"urn:mrn","value":"123","assigner":{"display":"Hospital"}}],
"name":[{"use":"official","family":"Adams"}],"telecom":[{"system":"phone","value":"555"},{"system":"email","value":"a@b"}],
"birthDate":"1970-03-01","address":[{"use":"home","line":["1 St"],"postalCode":"02139"}],"maritalStatus":{"text":"secret"},
"generalPractitioner":[{"reference":"Practitioner/9","display":"Dr"}]}`

// W-11, issue 6.7: what is read through a view is merged back; nothing that was
// hidden is lost, and nothing that is hidden can be changed or asked for.
func TestMerge(t *testing.T) {
	w := loadView(t, config.View{Use: "research", Write: true})
	c := study
	c.Own, _ = fhir.NewBaseSet("https://gw.example.org/r4")
	shown := apply(t, w, storedPatient)
	prac, _ := w.Pseudonym("study", "Practitioner", "10")
	foreign, _ := w.Pseudonym("other", "Practitioner", "10")
	offset, err := w.daysOf("study", "Patient/1", &method{days: 180})
	if err != nil {
		t.Fatal(err)
	}
	move := func(date string, days int) string {
		d, _ := parseDate(date)
		return d.start().AddDate(0, 0, days).Format("2006-01-02")
	}
	born := decode(t, shown)["birthDate"].(string)
	if born != move("1970-03-01", offset) {
		t.Fatalf("shown %s", born)
	}
	for _, change := range []struct{ name, old, new, storedOld, storedNew string }{
		{"nothing", "", "", "", ""},
		{"a value that is shown", `"active":true`, `"active":false`, `"active":true`, `"active":false`},
		{"a date", born, move(born, 3), "1970-03-01", "1970-03-04"},
		{"a part that is shown beside a hidden one", `{"use":"home","postalCode"`, `{"use":"work","postalCode"`, `{"use":"home","line"`, `{"use":"work","line"`},
		{"an element that comes anew", `"active":true`, `"active":true,"gender":"male"`, `"active":true`, `"active":true,"gender":"male"`},
	} {
		written := strings.Replace(shown, change.old, change.new, 1)
		want := strings.Replace(storedPatient, change.storedOld, change.storedNew, 1)
		got, err := w.Merge([]byte(storedPatient), []byte(shown), []byte(written), c)
		if err != nil || !sameJSON(t, string(got), want) {
			t.Errorf("%s: %v\n got %s\nwant %s", change.name, err, got, want)
		}
	}
	doctor := `"generalPractitioner":[{"reference":"Practitioner/`
	i := strings.Index(shown, doctor) + len(doctor)
	old := shown[i : i+strings.IndexByte(shown[i:], '"')]
	got, err := w.Merge([]byte(storedPatient), []byte(shown), []byte(strings.Replace(shown, `[{"reference":"Practitioner/`+old+`"}]`, `[{"reference":"Practitioner/`+old+`"},{"reference":"Practitioner/`+prac+`"}]`, 1)), c)
	if want := strings.Replace(storedPatient, `"display":"Dr"}]`, `"display":"Dr"},{"reference":"Practitioner/10"}]`, 1); err != nil || !sameJSON(t, string(got), want) {
		t.Errorf("a reference more: %v\n got %s\nwant %s", err, got, want)
	}
	for name, written := range map[string]string{
		"part of a hidden element":                strings.Replace(shown, `{"use":"official"}`, `{"use":"official","family":"Eve"}`, 1),
		"a hidden element alone":                  strings.Replace(shown, `"active":true`, `"active":true,"maritalStatus":{"coding":[{"code":"M"}]}`, 1),
		"a generalized value":                     strings.Replace(shown, `"postalCode":"021"`, `"postalCode":"946"`, 1),
		"an element away that has hidden parts":   strings.Replace(shown, `"address":[{"use":"home","postalCode":"021"}],`, ``, 1),
		"one of several that have hidden parts":   strings.Replace(shown, `{"system":"phone"},`, ``, 1),
		"a real id":                               strings.Replace(shown, old, "9", 1),
		"another domain's pseudonym":              strings.Replace(shown, old, foreign, 1),
		"an identifier as it may be stored":       strings.Replace(shown, `"identifier":[`, `"identifier":[{"system":"urn:mrn","value":"124"},`, 1),
		"an unknown element":                      strings.Replace(shown, `"active":true`, `"active":true,"x":1`, 1),
		"an extension":                            strings.Replace(shown, `"active":true`, `"active":true,"extension":[{"url":"urn:x","valueString":"y"}]`, 1),
		"a birth date of a year, which is coarse": strings.Replace(shown, born, "1971", 1),
		"a tag":      strings.Replace(shown, `"meta":{`, `"meta":{"tag":[{"code":"x"}],`, 1),
		"another id": strings.Replace(shown, `"id":"`, `"id":"x`, 1),
	} {
		if written == shown {
			t.Errorf("%s: the test changes nothing in %s", name, shown)
		}
		var hidden *HiddenError
		if got, err := w.Merge([]byte(storedPatient), []byte(shown), []byte(written), c); !errors.As(err, &hidden) {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
}

// What is swapped keeps its own hidden parts.
func TestMergeKeepsElementsApart(t *testing.T) {
	w := loadView(t, config.View{Use: "research", Write: true})
	const stored = `{"resourceType":"Patient","id":"1","contact":[{"gender":"male","name":{"family":"A"}},{"gender":"female","name":{"family":"B"}}]}`
	shown := apply(t, w, stored)
	swapped := strings.NewReplacer(`"male"`, `"female"`, `"female"`, `"male"`).Replace(shown)
	c := study
	got, err := w.Merge([]byte(stored), []byte(shown), []byte(swapped), c)
	if want := `{"resourceType":"Patient","id":"1","contact":[{"gender":"female","name":{"family":"B"}},{"gender":"male","name":{"family":"A"}}]}`; err != nil || !sameJSON(t, string(got), want) {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
	if got, err := w.Merge([]byte(stored), []byte(shown), []byte(strings.Replace(shown, `"male"`, `"other"`, 1)), c); err == nil {
		t.Errorf("nobody can tell a changed one from another: got %s", got)
	}
	if over := w.Overlay(testView(t, "limited")); over.Writes() {
		t.Error("two views laid over each other are written through")
	}
	if testView(t, "research").Writes() {
		t.Error("on by default")
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y merger
	if err := errors.Join(x.tree.Parse([]byte(a)), y.tree.Parse([]byte(b))); err != nil {
		t.Errorf("%v: %s", err, a)
		return false
	}
	return same(&x.tree, 0, &y.tree, 0)
}
