package gateway

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
)

// fhirJSON is the one media type that Gatehouse writes resources in.
const fhirJSON = "application/fhir+json"

// head is what stands before the body of an answer.
type head struct {
	status       int
	etag         string
	lastModified string
	location     string
	contentType  string // "" with no body
	notice       string // that goes with what the body holds
	length       int64  // -1 where it is not known yet
}

// output takes the answer to one access: the HTTP response, or the response of
// a batch entry.
type output interface {
	begin(h head) io.Writer
}

// response is the HTTP response.
type response struct {
	x      *exchange
	w      http.ResponseWriter
	status int
	began  bool
}

// Values that every answer has in common, under their canonical names.
var (
	noStore      = []string{"no-store"} // no cache may carry an answer to another caller (BEAR-06)
	noSniff      = []string{"nosniff"}
	intermediary = []string{"Gatehouse"} // FHIR-21: answers may differ from the record
)

// hstsYear has browsers ask by TLS alone for a year (RFC 6797).
const hstsYear = "max-age=31536000"

// always sets what every answer carries, refusals included.
func (o *response) always() {
	h := o.w.Header()
	h["X-Request-Id"] = []string{o.x.id}
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["X-Intermediary"] = intermediary
	if id := o.x.r.Header.Get("X-Request-Id"); id != "" && plainID(id) {
		h.Set("X-Correlation-Id", id)
	}
	o.x.s.cors.answer(h, o.x.r)
	if o.x.s.hsts {
		h.Set("Strict-Transport-Security", hstsYear)
	}
}

// plainID allows what may be echoed: the alphabet of FHIR ids.
func plainID(s string) bool {
	if len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c != '-' && c != '.' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

func (o *response) begin(h head) io.Writer {
	hd := o.w.Header()
	length := ""
	if h.length >= 0 && h.status != http.StatusNoContent && h.status != http.StatusNotModified {
		length = strconv.FormatInt(h.length, 10)
	}
	values := [...]string{h.etag, h.lastModified, h.location, h.contentType, length, h.notice} // one allocation for all
	for i, name := range [...]string{"Etag", "Last-Modified", "Location", "Content-Type", "Content-Length", "X-Record-Notice"} {
		if values[i] != "" {
			hd[name] = values[i : i+1 : i+1]
		}
	}
	o.status, o.began = h.status, true
	o.w.WriteHeader(h.status)
	return o.w
}

func (o *response) fail(f *failure) {
	f.header(o.w.Header())
	body := f.outcome(o.x.id)
	w := o.begin(head{status: f.status, contentType: fhirJSON, length: int64(len(body))})
	_, _ = w.Write(body) // the client may be gone; there is nobody left to tell
}

// entryOutput collects the response of one batch entry.
type entryOutput struct {
	head head
	body bytes.Buffer
}

func (o *entryOutput) begin(h head) io.Writer {
	o.head = h
	return o
}

func (o *entryOutput) Write(p []byte) (int, error) {
	if o.body.Len()+len(p) > maxEntry {
		return 0, errEntryTooLong
	}
	return o.body.Write(p)
}
