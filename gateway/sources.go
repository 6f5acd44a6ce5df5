package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/upstream"
)

// consentSource finds the Consents of patients on the upstream.
type consentSource struct{ s *snapshot }

// consentPages bounds the pages of one lookup: more Consents than fit them is
// an error, since a missing one could be the one that denies.
const consentPages = 20

// Consents returns all Consent resources of the patients, whatever their
// status: a page that cannot be read whole is an error.
func (c consentSource) Consents(ctx context.Context, patients []string) (map[string][][]byte, error) {
	found := make(map[string][][]byte, len(patients))
	target := "Consent?patient=" + url.QueryEscape(strings.Join(patients, ",")) + "&_count=200"
	for range consentPages {
		next, err := c.page(ctx, target, found)
		if err != nil {
			return nil, fmt.Errorf("look up consents: %w", err)
		}
		if next == "" {
			return found, nil
		}
		target = next
	}
	return nil, fmt.Errorf("look up consents: more than %d pages", consentPages)
}

func (c consentSource) page(ctx context.Context, target string, found map[string][][]byte) (next string, err error) {
	answer, err := c.s.up.Own(ctx, upstream.Consent, upstream.Request{Method: http.MethodGet, Target: target})
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.Status != http.StatusOK {
		return "", fmt.Errorf("upstream status %d", answer.Status)
	}
	b := wire.NewBundle(answer.Body, wire.Limits{Entry: int64(c.s.cfg.Limits.Resource)})
	for {
		raw, err := b.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
		if err := c.keep(raw, found); err != nil {
			return "", err
		}
	}
	return nextBelow(c.s.up, b)
}

var resourcePlan = wire.NewPlan("resource")

// keep files one Consent under each patient that it is about. Consents of
// patients that were not asked for are an upstream that ignores its filter,
// and are left out.
func (c consentSource) keep(entry []byte, found map[string][][]byte) error {
	hits, err := resourcePlan.Skim(entry, nil)
	if err != nil || len(hits) != 1 {
		return fmt.Errorf("entry without a resource: %w", err)
	}
	resource := append([]byte(nil), entry[hits[0].Start:hits[0].End]...)
	facts, err := c.s.grammar.Version.ReadFacts(resource, c.s.bases)
	if err != nil {
		return err
	}
	if facts.Type != "Consent" {
		return nil // an OperationOutcome among the results
	}
	for _, p := range facts.Patients {
		found[p] = append(found[p], resource)
	}
	return nil
}

func nextBelow(up *upstream.Upstream, b *wire.Bundle) (string, error) {
	link := judge.Link(b, "next")
	if link == "" {
		return "", nil
	}
	target, ok := up.Below(link)
	if !ok {
		return "", fmt.Errorf("next page lies on another host")
	}
	return target, nil
}
