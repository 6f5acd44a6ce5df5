package view

import "time"

// Days are counted from 1 January 1970 in the proleptic Gregorian calendar. The two
// ways between a day and its date reckon in eras of 400 years that begin in March, so
// that leap days come last.

const daysPerEra = 146097

// dayOf is the last day that has begun before now, so that whoever is too old within
// a day is so from its beginning.
func dayOf(now time.Time) int { return floorDiv(int(now.Add(-1).Unix()), 24*60*60) }

// dayNumber is the day of a date. A day that its month does not have is one of the next.
func dayNumber(year, month, day int) int {
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(year, 400)
	y := year - era*400
	ofYear := (153*(month-3)+2)/5 + day - 1
	return era*daysPerEra + y*365 + y/4 - y/100 + ofYear - 719468
}

// dateOf is the date of a day.
func dateOf(n int) (year, month, day int) {
	n += 719468
	era := floorDiv(n, daysPerEra)
	d := n - era*daysPerEra
	y := (d - d/1460 + d/36524 - d/146096) / 365
	ofYear := d - (365*y + y/4 - y/100)
	m := (5*ofYear + 2) / 153
	day = ofYear - (153*m+2)/5 + 1
	year, month = y+era*400, m+3
	if month > 12 {
		year, month = year+1, month-12
	}
	return year, month, day
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// appendDay writes a day as YYYY-MM-DD; its year is from 0 to 9999.
func appendDay(dst []byte, n int) []byte {
	year, month, day := dateOf(n)
	two := func(n int) (byte, byte) { return byte('0' + n/10), byte('0' + n%10) }
	a, b := two(year / 100)
	c, d := two(year % 100)
	e, f := two(month)
	g, h := two(day)
	return append(dst, a, b, c, d, '-', e, f, '-', g, h)
}
