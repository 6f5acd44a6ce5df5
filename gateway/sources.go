package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/upstream"
)

// This file is where consent and relation find what they need: searches of the
// gateway's own, each read to its last page or not at all.

const (
	ownPages = 20   // pages of one lookup; beyond it something may be missing, which is an error
	longURL  = 1500 // bytes of a query that goes into a URL; a longer one is posted
)

// consentSource finds the Consents of patients on the upstream.
type consentSource struct{ s *snapshot }

// Consents returns all Consent resources of the patients, whatever their status.
func (c consentSource) Consents(ctx context.Context, patients []string) (map[string][][]byte, error) {
	found := make(map[string][][]byte, len(patients))
	err := c.s.gather(ctx, upstream.Consent, "Consent", byPatient(patients), func(resource []byte) error {
		facts, err := c.s.grammar.Version.ReadFacts(resource, c.s.bases)
		if err != nil {
			return err
		}
		for _, p := range facts.Patients {
			found[p] = append(found[p], resource)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up consents: %w", err)
	}
	return found, nil
}

// careSource finds the Encounters and CareTeams of patients on the upstream.
type careSource struct{ s *snapshot }

// Around returns the Encounters and CareTeams of the patients.
func (c careSource) Around(ctx context.Context, patients []string) ([][]byte, error) {
	var found [][]byte
	for _, typ := range []string{"Encounter", "CareTeam"} {
		err := c.s.gather(ctx, upstream.Relation, typ, byPatient(patients), func(resource []byte) error {
			found = append(found, resource)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", typ, err)
		}
	}
	return found, nil
}

func byPatient(patients []string) string {
	return "patient=" + url.QueryEscape(strings.Join(patients, ",")) + "&_count=200"
}

// gather hands every resource of a type that matches to each.
func (s *snapshot) gather(ctx context.Context, purpose, typ, query string, each func(resource []byte) error) error {
	r := upstream.Request{Method: http.MethodGet, Target: typ + "?" + query}
	if len(query) > longURL {
		r = upstream.Request{Method: http.MethodPost, Target: typ + "/_search", Body: []byte(query), ContentType: "application/x-www-form-urlencoded"}
	}
	for range ownPages {
		next, err := s.gatherPage(ctx, purpose, typ, r, each)
		if err != nil || next == "" {
			return err
		}
		r = upstream.Request{Method: http.MethodGet, Target: next}
	}
	return fmt.Errorf("more than %d pages", ownPages)
}

func (s *snapshot) gatherPage(ctx context.Context, purpose, typ string, r upstream.Request, each func([]byte) error) (next string, err error) {
	answer, err := s.up.Own(ctx, purpose, r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.Status != http.StatusOK {
		return "", fmt.Errorf("upstream status %d", answer.Status)
	}
	b := wire.NewBundle(answer.Body, wire.Limits{Entry: int64(s.cfg.Limits.Resource)})
	for {
		raw, err := b.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
		resource, of, err := entryResource(raw)
		if err != nil {
			return "", err
		}
		if of != typ {
			continue // an OperationOutcome among the results
		}
		if err := each(resource); err != nil {
			return "", err
		}
	}
	return nextBelow(s.up, b)
}

var entryPlan = wire.NewPlan("resource", "resource.resourceType")

// entryResource is the resource of a Bundle's entry, copied, and its type.
func entryResource(entry []byte) (resource []byte, typ string, err error) {
	hits, err := entryPlan.Skim(entry, nil)
	if err != nil {
		return nil, "", err
	}
	for _, h := range hits {
		switch v := entry[h.Start:h.End]; h.Path {
		case 0:
			resource = append([]byte(nil), v...)
		case 1:
			typ, err = wire.Unquote(v)
		}
	}
	if err == nil && (resource == nil || typ == "") {
		err = errors.New("an entry without a resource")
	}
	return resource, typ, err
}

func nextBelow(up *upstream.Upstream, b *wire.Bundle) (string, error) {
	link := judge.Link(b, "next")
	if link == "" {
		return "", nil
	}
	target, ok := up.Below(link)
	if !ok {
		return "", errors.New("the next page lies on another host")
	}
	return target, nil
}
