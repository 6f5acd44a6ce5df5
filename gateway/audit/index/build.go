package index

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatehouse/gateway/audit"
)

// What records are found by.
const (
	byPatient = "patient"
	byUser    = "user" // subject and fhirUser
	byClient  = "client"
	byRequest = "request" // of an intent, and of what may follow one
	byDenial  = "denied"
	byOpening = "opened" // notices that the log was opened
)

const (
	chunk  = 20_000    // records of one transaction
	most   = 4 * chunk // and what they are found by, about: a page may speak of hundreds of patients
	stride = 256       // records at least from one remembered place to the next
)

type posting struct{ tag, index int64 }

// Advance adds up to a chunk of what the log has grown by; more tells whether
// there may be more at once.
func (x *Index) Advance(ctx context.Context) (more bool, err error) {
	tx, err := x.db.change(ctx) // before the log is read: one writer at a time, and an erasure comes before or after
	if err != nil {
		return false, fmt.Errorf("audit index: %w", err)
	}
	defer tx.Rollback()
	h, err := x.readHead(ctx, tx)
	if err != nil {
		return false, fmt.Errorf("audit index: %w", err)
	}
	a := addition{x: x, head: h, tags: map[string]int64{}}
	err = x.log.After(h.next, a.batch)
	if more = errors.Is(err, errEnough); err != nil && !more {
		return false, fmt.Errorf("audit index: %w", err)
	}
	if a.records == 0 {
		return false, nil
	}
	if err := a.write(ctx, tx); err != nil {
		return false, fmt.Errorf("write the audit index: %w", err)
	}
	return more, tx.Commit()
}

// addition is what one Advance adds.
type addition struct {
	x        *Index
	head     head
	records  int
	postings []posting
	places   []block
	tags     map[string]int64 // of what is met again and again
}

// block is the records from one remembered place to the next.
type block struct {
	at           audit.Place
	since, until int64
}

func (a *addition) batch(b audit.Batch) error {
	n := len(a.places)
	if n == 0 || b.At.Segment != a.places[n-1].at.Segment || b.At.Index-a.places[n-1].at.Index >= stride {
		first := b.Records[0].Time.UnixNano()
		a.places, n = append(a.places, block{b.At, first, first}), n+1
	}
	in := &a.places[n-1]
	for _, r := range b.Records {
		at := r.Time.UnixNano()
		in.since, in.until = min(in.since, at), max(in.until, at)
		a.record(r)
		a.records++
	}
	a.head.next, a.head.last, a.head.sum = b.Next, b.At, b.Sum[:]
	if a.records >= chunk || len(a.postings) >= most {
		return errEnough
	}
	return nil
}

func (a *addition) record(r *audit.Record) {
	if r.Kind == audit.Notice && r.Code == "audit.opened" {
		a.add(byOpening, "", r.Index)
	}
	for _, p := range audit.PatientsOf(r) {
		a.add(byPatient, p, r.Index)
	}
	if r.Caller.Subject != "" {
		a.add(byUser, r.Caller.Subject, r.Index)
	}
	if r.Caller.User != "" && r.Caller.User != r.Caller.Subject {
		a.add(byUser, r.Caller.User, r.Index)
	}
	if r.Caller.Client != "" {
		a.add(byClient, r.Caller.Client, r.Index)
	}
	if audit.Denied(r) || r.Kind == audit.Intent { // whose outcome may be a denial and tell less
		a.add(byDenial, "", r.Index)
	}
	if r.Kind == audit.Intent || r.Method != "GET" && r.Method != "HEAD" {
		a.add(byRequest, r.Request, r.Index)
	}
}

const tagsKept = 1 << 14

func (a *addition) add(kind, value string, index int64) {
	name := kind + "\x00" + value
	tag, ok := a.tags[name]
	if !ok {
		tag = a.x.tag(kind, value)
		if len(a.tags) >= tagsKept {
			clear(a.tags)
		}
		a.tags[name] = tag
	}
	a.postings = append(a.postings, posting{tag, index})
}

func (a *addition) write(ctx context.Context, tx *sql.Tx) error {
	// In the order of the table, so that each of its pages is written once.
	slices.SortFunc(a.postings, func(a, b posting) int { return cmp.Or(cmp.Compare(a.tag, b.tag), cmp.Compare(a.index, b.index)) })
	rows := a.x.db.rows()
	full, err := tx.PrepareContext(ctx, a.x.insert(rows))
	if err != nil {
		return err
	}
	defer full.Close()
	args := make([]any, 0, 2*rows)
	for part := range slices.Chunk(a.postings, rows) {
		args = args[:0]
		for _, p := range part {
			args = append(args, p.tag, p.index)
		}
		if len(part) == rows {
			_, err = full.ExecContext(ctx, args...)
		} else {
			_, err = tx.ExecContext(ctx, a.x.insert(len(part)), args...)
		}
		if err != nil {
			return err
		}
	}
	place := a.x.db.sql(`INSERT INTO {place} VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (idx) DO UPDATE SET segment = excluded.segment, start = excluded.start, since = excluded.since, until = excluded.until`)
	for _, b := range a.places {
		if _, err := tx.ExecContext(ctx, place, b.at.Index, int64(b.at.Segment), b.at.Offset, b.since, b.until); err != nil {
			return err
		}
	}
	h := &a.head
	_, err = tx.ExecContext(ctx, a.x.db.sql(`UPDATE {head} SET segment = $1, start = $2, next = $3, last_segment = $4, last_start = $5, last_index = $6, sum = $7`),
		int64(h.next.Segment), h.next.Offset, h.next.Index, int64(h.last.Segment), h.last.Offset, h.last.Index, h.sum)
	return err
}

func (x *Index) insert(n int) string {
	var b strings.Builder
	b.WriteString(x.db.sql(`INSERT INTO {posting} VALUES `))
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "($%d, $%d)", 2*i+1, 2*i+2)
	}
	b.WriteString(` ON CONFLICT DO NOTHING`)
	return b.String()
}
