package search

import (
	"slices"
	"testing"

	"gatehouse/fhir"
)

func TestElements(t *testing.T) {
	for _, c := range []struct {
		typ, code string
		want      []string
	}{
		{"Observation", "patient", []string{"subject"}},
		{"Observation", "value-quantity", []string{"valueQuantity", "valueSampledData"}},
		{"Observation", "value-string", []string{"valueCodeableConcept.text", "valueString"}},
		{"Observation", "date", []string{"effectiveDateTime", "effectiveInstant", "effectivePeriod", "effectiveTiming"}},
		{"Observation", "combo-code", []string{"code", "component.code"}},
		{"Observation", "code-value-quantity", []string{"code", "valueQuantity"}},
		{"Patient", "phone", []string{"telecom"}},
		{"Patient", "deceased", []string{"deceasedBoolean", "deceasedDateTime"}},
		{"Patient", "_security", []string{"meta.security"}},
		{"Condition", "onset-age", []string{"onsetAge", "onsetRange"}},
		{"Appointment", "actor", []string{"participant.actor"}},
		{"MedicationRequest", "code", []string{"medicationCodeableConcept"}},
		{"Bundle", "composition", []string{"entry.resource"}},
		{"Location", "near", []string{"position"}},
	} {
		got, err := Elements(fhir.R4, c.typ, c.code)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("Elements(%s, %s) = %q %v, want %q", c.typ, c.code, got, err, c.want)
		}
	}
}

// Every parameter of R4 that has an expression is understood: what the view's
// firewall cannot see the elements of, it must refuse.
func TestElementsOfEveryParameter(t *testing.T) {
	types := append(fhir.R4.ResourceTypes(), "")
	for _, typ := range types {
		for p := range fhir.R4.SearchParams(typ) {
			on := typ
			if on == "" {
				on = "Patient"
			}
			if _, err := Elements(fhir.R4, on, p.Code); err != nil && p.Expression != "" {
				t.Errorf("%s.%s: %v", typ, p.Code, err)
			}
		}
	}
}

func TestExpressionRefusals(t *testing.T) {
	for _, expression := range []string{
		"", "Observation.nothing", "Observation.value.foo()", "Observation.code.where(coding.exists())",
		"(Observation.code", "Observation..code", "Observation.code[1]", "Observation.value as Quantity", "Patient.name",
	} {
		if got, err := compileExpression(fhir.R4, "Observation", expression); err == nil {
			t.Errorf("%q compiled to %v", expression, got)
		}
	}
}
