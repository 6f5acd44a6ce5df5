package trustee

import (
	"context"
	"net/http"
	"net/url"
)

// vfps speaks to Vfps (miracum) by the HTTP form of its API v1. Its target is a
// namespace, which must be there.
type vfps struct{}

type vfpsPseudonym struct {
	Namespace string `json:"namespace"`
	Original  string `json:"originalValue"`
	Pseudonym string `json:"pseudonymValue"`
}

type vfpsAnswer struct {
	Pseudonym vfpsPseudonym `json:"pseudonym"`
}

func (vfps) create(ctx context.Context, s *Service, target, _, id string) (string, error) {
	var got vfpsAnswer
	body := map[string]string{"originalValue": id}
	found, err := s.call(ctx, http.MethodPost, namespace(target), "application/json", body, &got)
	if err != nil || !found || got.Pseudonym.Original != id || got.Pseudonym.Namespace != target {
		return "", err
	}
	return got.Pseudonym.Pseudonym, nil
}

func (vfps) lead(ctx context.Context, s *Service, target, pseudonym string) (string, error) {
	var got vfpsAnswer
	found, err := s.call(ctx, http.MethodGet, namespace(target)+"/"+url.PathEscape(pseudonym), "application/json", nil, &got)
	if err != nil || !found || got.Pseudonym.Pseudonym != pseudonym || got.Pseudonym.Namespace != target {
		return "", err
	}
	return got.Pseudonym.Original, nil
}

func namespace(target string) string {
	return "/v1/namespaces/" + url.PathEscape(target) + "/pseudonyms"
}
