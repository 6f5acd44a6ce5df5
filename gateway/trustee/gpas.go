package trustee

import (
	"context"
	"errors"
	"net/http"
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
	Part            []parameter `json:"part,omitempty"`
}

type identifier struct {
	Value string `json:"value"`
}

func (gpas) create(ctx context.Context, s *Service, target, id string) (string, error) {
	return gpas{}.map1(ctx, s, "/$pseudonymizeAllowCreate", target, "original", id, "pseudonym")
}

func (gpas) lead(ctx context.Context, s *Service, target, pseudonym string) (string, error) {
	return gpas{}.map1(ctx, s, "/$dePseudonymize", target, "pseudonym", pseudonym, "original")
}

// map1 sends one value of a kind and takes the other kind of the pair that holds
// it: a pair of another value is an answer to somebody else.
func (gpas) map1(ctx context.Context, s *Service, operation, target, have, value, want string) (string, error) {
	ask := parameters{"Parameters", []parameter{{Name: "target", ValueString: target}, {Name: have, ValueString: value}}}
	var got parameters
	found, err := s.call(ctx, http.MethodPost, operation, fhirJSON, ask, &got)
	if err != nil || !found {
		return "", err
	}
	if got.ResourceType != "Parameters" {
		return "", errors.New("its answer is no Parameters")
	}
	for _, pair := range got.Parameter {
		if pair.part(have) == value && pair.part("target") == target {
			return pair.part(want), nil
		}
	}
	return "", nil
}

func (p parameter) part(name string) string {
	for _, part := range p.Part {
		if part.Name == name && part.ValueIdentifier != nil {
			return part.ValueIdentifier.Value
		}
	}
	return ""
}
