package demo

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"

	"gatehouse/fhir"
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
	return reply{status: http.StatusOK, body: appendJSON(make([]byte, 0, roughly(r.all[offset:end])), bundle)}
}

// roughly is how long a Bundle of these becomes: growing it by doubling costs
// more than all the rest of a page.
func roughly(shown []*version) int {
	n := 1 << 10
	for _, v := range shown {
		n += len(v.body) + 256
	}
	return n
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
