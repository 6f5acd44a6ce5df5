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

var releases = []fhir.Version{fhir.R4, fhir.R4B, fhir.R5, fhir.STU3}

// unread are the parameters that cannot be evaluated, and why: a view refuses
// them, and a scope that is constrained by one grants nothing.
var unread = map[string]string{
	"R5 CareTeam.name":                         "extension",
	"R5 Location.contains":                     "extension",
	"R5 Patient.part-agree":                    "extension",
	"R5 QuestionnaireResponse.item-subject":    "extension",
	"R5 Appointment.date":                      "the first of two",
	"R5 CareTeam.date":                         "published with elements of Appointment",
	"R5 Device.code-value-concept":             "published with an element that is not there",
	"R5 Observation.value-canonical":           "published with a type that is not there",
	"R5 Observation.component-value-canonical": "published with a type that is not there",
	"R5 Observation.value-markdown":            "published with a type that is not there",
	"STU3 Condition.abatement-boolean":         "is()",
}

// Every parameter that has an expression is understood: what the view's
// firewall cannot see the elements of, it must refuse.
func TestElementsOfEveryParameter(t *testing.T) {
	for _, v := range releases {
		for _, typ := range append(v.ResourceTypes(), "") {
			for p := range v.SearchParams(typ) {
				on := typ
				if on == "" {
					on = "Patient"
				}
				name := v.String() + " " + typ + "." + p.Code
				if _, err := Elements(v, on, p.Code); (err != nil) != (unread[name] != "") && p.Expression != "" {
					t.Errorf("%s %s.%s: %q: %v", v, typ, p.Code, p.Expression, err)
				}
			}
		}
	}
}

func TestExpressionRefusals(t *testing.T) {
	for _, expression := range []string{
		"", "Observation.nothing", "Observation.value.foo()", "Observation.code.where(coding.exists())",
		"(Observation.code", "Observation..code", "Observation.code[1]", "Patient.name", "(Observation.code | Observation.method).first()", "Observation.code.exists()",
	} {
		if got, err := compileExpression(fhir.R4, "Observation", expression); err == nil {
			t.Errorf("%q compiled to %v", expression, got)
		}
	}
}
