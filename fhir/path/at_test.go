package path

import (
	"testing"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// Extensions of primitives are found as all others are: a rule about
// extensions that passed them by would let them through.
func TestPrimitiveExtensions(t *testing.T) {
	const doc = `{"resourceType":"Patient","birthDate":"1970-05-17","_birthDate":{"extension":[{"url":"u","valueString":"a"}]},
	"_gender":{"extension":[{"url":"v","valueString":"b"}]},
	"name":[{"given":["x",null],"_given":[null,{"extension":[{"url":"w","valueString":"c"}]}]}]}`
	for expr, want := range map[string]string{
		"nodesByType('Extension').where(url='u').value":  `"a"`,
		"nodesByType('Extension').where(url='v').value":  `"b"`,
		"nodesByType('Extension').url":                   `"u";"v";"w"`,
		"Patient.birthDate.extension('u').value":         `"a"`,
		"Patient.gender.extension.value":                 `"b"`,
		"Patient.name.given.where(extension.exists())":   "null",
		"Patient.name.given.where($this = 'x')":          `"x"`,
		"Patient.birthDate.where($this < @1980-01-01)":   `"1970-05-17"`,
		"Patient.name.given.extension.where(url='w').id": "",
	} {
		got, err := results(t, doc, expr)
		if err != nil || got != want {
			t.Errorf("%s: got %s %v, want %s", expr, got, err, want)
		}
	}
}

func TestAt(t *testing.T) {
	for _, c := range []struct {
		doc, typ, when, then string
		holds                bool
		want                 string
	}{
		{`"1970-05-17"`, "date", "$this < @1980-01-01", "$this.toString().substring(0,4)", true, "1970"},
		{`"1970-05-17"`, "date", "$this > @1980-01-01", "@1980", false, "1980"},
		{`"1970"`, "date", "$this > @1970-02-01", "@1980-01-01", true, "1980-01-01"}, // nobody knows: it holds
		{`37`, "integer", "$this >= 20 and $this < 40", "$this div 10 * 10", true, "30"},
		{`"98052-1234"`, "string", "$this.startsWith('980')", "$this.substring(0,3) + '**'", true, "980**"},
		{`"1970-05-17"`, "date", "$this.exists()", "$this.toString().replaceMatches('^(\\d+)-(\\d+)-.*', '$1x$2')", true, "1970x05"},
		{`true`, "boolean", "$this", "false", true, "false"},
	} {
		var tree wire.Tree
		if err := tree.Parse([]byte(c.doc)); err != nil {
			t.Fatal(err)
		}
		when, err := Compile(fhir.R4, c.when)
		if err != nil {
			t.Fatal(err)
		}
		then, err := Compile(fhir.R4, c.then)
		if err != nil {
			t.Fatal(err)
		}
		holds, err := when.HoldsAt(&tree, 0, c.typ)
		if err != nil || holds != c.holds {
			t.Errorf("%s %s: got %v %v", c.doc, c.when, holds, err)
		}
		items, err := then.EvalAt(&tree, 0, c.typ)
		if err != nil || len(items) != 1 || items[0].Text(&tree) != c.want {
			t.Errorf("%s %s: got %v %v", c.doc, c.then, items, err)
		}
	}
}
