package fhir

// validNumber checks a decimal: sign, digits, fraction, exponent. The text is
// kept as it is, since 5.40 and 5.4 ask for different precision.
func validNumber(s string) bool {
	if len(s) > 40 {
		return false
	}
	if s != "" && s[0] == '-' {
		s = s[1:]
	}
	n := digits(s)
	if n == 0 {
		return false
	}
	if s = s[n:]; s != "" && s[0] == '.' {
		if n = digits(s[1:]); n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '-' || s[0] == '+') {
			s = s[1:]
		}
		n = digits(s)
		return n > 0 && n <= 3 && n == len(s)
	}
	return s == ""
}

func digits(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return i
		}
	}
	return len(s)
}

// validDate checks yyyy, yyyy-mm, yyyy-mm-dd or yyyy-mm-ddThh:mm[:ss[.f]][zone]
// (https://hl7.org/fhir/R4/search.html#date).
func validDate(s string) bool {
	year, ok := number(&s, 4, 0, 9999)
	if !ok || s == "" {
		return ok
	}
	month, ok := pieceOf(&s, '-', 1, 12)
	if !ok || s == "" {
		return ok
	}
	_, ok = pieceOf(&s, '-', 1, daysIn(year, month))
	if !ok || s == "" {
		return ok
	}
	if _, ok = pieceOf(&s, 'T', 0, 23); !ok {
		return false
	}
	if _, ok = pieceOf(&s, ':', 0, 59); !ok {
		return false
	}
	if s != "" && s[0] == ':' {
		if _, ok = pieceOf(&s, ':', 0, 60); !ok {
			return false
		}
		if s != "" && s[0] == '.' {
			n := digits(s[1:])
			if n == 0 || n > 9 {
				return false
			}
			s = s[1+n:]
		}
	}
	return validZone(s)
}

func validZone(s string) bool {
	if s == "" || s == "Z" {
		return true
	}
	if s[0] != '+' && s[0] != '-' {
		return false
	}
	if _, ok := pieceOf(&s, s[0], 0, 14); !ok {
		return false
	}
	_, ok := pieceOf(&s, ':', 0, 59)
	return ok && s == ""
}

// pieceOf reads a separator and two digits.
func pieceOf(s *string, sep byte, low, high int) (int, bool) {
	if *s == "" || (*s)[0] != sep {
		return 0, false
	}
	*s = (*s)[1:]
	return number(s, 2, low, high)
}

func number(s *string, n, low, high int) (int, bool) {
	if len(*s) < n || digits((*s)[:n]) != n {
		return 0, false
	}
	v := 0
	for i := 0; i < n; i++ {
		v = v*10 + int((*s)[i]-'0')
	}
	*s = (*s)[n:]
	return v, v >= low && v <= high
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}
