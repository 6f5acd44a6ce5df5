package demo

import (
	"net/http"
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// history lists versions, the newest first.
func (s *Store) history(a *fhir.Access) reply {
	if a.Results.At != "" {
		return refusal(http.StatusBadRequest, "not-supported", "_at is not supported.")
	}
	since, ok := moment(a.Results.Since)
	if !ok {
		return refusal(http.StatusBadRequest, "invalid", "_since is an instant.")
	}
	log := s.log
	if a.ID != "" {
		r := s.records[fhir.Ref{Type: a.Type, ID: a.ID}]
		if r == nil {
			return unknown()
		}
		log = r.versions
	}
	var all []*version
	for i := len(log) - 1; i >= 0; i-- {
		if v := log[i]; (a.Type == "" || v.ref.Type == a.Type) && !v.at.Before(since) {
			all = append(all, v)
		}
	}
	return s.page(&result{kind: "history", self: a.Target(), all: all, results: a.Results}, 0, pageSize(a))
}

func moment(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, true
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// everything is a patient with its compartment, and what those refer to that
// belongs to nobody: practitioners, organizations, places, medications.
func (s *Store) everything(a *fhir.Access) reply {
	patient := fhir.Ref{Type: a.Type, ID: a.ID}
	if s.get(patient) == nil {
		return unknown()
	}
	for _, p := range a.Criteria {
		if p.Name != "_type" {
			return refusal(http.StatusBadRequest, "not-supported", "$everything takes _type, _since and _count here.")
		}
	}
	since, ok := moment(a.Results.Since)
	if !ok {
		return refusal(http.StatusBadRequest, "invalid", "_since is an instant.")
	}
	all := []*version{s.get(patient)}
	for _, typ := range a.Types() {
		if _, in := fhir.R4.Compartment("Patient", typ); !in || typ == "Patient" {
			continue
		}
		f, err := s.within(typ, patient)
		if err != nil {
			return refusal(http.StatusInternalServerError, "exception", err.Error())
		}
		all = append(all, s.scan(inOrder(typ, s.links[patient]), func(t *wire.Tree, v *version) bool { return !v.at.Before(since) && f(t, v) })...)
	}
	around := s.included(all, fhir.Results{Include: []fhir.Include{{Source: "*", Param: "*"}}})
	for _, v := range around {
		if _, personal := fhir.R4.Compartment("Patient", v.ref.Type); !personal {
			all = append(all, v)
		}
	}
	return s.page(&result{kind: "searchset", self: a.Target(), all: all, results: a.Results}, 0, max(pageSize(a), 50))
}

func (s *Store) historyEntry(v *version) object {
	status := "200 OK"
	path := v.ref.String()
	switch {
	case v.method == http.MethodPost:
		path = v.ref.Type
		status = "201 Created"
	case v.number == 1:
		status = "201 Created"
	case v.body == nil:
		status = "204 No Content"
	}
	var resource any
	if v.body != nil {
		resource = v.body
	}
	return object{"fullUrl", s.base + "/" + v.ref.String(), "resource", resource,
		"request", object{"method", v.method, "url", path},
		"response", object{"status", status, "etag", v.etag(), "lastModified", v.at.Format(instant)}}
}
