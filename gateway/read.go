package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gatehouse/fhir"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/upstream"
)

// read answers read and vread: fetched, judged by content, and only then told
// from what does not exist.
func (x *exchange) read(ctx context.Context, m *matter, out output) error {
	err := x.readOne(ctx, m, out)
	if err != nil && m.access.Type == "Binary" && asFailure(err).withheld {
		x.even(ctx, m.access.ID)
	}
	return err
}

func (x *exchange) readOne(ctx context.Context, m *matter, out output) error {
	a := m.access
	court := x.court(m)
	want := fhir.Ref{Type: a.Type, ID: a.ID}
	if a.Interaction == fhir.VRead {
		if err := x.visibleNow(ctx, m, want); err != nil {
			return err
		}
	}
	it, answer, err := x.fetch(ctx, m, court, upstreamForm(a).Target(), want)
	if err != nil {
		return err
	}
	contentType := fhirJSON
	if a.Raw != nil {
		if contentType, it.Released, err = content(it.Released, a.Raw); err != nil {
			return err
		}
		x.attachment()
	}
	h := head{status: http.StatusOK, contentType: contentType, length: int64(len(it.Released)), notice: it.Verdict.Facts.Notice}
	h.etag, h.lastModified = validators(it, answer)
	if notModified(a, h) {
		h = head{status: http.StatusNotModified, etag: h.etag, lastModified: h.lastModified, length: -1}
		it.Released = nil
	}
	x.released(it)
	x.outcome(h.status, "ok")
	if err := x.commit(ctx); err != nil {
		return err
	}
	x.charge(1, len(it.Released), it.Verdict.Facts.Patients)
	_, err = out.begin(h).Write(it.Released)
	return clientGone(err)
}

// fetch forwards a read and judges what comes back.
func (x *exchange) fetch(ctx context.Context, m *matter, court *judge.Court, target string, want fhir.Ref) (*judge.Item, *upstream.Answer, error) {
	answer, err := x.forward(ctx, m, upstream.Request{Method: http.MethodGet, Target: target})
	if err != nil {
		return nil, nil, err
	}
	if answer.Status != http.StatusOK {
		discard(answer)
		return nil, nil, x.readStatus(answer)
	}
	it, err := court.One(ctx, answer.Body, want, int64(x.s.cfg.Limits.Resource))
	if err != nil {
		return nil, nil, x.judged(it, err)
	}
	if f := x.stepUp(it.Verdict.Decision.Obligations.StepUp); f != nil {
		x.withheld(it)
		return nil, nil, f
	}
	return it, answer, nil
}

// judged turns the judge's error into the answer.
func (x *exchange) judged(it *judge.Item, err error) error {
	if it != nil {
		x.withheld(it)
	}
	if errors.Is(err, judge.ErrWithheld) {
		return absent(nil)
	}
	return badUpstream(err)
}

// readStatus is the answer for an upstream status other than 200: deleted,
// absent and forbidden are one (DESIGN §10.10).
func (x *exchange) readStatus(a *upstream.Answer) error {
	switch a.Status {
	case http.StatusNotFound, http.StatusGone, http.StatusForbidden, http.StatusBadRequest:
		return absent(fmt.Errorf("upstream status %d", a.Status))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return upstreamBusy(a)
	}
	return badUpstream(fmt.Errorf("upstream status %d", a.Status))
}

func upstreamBusy(a *upstream.Answer) error {
	return &failure{status: http.StatusServiceUnavailable, code: "upstream.busy", retry: seconds(a.RetryAfter),
		text: "The FHIR server behind the gateway is busy. Try again.", log: fmt.Errorf("upstream status %d", a.Status)}
}

// visibleNow is the other half of judging an old version: what may not be seen
// today may not be seen in its older form either (FHIR-17), and what stands
// under the id of a resource tells whether it exists.
func (x *exchange) visibleNow(ctx context.Context, m *matter, want fhir.Ref) error {
	answer, err := x.own(ctx, want.String())
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		discard(answer)
		return x.readStatus(answer)
	}
	it, err := x.court(m).One(ctx, answer.Body, want, int64(x.s.cfg.Limits.Resource))
	if err != nil {
		return x.judged(it, err)
	}
	if f := x.stepUp(it.Verdict.Decision.Obligations.StepUp); f != nil {
		x.withheld(it)
		return f
	}
	return nil
}

// validators are the ETag and Last-Modified that this client may know
// (DESIGN §10.6).
func validators(it *judge.Item, a *upstream.Answer) (etag, lastModified string) {
	if !it.Viewed {
		return a.ETag, a.LastModified
	}
	if it.Tag == "" {
		return "", ""
	}
	return `W/"` + it.Tag + `"`, ""
}

// notModified evaluates conditional reads here, after judgement: the
// upstream's own 304 would tell that a version exists (H-08).
func notModified(a *fhir.Access, h head) bool {
	if a.IfNoneMatch != "" {
		return h.etag != "" && matchesTag(a.IfNoneMatch, h.etag)
	}
	if a.IfModifiedSince == "" || h.lastModified == "" {
		return false
	}
	since, err1 := http.ParseTime(a.IfModifiedSince)
	last, err2 := http.ParseTime(h.lastModified)
	return err1 == nil && err2 == nil && !last.Truncate(time.Second).After(since)
}

// matchesTag compares entity tags weakly, as If-None-Match does (RFC 9110 §13.1.2).
func matchesTag(list, tag string) bool {
	if strings.TrimSpace(list) == "*" {
		return true
	}
	tag = strings.TrimPrefix(tag, "W/")
	for one := range strings.SplitSeq(list, ",") {
		if strings.TrimPrefix(strings.TrimSpace(one), "W/") == tag {
			return true
		}
	}
	return false
}

// clientGone is the error of a client that stopped reading: the answer was
// released and recorded, so it is not the gateway's failure.
func clientGone(err error) error {
	if errors.Is(err, errEntryTooLong) {
		return &failure{status: http.StatusRequestEntityTooLarge, code: "batch.too-long",
			text: "The answer to this entry is too long for a batch. Ask for it by itself."}
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}
