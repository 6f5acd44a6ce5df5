package compat

import (
	"path/filepath"
	"regexp"
	"time"
	"unicode"
)

// dateValue is a date, dateTime or instant, taken apart.
type dateValue struct {
	ok    bool
	text  string
	day   time.Time // its first, in the value's own zone
	whole bool      // it has a day
	clock string    // "T13:28:17.123", "" where there is none, or none with a zone
	zone  string
}

var datePattern = regexp.MustCompile(`^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:(T\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+-]\d\d:\d\d)|T.*)?)?)?$`)

func parseDate(text string) (d dateValue) {
	m := datePattern.FindStringSubmatch(text)
	if m == nil || m[1] == "0000" {
		return d
	}
	d = dateValue{text: text, whole: m[3] != "", clock: m[4], zone: m[5]}
	layout := time.DateOnly[:min(len(text), 10)]
	var err error
	d.day, err = time.Parse(layout, text[:len(layout)])
	d.ok = err == nil
	return d
}

// tooOld: the date tells of an age above 89 today.
func (r *run) tooOld(d dateValue) bool {
	year, month, day := r.now().Date()
	age := year - d.day.Year()
	if month < d.day.Month() || month == d.day.Month() && day < d.day.Day() {
		age--
	}
	return age > maxAge
}

// dateShift moves a day and clears the time of day (D3). What has no day, or
// tells of a high age, is redacted.
func (r *run) dateShift(n *node) done {
	if n.typ != "date" && n.typ != "dateTime" && n.typ != "instant" || n.text() == "" {
		return done{}
	}
	d := parseDate(n.text())
	if !d.ok || !d.whole || r.tooOld(d) {
		r.redactDate(n, d)
		return done{redacted: true}
	}
	if n.typ == "instant" && d.clock == "" {
		n.raw = nil
		n.absent()
		return done{redacted: true}
	}
	n.set(d.day.AddDate(0, 0, r.offset()).Format(time.DateOnly) + zeros(d.clock) + d.zone)
	return done{perturbed: true}
}

// offset is the shift in days, by the id of the outermost resource as it is
// now, or by the name of where it came from.
func (r *run) offset() int {
	if r.params.offset != nil {
		return *r.params.offset
	}
	prefix := ""
	if r.ctx.Source != "" {
		switch r.params.scope {
		case "file":
			prefix = filepath.Base(r.ctx.Source)
		case "folder":
			prefix = filepath.Base(filepath.Dir(r.ctx.Source))
		}
	}
	if prefix == "" {
		prefix = idOf(r.root)
	}
	return dayOffset(prefix + r.params.dateKey)
}

func dayOffset(s string) int {
	o := 0
	for i := range len(s) {
		o = (o*131 + int(s[i])) % 101
	}
	return o - 50
}

func isDigit(c rune) bool { return unicode.IsDigit(c) }
