package demo

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// result is what a search found, kept so that its pages can be asked for.
type result struct {
	kind    string // of the Bundle
	self    string // the request, below the base
	handle  string // "" until a second page is there
	all     []*version
	results fhir.Results
}

// page answers with the entries from offset on. Links to others are absolute
// and go by a handle, as HAPI's do.
func (s *Store) page(r *result, offset, count int) reply {
	end := min(offset+count, len(r.all))
	if r.results.Summary == "count" {
		count, end = 0, offset
	}
	if r.handle == "" && count > 0 && end < len(r.all) {
		r.handle = rand.Text()
		s.pages.Add(r.handle, r)
	}
	links := list{object{"relation", "self", "url", s.base + "/" + r.self}}
	if offset > 0 {
		links[0] = object{"relation", "self", "url", s.pageURL(r, offset, count)}
	}
	if count > 0 && end < len(r.all) {
		links = append(links, object{"relation", "next", "url", s.pageURL(r, end, count)})
	}
	if offset > 0 {
		links = append(links, object{"relation", "previous", "url", s.pageURL(r, max(0, offset-count), count)})
	}
	bundle := object{"resourceType", "Bundle", "id", rand.Text(), "type", r.kind, "total", nil, "link", links, "entry", nil}
	if r.results.Total != "none" {
		bundle[7] = len(r.all)
	}
	if entries := s.entries(r, r.all[offset:end]); len(entries) > 0 {
		bundle[11] = entries
	}
	return reply{status: http.StatusOK, body: encode(bundle)}
}

func (s *Store) pageURL(r *result, offset, count int) string {
	return s.base + "?_getpages=" + r.handle + "&_getpagesoffset=" + strconv.Itoa(offset) + "&_count=" + strconv.Itoa(count) + "&_bundletype=" + r.kind
}

// nextPage answers a link that page made.
func (s *Store) nextPage(handle string, q url.Values) reply {
	r, ok := s.pages.Get(handle)
	offset, err1 := strconv.Atoi(q.Get("_getpagesoffset"))
	count, err2 := strconv.Atoi(q.Get("_count"))
	if !ok || err1 != nil || err2 != nil || offset < 0 || offset > len(r.all) || count < 1 {
		return refusal(http.StatusGone, "not-found", "This page is no longer kept. Search again.")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.page(r, offset, count)
}

func (s *Store) entries(r *result, shown []*version) (out list) {
	if r.kind == "history" {
		for _, v := range shown {
			out = append(out, s.historyEntry(v))
		}
		return out
	}
	for _, v := range shown {
		out = append(out, s.entry(v, "match"))
	}
	for _, v := range s.included(shown, r.results) {
		out = append(out, s.entry(v, "include"))
	}
	return out
}

func (s *Store) entry(v *version, mode string) object {
	return object{"fullUrl", s.base + "/" + v.ref.String(), "resource", v.body, "search", object{"mode", mode}}
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

// included adds what includes name, round by round where they iterate.
func (s *Store) included(matches []*version, r fhir.Results) (added []*version) {
	seen := map[fhir.Ref]bool{}
	for _, v := range matches {
		seen[v.ref] = true
	}
	round := matches
	for depth := 0; len(round) > 0 && depth < 8; depth++ {
		var next []*version
		for _, v := range s.includeOnce(round, r, depth > 0) {
			if !seen[v.ref] {
				seen[v.ref] = true
				next = append(next, v)
			}
		}
		added = append(added, next...)
		round = next
	}
	return added
}

func (s *Store) includeOnce(from []*version, r fhir.Results, again bool) (found []*version) {
	for _, inc := range r.Include {
		if again && !inc.Iterate {
			continue
		}
		for _, v := range from {
			if inc.Source == v.ref.Type || inc.Source == "*" {
				found = append(found, s.pointedTo(v, inc)...)
			}
		}
	}
	at := map[fhir.Ref]bool{}
	for _, v := range from {
		at[v.ref] = true
	}
	for _, inc := range r.RevInclude {
		if !again || inc.Iterate {
			found = append(found, s.pointingAt(at, inc)...)
		}
	}
	return found
}

func (s *Store) pointedTo(v *version, inc fhir.Include) (found []*version) {
	var t wire.Tree
	if t.Parse(v.body) != nil {
		return nil
	}
	for _, ref := range s.references(&t, v.ref.Type, inc.Param) {
		if target := s.get(ref); target != nil && (inc.Target == "" || inc.Target == ref.Type) {
			found = append(found, target)
		}
	}
	return found
}

func (s *Store) pointingAt(targets map[fhir.Ref]bool, inc fhir.Include) []*version {
	return s.scan(inc.Source, func(t *wire.Tree, _ *version) bool {
		for _, ref := range s.references(t, inc.Source, inc.Param) {
			if targets[ref] && (inc.Target == "" || inc.Target == ref.Type) {
				return true
			}
		}
		return false
	})
}

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
		all = append(all, s.scan(typ, func(t *wire.Tree, v *version) bool { return !v.at.Before(since) && f(t, v) })...)
	}
	around := s.included(all, fhir.Results{Include: []fhir.Include{{Source: "*", Param: "*"}}})
	for _, v := range around {
		if _, personal := fhir.R4.Compartment("Patient", v.ref.Type); !personal {
			all = append(all, v)
		}
	}
	return s.page(&result{kind: "searchset", self: a.Target(), all: all, results: a.Results}, 0, max(pageSize(a), 50))
}
