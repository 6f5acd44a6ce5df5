package label

import (
	"slices"
	"strings"
)

// codes are the rows about one code system. Codes are compared in one form: in
// capitals, without dots and spaces, since servers write B20.1 as they like.
type codes struct {
	exact  map[string][]string
	ranges []span // by from
	first  [256]bool
}

// span is the codes that begin with something between from and to, which are of
// one length.
type span struct {
	from, to string
	labels   []string
}

func newCodes() *codes { return &codes{exact: map[string][]string{}} }

// add appends the labels of a code; nothing is allocated but for these.
func (c *codes) add(labels []string, code []byte) []string {
	var space [64]byte
	plain := normal(space[:0], code)
	if found, ok := c.exact[string(plain)]; ok {
		labels = append(labels, found...)
	}
	if len(plain) == 0 || !c.first[plain[0]] {
		return labels
	}
	for i := range c.ranges {
		s := &c.ranges[i]
		if n := len(s.from); len(plain) >= n && string(plain[:n]) >= s.from && string(plain[:n]) <= s.to {
			labels = append(labels, s.labels...)
		}
	}
	return labels
}

// normal appends the comparable form of a code.
func normal(dst, code []byte) []byte {
	for _, c := range code {
		switch {
		case c == '.' || c == ' ' || c == '\t':
		case c >= 'a' && c <= 'z':
			dst = append(dst, c-'a'+'A')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// put takes one entry of a table: a code, a beginning (B20*) or a range of
// beginnings (B20-B24).
func (c *codes) put(entry string, labels []string) {
	text := string(normal(nil, []byte(entry)))
	if start, ok := strings.CutSuffix(text, "*"); ok {
		c.span(start, start, labels)
		return
	}
	if from, to, ok := strings.Cut(text, "-"); ok && sameForm(from, to) && from <= to {
		c.span(from, to, labels)
		return
	}
	c.exact[text] = append(slices.Clip(c.exact[text]), labels...)
}

func (c *codes) span(from, to string, labels []string) {
	for b := from[0]; ; b++ {
		if c.first[b] = true; b == to[0] {
			break
		}
	}
	c.ranges = append(c.ranges, span{from, to, labels})
}

// sameForm tells a range from a code with a dash in it: its two sides are of at
// least three characters, with digits and letters in the same places.
func sameForm(from, to string) bool {
	if len(from) != len(to) || len(from) < 3 {
		return false
	}
	digits := false
	for i := range len(from) {
		a, b := from[i] >= '0' && from[i] <= '9', to[i] >= '0' && to[i] <= '9'
		if a != b || !a && (from[i] < 'A' || from[i] > 'Z') {
			return false
		}
		digits = digits || a
	}
	return digits
}
