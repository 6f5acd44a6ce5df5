package consent

import (
	"strings"
	"time"

	"gatehouse/fhir/wire"
)

// period is a FHIR Period, its ends inclusive to their precision.
type period struct {
	start, end time.Time // zero: open; end is the first moment behind it
	bad        bool
}

// period reads a Period; one that cannot be read holds neither for certain nor
// certainly not.
func (f *form) period(node int, name string, p *provision) (out period) {
	at := f.t.Get(node, name)
	if at < 0 {
		return period{}
	}
	defer func() {
		if out.bad {
			f.note("malformed-element")
		}
	}()
	if f.t.Nodes[at].Kind != wire.Object {
		return period{bad: true}
	}
	for i := f.t.First(at); i < int(f.t.Nodes[at].Next); i = int(f.t.Nodes[i].Next) {
		from, to, ok := span(f.t.Text(i), f.zone)
		switch string(f.t.Name(i)) {
		case "start":
			out.start, out.bad = from, out.bad || !ok
		case "end":
			out.end, out.bad = to, out.bad || !ok
		case "id", "extension":
		default:
			out.bad = true
		}
	}
	if !out.start.IsZero() && !out.end.IsZero() && !out.start.Before(out.end) {
		out.bad = true // it ends before it begins
	}
	return out
}

func (p period) holds(now time.Time) match {
	switch {
	case p.bad:
		return unknown
	case !p.start.IsZero() && now.Before(p.start), !p.end.IsZero() && !now.Before(p.end):
		return no
	}
	return yes
}

// layouts are the precisions of a FHIR date. What is finer than a day names its
// zone.
var layouts = [...]struct {
	layout              string
	years, months, days int
}{{"2006", 1, 0, 0}, {"2006-01", 0, 1, 0}, {"2006-01-02", 0, 0, 1}}

// span is the time that a FHIR date or dateTime covers, from inclusive, to
// exclusive: the end of a period is inclusive to its precision (C-10). A date
// names no zone and is read in the one that is configured; nil is UTC.
func span(s string, zone *time.Location) (from, to time.Time, ok bool) {
	if zone == nil {
		zone = time.UTC
	}
	for _, l := range layouts {
		if len(s) != len(l.layout) {
			continue
		}
		t, err := time.ParseInLocation(l.layout, s, zone)
		return t, t.AddDate(l.years, l.months, l.days), err == nil
	}
	const whole = len("2006-01-02T15:04:05")
	if len(s) <= whole || strings.ContainsAny(s, ",") || s[10] != 'T' { // time.Parse takes a comma for a point
		return time.Time{}, time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, time.Time{}, false
	}
	length := time.Second
	if s[whole] == '.' {
		for i := whole + 1; i < len(s) && s[i] >= '0' && s[i] <= '9' && length > 1; i++ {
			length /= 10
		}
	}
	return t, t.Add(length), true
}
