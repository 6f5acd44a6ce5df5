package gateway

import (
	"context"
	"fmt"
	"time"

	"gatehouse/fhir"
)

// This file tells FHIR's releases apart: which one the upstream speaks, and
// what of the gateway's own documents is written otherwise in STU3.

// version is the FHIR release of the upstream: as configured, or as its
// CapabilityStatement says.
func (s *snapshot) version() (fhir.Version, error) {
	if s.cfg.Upstream.FHIRVersion != "" {
		return configured(s.cfg), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	statement, err := s.upstreamMetadata(ctx)
	if err != nil {
		return 0, fmt.Errorf("upstream.fhir_version is not set, and %s/metadata did not tell it: %w", s.cfg.Upstream.URL, err)
	}
	said, _ := statement["fhirVersion"].(string)
	v, ok := fhir.ParseVersion(said)
	if !ok {
		return 0, fmt.Errorf("the upstream speaks FHIR %q; R4, R4B, R5 and STU3 are served (4.0, 4.3, 5.0 and 3.0)", said)
	}
	return v, nil
}

// otherRelease reports an upstream that says of itself that it speaks another
// release than the one its records are judged by.
func (s *snapshot) otherRelease(statement map[string]any) (said string, other bool) {
	said, _ = statement["fhirVersion"].(string)
	v, ok := fhir.ParseVersion(said)
	return said, said != "" && (!ok || v != s.grammar.Version)
}

// asSTU3 rewrites a CapabilityStatement for STU3: operations are listed for the
// server as a whole, by reference, and acceptUnknown must be there.
func asSTU3(statement, rest map[string]any, resources []any) {
	operations, _ := rest["operation"].([]any)
	for _, r := range resources {
		r := r.(map[string]any) // reduceResource made it
		own, _ := r["operation"].([]any)
		operations = append(operations, own...)
		delete(r, "operation")
	}
	for _, o := range operations {
		o := o.(map[string]any)
		o["definition"] = map[string]any{"reference": o["definition"]}
	}
	if len(operations) > 0 {
		rest["operation"] = operations
	}
	statement["acceptUnknown"] = "no"
}
