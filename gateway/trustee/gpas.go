package trustee

import (
	"context"
)

// gpas speaks to gPAS (THS Greifswald) from 1.10.3 on, by the operations of its
// TTP-FHIR gateway: $pseudonymizeAllowCreate and $dePseudonymize, with one value a
// call. Its target is a gPAS domain, which must be there.
type gpas struct{}

const fhirJSON = "application/fhir+json"

type parameters struct {
	ResourceType string      `json:"resourceType"`
	Parameter    []parameter `json:"parameter"`
}

type parameter struct {
	Name            string      `json:"name"`
	ValueString     string      `json:"valueString,omitempty"`
	ValueIdentifier *identifier `json:"valueIdentifier,omitempty"`
	ValueCode       string      `json:"valueCode,omitempty"`
	Part            []parameter `json:"part,omitempty"`
}

type identifier struct {
	System string `json:"system,omitempty"`
	Value  string `json:"value"`
}

func (gpas) create(ctx context.Context, s *Service, target, _, id string) (string, error) {
	return gpas{}.map1(ctx, s, "/$pseudonymizeAllowCreate", target, "original", id, "pseudonym")
}

func (gpas) lead(ctx context.Context, s *Service, target, pseudonym string) (string, error) {
	return gpas{}.map1(ctx, s, "/$dePseudonymize", target, "pseudonym", pseudonym, "original")
}

// map1 sends one value of a kind and takes the other kind of the pair that holds
// it: a pair of another value is an answer to somebody else.
func (gpas) map1(ctx context.Context, s *Service, operation, target, have, value, want string) (string, error) {
	ask := parameters{"Parameters", []parameter{{Name: "target", ValueString: target}, {Name: have, ValueString: value}}}
	got, err := s.operation(ctx, operation, ask)
	for _, one := range got {
		if pair := list(one.Part); pair.text(have) == value && pair.text("target") == target {
			return pair.text(want), nil
		}
	}
	return "", err
}
