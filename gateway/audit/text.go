package audit

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Caps, in bytes. Whoever sends a megabyte of user agent fills no disk with it.
const (
	maxText    = 1 << 10  // any text but the raw ones
	maxRaw     = 64 << 10 // Query and Body, each
	maxList    = 64       // roles, purposes, reasons
	maxEntries = 1 << 16  // and patients and consents of one record
)

// clean caps s and spells out what is not printable, so that no stored text
// can forge a line, colour a terminal or run from right to left (U-05). The
// backslash is doubled, which keeps the spelling unambiguous.
func clean(s string) (text string, cut bool) {
	if len(s) <= maxText && isPlain(s) {
		return s, false
	}
	out := make([]byte, 0, min(len(s), maxText)+16)
	for i, r := range s {
		if len(out) >= maxText {
			return string(out), true
		}
		switch {
		case r == '\\':
			out = append(out, `\\`...)
		case r == utf8.RuneError && s[i] != 0xEF:
			out = fmt.Appendf(out, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			out = utf8.AppendRune(out, r)
		default:
			out = fmt.Appendf(out, `\u{%x}`, r)
		}
	}
	return string(out), false
}

func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}
