package search

import (
	"testing"

	"gatehouse/fhir"
)

// Nothing that a scope or a client writes as a value panics or fills the
// memory, and what compiles can be matched.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{"a|b", `a\|b`, "ge2024-01-01T00:00:00.123Z", "5.4|u|mg", "1e9", "Patient/1", "x$y", "|", `\`, "ap-1e-9", "2024-02-30"} {
		f.Add(seed)
	}
	codes := []string{"code", "date", "value-quantity", "subject", "code-value-quantity", "value-string", "_profile", "_id"}
	_, tree := parse(f, observation)
	f.Fuzz(func(t *testing.T, value string) {
		for _, code := range codes {
			for _, modifier := range []string{"", "not", "missing", "exact", "identifier", "Patient"} {
				m, err := Compile(fhir.R4, "Observation", []fhir.Param{param(code, modifier, value)}, own)
				if err != nil {
					continue
				}
				if _, err := m.Match(tree); err != nil {
					t.Errorf("%s:%s=%q: %v", code, modifier, value, err)
				}
			}
		}
	})
}

// A date's span is never empty, or eq would match what it does not contain.
func FuzzDate(f *testing.F) {
	for _, seed := range []string{"2024", "2024-12-31", "9999-12-31T23:59:59.999999999Z", "0001-01-01T00:00+14:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := parseDate(s); err == nil && !got.lo.Before(got.hi) {
			t.Errorf("%q is %v", s, got)
		}
	})
}
