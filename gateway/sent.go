package gateway

import (
	"context"
	"fmt"
	"net/http"

	"gatehouse/fhir"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/upstream"
)

// This file sends a write that was judged, and answers it.

// send records the intent, forwards the write and answers.
func (x *exchange) send(ctx context.Context, s *step, out output) error {
	x.changed(s.subject())
	if err := x.intent(ctx); err != nil {
		return err
	}
	r := upstream.Request{Method: s.method, Target: s.url, IfMatch: s.pin, IfNoneMatch: s.pinNone(), Prefer: "return=minimal"}
	if s.body != nil {
		r.Body, r.ContentType = s.body, fhirJSON
	}
	x.sent = true
	defer x.forgetConsents(s)
	answer, err := x.forward(ctx, s.m, r)
	if err != nil {
		return err
	}
	defer discard(answer)
	if err := x.writeStatus(answer); err != nil {
		return err
	}
	h := head{status: x.statusOf(s, answer.Status)}
	if s.method != http.MethodDelete {
		h.etag, h.lastModified = answer.ETag, answer.LastModified
		h.location = x.location(s, first(answer.Location, answer.ContentLocation))
	}
	return x.wrote(ctx, s, out, h)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// pinNone is the If-None-Match of a PUT that creates: who creates the resource
// first must not be overwritten, for nobody has judged that.
func (s *step) pinNone() string {
	if s.method == http.MethodPut && s.before == nil {
		return "*"
	}
	return ""
}

// statusOf is what the client is told of a write that was made.
func (x *exchange) statusOf(s *step, upstream int) int {
	if s.pinNone() != "" && upstream == http.StatusOK {
		x.alarm("upstream.overwrote") // something was created in between, and the server ignores the pin
	}
	switch {
	case s.method == http.MethodDelete:
		return http.StatusNoContent
	case s.method == http.MethodPost, s.before == nil, upstream == http.StatusCreated:
		return http.StatusCreated
	}
	return http.StatusOK
}

// location is the client's form of where the upstream says that the resource
// is. Another place than that of what was written is not passed on. It gives a
// created resource its id, for the record to name.
func (x *exchange) location(s *step, where string) string {
	if where == "" {
		return ""
	}
	if public, ok := x.s.up.Public(where); ok {
		where = public
	}
	ref, version, ok := x.s.bases.ParseRef(where)
	if !ok || ref.Type != s.m.access.Type || s.method != http.MethodPost && ref.ID != s.m.access.ID {
		x.alarm("upstream.foreign-location")
		return ""
	}
	if ref.Type == "Binary" && s.before == nil {
		x.g.binaries.Add(ref.ID, made{x.maker(), x.start})
	}
	if s.method == http.MethodPost {
		f := &s.after.Verdict.Facts
		if f.ID = ref.ID; f.Type == "Patient" {
			f.Patients = append([]string{ref.String()}, f.Patients...)
		}
	}
	return x.s.publicURL + "/" + versioned(ref, version)
}

const madeOutcome = `{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","details":{"text":"The change was made."}}]}`

// wrote answers a write: with the resource where the client asks for it and
// may read it, else without a body (SMART-25).
func (x *exchange) wrote(ctx context.Context, s *step, out output, h head) error {
	var body []byte
	var unjudged error
	if h.status != http.StatusNoContent {
		body, h.notice, unjudged = x.shown(ctx, s, h.location)
	}
	if body != nil {
		h.contentType = fhirJSON
	}
	x.asSeen(s, &h)
	h.length = int64(len(body))
	if s.existed != nil {
		x.released(s.existed)
	} else {
		x.changed(s.subject())
	}
	if unjudged != nil {
		return unjudged
	}
	x.outcome(h.status, "ok")
	if err := x.commit(ctx); err != nil {
		return afterWrite(err)
	}
	_, err := out.begin(h).Write(body)
	return clientGone(err)
}

// shown is the body of an answer to a write, as the client prefers it.
func (x *exchange) shown(ctx context.Context, s *step, location string) (body []byte, notice string, err error) {
	switch s.m.access.ReturnPref {
	case "representation":
		return x.readBack(ctx, s, location)
	case "OperationOutcome":
		return []byte(madeOutcome), "", nil
	}
	return nil, "", nil
}

// afterWrite is the answer when the write is done and its record is not: the
// client must not take it for undone (DESIGN §10.3).
func afterWrite(err error) error {
	return &failure{status: http.StatusInternalServerError, code: "audit.unavailable", log: err, made: true,
		text: "The change was made, and its outcome could not be recorded. Report the request id."}
}

// readBack reads what was written as its caller may see it; nil where it may
// not. An error means that the change was made and its result cannot be judged
// (C-06).
func (x *exchange) readBack(ctx context.Context, s *step, location string) (body []byte, notice string, err error) {
	ref := s.ref
	if location != "" {
		ref, _, _ = x.s.bases.ParseRef(location)
	}
	if ref.ID == "" {
		return nil, "", nil
	}
	id := ref.ID
	if s.m.view != nil { // the firewall opens it again
		if id, err = s.m.view.Pseudonym(s.m.domain, ref.Type, ref.ID); err != nil {
			return nil, "", madeUnjudged(internal(err))
		}
	}
	m, err := x.inner(ctx, &fhir.Access{Interaction: fhir.Read, Type: ref.Type, ID: id})
	if err != nil {
		return nil, "", madeUnjudged(err)
	}
	it, _, err := x.fetch(ctx, m, x.court(m), ref.String(), ref)
	if err != nil {
		return nil, "", madeUnjudged(err)
	}
	x.released(it)
	x.charge(1, len(it.Released), it.Verdict.Facts.Patients)
	return it.Released, it.Verdict.Facts.Notice, nil
}

// madeUnjudged is the answer when what may be told of a change cannot be
// decided; nil where it is decided that nothing may.
func madeUnjudged(err error) error {
	f := asFailure(err)
	if f.status < http.StatusInternalServerError {
		return nil
	}
	return &failure{status: http.StatusInternalServerError, code: "write.unjudged", log: err, made: true,
		text: "The change was made, and what it left cannot be shown. Report the request id."}
}

func (x *exchange) locate(it *judge.Item) string {
	return x.s.publicURL + "/" + it.Verdict.Facts.Type + "/" + it.Verdict.Facts.ID
}

// writeStatus turns the upstream's refusal of a write into the answer. Its own
// words stay behind: they may quote the record (E-01).
func (x *exchange) writeStatus(a *upstream.Answer) error {
	log := fmt.Errorf("upstream status %d", a.Status)
	switch a.Status {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent, http.StatusAccepted:
		return nil
	case http.StatusConflict:
		return conflict(log)
	case http.StatusPreconditionFailed:
		return versionConflict()
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return &failure{status: http.StatusUnprocessableEntity, code: "resource.refused", log: log,
			text: "The FHIR server behind the gateway does not accept this resource. Check it against R4 and the server's profiles."}
	case http.StatusNotFound, http.StatusGone, http.StatusMethodNotAllowed:
		return absent(log)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return upstreamBusy(a)
	}
	if a.Status >= http.StatusInternalServerError {
		return unknownWrite(log)
	}
	return badUpstream(log)
}

func conflict(log error) *failure {
	return &failure{status: http.StatusConflict, code: "write.conflict", log: log,
		text: "The change conflicts with the record as it is, for instance because other resources refer to it."}
}

// unknownWrite is the answer when nobody can tell whether the change was made.
func unknownWrite(log error) *failure {
	return &failure{status: http.StatusInternalServerError, code: "upstream.unknown", log: log, made: true,
		text: "The change was sent and its answer cannot be read: it may have been made. Read before you repeat it, and report the request id."}
}

// forgetConsents sees to it that a Consent that was written, or may have been,
// counts from now on.
func (x *exchange) forgetConsents(s *step) {
	if x.s.consent == nil || s.m.access.Type != "Consent" {
		return
	}
	for _, it := range []*judge.Item{s.before, s.after} {
		if it != nil {
			for _, p := range it.Verdict.Facts.Patients {
				x.s.consent.Forget(p)
			}
		}
	}
}
