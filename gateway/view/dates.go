package view

import (
	"encoding/binary"
	"strings"
	"time"
)

// parsedDate is a FHIR date, dateTime or instant: its day and what follows it.
type parsedDate struct {
	year int
	day  int    // the first of what is given, see dayNumber
	have int    // 4, 7 or 10 characters of the day
	rest string // "T13:28:17-05:00", kept as written
}

func parseDate(s string) (d parsedDate, ok bool) {
	day, rest, timed := strings.Cut(s, "T")
	if timed {
		d.rest = s[len(day):]
	}
	d.have = len(day)
	month, date := 1, 1
	if d.year = number(day, 0, 4); d.have >= 7 {
		month = number(day, 5, 7)
	}
	if d.have == 10 {
		date = number(day, 8, 10)
	}
	if d.have != 4 && d.have != 7 && d.have != 10 || d.year < 1 || d.have > 4 && day[4] != '-' || d.have > 7 && day[7] != '-' {
		return d, false
	}
	if month < 1 || month > 12 || date < 1 || date > 31 {
		return d, false
	}
	d.day = dayNumber(d.year, month, date)
	// A day that does not exist comes out as another one.
	exists := date <= 28 || dayNumber(d.year, month+1, 1) > d.day
	return d, exists && (!timed || d.have == 10 && timeOfDay(rest))
}

// start is the first moment of what is given.
func (d *parsedDate) start() time.Time { return time.Unix(int64(d.day)*24*60*60, 0).UTC() }

// number reads the digits s[from:to], -1 where they are none.
func number(s string, from, to int) (n int) {
	if len(s) < to {
		return -1
	}
	for _, c := range []byte(s[from:to]) {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
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
	if maxAge <= 0 {
		return false
	}
	_, month, day := dateOf(d.day)
	return dayNumber(d.year+maxAge+1, month, day) <= r.today
}

// maybeTooOld is tooOld by the day that is shown, less the largest shift. By the true
// one, the day on which a date is seen no more would tell it, and so the offset of
// all the patient's dates.
func (r *run) maybeTooOld(shown int, m *method) bool {
	if m.maxAge <= 0 {
		return false
	}
	widest := m.days
	if m.weekday {
		widest = max(widest, 7)
	}
	year, month, day := dateOf(shown - widest)
	return dayNumber(year+m.maxAge+1, month, day) <= r.today
}

// shiftDate moves a date by the patient's offset, so that intervals stay to the
// day. The time of day goes, unless the rule keeps it: to the second it names a
// record wherever else it is held. Without one patient, or a day to move,
// the year is left.
func (r *run) shiftDate(i int, kind prim, m *method) bool {
	if r.second && r.view.below.shifts {
		return true
	}
	d, ok := parseDate(r.peek(i))
	if !ok {
		return false
	}
	offset, ok := r.offset(m)
	if !ok || d.have < 10 {
		return !r.tooOld(d, m.maxAge) && r.coarse(i, kind, d, 4)
	}
	if r.maybeTooOld(d.day+offset, m) {
		return false
	}
	if !m.keepTime && d.rest != "" {
		d.rest = ""
		if kind == primInstant { // cannot be without one
			d.rest = "T00:00:00Z"
		}
	}
	return r.dated(i, d.day+offset, 10, d.rest)
}

// coarse leaves the first n characters of a date. An instant cannot be cut and
// is taken out.
func (r *run) coarse(i int, kind prim, d parsedDate, n int) bool {
	if kind == primInstant {
		return false
	}
	return r.dated(i, d.day, min(n, d.have), "")
}

// The first day that has no four digits for its year, and the last before.
var firstDay, lastDay = dayNumber(0, 1, 1), dayNumber(9999, 12, 31)

// dated puts the first n characters of a day and what follows it in the place
// of node i. rest was checked to hold nothing that needs an escape.
func (r *run) dated(i, day, n int, rest string) bool {
	if day < firstDay || day > lastDay {
		return false
	}
	r.flush(r.nodes[i].Start)
	r.dst = append(r.dst, '"')
	at := len(r.dst)
	r.dst = appendDay(r.dst, day)
	r.dst = append(append(r.dst[:at+n], rest...), '"')
	r.from = r.nodes[i].End
	return true
}

// offset is the patient's shift in days: one per patient and domain, never
// none, so that no date stands as it was.
func (r *run) offset(m *method) (days int, ok bool) {
	if r.notes != nil {
		r.notes.byPatient(r, m)
	}
	if r.here.known {
		return r.here.offset, true
	}
	patient := r.patient()
	if patient == "" || m.days < 1 {
		return 0, false
	}
	days, err := r.view.daysOf(r.ctx.Domain, patient, m)
	if err != nil {
		return 0, r.fail("shift date", err)
	}
	r.here.offset, r.here.known = days, true
	return days, true
}

func (w *View) daysOf(domain, patient string, m *method) (int, error) {
	sum, err := w.codec.remembered(domain, "dateShift", patient)
	if err != nil {
		return 0, err
	}
	unit := 1
	if m.weekday {
		unit = 7
	}
	span := uint64(max(m.days/unit, 1))
	// 64 bits over at most some hundred days: the bias is nothing.
	n := int(binary.BigEndian.Uint64([]byte(sum))%(2*span)) - int(span)
	if n >= 0 {
		n++
	}
	return n * unit, nil
}
