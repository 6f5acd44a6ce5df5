package gateway

import (
	"bytes"
	"context"
	"net/http"

	"gatehouse/fhir"
	"gatehouse/gateway/audit"
)

// batch serves its entries one by one, each as if it had come alone: a batch
// has no rights of its own (SMART-15). What an entry answers was recorded before
// it is held here, so a long answer can be passed on before its end.
func (x *exchange) batch(ctx context.Context, a *fhir.Access, out output) error {
	b := newResponses(out, "batch-response")
	for _, e := range a.Entries {
		if err := x.batchEntry(ctx, e, b.next()); err != nil {
			return x.broken(err)
		}
		if err := b.pass(); err != nil {
			return err
		}
	}
	x.forgetEntry()
	x.describe(a)
	x.outcome(http.StatusOK, "ok")
	if err := x.commit(ctx); err != nil {
		return x.broken(err)
	}
	return b.close()
}

// broken is the answer to a batch whose record fails before its end: changes
// that were sent by then stay made.
func (x *exchange) broken(err error) error {
	if x.sent {
		return afterWrite(err)
	}
	return err
}

// forgetEntry keeps what was decided on one entry out of the record of the next.
func (x *exchange) forgetEntry() {
	r := &x.record
	r.Interaction, r.Type, r.ID, r.View, r.Domain = "", "", "", "", ""
	r.Decision, r.Patients, r.Entries, r.Consents = audit.Decision{}, nil, nil, nil
}

// batchEntry appends the response to one entry.
func (x *exchange) batchEntry(ctx context.Context, e *fhir.Entry, body *bytes.Buffer) error {
	x.forgetEntry()
	return x.answerEntry(ctx, body, new(entryOutput), func(o *entryOutput) error {
		if e.Err != nil {
			return e.Err
		}
		x.describe(e.Access)
		return x.serve(ctx, e.Access, o)
	})
}

// answerEntry appends what serving an entry comes to. An error of its own is one
// that nothing more may be released after.
func (x *exchange) answerEntry(ctx context.Context, body *bytes.Buffer, o *entryOutput, serve func(*entryOutput) error) error {
	err := serve(o)
	if err == nil {
		o.entry(body)
		return nil
	}
	f := asFailure(err)
	x.countRefusal(f)
	if f.code == "audit.unavailable" && f.status == http.StatusServiceUnavailable {
		return err
	}
	x.outcome(f.status, f.code)
	if err := x.commit(ctx); err != nil {
		return err
	}
	f.entry(body, x.id)
	return nil
}
