package wire

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// The scanners take the document and the offset to start at and return the
// offset behind what they read. With a fault the offset is where it lies.

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks, in the high bit of each byte of x, quotes, backslashes and
// control characters. The lowest mark is exact; a borrow may add marks above it.
func special(x uint64) uint64 {
	return ((x ^ 0x02*ones - 0x21*ones) | (x ^ '\\'*ones - ones)) &^ x & highs
}

// at is doc[i], or 0, which no grammar has a use for, behind the end.
func at(doc []byte, i int) byte {
	if uint(i) < uint(len(doc)) {
		return doc[i]
	}
	return 0
}

// unless is f, unless the document simply ends before i: then more of it may
// come and make it good.
func unless(doc []byte, i int, f fault) fault {
	if i >= len(doc) {
		return truncated
	}
	return f
}

// unexpected is the fault of finding something else than was needed at i.
func unexpected(doc []byte, i int) fault { return unless(doc, i, badSyntax) }

// space passes over white space.
func space(doc []byte, i int) int {
	if uint(i) < uint(len(doc)) && doc[i] > ' ' {
		return i
	}
	return spaces(doc, i)
}

// spaces is not inlined, so that space is.
//
//go:noinline
func spaces(doc []byte, i int) int {
	for i < len(doc) && (doc[i] == ' ' || doc[i] == '\n' || doc[i] == '\r' || doc[i] == '\t') {
		i++
		for i+8 <= len(doc) {
			x := binary.LittleEndian.Uint64(doc[i:]) ^ ' '*ones
			i += bits.TrailingZeros64(x) >> 3
			if x != 0 {
				break
			}
		}
	}
	return i
}

// scanString reads a string whose opening quote stands before i.
func scanString(doc []byte, i int) (int, fault) {
	end, seen := run(doc, i)
	if at(doc, end) == '"' && seen&highs == 0 {
		return end + 1, none
	}
	return scanRich(doc, i, end, seen)
}

// scanRich goes on at i with a string that began at start, of which seen is
// what run has seen.
func scanRich(doc []byte, start, i int, seen uint64) (int, fault) {
	for {
		switch c := at(doc, i); {
		case c == '"':
			if seen&highs != 0 && !utf8.Valid(doc[start:i]) {
				return start, badUTF8
			}
			return i + 1, none
		case c == '\\':
			end, f := scanEscape(doc, i)
			if f != none {
				return end, f
			}
			next, more := run(doc, end)
			i, seen = next, seen|more
		default:
			return i, unless(doc, i, badControl)
		}
	}
}

// run passes over plain bytes and returns them or-ed together.
func run(doc []byte, i int) (int, uint64) {
	seen := uint64(0)
	for i+8 <= len(doc) {
		x := binary.LittleEndian.Uint64(doc[i:])
		seen |= x
		if m := special(x); m != 0 {
			return i + bits.TrailingZeros64(m)>>3, seen
		}
		i += 8
	}
	for ; i < len(doc); i++ {
		c := doc[i]
		seen |= uint64(c)
		if c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return i, seen
}

// scanEscape reads an escape whose backslash stands at i. A high surrogate
// must be followed by the escape of a low one.
func scanEscape(doc []byte, i int) (int, fault) {
	switch at(doc, i+1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, none
	case 'u':
	default:
		return i + 1, unless(doc, i+1, badEscape)
	}
	r, end, f := scanHex(doc, i+2)
	if f != none || r&0xf800 != 0xd800 {
		return end, f
	}
	if r >= 0xdc00 {
		return i, badSurrogate
	}
	if at(doc, end) != '\\' {
		return i, unless(doc, end, badSurrogate)
	}
	if at(doc, end+1) != 'u' {
		return i, unless(doc, end+1, badSurrogate)
	}
	low, end, f := scanHex(doc, end+2)
	if f == none && low&0xfc00 != 0xdc00 {
		return i, badSurrogate
	}
	return end, f
}

func scanHex(doc []byte, i int) (uint32, int, fault) {
	var r uint32
	for end := i + 4; i < end; i++ {
		c := at(doc, i)
		switch {
		case c-'0' < 10:
			c -= '0'
		case c|0x20-'a' < 6:
			c = c | 0x20 - 'a' + 10
		default:
			return 0, i, unless(doc, i, badEscape)
		}
		r = r<<4 | uint32(c)
	}
	return r, i, none
}

// scanName reads a member name whose opening quote stands at i, and the colon,
// and returns the span of the name without quotes and the start of the value.
func scanName(doc []byte, i int) (start, end, value int, f fault) {
	if at(doc, i) != '"' {
		return 0, 0, i, unexpected(doc, i)
	}
	start = i + 1
	end, seen := run(doc, start)
	if at(doc, end) == '"' && at(doc, end+1) == ':' && seen&highs == 0 {
		return start, end, space(doc, end+2), none
	}
	switch c := at(doc, end); {
	case c == '"':
	case c == '\\':
		return 0, 0, end, escapedName
	default:
		return 0, 0, end, unless(doc, end, badControl)
	}
	if seen&highs != 0 && !utf8.Valid(doc[start:end]) {
		return 0, 0, start, badUTF8
	}
	i = space(doc, end+1)
	if at(doc, i) != ':' {
		return 0, 0, i, unexpected(doc, i)
	}
	return start, end, space(doc, i+1), none
}

// scanScalar reads a number or a literal.
func scanScalar(doc []byte, i int) (int, fault) {
	switch at(doc, i) {
	case 't':
		return scanLiteral(doc, i, "true")
	case 'f':
		return scanLiteral(doc, i, "false")
	case 'n':
		return scanLiteral(doc, i, "null")
	}
	return scanNumber(doc, i)
}

func scanLiteral(doc []byte, i int, word string) (int, fault) {
	for k := range len(word) {
		if at(doc, i+k) != word[k] {
			return i + k, unexpected(doc, i+k)
		}
	}
	return i + len(word), none
}

func scanNumber(doc []byte, i int) (int, fault) {
	if at(doc, i) == '-' {
		i++
	}
	switch c := at(doc, i); {
	case c == '0':
		i++
	case c-'1' < 9:
		i = digits(doc, i+1)
	default:
		return i, unexpected(doc, i)
	}
	if at(doc, i) == '.' {
		end := digits(doc, i+1)
		if end == i+1 {
			return end, unexpected(doc, end)
		}
		i = end
	}
	if at(doc, i)|0x20 != 'e' {
		return i, none
	}
	i++
	if c := at(doc, i); c == '+' || c == '-' {
		i++
	}
	end := digits(doc, i)
	if end == i {
		return end, unexpected(doc, end)
	}
	return end, none
}

func digits(doc []byte, i int) int {
	for at(doc, i)-'0' < 10 {
		i++
	}
	return i
}
