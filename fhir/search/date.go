package search

import (
	"errors"
	"strings"
	"time"

	"gatehouse/fhir/wire"
)

// span is the time from lo up to and without hi that a date of some precision
// names; a date without a zone counts as UTC.
type span struct{ lo, hi time.Time }

// The ends of time, for periods that are open.
var (
	past   = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)
	future = time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC)
)

var errDate = errors.New("is no FHIR date")

// layouts are the precisions of a FHIR date, with the span that each names.
var layouts = [...]struct {
	layout              string
	years, months, days int
	length              time.Duration
}{
	{layout: "2006", years: 1},
	{layout: "2006-01", months: 1},
	{layout: "2006-01-02", days: 1},
	{layout: "2006-01-02T15:04", length: time.Minute},
	{layout: "2006-01-02T15:04Z07:00", length: time.Minute},
	{layout: "2006-01-02T15:04:05", length: time.Second},
	{layout: "2006-01-02T15:04:05Z07:00", length: time.Second},
}

// parseDate reads a date, dateTime or instant of any precision.
func parseDate(s string) (span, error) {
	if len(s) < 4 || len(s) > 40 || strings.Contains(s, ",") { // time.Parse takes a comma for a point
		return span{}, errDate
	}
	for _, l := range layouts {
		lo, err := time.Parse(l.layout, s)
		if err != nil {
			continue
		}
		length := l.length
		if length == time.Second {
			length = fraction(s)
		}
		return span{lo, lo.AddDate(l.years, l.months, l.days).Add(length)}, nil
	}
	return span{}, errDate
}

// fraction is how long the last digit of the seconds is.
func fraction(s string) time.Duration {
	length := time.Second
	if len(s) <= len("2006-01-02T15:04:05") || s[len("2006-01-02T15:04:05")] != '.' {
		return length
	}
	for i := len("2006-01-02T15:04:05."); i < len(s) && s[i] >= '0' && s[i] <= '9' && length > 1; i++ {
		length /= 10
	}
	return length
}

// dateTest compiles a date with its prefix by R4 §3.1.1.4.4.
func dateTest(value string) (test, error) {
	comparison, rest := prefix(value)
	want, err := parseDate(rest)
	if err != nil {
		return nil, err
	}
	return func(t *wire.Tree, element int, typ string) bool {
		switch typ {
		case "Period":
			got, ok := period(t, element)
			return ok && want.compare(comparison, got)
		case "Timing":
			return want.compareTiming(t, element, comparison)
		}
		got, err := parseDate(t.Text(element))
		return err == nil && want.compare(comparison, got)
	}, nil
}

// compare tells how the target stands to the searched span s. ap is an overlap:
// R4 leaves the margin to the server, and none is the narrowest.
func (s span) compare(comparison string, target span) bool {
	within := !target.lo.Before(s.lo) && !target.hi.After(s.hi)
	switch comparison {
	case "eq":
		return within
	case "ne":
		return !within
	case "gt":
		return target.hi.After(s.hi)
	case "lt":
		return target.lo.Before(s.lo)
	case "ge":
		return within || target.hi.After(s.hi)
	case "le":
		return within || target.lo.Before(s.lo)
	case "sa":
		return !target.lo.Before(s.hi)
	case "eb":
		return !target.hi.After(s.lo)
	case "ap":
		return target.lo.Before(s.hi) && s.lo.Before(target.hi)
	}
	return false
}

// period reads a Period; a missing end is open, a bad one makes it unreadable.
func period(t *wire.Tree, element int) (span, bool) {
	got := span{past, future}
	known := false
	if i := t.Get(element, "start"); i >= 0 {
		start, err := parseDate(t.Text(i))
		if err != nil {
			return span{}, false
		}
		got.lo, known = start.lo, true
	}
	if i := t.Get(element, "end"); i >= 0 {
		end, err := parseDate(t.Text(i))
		if err != nil {
			return span{}, false
		}
		got.hi, known = end.hi, true
	}
	return got, known
}

// compareTiming compares each event of a Timing, and the bounds of its repeat.
func (s span) compareTiming(t *wire.Tree, element int, comparison string) bool {
	matches := func(e int) bool {
		got, err := parseDate(t.Text(e))
		return err == nil && s.compare(comparison, got)
	}
	if walk(t, element, []step{{name: "event"}}, matches) {
		return true
	}
	return walk(t, element, []step{{name: "repeat"}, {name: "boundsPeriod"}}, func(e int) bool {
		got, ok := period(t, e)
		return ok && s.compare(comparison, got)
	})
}
