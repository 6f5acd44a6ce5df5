package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Event is an IHE BALP AuditEvent (FHIR R4) on its way to a sink.
type Event struct {
	Index  int64   // of the record that it is made of: Log.Durable counts in it
	Part   int     // a record makes several: one for each patient, and for each consent that decided
	Record *Record // as the sink may see it
	event  *auditEvent
}

// JSON is the event as FHIR has it, on one line, and with nothing in it that a
// terminal acts on.
func (e Event) JSON() ([]byte, error) {
	b, err := json.Marshal(e.event)
	if err != nil {
		return nil, fmt.Errorf("write AuditEvent of record %d: %w", e.Index, err)
	}
	return spelled(b, func(out []byte, r rune) []byte {
		if r > 0xFFFF {
			hi, lo := utf16.EncodeRune(r)
			return fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		}
		return fmt.Appendf(out, `\u%04x`, r)
	}), nil
}

// spelled writes what is not printable as the notation has it. Texts were
// escaped when the record was stored; a receiver's safety does not rest on that.
func spelled(b []byte, spell func([]byte, rune) []byte) []byte {
	if !bytes.ContainsFunc(b, unprintable) {
		return b
	}
	var out []byte
	for _, r := range string(b) {
		if unprintable(r) {
			out = spell(out, r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

func unprintable(r rune) bool { return (r < ' ' || r > '~') && !unicode.IsPrint(r) }

// Outcome is the event's code of AuditEvent.outcome: 0, 4, 8 or 12.
func (e Event) Outcome() string { return e.event.Outcome }

// Stream makes events of records that come in the order of the log. The outcome
// of a request is told together with its intent, so the stream waits with the
// intents of requests that have not ended. It is not safe for concurrent use.
type Stream struct {
	x     *exporter
	scrub func(*Record) *Record
	patch []Event
}

// openFor is how many records an intent waits for its outcome: no request lasts
// as long, and what never ended must not hold up a restart for ever.
const openFor = 1 << 17

// NewStream gives a stream of the log of an origin. scrub, where not nil, takes
// from each record what its reader may not see.
func NewStream(origin string, scrub func(*Record) *Record) *Stream {
	s := &Stream{scrub: scrub}
	s.x = newExporter(origin, func(r *Record, e *auditEvent) error {
		s.patch = append(s.patch, Event{Index: r.Index, Part: s.x.n - 1, Record: r, event: e})
		return nil
	})
	return s
}

// Add takes the next record and gives the events that it completes; they are
// the caller's.
func (s *Stream) Add(r *Record) ([]Event, error) {
	s.patch = nil
	if oldest := s.Oldest(r.Index); r.Index-oldest > openFor {
		if err := s.x.abandoned(); err != nil {
			return nil, err
		}
	}
	if s.scrub != nil {
		r = s.scrub(r)
	}
	err := s.x.record(r)
	return s.patch, err
}

// Oldest is the index of the first record that a stream begun anew has to be
// given to go on as this one at next.
func (s *Stream) Oldest(next int64) int64 {
	for _, r := range s.x.intents {
		next = min(next, r.Index)
	}
	return next
}
