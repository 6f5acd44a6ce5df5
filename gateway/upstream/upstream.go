// Package upstream speaks to the FHIR server behind the gateway: own
// connections, own credentials, own headers, and the mapping between its URLs
// and the gateway's.
//
// Nothing of a client's HTTP message is copied. What goes out is built from a
// Request, what comes back is reduced to an Answer, and an answer that was not
// asked for (a redirect, a part, an encoding, another media type) is an error.
package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/policy"
)

// Upstream is one FHIR server. It is safe for concurrent use.
type Upstream struct {
	base     *url.URL // without a trailing slash
	public   string   // the same of the gateway
	ours     []base   // every name by which links of the server are its own
	shortest int      // bytes that one of these takes in a URL, at least
	auth     credential
	carrier  *http.Transport
	direct   *direct // nil: carrier carries all
	limits   timeouts
	care
}

// Request is one FHIR request, printed from its parse.
type Request struct {
	Method                                        string // GET, POST, PUT, PATCH or DELETE
	Target                                        string // below the base, escaped: "", "Patient/1", "Patient?name=x"
	Body                                          []byte
	ContentType, IfMatch, IfNoneMatch, Prefer, ID string // ID is the gateway's own request id
	Slow                                          bool   // operations that work long before they answer: ten times the timeout
	Accept                                        Accept // what the answer may be
}

// Accept is the form that an answer must have.
type Accept uint8

// The forms. The zero Accept is a FHIR resource.
const (
	Resource Accept = iota // application/fhir+json
	Manifest               // application/json: the state of an export
	NDJSON                 // application/fhir+ndjson: a file of an export, a resource in each line
)

func (a Accept) header() []string {
	switch a {
	case Manifest:
		return acceptJSON
	case NDJSON:
		return acceptNDJSON
	}
	return acceptFHIR
}

// Head is what an answer says of itself. What a header holds that is not of
// its grammar is left out.
type Head struct {
	Status                    int
	ETag, LastModified        string // as sent
	Location, ContentLocation string // as sent: URLs of the upstream, see Public
	ContentType               string // application/fhir+json or application/fhir+ndjson, "" where there is no body
	RetryAfter                string // seconds
	Progress                  string // X-Progress of an export, as sent
	Length                    int64  // of the body; -1: not said
}

// Answer is an answer to a client's request, to be judged.
type Answer struct {
	Head
	Body policy.Unjudged
}

// OwnAnswer is an answer to the gateway itself. What it holds must never reach
// a client unjudged.
type OwnAnswer struct {
	Head
	Body io.ReadCloser // never nil
}

// New prepares an upstream; it opens no connection. publicBase is the FHIR base
// as clients see it.
func New(c config.Upstream, publicBase *url.URL, log *zap.Logger) (*Upstream, error) {
	if c.Parsed == nil || publicBase == nil {
		return nil, errors.New("new upstream: its URL or the public one is missing")
	}
	carrier, err := newTransport(c, log)
	if err != nil {
		return nil, fmt.Errorf("new upstream: %w", err)
	}
	auth, err := newCredential(c.Auth, tokenClient(carrier), log, time.Now)
	if err != nil {
		return nil, fmt.Errorf("new upstream: %w", err)
	}
	direct := newDirect(c.Parsed, c.MaxConnections/2)
	if direct != nil {
		carrier.MaxConnsPerHost -= c.MaxConnections / 2
	}
	u := &Upstream{direct: direct, base: c.Parsed, public: strings.TrimSuffix(publicBase.String(), "/"), auth: auth, carrier: carrier, limits: newTimeouts(c), care: newCare(c, log)}
	for _, known := range append([]*url.URL{c.Parsed}, c.ParsedAliases...) {
		one := newBase(known)
		u.ours = append(u.ours, one)
		if u.shortest == 0 || one.shortest() < u.shortest {
			u.shortest = one.shortest()
		}
	}
	return u, nil
}

// Close closes the idle connections; a replaced snapshot calls it.
func (u *Upstream) Close() {
	u.direct.close()
	u.carrier.CloseIdleConnections()
}

// Forward sends a client's request that policy gave leave for. Errors are of
// type *Error.
func (u *Upstream) Forward(ctx context.Context, p policy.Permit, r Request) (*Answer, error) {
	if err := p.Allows(r.Target); err != nil {
		return nil, &Error{Kind: Refused, Err: err}
	}
	room, err := u.enter(ctx)
	if err != nil {
		return nil, err
	}
	head, body, err := u.send(ctx, r)
	if err != nil || body == http.NoBody {
		room.leave()
	}
	if err != nil {
		return nil, err
	}
	room.ReadCloser = body
	return &Answer{head, policy.Hold(room)}, nil
}

// The purposes of the gateway's own requests.
const (
	Metadata    = "metadata"
	BeforeImage = "before-image"
	Consent     = "consent"
	Relation    = "relation"
	Referrer    = "referrer" // of a Binary
	Hop         = "hop"      // of a chained search
	Probe       = "probe"    // of what it heeds
	Known       = "known"    // names of a patient, to be taken out of texts
	Kin         = "kin"      // surnames and homes of caller and patient, for watch
)

var purposes = []string{Metadata, BeforeImage, Consent, Relation, Referrer, Hop, Probe, Known, Kin}

// Own sends a request of the gateway itself, for one of the purposes: it can
// read and search, never write. Errors are of type *Error.
func (u *Upstream) Own(ctx context.Context, purpose string, r Request) (*OwnAnswer, error) {
	path, _, _ := strings.Cut(r.Target, "?")
	reads := r.Method == http.MethodGet || r.Method == http.MethodPost && strings.HasSuffix("/"+path, "/_search")
	if !reads || !slices.Contains(purposes, purpose) {
		return nil, &Error{Kind: Refused, Err: fmt.Errorf("own request for %q is none that the gateway makes", purpose)}
	}
	head, body, err := u.send(ctx, r)
	if err != nil {
		return nil, err
	}
	return &OwnAnswer{head, body}, nil
}

// WriteConsent creates a Consent (POST Consent) or replaces one (PUT
// Consent/id): all that the gateway writes of itself. Errors are of type *Error.
func (u *Upstream) WriteConsent(ctx context.Context, r Request) (*OwnAnswer, error) {
	id, one := strings.CutPrefix(r.Target, "Consent/")
	creates := r.Method == http.MethodPost && r.Target == "Consent"
	if replaces := r.Method == http.MethodPut && one && fhir.ValidID(id); !creates && !replaces {
		return nil, &Error{Kind: Refused, Err: errors.New("own write is not one of a Consent")}
	}
	head, body, err := u.send(ctx, r)
	if err != nil {
		return nil, err
	}
	return &OwnAnswer{head, body}, nil
}

// try is the only place where a request leaves.
func (u *Upstream) try(ctx context.Context, r Request) (Head, io.ReadCloser, error) {
	where, err := u.locate(r.Target)
	if err != nil {
		return Head{}, nil, &Error{Kind: Refused, Err: err}
	}
	header, err := headers(r)
	if err != nil {
		return Head{}, nil, &Error{Kind: Refused, Err: err}
	}
	if err := u.auth.apply(ctx, header); err != nil {
		return Head{}, nil, &Error{Kind: Credentials, Err: err}
	}
	response, err := u.carry(ctx, r, where, header)
	if err != nil {
		return Head{}, nil, err
	}
	head, err := readHead(response, r.Accept)
	if err != nil {
		response.Body.Close()
		return Head{}, nil, &Error{Kind: Protocol, Sent: true, Err: err}
	}
	if head.ContentType == "" { // nothing in it that anybody may read
		response.Body.Close()
		return head, http.NoBody, nil
	}
	return head, response.Body, nil
}

// carry sends a request; the answer's body ends it when its time is over.
// Errors are of type *Error.
func (u *Upstream) carry(ctx context.Context, r Request, where *url.URL, header http.Header) (*http.Response, error) {
	limit := u.limits.of(r)
	if u.direct.takes(r) {
		response, err := u.direct.roundTrip(ctx, where, header, limit)
		if err == nil {
			return response, nil
		}
		if err != errNoRoom {
			return nil, failure(ctx, err)
		}
	}
	watch := newWatch(ctx, limit)
	response, err := u.carrier.RoundTrip(message(watch.ctx, r, where, header))
	if err != nil {
		failed := failure(watch.ctx, err) // before stop, which cancels too
		watch.stop()
		return nil, failed
	}
	response.Body = &body{ReadCloser: response.Body, watch: watch, limit: limit}
	return response, nil
}

var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// Values that every request has in common; the transport does not change them.
var (
	acceptFHIR     = []string{"application/fhir+json"}
	acceptJSON     = []string{"application/json"}
	acceptNDJSON   = []string{"application/fhir+ndjson"}
	acceptIdentity = []string{"identity"}
	userAgent      = []string{"gatehouse"}
	preferStrict   = []string{"handling=strict"}
)

// headers are the only ones that reach the upstream, credentials aside.
func headers(r Request) (http.Header, error) {
	if !slices.Contains(methods, r.Method) {
		return nil, errors.New("method is not one of FHIR's")
	}
	h := make(http.Header, 8)
	h["Accept"], h["Accept-Encoding"], h["User-Agent"] = r.Accept.header(), acceptIdentity, userAgent
	// An upstream that ignores a parameter it does not know would ignore a
	// narrowing of ours too (P-12).
	h["Prefer"] = preferStrict
	if r.Prefer != "" {
		h["Prefer"] = []string{"handling=strict, " + r.Prefer}
	}
	for _, field := range [...]struct{ name, value string }{
		{"Content-Type", r.ContentType}, {"If-Match", r.IfMatch}, {"If-None-Match", r.IfNoneMatch},
		{"Prefer", r.Prefer}, {"X-Request-Id", r.ID},
	} {
		if field.value == "" {
			continue
		}
		if !printable(field.value) {
			return nil, fmt.Errorf("value of %s is not printable", field.name)
		}
		if field.name != "Prefer" {
			h[field.name] = []string{field.value}
		}
	}
	return h, nil
}

func message(ctx context.Context, r Request, where *url.URL, header http.Header) *http.Request {
	m := &http.Request{Method: r.Method, URL: where, Host: where.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if r.Body != nil {
		m.ContentLength = int64(len(r.Body))
		// The transport sends a request again only where no byte of it left.
		m.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
		m.Body, _ = m.GetBody()
	}
	return m.WithContext(ctx)
}
