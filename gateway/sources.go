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

// consentSource finds Consents, and what they name, on the upstream; the
// Consents may be on a server of their own.
type consentSource struct{ s *snapshot }

// Consents is part of consent.Source.
func (c consentSource) Consents(ctx context.Context, patients []string) (found [][]byte, err error) {
	err = gather(ctx, c.s.consents, int64(c.s.cfg.Limits.Resource), upstream.Consent, "Consent", byPatient(patients), func(resource []byte) error {
		found = append(found, resource)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up consents: %w", err)
	}
	return found, nil
}

// Named is part of consent.Source: one search for each type and way of naming.
func (c consentSource) Named(ctx context.Context, names []string) (map[string][][]byte, error) {
	searches := map[string][]string{} // values by "Type?parameter="
	for _, name := range names {
		if typ, identifier, ok := strings.Cut(name, "?identifier="); ok {
			searches[typ+"?identifier="] = append(searches[typ+"?identifier="], identifier)
		} else if typ, id, ok := strings.Cut(name, "/"); ok {
			searches[typ+"?_id="] = append(searches[typ+"?_id="], url.QueryEscape(id))
		}
	}
	found := map[string][][]byte{}
	for search, values := range searches {
		typ, parameter, _ := strings.Cut(search, "?")
		if parameter == "identifier=" { // which of several was found cannot be told from the answer
			for _, v := range values {
				if err := c.named(ctx, found, typ, parameter+v, search+v); err != nil {
					return nil, err
				}
			}
			continue
		}
		if err := c.named(ctx, found, typ, parameter+strings.Join(values, ","), ""); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// named keeps what a search brings under a name or, without one, each resource
// under its own.
func (c consentSource) named(ctx context.Context, found map[string][][]byte, typ, query, name string) error {
	err := gather(ctx, c.s.up, int64(c.s.cfg.Limits.Resource), upstream.Consent, typ, query+"&_count=200", func(resource []byte) error {
		facts, err := c.s.grammar.Version.ReadFacts(resource, c.s.bases)
		if err != nil {
			return err
		}
		key := name
		if key == "" {
			key = facts.Type + "/" + facts.ID
		}
		found[key] = append(found[key], resource)
		return nil
	})
	if err != nil {
		return fmt.Errorf("look up %s that consents name: %w", typ, err)
	}
	return nil
}

// careSource finds the Encounters and CareTeams of patients on the upstream.
type careSource struct{ s *snapshot }

// Around returns the Encounters and CareTeams of the patients.
func (c careSource) Around(ctx context.Context, patients []string) ([][]byte, error) {
	var found [][]byte
	for _, typ := range []string{"Encounter", "CareTeam"} {
		err := gather(ctx, c.s.up, int64(c.s.cfg.Limits.Resource), upstream.Relation, typ, byPatient(patients), func(resource []byte) error {
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

var errPages = fmt.Errorf("more than %d pages", ownPages)

// gather hands every resource of a type that matches to each; one is at most
// limit bytes.
func gather(ctx context.Context, up *upstream.Upstream, limit int64, purpose, typ, query string, each func(resource []byte) error) error {
	r := upstream.Request{Method: http.MethodGet, Target: typ + "?" + query}
	if len(query) > longURL {
		r = upstream.Request{Method: http.MethodPost, Target: typ + "/_search", Body: []byte(query), ContentType: "application/x-www-form-urlencoded"}
	}
	for range ownPages {
		next, err := gatherPage(ctx, up, limit, purpose, typ, r, each)
		if err != nil || next == "" {
			return err
		}
		r = upstream.Request{Method: http.MethodGet, Target: next}
	}
	return errPages
}

func gatherPage(ctx context.Context, up *upstream.Upstream, limit int64, purpose, typ string, r upstream.Request, each func([]byte) error) (next string, err error) {
	answer, err := up.Own(ctx, purpose, r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.Status != http.StatusOK {
		return "", fmt.Errorf("upstream status %d", answer.Status)
	}
	b := wire.NewBundle(answer.Body, wire.Limits{Entry: limit})
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
	return nextBelow(up, b)
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
