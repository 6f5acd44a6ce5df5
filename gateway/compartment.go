package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/search"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
)

// This file turns a search of one type in a compartment, "Patient/1/Observation",
// into the search of the type that it is. Many servers do not offer compartments,
// and what they find must not depend on the server.

// typeSearch is a compartment search as a search of its type. Only its criteria
// do not yet say which compartment; see inCompartment.
func typeSearch(a *fhir.Access) *fhir.Access {
	if a.Interaction != fhir.SearchCompartment || a.Type == "" {
		return a
	}
	t := *a
	t.Interaction = fhir.SearchType
	return &t
}

// inCompartment adds the criterion of the compartment. Where several parameters
// tie the type to it, what it holds is the union of what they find, which FHIR
// has no criterion for: what the others find beyond the first is looked up, and
// if there is any, all of it is searched by id.
func (x *exchange) inCompartment(ctx context.Context, m *matter) error {
	a := m.access
	if a.Compartment.ID == "" || a.Interaction != fhir.SearchType || m.empty || m.at.Target != "" {
		return nil
	}
	ties := x.s.ties(a.Compartment, a.Type)
	if len(ties) == 0 {
		m.empty = true // never: fhir.Parse knows the types of a compartment
		return nil
	}
	if slices.ContainsFunc(ties, func(tie fhir.Param) bool { return x.s.demands(a, tie) }) {
		return nil // the search is for a part of the compartment that one of them finds
	}
	if m.hopped == nil {
		m.hopped = &hopped{}
	}
	ids := fhir.Param{Name: "_id", Type: "token"}
	for _, tie := range ties[1:] {
		if err := x.tied(ctx, m, ties, tie, &ids); err != nil {
			return err
		}
	}
	if len(ids.Values) == 0 {
		x.and(m, ties[:1])
		return nil
	}
	if err := x.tied(ctx, m, nil, ties[0], &ids); err != nil {
		return err
	}
	x.and(m, []fhir.Param{ids})
	return nil
}

// demands tells whether a search has a criterion already.
func (s *snapshot) demands(a *fhir.Access, p fhir.Param) bool {
	wide := p
	wide.Values = s.byEveryName(p)
	return slices.ContainsFunc(a.Criteria, func(c fhir.Param) bool { return same(p, c) || same(wide, c) })
}

// tied adds the ids of what one of the ties finds of a search, but for what the
// first of them finds anyway. The ids stay those of the compartment whatever the
// upstream does with the criterion.
func (x *exchange) tied(ctx context.Context, m *matter, ties []fhir.Param, tie fhir.Param, ids *fhir.Param) error {
	a := m.access
	finds, err := search.Compile(a.Version, a.Type, []fhir.Param{tie}, x.s.bases)
	if err != nil {
		return internal(err)
	}
	var first *search.Matcher
	if len(ties) > 0 {
		if first, err = search.Compile(a.Version, a.Type, ties[:1], x.s.bases); err != nil {
			return internal(err)
		}
	}
	tie.Values = x.s.byEveryName(tie)
	var t wire.Tree
	err = x.over(ctx, m.hopped, a.Type, append(slices.Clip(a.Criteria), tie), func(it *judge.Item) error {
		if t.Parse(it.Resource) != nil || !matches(finds, &t) || first != nil && matches(first, &t) {
			return nil
		}
		return add(ids, it.Verdict.Facts.ID)
	})
	if f := (*failure)(nil); errors.As(err, &f) && f.code == "search.too-broad" {
		return x.tooManyTies(a)
	}
	return err
}

// membership holds matches to the compartment that was searched; nil where none was.
func (x *exchange) membership(a *fhir.Access) func(resource []byte) bool {
	if a.Compartment.ID == "" || a.Type == "" {
		return nil
	}
	var finds []*search.Matcher
	for _, tie := range x.s.ties(a.Compartment, a.Type) {
		if m, err := search.Compile(a.Version, a.Type, []fhir.Param{tie}, x.s.bases); err == nil {
			finds = append(finds, m)
		}
	}
	var t wire.Tree
	return func(resource []byte) bool {
		return t.Parse(resource) == nil && slices.ContainsFunc(finds, func(m *search.Matcher) bool { return matches(m, &t) })
	}
}

func matches(m *search.Matcher, t *wire.Tree) bool {
	ok, err := m.Match(t)
	return ok && err == nil
}

func (x *exchange) tooManyTies(a *fhir.Access) *failure {
	var names []string
	for _, tie := range x.s.ties(a.Compartment, a.Type) {
		names = append(names, tie.Name)
	}
	return &failure{status: http.StatusUnprocessableEntity, code: "search.too-broad",
		text: "Several parameters tie " + a.Type + " to this compartment, and together they find too much. Search " + a.Type + " by one of them: " + strings.Join(names, ", ") + "."}
}

// ties are the criteria each of which finds a part of a compartment's resources of
// a type; the first is the one that says best whose they are. Parameters that
// read the same elements are one.
func (s *snapshot) ties(of fhir.Ref, typ string) (ties []fhir.Param) {
	v := s.grammar.Version
	if typ == of.Type {
		ties = append(ties, fhir.Param{Name: "_id", Type: "token", Values: []string{of.ID}})
	}
	names, _ := v.Compartment(of.Type, typ)
	if of.Type == "Patient" {
		names = slices.Concat(alike(v, typ, names), names)
	}
	var known [][]string
	for _, name := range names {
		elements, err := search.Elements(v, typ, name)
		if err != nil || slices.ContainsFunc(known, func(k []string) bool { return slices.Equal(k, elements) }) {
			continue
		}
		known = append(known, elements)
		ties = append(ties, fhir.Param{Name: name, Type: "reference", Values: []string{of.String()}})
	}
	return ties
}

// alike are those of the names "patient" and "subject" that read what one of a
// patient compartment's parameters reads: servers know these best, and scope
// narrows by them.
func alike(v fhir.Version, typ string, names []string) (best []string) {
	for _, name := range []string{"patient", "subject"} {
		elements, err := search.Elements(v, typ, name)
		if err == nil && slices.ContainsFunc(names, func(n string) bool {
			other, err := search.Elements(v, typ, n)
			return err == nil && slices.Equal(other, elements)
		}) {
			best = append(best, name)
		}
	}
	return best
}
