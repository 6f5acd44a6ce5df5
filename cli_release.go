package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gatehouse/fhir"
)

// fhirRelease is the flag that says of which FHIR release something is; R4 where
// nobody says.
type fhirRelease struct{ fhir.Version }

func (r *fhirRelease) flag(c *cobra.Command) {
	c.Flags().Var(r, "fhir-version", "FHIR `RELEASE` of the resources: R4, R4B, R5 or STU3")
}

// Set is part of pflag.Value.
func (r *fhirRelease) Set(s string) error {
	v, ok := fhir.ParseVersion(s)
	if !ok {
		return fmt.Errorf("write R4, R4B, R5 or STU3")
	}
	r.Version = v
	return nil
}

// Type is part of pflag.Value.
func (r *fhirRelease) Type() string { return "release" }
