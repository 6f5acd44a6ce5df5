package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/upstream"
)

// transaction judges every entry on the whole graph, and sends all or nothing:
// one denied entry refuses the transaction, without saying which (W-19).
func (x *exchange) transaction(ctx context.Context, a *fhir.Access, out output) error {
	steps, err := x.judgeGraph(ctx, a)
	x.describe(a)
	if err != nil {
		return wholeDenied(err)
	}
	for _, s := range steps {
		if s.sends() {
			x.changed(s.subject())
		}
	}
	if err := x.intent(ctx); err != nil {
		return err
	}
	heads, err := x.sendGraph(ctx, steps)
	if err != nil {
		return err
	}
	return x.answerGraph(ctx, a, steps, heads, out)
}

// judgeGraph judges every entry, also after one was denied: an answer about
// another entry must not tell whether the denied one's resource exists (W-09).
func (x *exchange) judgeGraph(ctx context.Context, a *fhir.Access) (graph, error) {
	steps, err := x.plan(ctx, a)
	if err != nil {
		return nil, err
	}
	var refused error
	for _, s := range steps {
		err := x.judgeStep(ctx, s, steps)
		if err != nil && !denies(asFailure(err)) {
			return nil, err
		}
		if refused == nil {
			refused = err
		}
	}
	for _, s := range steps {
		if refused == nil {
			refused = x.judgeAttached(ctx, s, steps) // what the others create is known by now
		}
	}
	if refused != nil {
		return nil, refused
	}
	return steps, nil
}

// denies tells whether an answer says no more than that something may not be
// done, or is not there.
func denies(f *failure) bool {
	return f.status == http.StatusNotFound || f.status == http.StatusForbidden && f.challenges == nil
}

// wholeDenied hides which entry was denied, and why, where that would tell of
// data. What a token's scopes lack was told without data, and errors of the
// request itself stay as they are.
func wholeDenied(err error) error {
	f := asFailure(err)
	if denies(f) {
		return &failure{status: http.StatusForbidden, code: "transaction.denied", log: err,
			text: "An entry of the transaction may not be carried out, so none was."}
	}
	return f
}

// note names in the record what the transaction changes, and what it only found.
func (g graph) note(x *exchange) {
	for _, s := range g {
		switch {
		case s.existed != nil:
			x.released(s.existed)
		case s.sends():
			x.changed(s.subject())
		}
	}
}

// sendGraph posts the Bundle that was judged; nothing where all of it exists.
func (x *exchange) sendGraph(ctx context.Context, steps graph) ([]judge.Response, error) {
	body, by, n := steps.bundle()
	if n == 0 {
		return nil, nil
	}
	x.sent = true
	for _, s := range steps {
		defer x.forgetConsents(s)
	}
	answer, err := x.forward(ctx, by, upstream.Request{Method: http.MethodPost, Target: "", Body: body, ContentType: fhirJSON, Prefer: "return=minimal"})
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		defer discard(answer)
		if answer.Status < http.StatusBadRequest || answer.Status == http.StatusNotFound {
			return nil, unknownWrite(fmt.Errorf("transaction answered with %d", answer.Status))
		}
		return nil, x.writeStatus(answer)
	}
	heads, err := judge.Responses(answer.Body, by.eval, int64(x.s.cfg.Limits.Resource))
	if err == nil && len(heads) != n {
		err = errors.New("another number of responses than of entries")
	}
	for _, h := range heads {
		if h.Status != http.StatusOK && h.Status != http.StatusCreated && h.Status != http.StatusNoContent {
			err = errors.Join(err, fmt.Errorf("an entry of a transaction answered with %d", h.Status))
		}
	}
	if err != nil {
		return nil, unknownWrite(err)
	}
	return heads, nil
}

// bundle is the transaction as it is sent, the matter of one of its entries,
// and how many there are.
func (g graph) bundle() (body []byte, by *matter, n int) {
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	for _, s := range g {
		if !s.sends() {
			continue
		}
		if n++; n > 1 {
			b.WriteByte(',')
		}
		by = s.m
		s.write(&b)
	}
	b.WriteString(`]}`)
	return b.Bytes(), by, n
}

func (s *step) write(b *bytes.Buffer) {
	b.WriteByte('{')
	if s.urn != "" {
		b.WriteString(`"fullUrl":`)
		b.Write(wire.Quote(nil, s.urn))
		b.WriteByte(',')
	}
	if s.body != nil {
		b.WriteString(`"resource":`)
		b.Write(s.body)
		b.WriteByte(',')
	}
	b.WriteString(`"request":{"method":"` + s.method + `","url":`)
	b.Write(wire.Quote(nil, s.url))
	member(b, "ifMatch", s.pin)
	member(b, "ifNoneMatch", s.pinNone())
	b.WriteString(`}}`)
}

// answerGraph tells for each entry what became of it, in the order of the
// request: what only looks sees what the changes have left.
func (x *exchange) answerGraph(ctx context.Context, a *fhir.Access, steps graph, heads []judge.Response, out output) error {
	answers := make([]entryOutput, len(steps))
	for i, s := range steps {
		switch {
		case s.reads:
		case s.existed != nil:
			answers[i].head = head{status: http.StatusOK, location: x.locate(s.existed)}
		default:
			answers[i].head = x.headOf(s, heads[0])
			heads = heads[1:]
		}
	}
	b := newResponses(out, "transaction-response")
	for i, s := range steps {
		x.forgetEntry()
		x.describe(s.m.access)
		err := x.answerEntry(ctx, b.next(), &answers[i], func(o *entryOutput) error { return x.answerStep(ctx, s, o) })
		if err != nil {
			return x.broken(err)
		}
		if err := b.pass(); err != nil {
			return err
		}
	}
	x.forgetEntry()
	x.describe(a)
	steps.note(x)
	x.outcome(http.StatusOK, "ok")
	if err := x.commit(ctx); err != nil {
		return x.broken(err)
	}
	return b.close()
}

func (x *exchange) headOf(s *step, r judge.Response) head {
	h := head{status: x.statusOf(s, r.Status)}
	if s.method != http.MethodDelete {
		h.etag, h.location = plainTag(r.ETag), x.location(s, r.Location)
	}
	return h
}

// answerStep gives what an entry was to look at, or what it wrote where that is
// asked for: without, a write has no body (SMART-25).
func (x *exchange) answerStep(ctx context.Context, s *step, o *entryOutput) error {
	if s.reads {
		x.names(s.m)
		return x.carryOut(ctx, s.m, o)
	}
	if s.method == http.MethodDelete {
		return nil
	}
	body, notice, err := x.shown(ctx, s, o.head.location)
	if err != nil || body == nil {
		return err
	}
	o.head.notice = notice
	o.body.Write(body)
	return x.part(ctx)
}

// plainTag is the entity tag that an upstream wrote into a body, where it is
// one: other texts are not passed on.
func plainTag(etag string) string {
	if version := tagVersion(etag); version != "" {
		return `W/"` + version + `"`
	}
	return ""
}
