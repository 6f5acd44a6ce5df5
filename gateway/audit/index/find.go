package index

import (
	"container/heap"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sort"
	"time"

	"gatehouse/gateway/audit"
)

// Find gives f the records that may answer the question: those that the index
// names, and all that are younger than it (audit.Source).
func (x *Index) Find(q audit.Question, f func(*audit.Record) error) (audit.Span, string, error) {
	ctx := context.Background()
	tx, err := x.db.look(ctx)
	if err != nil {
		return audit.Span{}, "", fmt.Errorf("audit index: %w", err)
	}
	defer tx.Rollback()
	s := &search{ctx: ctx, x: x, tx: tx, picker: x.log.Picker(), give: f}
	defer s.picker.Close()
	if s.signed, err = x.log.Signed(); err != nil { // before the data is read: it only grows
		return audit.Span{}, "", err
	}
	if s.expired, err = x.log.Expired(); err != nil {
		return audit.Span{}, "", err
	}
	if s.head, err = x.readHead(ctx, tx); err != nil {
		return audit.Span{}, "", fmt.Errorf("audit index: %w", err)
	}
	if err := s.indexed(q); err != nil {
		if s.failed {
			return audit.Span{}, "", err
		}
		return audit.Span{}, "", fmt.Errorf("the log is damaged, or the index is of another one; see audit verify, and report with --scan: %w", err)
	}
	return s.young(s.span())
}

// span is that of the indexed records that are still there.
func (s *search) span() (span audit.Span) {
	span.Expired = s.expired.Before(s.head.next.Index)
	span.Records = s.head.next.Index - span.Expired
	for _, b := range s.blocks {
		if s.expired.Bridge(b.at.Index, b.at.Index+1) {
			continue
		}
		if first := time.Unix(0, b.since).UTC(); span.First.IsZero() || first.Before(span.First) {
			span.First = first
		}
		if last := time.Unix(0, b.until).UTC(); last.After(span.Last) {
			span.Last = last
		}
	}
	return span
}

// over tells whether all records from one index up to another have expired, which
// they may do meanwhile.
func (s *search) over(from, to int64) error {
	if s.expired.Bridge(from, to) {
		return nil
	}
	var err error
	if s.expired, err = s.x.log.Expired(); err == nil && !s.expired.Bridge(from, to) {
		err = fmt.Errorf("record %d is missing", from)
	}
	return err
}

// each gives f the batches from a place on, of which none may be missing.
func (s *search) each(from audit.Place, f func(audit.Batch) error) error {
	next := from.Index
	return s.x.log.After(from, func(b audit.Batch) error {
		if b.At.Index != next {
			if err := s.over(next, b.At.Index); err != nil {
				return err
			}
		}
		next = b.Next.Index
		return f(b)
	})
}

// search is one run of Find.
type search struct {
	ctx     context.Context
	x       *Index
	tx      *sql.Tx
	head    head
	blocks  []block
	picker  *audit.Picker
	give    func(*audit.Record) error
	pending indexes // what belongs to intents that were found
	signed  int64
	failed  bool // give did
	read    int  // records that were opened
	gone    int  // records that were named and have expired
	expired audit.Gaps
}

// indexed gives what the index names.
func (s *search) indexed(q audit.Question) error {
	low, high, err := s.period(q)
	if err != nil || len(s.blocks) == 0 {
		return err
	}
	kind, value := chosen(q)
	if kind == "" {
		return s.all(low, high)
	}
	done := int64(-1)
	for {
		found, err := s.page(s.x.tag(kind, value), low, high)
		if err != nil {
			return fmt.Errorf("audit index: %w", err)
		}
		for _, index := range found {
			if done, err = s.upTo(index, done); err != nil {
				return err
			}
			low = index + 1
		}
		if len(found) < page {
			break
		}
	}
	_, err = s.upTo(s.head.next.Index, done)
	return err
}

// page is how many indexes are asked for at once: the database answers one
// question of a transaction at a time, and there are more to ask meanwhile.
const page = 1000

// page gives the next records of a tag, and those that say that the log was opened.
func (s *search) page(tag, low, high int64) (found []int64, err error) {
	rows, err := s.tx.QueryContext(s.ctx, s.x.db.sql(`SELECT idx FROM {posting} WHERE tag = $1 AND idx >= $2 AND idx < $3
		UNION SELECT idx FROM {posting} WHERE tag = $4 AND idx >= $2 AND idx < $3 ORDER BY idx LIMIT $5`),
		tag, low, high, s.x.tag(byOpening, ""), page)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var index int64
		if err := rows.Scan(&index); err != nil {
			return nil, err
		}
		found = append(found, index)
	}
	return found, rows.Err()
}

// chosen is what of a question the fewest records have.
func chosen(q audit.Question) (kind, value string) {
	switch {
	case q.Patient != "":
		return byPatient, q.Patient
	case q.User != "":
		return byUser, q.User
	case q.Client != "":
		return byClient, q.Client
	case q.Denied:
		return byDenial, ""
	}
	return "", ""
}

// upTo gives the records that are pending before an index, and that one.
func (s *search) upTo(index, done int64) (int64, error) {
	for len(s.pending) > 0 && s.pending[0] < index {
		next := heap.Pop(&s.pending).(int64)
		if next == done {
			continue
		}
		done = next
		if err := s.one(next); err != nil {
			return done, err
		}
	}
	if index == done || index >= s.head.next.Index {
		return done, nil
	}
	return index, s.one(index)
}

// one gives one record, and puts down what its request did later.
func (s *search) one(index int64) error {
	at := sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].at.Index > index }) - 1
	if at < 0 {
		return fmt.Errorf("audit index: record %d has no place", index)
	}
	r, err := s.picker.Pick(s.blocks[at].at, index)
	if errors.Is(err, audit.ErrGone) {
		s.gone++
		return s.over(index, index+1)
	}
	if err != nil {
		return err
	}
	if r.Kind == audit.Intent {
		if err := s.follow(r); err != nil {
			return err
		}
	}
	return s.hand(r)
}

func (s *search) hand(r *audit.Record) error {
	s.read++
	err := s.give(r)
	s.failed = err != nil
	return err
}

// follow finds the other records of an intent's request: one that failed may
// name no patient itself.
func (s *search) follow(r *audit.Record) error {
	rows, err := s.tx.QueryContext(s.ctx, s.x.db.sql(`SELECT idx FROM {posting} WHERE tag = $1 AND idx > $2 AND idx < $3`), s.x.tag(byRequest, r.Request), r.Index, s.head.next.Index)
	if err != nil {
		return fmt.Errorf("audit index: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var index int64
		if err := rows.Scan(&index); err != nil {
			return fmt.Errorf("audit index: %w", err)
		}
		heap.Push(&s.pending, index)
	}
	return rows.Err()
}

// period reads the places, and gives the bounds of the indexes within which all
// records of the period lie.
func (s *search) period(q audit.Question) (low, high int64, err error) {
	rows, err := s.tx.QueryContext(s.ctx, s.x.db.sql(`SELECT idx, segment, start, since, until FROM {place} ORDER BY idx`))
	if err != nil {
		return 0, 0, fmt.Errorf("audit index: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var b block
		if err := rows.Scan(&b.at.Index, &b.at.Segment, &b.at.Offset, &b.since, &b.until); err != nil {
			return 0, 0, fmt.Errorf("audit index: %w", err)
		}
		s.blocks = append(s.blocks, b)
	}
	low, high = s.head.next.Index, 0
	for i, b := range s.blocks {
		if q.Since.IsZero() || b.until >= q.Since.UnixNano() {
			low = min(low, b.at.Index)
		}
		if q.Until.IsZero() || b.since < q.Until.UnixNano() {
			if high = s.head.next.Index; i+1 < len(s.blocks) {
				high = s.blocks[i+1].at.Index
			}
		}
	}
	return low, high, rows.Err()
}

// all gives every record of a stretch.
func (s *search) all(low, high int64) error {
	at := max(0, sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].at.Index > low })-1)
	err := s.each(s.blocks[at].at, func(b audit.Batch) error {
		for _, r := range b.Records {
			if r.Index >= high {
				return errEnough
			}
			if err := s.hand(r); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// young gives every record that the index does not hold yet.
func (s *search) young(span audit.Span) (audit.Span, string, error) {
	end := s.head.next.Index
	err := s.each(s.head.next, func(b audit.Batch) error {
		end = b.Next.Index
		for _, r := range b.Records {
			if err := s.hand(r); err != nil {
				return err
			}
			span.Add(r)
		}
		return nil
	})
	span.Expired = s.expired.Before(end)
	if err == nil {
		err = span.Reaches(s.signed)
	} else if !s.failed {
		err = span.Damaged(err)
	}
	how := fmt.Sprintf("by the index: %d of them were read", s.read)
	if s.gone > 0 {
		how += fmt.Sprintf(", %d have expired", s.gone)
	}
	return span, how, err
}

// indexes is a heap.
type indexes []int64

func (h indexes) Len() int           { return len(h) }
func (h indexes) Less(i, j int) bool { return h[i] < h[j] }
func (h indexes) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *indexes) Push(v any)        { *h = append(*h, v.(int64)) }
func (h *indexes) Pop() any {
	last := len(*h) - 1
	v := (*h)[last]
	*h = (*h)[:last]
	return v
}
