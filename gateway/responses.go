package gateway

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"gatehouse/fhir/wire"
)

// maxHeld bounds what is held of a batch's answer before it is passed on, and
// maxEntry what one entry may answer.
const (
	maxHeld  = 4 << 20
	maxEntry = 16 << 20
)

var errEntryTooLong = errors.New("the answer to a batch entry is too long")

// responses is the Bundle that answers a batch or transaction, entry by entry.
type responses struct {
	out  output
	held bytes.Buffer
	to   io.Writer // nil while all is held
	n    int
}

func newResponses(out output, kind string) *responses {
	r := &responses{out: out}
	r.held.WriteString(`{"resourceType":"Bundle","type":"` + kind + `"`)
	return r
}

// next is where the next entry is written.
func (r *responses) next() *bytes.Buffer {
	if r.n++; r.n == 1 {
		r.held.WriteString(`,"entry":[`)
	} else {
		r.held.WriteByte(',')
	}
	return &r.held
}

// pass passes on what is held where it is much. All of it is recorded.
func (r *responses) pass() error {
	if r.held.Len() < maxHeld {
		return nil
	}
	if r.to == nil {
		r.to = r.out.begin(head{status: http.StatusOK, contentType: fhirJSON, length: -1})
	}
	_, err := r.held.WriteTo(r.to)
	return clientGone(err)
}

// close ends the Bundle and passes on what is left.
func (r *responses) close() error {
	if r.n > 0 {
		r.held.WriteByte(']')
	}
	r.held.WriteByte('}')
	if r.to == nil {
		r.to = r.out.begin(head{status: http.StatusOK, contentType: fhirJSON, length: int64(r.held.Len())})
	}
	_, err := r.held.WriteTo(r.to)
	return clientGone(err)
}

// entry writes the response of an entry that was served.
func (o *entryOutput) entry(b *bytes.Buffer) {
	made := o.body.String() == madeOutcome
	b.WriteByte('{')
	if o.body.Len() > 0 && !made {
		b.WriteString(`"resource":`)
		b.Write(o.body.Bytes())
		b.WriteByte(',')
	}
	b.WriteString(`"response":{"status":"` + strconv.Itoa(o.head.status) + ` ` + http.StatusText(o.head.status) + `"`)
	switch {
	case made:
		b.WriteString(`,"outcome":` + madeOutcome)
	case o.head.notice != "":
		b.WriteString(`,"outcome":`)
		b.Write(noticeOutcome(o.head.notice))
	}
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
