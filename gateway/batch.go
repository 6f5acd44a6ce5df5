package gateway

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// batch serves its entries one by one, each as if it had come alone: a batch
// has no rights of its own (SMART-15).
func (x *exchange) batch(ctx context.Context, a *fhir.Access, out output) error {
	var body bytes.Buffer
	body.WriteString(`{"resourceType":"Bundle","type":"batch-response"`)
	x.parts = true
	for i, e := range a.Entries {
		if i == 0 {
			body.WriteString(`,"entry":[`)
		} else {
			body.WriteByte(',')
		}
		if err := x.batchEntry(ctx, e, &body); err != nil {
			return err
		}
	}
	if len(a.Entries) > 0 {
		body.WriteByte(']')
	}
	body.WriteByte('}')
	x.parts = false
	x.describe(a)
	x.outcome(http.StatusOK, "ok")
	if err := x.commit(ctx); err != nil {
		return err
	}
	_, err := out.begin(head{status: http.StatusOK, contentType: fhirJSON, length: int64(body.Len())}).Write(body.Bytes())
	return clientGone(err)
}

// batchEntry appends the response to one entry.
func (x *exchange) batchEntry(ctx context.Context, e *fhir.Entry, body *bytes.Buffer) error {
	var o entryOutput
	var err error
	if e.Err != nil {
		err = e.Err
	} else {
		x.describe(e.Access)
		err = x.serve(ctx, e.Access, &o)
	}
	if err != nil {
		f := asFailure(err)
		if f.status == http.StatusServiceUnavailable && f.code == "audit.unavailable" {
			return err // nothing more may be released
		}
		x.outcome(f.status, f.code)
		if err := x.commit(ctx); err != nil {
			return err
		}
		f.entry(body, x.id)
		return nil
	}
	o.entry(body)
	return nil
}

// entry writes the response of an entry that was served.
func (o *entryOutput) entry(b *bytes.Buffer) {
	b.WriteByte('{')
	if o.body.Len() > 0 {
		b.WriteString(`"resource":`)
		b.Write(o.body.Bytes())
		b.WriteByte(',')
	}
	b.WriteString(`"response":{"status":"` + strconv.Itoa(o.head.status) + ` ` + http.StatusText(o.head.status) + `"`)
	member(b, "location", o.head.location)
	member(b, "etag", o.head.etag)
	if t, err := http.ParseTime(o.head.lastModified); err == nil {
		member(b, "lastModified", t.UTC().Format(time.RFC3339))
	}
	b.WriteString(`}}`)
}

// entry writes the response of an entry that was refused.
func (f *failure) entry(b *bytes.Buffer, requestID string) {
	b.WriteString(`{"response":{"status":"` + strconv.Itoa(f.status) + ` ` + http.StatusText(f.status) + `","outcome":`)
	b.Write(f.outcome(requestID))
	b.WriteString(`}}`)
}

func member(b *bytes.Buffer, name, value string) {
	if value == "" {
		return
	}
	b.WriteString(`,"` + name + `":`)
	b.Write(wire.Quote(nil, value))
}
