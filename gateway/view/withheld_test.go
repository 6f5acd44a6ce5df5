package view

import (
	"errors"
	"strings"
	"testing"
)

// R4 §2.4.1.2: without its modifier a resource says another thing. The element
// that holds one is taken out with it; a resource is withheld.
func TestModifiers(t *testing.T) {
	w := testView(t, "research")
	const modifier = `"modifierExtension":[{"url":"http://example.org/not-done","valueBoolean":true}]`
	for _, doc := range []string{
		`{"resourceType":"Observation","id":"o","status":"final",` + modifier + `}`,
		`{"resourceType":"Observation","id":"o","status":"final","implicitRules":"http://example.org/rules"}`,
		`{"resourceType":"Observation","id":"o","status":"final","contained":[{"resourceType":"Condition","id":"c",` + modifier + `}]}`,
		`{"resourceType":"Patient","id":"p",` + strings.Replace(modifier, "[{", `[{"url":"ombCategory","valueCode":"final"},{`, 1) + `}`, // one of two
	} {
		if out, err := w.Apply(nil, []byte(doc), study); !errors.Is(err, ErrMeaning) || len(out) > 0 {
			t.Errorf("%s: got %s, %v", doc, out, err)
		}
	}
	for doc, want := range map[string]string{
		// Of what repeats, the one that it is about; what is required leaves its mark.
		`{"resourceType":"Observation","id":"o","status":"final","component":[{` + modifier + `,"valueBoolean":true},{"valueBoolean":false}]}`:                                              `"component":[{"valueBoolean":false`,
		`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Observation","status":"final"}},{"resource":{"resourceType":"Observation",` + modifier + `}}]}`: `{"resource":` + Withheld + `}`,
		// What is let through with all its parts changes nothing.
		`{"resourceType":"Observation","id":"o","status":"final","modifierExtension":[{"url":"ombCategory","valueBoolean":true}]}`: `"modifierExtension":[{"url":"ombCategory","valueBoolean":true}]`,
	} {
		if got := apply(t, w, doc); !strings.Contains(got, want) || strings.Contains(got, "not-done") {
			t.Errorf("%s\n got %s\nwant %s", doc, got, want)
		}
	}
}

// DESIGN §10.4: of a Bundle, the entry that cannot be shown says so and the rest
// is shown.
func TestEntriesAreWithheldOneByOne(t *testing.T) {
	w := testView(t, "research")
	for _, bad := range []string{`{"resourceType":"Nonsense","id":"SECRET"}`, `{"id":"SECRET"}`, `{"resourceType":"Patient","implicitRules":"SECRET","id":"x"}`} {
		got := apply(t, w, `{"resourceType":"Bundle","type":"collection","entry":[{"resource":`+bad+`},{"resource":{"resourceType":"Patient","id":"p","active":true}}]}`)
		if !strings.Contains(got, `[{"resource":`+Withheld+`},{"resource":{"resourceType":"Patient"`) || !strings.Contains(got, `"active":true`) || strings.Contains(got, "SECRET") {
			t.Errorf("%s: got %s", bad, got)
		}
	}
}
