package demo

import (
	"net/http"

	"gatehouse/fhir"
	"gatehouse/fhir/patch"
)

func (s *Store) create(a *fhir.Access) reply {
	if a.Conditional {
		found, refused := s.named(a)
		if refused != nil {
			return *refused
		}
		if found != nil {
			return s.told(found, http.StatusOK)
		}
	}
	return s.write(fhir.Ref{Type: a.Type, ID: s.newID()}, a.Body, http.MethodPost)
}

func (s *Store) update(a *fhir.Access) reply {
	ref, refused := s.target(a)
	if refused != nil {
		return *refused
	}
	if ref.ID == "" {
		ref.ID = s.newID()
	}
	return s.write(ref, a.Body, http.MethodPut)
}

func (s *Store) patch(a *fhir.Access) reply {
	ref, refused := s.target(a)
	if refused != nil {
		return *refused
	}
	body, refused := s.patched(ref, a)
	if refused != nil {
		return *refused
	}
	return s.write(ref, body, http.MethodPatch)
}

func (s *Store) patched(ref fhir.Ref, a *fhir.Access) ([]byte, *reply) {
	v := s.get(ref)
	if v == nil {
		r := unknown()
		return nil, &r
	}
	change, err := patch.Parse(fhir.R4, a.Body, a.ContentType)
	var body []byte
	if err == nil {
		body, err = change.Apply(v.body)
	}
	if err != nil {
		r := refusal(http.StatusUnprocessableEntity, "processing", "The patch cannot be applied.")
		return nil, &r
	}
	return body, nil
}

// remove deletes; what is not there is deleted already.
func (s *Store) remove(a *fhir.Access) reply {
	ref, refused := s.target(a)
	if refused != nil {
		return *refused
	}
	if s.get(ref) == nil {
		return reply{status: http.StatusNoContent}
	}
	v, _ := s.put(ref, nil, http.MethodDelete) // fails for bodies alone
	return reply{status: http.StatusNoContent, etag: v.etag(), modified: v.at}
}

func (s *Store) write(ref fhir.Ref, body []byte, method string) reply {
	status := http.StatusOK
	if s.get(ref) == nil {
		status = http.StatusCreated
	}
	v, err := s.put(ref, body, method)
	if err != nil {
		return refusal(http.StatusBadRequest, "structure", "The body is not a resource.")
	}
	return s.told(v, status)
}

// target is the resource that a write is about, with its conditions held; its
// ID is empty where the criteria match nothing.
func (s *Store) target(a *fhir.Access) (fhir.Ref, *reply) {
	ref := fhir.Ref{Type: a.Type, ID: a.ID}
	if a.Conditional {
		found, refused := s.named(a)
		if refused != nil {
			return ref, refused
		}
		if found == nil {
			if id, err := identify(a.Body); err == nil && a.Interaction == fhir.Update {
				ref.ID = id.ID
			}
			return ref, nil
		}
		ref = found.ref
	}
	v := s.get(ref)
	if a.IfMatch != "" && (v == nil || !matchesTag(a.IfMatch, v)) ||
		a.IfNoneMatch != "" && v != nil && matchesTag(a.IfNoneMatch, v) {
		r := refusal(http.StatusPreconditionFailed, "conflict", "The resource is in another version.")
		return ref, &r
	}
	return ref, nil
}

// named is the one resource that conditional criteria match, nil for none.
func (s *Store) named(a *fhir.Access) (*version, *reply) {
	found, refused := s.find(&fhir.Access{Interaction: fhir.SearchType, Type: a.Type, Criteria: a.Criteria})
	switch {
	case refused != nil:
		return nil, refused
	case len(found) == 0:
		return nil, nil
	case len(found) == 1:
		return found[0], nil
	}
	r := refusal(http.StatusPreconditionFailed, "multiple-matches", "The criteria match several resources.")
	return nil, &r
}
