package wire

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Quote appends s as a JSON string with no more escapes than RFC 8259 asks
// for. Invalid UTF-8 becomes U+FFFD.
func Quote(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, "\ufffd"...)
		case r < ' ' || r == '"' || r == '\\':
			dst = appendEscape(dst, s[i])
		default:
			dst = append(dst, s[i:i+size]...)
		}
		i += size
	}
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// Unquote is the text of a JSON string, given with its quotes. The error is an
// *Error.
func Unquote(raw []byte) (string, error) {
	if at(raw, 0) != '"' {
		return "", unexpected(raw, 0).at(0)
	}
	end, f := scanString(raw, 1)
	if f == none && end != len(raw) {
		f = trailing
	}
	if f != none {
		return "", f.at(end)
	}
	inner := raw[1 : end-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), nil
	}
	return string(unescape(make([]byte, 0, len(inner)), inner)), nil
}

// unescape appends the text of the inside of a string that was scanned before.
func unescape(dst, inner []byte) []byte {
	for {
		i := bytes.IndexByte(inner, '\\')
		if i < 0 {
			return append(dst, inner...)
		}
		dst = append(dst, inner[:i]...)
		c := inner[i+1]
		inner = inner[i+2:]
		if c != 'u' {
			dst = append(dst, unescaped(c))
			continue
		}
		r := hexRune(inner)
		inner = inner[4:]
		if utf16.IsSurrogate(r) {
			r = utf16.DecodeRune(r, hexRune(inner[2:]))
			inner = inner[6:]
		}
		dst = utf8.AppendRune(dst, r)
	}
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

func hexRune(b []byte) rune {
	r, _ := strconv.ParseUint(string(b[:4]), 16, 32) // scanned before
	return rune(r)
}

// IsPlain reports whether a string, given with its quotes, holds no escape, so
// that the bytes between its quotes are its text.
func IsPlain(raw []byte) bool { return bytes.IndexByte(raw, '\\') < 0 }

// Equal reports whether raw is a JSON string, with quotes, whose text is s.
func Equal(raw []byte, s string) bool {
	if len(raw) < 2 || raw[0] != '"' {
		return false
	}
	if IsPlain(raw) {
		return string(raw[1:len(raw)-1]) == s
	}
	text, err := Unquote(raw)
	return err == nil && text == s
}
