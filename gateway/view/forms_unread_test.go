package view

import "testing"

// A unit that is hidden was not read where the code said what it is; where the next
// record's code does not, it is (X-05: ages above 89 are pooled).
func TestFormsAge(t *testing.T) {
	w := testView(t, "safe-harbor")
	d := newTwice(w)
	doc := func(id, value, unit, code string) []byte {
		return []byte(`{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"30525-0"}]},` +
			`"valueQuantity":{"value":` + value + `,"unit":"` + unit + `","system":"http://unitsofmeasure.org","code":"` + code + `"}}`)
	}
	d.hold(t, doc("o1", "45", "years", "a"), study)
	d.hold(t, doc("o-22222222222222222222222222", "95", "years", "1"), study)
	d.hold(t, doc("o1", "45", "years", "a"), study)
	d.hold(t, doc("o", "95", "y", "1"), study)
}

// What is no text, where one should be, is none wherever it lies.
func TestFormsNoText(t *testing.T) {
	d := newTwice(testView(t, "research"))
	for _, value := range []string{"a long value of an identifier, which the next has not, and is longer than what stands behind it", "2", "", "333"} {
		d.hold(t, []byte(`{"resourceType":"Device","identifier":[{"value":"`+value+`","system":{"x":["y"]}}]}`), study)
	}
}
