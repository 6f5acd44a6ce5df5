package demo

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// batch does its entries one by one.
func (s *Store) batch(a *fhir.Access) reply {
	var entries list
	for _, e := range a.Entries {
		if e.Err != nil {
			entries = append(entries, responseEntry(refusal(e.Err.Status, "invalid", e.Err.Text)))
			continue
		}
		entries = append(entries, responseEntry(s.serve(e.Access)))
	}
	return responses("batch-response", entries)
}

func responses(kind string, entries list) reply {
	b := object{"resourceType", "Bundle", "type", kind, "entry", nil}
	if len(entries) > 0 {
		b[5] = entries
	}
	return reply{status: http.StatusOK, body: encode(b)}
}

func responseEntry(p reply) object {
	response := object{"status", strconv.Itoa(p.status) + " " + http.StatusText(p.status), "location", nil, "etag", nil, "lastModified", nil, "outcome", nil}
	if p.location != "" {
		response[3] = p.location
	}
	if p.etag != "" {
		response[5], response[7] = p.etag, p.modified.Format(instant)
	}
	if p.status >= 400 {
		response[9] = p.body
		return object{"response", response}
	}
	var resource any
	if len(p.body) > 0 {
		resource = p.body
	}
	return object{"resource", resource, "response", response}
}

// step is one entry of a transaction, resolved.
type step struct {
	access *fhir.Access
	ref    fhir.Ref // that a write is about
	done   *reply   // a conditional create that matched
}

// transaction does all of its entries or none: conditions, targets and bodies
// are settled before anything is stored.
func (s *Store) transaction(a *fhir.Access) reply {
	steps := make([]step, len(a.Entries))
	names := map[string]fhir.Ref{}
	for i, e := range a.Entries {
		if e.Err != nil {
			return refusal(e.Err.Status, "invalid", e.Err.Text)
		}
		st, refused := s.resolve(e.Access)
		if refused != nil {
			return *refused
		}
		steps[i] = st
		if e.FullURL != "" && st.ref.ID != "" {
			names[e.FullURL] = st.ref
		}
	}
	if refused := s.link(steps, names); refused != nil {
		return *refused
	}
	return responses("transaction-response", s.commit(steps))
}

func (s *Store) resolve(a *fhir.Access) (st step, refused *reply) {
	one := *a
	st = step{access: &one, ref: fhir.Ref{Type: a.Type, ID: a.ID}}
	switch a.Interaction {
	case fhir.Create:
		if a.Conditional {
			found, refused := s.named(a)
			if refused != nil {
				return st, refused
			}
			if found != nil {
				r := s.told(found, http.StatusOK)
				st.ref, st.done = found.ref, &r
				return st, nil
			}
		}
		st.ref.ID = s.newID()
	case fhir.Update, fhir.Patch, fhir.Delete:
		if st.ref, refused = s.target(a); refused != nil {
			return st, refused
		}
		if a.Interaction == fhir.Patch {
			one.Body, refused = s.patched(st.ref, a)
		} else if st.ref.ID == "" && a.Interaction == fhir.Update {
			st.ref.ID = s.newID()
		}
	}
	return st, refused
}

// link points references at what the transaction makes.
func (s *Store) link(steps []step, names map[string]fhir.Ref) *reply {
	for i := range steps {
		a := steps[i].access
		if a.Body == nil {
			continue
		}
		var t wire.Tree
		if t.Parse(a.Body) != nil {
			r := refusal(http.StatusBadRequest, "structure", "An entry is not a resource.")
			return &r
		}
		var e wire.Edits
		e.Reset(&t)
		for node := range t.Nodes {
			if t.Nodes[node].Kind != wire.String {
				continue
			}
			text := t.Text(node)
			ref, ok := names[text]
			if !ok && string(t.Name(node)) == "reference" && strings.Contains(text, "?") {
				var refused *reply
				if ref, refused = s.conditionalReference(text); refused != nil {
					return refused
				}
				ok = true
			}
			if ok && string(t.Name(node)) != "fullUrl" {
				e.Replace(node, wire.Quote(nil, ref.String()))
			}
		}
		a.Body = e.Apply(nil)
	}
	return nil
}

func (s *Store) conditionalReference(text string) (fhir.Ref, *reply) {
	path, query, _ := strings.Cut(text, "?")
	a, bad := fhir.Parse(fhir.Request{Method: http.MethodGet, Path: "/" + path, Query: query}, s.options)
	if bad != nil {
		r := refusal(http.StatusBadRequest, "invalid", bad.Text)
		return fhir.Ref{}, &r
	}
	found, refused := s.named(a)
	if refused == nil && found == nil {
		r := refusal(http.StatusPreconditionFailed, "not-found", "A conditional reference matches nothing.")
		refused = &r
	}
	if refused != nil {
		return fhir.Ref{}, refused
	}
	return found.ref, nil
}

// order is that of FHIR: deletes, creates, updates, patches, reads.
var order = map[fhir.Interaction]int{fhir.Delete: 0, fhir.Create: 1, fhir.Update: 2, fhir.Patch: 3}

func (s *Store) commit(steps []step) list {
	sequence := make([]int, len(steps))
	for i := range steps {
		sequence[i] = i
	}
	rank := func(i int) int {
		if n, ok := order[steps[i].access.Interaction]; ok {
			return n
		}
		return len(order)
	}
	slices.SortStableFunc(sequence, func(i, j int) int { return rank(i) - rank(j) })
	out := make(list, len(steps))
	for _, i := range sequence {
		out[i] = responseEntry(s.do(&steps[i]))
	}
	return out
}

func (s *Store) do(st *step) reply {
	a := st.access
	switch {
	case st.done != nil:
		r := *st.done
		r.body = nil
		return r
	case a.Interaction == fhir.Delete && s.get(st.ref) == nil:
		return reply{status: http.StatusNoContent}
	case a.Interaction == fhir.Delete:
		v, _ := s.put(st.ref, nil, http.MethodDelete) // fails for bodies alone
		return reply{status: http.StatusNoContent, etag: v.etag(), modified: v.at}
	case a.Body != nil:
		r := s.write(st.ref, a.Body, a.Verb())
		r.body = nil
		return r
	}
	return s.serve(a)
}
