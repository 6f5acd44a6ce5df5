package scope

import (
	"sync"

	"gatehouse/fhir"
)

// neverByWildcard are types that "*" does not reach: they tell what others did,
// or decide who may do what, and need a scope that names them (DESIGN §10.12).
var neverByWildcard = set("AuditEvent", "Consent", "Permission", "Provenance", "Subscription")

// off are types that no scope opens, nor a token without scopes: a Subscription's
// deliveries would pass the gateway by (DESIGN §10.12), and so would what topics
// make others deliver.
var off = set("Subscription", "SubscriptionStatus", "SubscriptionTopic")

// neverByPatient are types that change what access means; a patient scope reads
// them at most (DESIGN §6, W-13).
var neverByPatient = set("AuditEvent", "CompartmentDefinition", "Consent", "Group", "Permission", "Provenance", "SearchParameter",
	"StructureDefinition", "Subscription")

// shared is reference data that belongs to no patient, and that a patient scope
// may read (FHIR-24). Every other type without a compartment rule is closed to
// patient scopes (B-04).
var shared = set(
	"ActivityDefinition", "CapabilityStatement", "CodeSystem", "ConceptMap", "HealthcareService", "ImplementationGuide", "InsurancePlan",
	"Library", "Location", "Measure", "Medication", "MedicationKnowledge", "NamingSystem", "OperationDefinition", "Organization",
	"OrganizationAffiliation", "PlanDefinition", "Practitioner", "PractitionerRole", "Questionnaire", "SearchParameter",
	"StructureDefinition", "StructureMap", "Substance", "ValueSet",
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// kind is what scopes may do to a type, beyond what their letters say.
type kind struct {
	wildcard bool // "*" reaches it
	named    bool // a scope that names it opens it
	patient  letters
}

// kinds of all types, made once for each release: judging one more entry is a
// map lookup. A type that is not in it is closed.
var kinds = func() (all [fhir.STU3 + 1]func() map[string]kind) {
	for v := range all {
		all[v] = sync.OnceValue(func() map[string]kind { return kindsOf(fhir.Version(v)) })
	}
	return all
}()

func kindsOf(v fhir.Version) map[string]kind {
	m := map[string]kind{}
	for _, typ := range v.ResourceTypes() {
		k := kind{wildcard: !neverByWildcard[typ] && !off[typ], named: !off[typ]}
		switch {
		case shared[typ]:
			k.patient = read | search
		case !inCompartment(v, typ):
		case neverByPatient[typ]:
			k.patient = read | search
		default:
			k.patient = create | read | update | remove | search
		}
		m[typ] = k
	}
	return m
}

// inCompartment reports whether resources of typ can belong to a patient. A
// Binary belongs to whom its security context says.
func inCompartment(v fhir.Version, typ string) bool {
	if typ == "Binary" {
		return true
	}
	_, in := v.Compartment("Patient", typ)
	return in
}

// Supported are scopes that can be granted and are enforced (SMART-05): what "*"
// opens in each context, and the types that it does not reach.
func Supported(v fhir.Version) (scopes []string) {
	for _, context := range []string{"patient", "user", "system"} {
		var whole letters
		var named []string
		for _, typ := range v.ResourceTypes() {
			k := kinds[v]()[typ]
			give := create | read | update | remove | search
			if context == "patient" {
				give = k.patient
			}
			switch {
			case !k.named || give == 0:
			case k.wildcard:
				whole |= give
			default:
				named = append(named, context+"/"+typ+"."+give.String())
			}
		}
		scopes = append(append(scopes, context+"/*."+whole.String()), named...)
	}
	return scopes
}
