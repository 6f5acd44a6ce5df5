package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/upstream"
)

// This file finds out whether the upstream heeds a criterion. Many servers drop
// a parameter that they do not know without a word (P-12, P-13).

// heeded are the criteria that were tried, by type and name.
type heeded struct{ sync.Map }

// linkNames tells whether a link of the upstream holds a criterion.
func (s *snapshot) linkNames(link string, p fhir.Param) bool {
	_, query, _ := strings.Cut(link, "?")
	params, err := url.ParseQuery(query)
	if err != nil {
		return false
	}
	want := s.canonical(p.Type, p.Values)
	return slices.ContainsFunc(params[p.Key()], func(values string) bool {
		return slices.Equal(want, s.canonical(p.Type, strings.Split(values, ",")))
	})
}

// canonical are values in a form in which they can be compared: an upstream may
// write out the base of a reference, or leave it away.
func (s *snapshot) canonical(kind string, values []string) []string {
	var list []string
	for _, v := range values {
		if kind == "reference" {
			if ref, _, ok := s.bases.ParseRef(v); ok {
				v = ref.String()
			}
		}
		list = append(list, v)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// heeds tells whether the upstream heeds a criterion on a type of which it has
// resources: asked by it for what there is none of, it finds nothing. It is
// tried once.
func (s *snapshot) heeds(ctx context.Context, typ string, p fhir.Param) bool {
	name := typ + "?" + p.Key()
	if known, ok := s.heeded.Load(name); ok {
		return known.(bool)
	}
	value, one := "gatehouse-has-none", 1
	if p.Type == "reference" {
		ref, _, ok := fhir.ParseRef(p.Values[0], nil)
		if !ok {
			return false
		}
		value = ref.Type + "/" + value
	}
	p.Values = []string{value}
	none := fhir.Access{Interaction: fhir.SearchType, Type: typ, Version: s.grammar.Version,
		Criteria: []fhir.Param{p}, Results: fhir.Results{Count: &one, Total: "accurate"}}
	found, err := s.finds(ctx, typ, none.Target())
	if err != nil {
		return false
	}
	s.heeded.Store(name, !found)
	return !found
}

// finds tells whether a search brings anything, by its rows or its total.
func (s *snapshot) finds(ctx context.Context, typ, target string) (found bool, err error) {
	r := upstream.Request{Method: http.MethodGet, Target: target}
	answer, err := s.up.Own(ctx, upstream.Probe, r)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	if answer.Status != http.StatusOK {
		return true, nil // who refuses the criterion does not heed it
	}
	b := wire.NewBundle(answer.Body, wire.Limits{Entry: int64(s.cfg.Limits.Resource)})
	for {
		raw, err := b.Next()
		if err == io.EOF {
			total := b.Member("total")
			return found || total != nil && !bytes.Equal(total, []byte("0")), nil
		}
		if err != nil {
			return false, err
		}
		if _, of, err := entryResource(raw); err != nil || of == typ {
			found = true
		}
	}
}
