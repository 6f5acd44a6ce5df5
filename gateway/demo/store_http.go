package demo

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/fhir"
)

const (
	fhirJSON = "application/fhir+json"
	maxBody  = 64 << 20
)

// reply is the answer to one interaction, alone or as an entry of a batch.
type reply struct {
	status   int
	body     []byte // a resource
	etag     string
	location string
	modified time.Time
}

// ServeHTTP serves FHIR below the path of the base.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), s.path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	if handle := r.URL.Query().Get("_getpages"); handle != "" {
		s.answer(w, r, s.nextPage(handle, r.URL.Query()))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.answer(w, r, refusal(http.StatusRequestEntityTooLarge, "too-long", "The body cannot be read."))
		return
	}
	a, refused := s.parse(r, strings.TrimSuffix(path, "/"), body)
	if refused != nil {
		s.answer(w, r, refusal(refused.Status, "invalid", refused.Text))
		return
	}
	s.answer(w, r, s.locked(a))
}

// parse reads a request. That a PUT is of what must not exist yet the gateway
// says and its clients cannot, so the grammar does not know it.
func (s *Store) parse(r *http.Request, path string, body []byte) (*fhir.Access, *fhir.Error) {
	header, onlyNew := r.Header, r.Method == http.MethodPut && r.Header.Get("If-None-Match") == "*"
	if onlyNew {
		header = header.Clone()
		header.Del("If-None-Match")
	}
	a, refused := fhir.Parse(fhir.Request{Method: r.Method, Path: path, Query: r.URL.RawQuery,
		Header: header, Body: body, ContentType: r.Header.Get("Content-Type")}, s.options)
	if refused == nil && onlyNew {
		a.IfNoneMatch = "*"
	}
	return a, refused
}

func (s *Store) locked(a *fhir.Access) reply {
	switch a.Interaction {
	case fhir.Create, fhir.Update, fhir.Patch, fhir.Delete, fhir.Batch, fhir.Transaction:
		s.mu.Lock()
		defer s.mu.Unlock()
	default:
		s.mu.RLock()
		defer s.mu.RUnlock()
	}
	return s.serve(a)
}

// serve does one interaction; the lock is held.
func (s *Store) serve(a *fhir.Access) reply {
	switch a.Interaction {
	case fhir.Capabilities:
		return reply{status: http.StatusOK, body: s.capabilities()}
	case fhir.Read, fhir.VRead:
		return s.read(a)
	case fhir.HistoryInstance, fhir.HistoryType, fhir.HistorySystem:
		return s.history(a)
	case fhir.SearchType, fhir.SearchSystem, fhir.SearchCompartment:
		return s.search(a)
	case fhir.Create:
		return s.create(a)
	case fhir.Update:
		return s.update(a)
	case fhir.Patch:
		return s.patch(a)
	case fhir.Delete:
		return s.remove(a)
	case fhir.Batch:
		return s.batch(a)
	case fhir.Transaction:
		return s.transaction(a)
	case fhir.Operation:
		if a.Operation == "$everything" && a.Type == "Patient" && a.ID != "" {
			return s.everything(a)
		}
	}
	return refusal(http.StatusNotImplemented, "not-supported", "This server does not do that.")
}

func (s *Store) read(a *fhir.Access) reply {
	r := s.records[fhir.Ref{Type: a.Type, ID: a.ID}]
	if r == nil {
		return unknown()
	}
	v := r.current()
	if a.Interaction == fhir.VRead {
		n, err := strconv.Atoi(a.VersionID)
		if err != nil || n < 1 || n > len(r.versions) {
			return unknown()
		}
		v = r.versions[n-1]
	}
	if v.body == nil {
		return refusal(http.StatusGone, "deleted", "The resource was deleted.")
	}
	out := s.told(v, http.StatusOK)
	if notModified(a, v) {
		return reply{status: http.StatusNotModified, etag: out.etag, modified: out.modified}
	}
	out.location = ""
	return out
}

func notModified(a *fhir.Access, v *version) bool {
	if a.IfNoneMatch != "" {
		return matchesTag(a.IfNoneMatch, v)
	}
	since, err := http.ParseTime(a.IfModifiedSince)
	return err == nil && !v.at.Truncate(time.Second).After(since)
}

// matchesTag compares weakly, as FHIR's weak version tags ask for.
func matchesTag(header string, v *version) bool {
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || strings.Trim(strings.TrimPrefix(tag, "W/"), `"`) == strconv.Itoa(v.number) {
			return true
		}
	}
	return false
}

// told is a version as an answer.
func (s *Store) told(v *version, status int) reply {
	return reply{status: status, body: v.body, etag: v.etag(), modified: v.at,
		location: s.base + "/" + v.ref.String() + "/_history/" + strconv.Itoa(v.number)}
}

func (s *Store) answer(w http.ResponseWriter, r *http.Request, p reply) {
	h := w.Header()
	if p.etag != "" {
		h.Set("ETag", p.etag)
		h.Set("Last-Modified", p.modified.UTC().Format(http.TimeFormat))
	}
	if p.location != "" {
		h.Set("Location", p.location)
		h.Set("Content-Location", p.location)
	}
	if p.status >= 200 && p.status < 300 && strings.Contains(r.Header.Get("Prefer"), "return=minimal") && r.Method != http.MethodGet && p.location != "" {
		p.body = nil
	}
	if p.body != nil {
		h.Set("Content-Type", fhirJSON+";charset=UTF-8")
		h.Set("Content-Length", strconv.Itoa(len(p.body)))
	}
	w.WriteHeader(p.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(p.body) // a client that left needs no answer
	}
}

func unknown() reply { return refusal(http.StatusNotFound, "not-found", "There is no such resource.") }

func refusal(status int, code, text string) reply {
	issue := object{"severity", "error", "code", code, "diagnostics", text}
	return reply{status: status, body: encode(object{"resourceType", "OperationOutcome", "issue", list{issue}})}
}
