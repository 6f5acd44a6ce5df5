package consent

import (
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/fhir"
)

// formPolicy is the policy of what is written from a form; formPermits that of a
// permission in R5, whose provisions else turn round a decision on everything:
// a form permits what it names and says nothing of the rest.
const (
	formPolicy  = "urn:gatehouse:consent-form"
	formPermits = "urn:gatehouse:consent-form:permit"
)

// Resource is the form as a Consent of a FHIR release, given at a time by whoever
// performs it, and marked so that it is known again.
func (f *Form) Resource(v fhir.Version, seal *Sealer, performer string, at time.Time) ([]byte, error) {
	resource := map[string]any{"resourceType": "Consent", "status": "active",
		"category": []any{concept("http://loinc.org", "59284-0")}}
	given, by, rule := at.UTC().Format(time.RFC3339), []any{reference(performer)}, f.rule(v)
	switch v {
	case fhir.STU3:
		rule["type"] = f.Decision
		resource["patient"], resource["dateTime"], resource["consentingParty"] = reference(f.Patient), given, by
		resource["policyRule"], resource["except"] = formPolicy, []any{rule}
	case fhir.R5:
		policy := formPolicy
		if f.Decision == "permit" {
			policy = formPermits
		}
		resource["subject"], resource["date"], resource["grantor"] = reference(f.Patient), at.UTC().Format(time.DateOnly), by
		resource["policyBasis"], resource["provision"] = map[string]any{"uri": policy}, []any{rule}
	default:
		rule["type"] = f.Decision
		resource["scope"] = concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")
		resource["patient"], resource["dateTime"], resource["performer"] = reference(f.Patient), given, by
		resource["policy"], resource["provision"] = []any{map[string]any{"uri": formPolicy}}, rule // R4 wants one (ppc-1)
	}
	b, err := json.Marshal(resource)
	if err != nil {
		return nil, fmt.Errorf("write consent: %w", err)
	}
	return seal.Mark(b)
}

// rule is what the form names, as a provision without its type.
func (f *Form) rule(v fhir.Version) map[string]any {
	v3, class, types, coded := "http://terminology.hl7.org/CodeSystem/v3-", "class", "http://hl7.org/fhir/resource-types", concept
	switch v {
	case fhir.STU3:
		v3, coded = "http://hl7.org/fhir/v3/", code
	case fhir.R5:
		class, types = "resourceType", "http://hl7.org/fhir/fhir-types"
	}
	rule := map[string]any{}
	if f.Until != "" {
		rule["period"] = map[string]any{"end": f.Until}
	}
	list := func(name string, n int, one func(int) any) {
		for i := range n {
			items, _ := rule[name].([]any)
			rule[name] = append(items, one(i))
		}
	}
	list("actor", len(f.Who), func(i int) any {
		return map[string]any{"role": concept(v3+"ParticipationType", "IRCP"), "reference": reference(f.Who[i])}
	})
	list("purpose", len(f.Purpose), func(i int) any { return code(v3+"ActReason", f.Purpose[i]) })
	list(class, len(f.Types), func(i int) any { return code(types, f.Types[i]) })
	list("securityLabel", len(f.Labels), func(i int) any {
		if len(f.Labels[i]) == 1 {
			return code(v3+"Confidentiality", f.Labels[i])
		}
		return code(v3+"ActCode", f.Labels[i])
	})
	list("code", len(f.Codes), func(i int) any { return coded(f.Codes[i].system, f.Codes[i].code) })
	return rule
}
