package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// Merge is Export of the logs of several replicas, by time; the events of each log
// stay in its order. Where one is damaged its events end, and the others go on. The
// spans are those of the logs.
func Merge(dirs []string, key []byte, w io.Writer) (spans []Span, err error) {
	out := bufio.NewWriterSize(w, 1<<16)
	lines := json.NewEncoder(out)
	spans = make([]Span, len(dirs))
	var heads []*logHead
	for i, dir := range dirs {
		s := new(logHead)
		s.next, s.stop = iter.Pull2(eventsOf(dir, key, &spans[i]))
		defer s.stop()
		heads = append(heads, s)
		s.advance()
	}
	for {
		var first *logHead
		for _, s := range heads {
			if s.event.e != nil && (first == nil || s.event.at.Before(first.event.at)) {
				first = s
			}
		}
		if first == nil {
			break
		}
		if err := lines.Encode(first.event.e); err != nil {
			return spans, fmt.Errorf("export: %w", err)
		}
		first.advance()
	}
	var errs []error
	for i, s := range heads {
		if s.err != nil {
			errs = append(errs, fmt.Errorf("export of %s: %w", dirs[i], s.err))
		}
	}
	return spans, errors.Join(append(errs, out.Flush())...)
}

type timedEvent struct {
	at time.Time
	e  *auditEvent
}

// logHead is one log, at its next event; its e is nil at the end.
type logHead struct {
	next  func() (timedEvent, error, bool)
	stop  func()
	event timedEvent
	err   error
}

func (s *logHead) advance() {
	e, err, ok := s.next()
	if s.event = e; !ok || err != nil {
		s.event, s.err = timedEvent{}, err
	}
}

func eventsOf(dir string, key []byte, span *Span) iter.Seq2[timedEvent, error] {
	return func(yield func(timedEvent, error) bool) {
		var err error
		*span, err = exportTo(dir, key, func(r *Record, e *auditEvent) error {
			if !yield(timedEvent{r.Time, e}, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(timedEvent{}, err)
		}
	}
}
