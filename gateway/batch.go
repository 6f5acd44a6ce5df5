package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/audit"
)

// maxHeld bounds what is held of a batch's answer before it is passed on, and
// maxEntry what one entry may answer.
const (
	maxHeld  = 4 << 20
	maxEntry = 16 << 20
)

var errEntryTooLong = errors.New("the answer to a batch entry is too long")

// batch serves its entries one by one, each as if it had come alone: a batch
// has no rights of its own (SMART-15). What an entry answers was recorded before
// it is held here, so a long answer can be passed on before its end.
func (x *exchange) batch(ctx context.Context, a *fhir.Access, out output) error {
	var held bytes.Buffer
	var to io.Writer
	held.WriteString(`{"resourceType":"Bundle","type":"batch-response"`)
	for i, e := range a.Entries {
		if i == 0 {
			held.WriteString(`,"entry":[`)
		} else {
			held.WriteByte(',')
		}
		if err := x.batchEntry(ctx, e, &held); err != nil {
			return x.broken(err)
		}
		if held.Len() < maxHeld {
			continue
		}
		if to == nil {
			to = out.begin(head{status: http.StatusOK, contentType: fhirJSON, length: -1})
		}
		if _, err := held.WriteTo(to); err != nil {
			return clientGone(err)
		}
	}
	if len(a.Entries) > 0 {
		held.WriteByte(']')
	}
	held.WriteByte('}')
	x.forgetEntry()
	x.describe(a)
	x.outcome(http.StatusOK, "ok")
	if err := x.commit(ctx); err != nil {
		return x.broken(err)
	}
	if to == nil {
		to = out.begin(head{status: http.StatusOK, contentType: fhirJSON, length: int64(held.Len())})
	}
	_, err := held.WriteTo(to)
	return clientGone(err)
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
	var o entryOutput
	var err error
	if e.Err != nil {
		err = e.Err
	} else {
		x.describe(e.Access)
		err = x.serve(ctx, e.Access, &o)
	}
	if err == nil {
		o.entry(body)
		return nil
	}
	f := asFailure(err)
	if f.code == "audit.unavailable" && f.status == http.StatusServiceUnavailable {
		return err // nothing more may be released
	}
	x.outcome(f.status, f.code)
	if err := x.commit(ctx); err != nil {
		return err
	}
	f.entry(body, x.id)
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
