package trustee

import (
	"context"
	"errors"
	"net/http"
)

// mii speaks the pseudonymization interface of the Medical Informatics Initiative
// (Germany), as its implementation guide has it from 2026.1.0 on: $pseudonymize and
// $de-pseudonymize at the base, with one value a call. Its target is a context.
type mii struct{}

func (mii) create(ctx context.Context, s *Service, target, _, id string) (string, error) {
	ask := parameters{"Parameters", []parameter{of("context", "", target), of("original", s.c.System, id)}}
	got, err := s.operation(ctx, "/$pseudonymize", ask)
	if err != nil || got.text("original") != id || got.text("context") != target {
		return "", err
	}
	return got.text("pseudonym"), nil
}

// lead takes the pair that holds the pseudonym: there may be several originals only
// where a context gives several people one pseudonym, and then it names none of them.
func (mii) lead(ctx context.Context, s *Service, target, pseudonym string) (id string, err error) {
	ask := parameters{"Parameters", []parameter{of("context", "", target), of("pseudonym", "", pseudonym)}}
	got, err := s.operation(ctx, "/$de-pseudonymize", ask)
	if err != nil {
		return "", err
	}
	for _, one := range got {
		if one.Name != "original" {
			continue
		}
		if pair := list(one.Part); id == "" && pair.text("pseudonym") == pseudonym && pair.text("context") == target {
			id = pair.text("value")
		} else {
			return "", nil
		}
	}
	return id, nil
}

// list are the parameters of an answer, or the parts of one.
type list []parameter

// operation calls one and gives what it answers; nothing where it says that there is
// nothing.
func (s *Service) operation(ctx context.Context, path string, ask parameters) (list, error) {
	var got parameters
	found, err := s.call(ctx, http.MethodPost, path, fhirJSON, ask, &got)
	if err != nil || !found {
		return nil, err
	}
	if got.ResourceType != "Parameters" {
		return nil, errors.New("its answer is no Parameters")
	}
	return got.Parameter, nil
}

func of(name, system, value string) parameter {
	return parameter{Name: name, ValueIdentifier: &identifier{System: system, Value: value}}
}

// text is the value of a parameter: an Identifier's, or a string.
func (l list) text(name string) string {
	for _, p := range l {
		switch {
		case p.Name != name:
		case p.ValueIdentifier != nil:
			return p.ValueIdentifier.Value
		default:
			return p.ValueString
		}
	}
	return ""
}
