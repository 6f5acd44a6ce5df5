// Package factsgen decides which element of which type gives which fact, and
// writes it down twice: as the table that fhir.Version.ReadFacts reads by, and
// as docs/facts.md. Both are kept by its test:
//
//	go test ./fhir/factsgen -update
package factsgen

import (
	"slices"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/search"
)

// Facts, in the order in which rows and pages list them. The numbers are those
// of the constants in fhir/facts.go.
var factNames = []string{"patients", "organization", "practitioners", "labels", "categories", "codes", "status", "author", "encounter", "date"}

// candidates are, beside what is read off the definitions, the elements that
// give a fact where a type has them. Of a fact with one value the
// first that is there counts.
var candidates = map[string][]string{
	"organization": {"managingOrganization", "custodian", "serviceProvider", "organization", "providedBy", "owner",
		"managingEntity", "provider", "sponsor", "reporter", "author", "performer", "performer.actor", "performer.onBehalfOf", "requester.onBehalfOf"},
	"labels":     {"meta.security"},
	"categories": {"category", "class", "scope", "serviceCategory"},
	"codes": {"code", "type", "subtype", "subType", "serviceType", "medicationCodeableConcept", "vaccineCode",
		"codeCodeableConcept", "itemCodeableConcept", "event", "procedureCode", "modality", "component.code", "condition.code",
		"code.concept", "medication.concept", "item.concept", "serviceType.concept", "device.concept", "productCode"},
	"practitioners": {"author", "recorder", "requester", "orderer", "sender", "enterer", "informationSource", "performer", "performer.actor",
		"participant.individual", "participant.actor", "requester.agent", "agent.whoReference", "agent.reference"},
	"status": {"status", "clinicalStatus"},
	"author": {"author", "recorder", "requester", "orderer", "prescriber", "sender", "enterer", "informationSource",
		"requester.agent", "agent.who", "agent.whoReference", "agent.reference", "performer", "performer.actor"},
	"encounter": {"encounter", "context", "context.encounter"},
	"date": {"effectiveDateTime", "effectiveInstant", "effectivePeriod.start", "performedDateTime", "performedPeriod.start",
		"occurrenceDateTime", "occurrencePeriod.start", "occurredDateTime", "occurredPeriod.start", "onsetDateTime", "onsetPeriod.start",
		"actualPeriod.start", "period.start", "billablePeriod.start", "servicePeriod.start", "createdDateTime", "start", "date", "dateTime", "authoredOn",
		"started", "recordedDate", "whenHandedOver", "dateWritten", "sent", "recorded", "created", "statusDate", "issued", "dateAsserted",
		"assertedDate", "preparedDate", "startDate"},
}

// own are the facts that a type gives by its own id.
var own = map[string]string{
	"Patient": "patients", "Encounter": "encounter", "Organization": "organization",
	"Practitioner": "practitioners", "PractitionerRole": "practitioners",
}

// row is one element of a type and one fact it gives. An element whose form is
// "self" is the resource's own id.
type row struct {
	fact   string
	path   string
	form   string // reference, concept, coding, code, text, self
	strict bool   // patients: the element says whom the resource is about
}

// rows are all facts of one type, by fact and then by preference.
func rows(v fhir.Version, typ string) ([]row, error) {
	var out []row
	for _, fact := range factNames {
		if own[typ] == fact {
			out = append(out, row{fact: fact, path: "id", form: "self"})
		}
		paths := candidates[fact]
		var err error
		switch fact {
		case "patients":
			paths, err = patientElements(v, typ)
		case "practitioners":
			paths, err = practitionerElements(v, typ)
		}
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if form := formOf(v, typ, path); suits(fact, form) {
				out = append(out, row{fact, path, form, fact == "patients" && strict(path)})
			}
		}
	}
	return out, nil
}

// patientElements are those of every parameter that the release's
// CompartmentDefinition names (FHIR-24, B-05). A Patient is in its own compartment alone: links to
// others are not followed (SMART-21, B-07). A Binary belongs to whom its
// security context says.
func patientElements(v fhir.Version, typ string) ([]string, error) {
	switch typ {
	case "Patient":
		return nil, nil
	case "Binary":
		return []string{"securityContext"}, nil
	}
	params, _ := v.Compartment("Patient", typ)
	paths, err := elements(v, typ, params)
	if typ == "Appointment" {
		paths = append(paths, "subject") // R5's definition forgets whom it is about, beside who takes part
	}
	return paths, err
}

// practitionerElements are the candidates, and those of every reference
// parameter that may point to a Practitioner. One that may point to anything says nothing of who acted.
func practitionerElements(v fhir.Version, typ string) ([]string, error) {
	var params []string
	for p := range v.SearchParams(typ) {
		if p.Type == "reference" && slices.Contains(p.Targets, "Practitioner") && len(p.Targets) < 30 {
			params = append(params, p.Code)
		}
	}
	paths, err := elements(v, typ, params)
	paths = append(paths, candidates["practitioners"]...)
	slices.Sort(paths)
	return slices.Compact(paths), err
}

func elements(v fhir.Version, typ string, params []string) ([]string, error) {
	var paths []string
	for _, code := range params {
		found, err := search.Elements(v, typ, code)
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// strict elements say whom a resource is about: there even a reference that
// only shows a name leaves the patient unnamed.
func strict(path string) bool {
	last := path[strings.LastIndexByte(path, '.')+1:]
	return slices.Contains([]string{"patient", "subject", "beneficiary", "individual", "securityContext", "for"}, last)
}

// formOf is how the element at path holds its fact, "" if the type has no such
// element.
func formOf(v fhir.Version, typ, path string) string {
	for name := range strings.SplitSeq(path, ".") {
		e, ok := v.Element(typ, name)
		if !ok {
			return ""
		}
		typ = e.Type
	}
	switch typ {
	case "Reference":
		return "reference"
	case "CodeableConcept":
		return "concept"
	case "Coding":
		return "coding"
	case "code":
		return "code"
	case "date", "dateTime", "instant":
		return "text"
	}
	return ""
}

func suits(fact, form string) bool {
	switch fact {
	case "patients", "organization", "practitioners", "author", "encounter":
		return form == "reference"
	case "labels", "categories", "codes":
		return form == "concept" || form == "coding" || form == "code"
	case "status":
		return form == "code" || form == "concept"
	}
	return form == "text"
}
