package view

import (
	"encoding/binary"
	"strings"
	"time"
)

// parsedDate is a FHIR date, dateTime or instant: its day and what follows it.
type parsedDate struct {
	day  time.Time // first of what is given
	have int       // 4, 7 or 10 characters of the day
	rest string    // "T13:28:17-05:00", kept as written
}

func parseDate(s string) (d parsedDate, ok bool) {
	day, rest, timed := strings.Cut(s, "T")
	if timed {
		d.rest = "T" + rest
	}
	var err error
	switch d.have = len(day); d.have {
	case 4:
		d.day, err = time.Parse("2006", day)
	case 7:
		d.day, err = time.Parse("2006-01", day)
	case 10:
		d.day, err = time.Parse("2006-01-02", day)
	default:
		return d, false
	}
	return d, err == nil && (!timed || d.have == 10 && timeOfDay(rest))
}

// timeOfDay checks hh:mm[:ss[.fff]] and a zone; what we copy must not be text.
func timeOfDay(s string) bool {
	digits := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c != ':' && c != '.' && c != '+' && c != '-' && !(c == 'Z' && i == len(s)-1):
			return false
		}
	}
	return digits >= 4 && len(s) <= 32
}

// tooOld: dates of people beyond the age bound, and anything that far back,
// tell that somebody is that old.
func (r *run) tooOld(d parsedDate, maxAge int) bool {
	return maxAge > 0 && d.day.AddDate(maxAge+1, 0, 0).Before(r.view.now())
}

// shiftDate moves a date by the patient's offset; intervals and the time of
// day stay. Without one patient, or a day to move, the year is left.
func (r *run) shiftDate(i int, kind prim, m *method) bool {
	if r.second && r.view.below.shifts {
		return true
	}
	d, ok := parseDate(r.tree.Text(i))
	if !ok || r.tooOld(d, m.maxAge) {
		return false
	}
	offset, ok := r.offset(m)
	if !ok || d.have < 10 {
		return r.coarse(i, kind, d, 4)
	}
	return r.quoted(i, d.day.AddDate(0, 0, offset).Format("2006-01-02")+d.rest)
}

// coarse leaves the first n characters of a date. An instant cannot be cut and
// is taken out.
func (r *run) coarse(i int, kind prim, d parsedDate, n int) bool {
	if kind == primInstant {
		return false
	}
	return r.quoted(i, d.day.Format("2006-01-02")[:min(n, d.have)])
}

// offset is the patient's shift in days: one per patient and domain, never
// none, so that no date stands as it was.
func (r *run) offset(m *method) (days int, ok bool) {
	if r.here.patient == "" || m.days < 1 {
		return 0, false
	}
	if r.here.known {
		return r.here.offset, true
	}
	sum, err := r.view.codec.mac(r.ctx.Domain, "dateShift", r.here.patient)
	if err != nil {
		return 0, r.fail("shift date", err)
	}
	unit := 1
	if m.weekday {
		unit = 7
	}
	span := uint64(max(m.days/unit, 1))
	// 64 bits over at most some hundred days: the bias is nothing.
	n := int(binary.BigEndian.Uint64(sum)%(2*span)) - int(span)
	if n >= 0 {
		n++
	}
	r.here.offset, r.here.known = n*unit, true
	return n * unit, true
}
