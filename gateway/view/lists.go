package view

import (
	"regexp"
	"slices"
	"strings"

	"gatehouse/fhir"
)

// builtInLists are what rules name as @list.
var builtInLists = map[string]func(string) bool{
	"standard-systems":  standardSystem,
	"fhir-codes":        fhirCode,
	"standard-profiles": standardProfile,
	"resource-types":    resourceType,
}

// standardSystems are code systems published for everyone: a code of theirs
// says what, never who.
var standardSystems = map[string]bool{
	"http://snomed.info/sct": true, "http://loinc.org": true, "http://unitsofmeasure.org": true,
	"http://www.nlm.nih.gov/research/umls/rxnorm": true, "http://hl7.org/fhir/sid/cvx": true, "http://hl7.org/fhir/sid/mvx": true,
	"http://hl7.org/fhir/sid/ndc": true, "http://hl7.org/fhir/sid/icd-10": true, "http://hl7.org/fhir/sid/icd-10-cm": true,
	"http://www.cms.gov/Medicare/Coding/ICD10": true, "http://hl7.org/fhir/sid/icd-9-cm": true, "http://hl7.org/fhir/sid/icf-nl": true,
	"http://hl7.org/fhir/sid/icd-9-cm/diagnosis": true, "http://hl7.org/fhir/sid/icd-9-cm/procedure": true,
	"http://fhir.de/CodeSystem/bfarm/icd-10-gm": true, "http://fhir.de/CodeSystem/bfarm/ops": true, "http://fhir.de/CodeSystem/bfarm/atc": true,
	"http://fhir.de/CodeSystem/dimdi/icd-10-gm": true, "http://fhir.de/CodeSystem/dimdi/ops": true, "http://fhir.de/CodeSystem/ifa/pzn": true,
	"http://www.whocc.no/atc": true, "http://www.ama-assn.org/go/cpt": true, "http://ncimeta.nci.nih.gov": true,
	"http://www.nubc.org/patient-discharge": true, "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets": true,
	"http://dicom.nema.org/resources/ontology/DCM": true, "http://www.genenames.org": true, "http://varnomen.hgvs.org": true,
	"http://nucc.org/provider-taxonomy": true, "urn:iso:std:iso:4217": true, "urn:iso:std:iso:3166": true, "urn:ietf:bcp:47": true,
	"urn:iso:std:iso:11073:10101": true, "urn:ietf:bcp:13": true, "http://id.who.int/icd/release/11/mms": true, "urn:oid:2.16.840.1.113883.6.238": true,
	"http://hl7.org/fhir/us/core/CodeSystem/condition-category": true, "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category": true,
}

func standardSystem(s string) bool { return standardSystems[s] || hl7System(s) }

// hl7System reports a code system that HL7 International publishes; sid/ is
// not among them, since it also names numbers of people (us-ssn).
func hl7System(s string) bool {
	for _, prefix := range [...]string{"http://terminology.hl7.org/CodeSystem/", "http://hl7.org/fhir/v3/", "http://hl7.org/fhir/v2/", "http://hl7.org/fhir/"} {
		if name, ok := strings.CutPrefix(s, prefix); ok {
			return plainName(name)
		}
	}
	return false
}

// standardProfile reports a profile of HL7's base or US core package, with or
// without a version.
func standardProfile(s string) bool {
	name, ok := strings.CutPrefix(s, "http://hl7.org/fhir/")
	if !ok {
		return false
	}
	if name, ok = strings.CutPrefix(strings.TrimPrefix(name, "us/core/"), "StructureDefinition/"); !ok {
		return false
	}
	name, version, _ := strings.Cut(name, "|")
	return plainName(name) && len(version) <= 12 && strings.Trim(version, "0123456789.") == ""
}

// plainName: letters, digits and hyphens, as published names have them.
func plainName(s string) bool {
	for i := range len(s) {
		if c := s[i]; c|0x20 < 'a' && (c < '0' || c > '9') && c != '-' || c|0x20 > 'z' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

var fhirCodes = func() map[string]bool {
	codes := map[string]bool{}
	for _, c := range strings.Fields(requiredCodes) {
		codes[c] = true
	}
	// Bound to lists outside of FHIR: the common media types.
	for _, c := range strings.Fields(`text/plain text/html text/xml text/csv text/rtf application/pdf application/xml application/json
		application/fhir+json application/fhir+xml application/hl7-v3+xml application/hl7-cda+xml application/dicom application/octet-stream
		application/zip image/jpeg image/png image/gif image/tiff image/svg+xml image/bmp audio/mpeg audio/wav audio/basic video/mp4 video/mpeg`) {
		codes[c] = true
	}
	return codes
}()

var (
	languageTag = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$`)
	currency    = regexp.MustCompile(`^[A-Z]{3}$`)
)

// fhirCode reports a code that FHIR itself or the lists it points to define:
// an element of type code can hold any word, and a name is one.
func fhirCode(s string) bool {
	return fhirCodes[s] || len(s) < 11 && (languageTag.MatchString(s) || currency.MatchString(s)) || resourceType(s)
}

// resourceType reports the name of a resource type of any release: it is a
// published word in each of them.
func resourceType(s string) bool {
	return slices.ContainsFunc(fhir.Versions, func(v fhir.Version) bool { return v.KnownType(s) })
}
