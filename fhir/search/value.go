package search

import (
	"errors"
	"strings"
)

var (
	errEscape     = errors.New(`bad escape: only \, \| \$ and \\ are known`)
	errEmptyToken = errors.New("a token needs a system or a code")
)

// split cuts a raw parameter value at each separator that is not escaped. The
// escapes stay in place.
func split(s string, separator byte) []string {
	var parts []string
	from := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case separator:
			parts = append(parts, s[from:i])
			from = i + 1
		}
	}
	return append(parts, s[from:])
}

// unescape undoes FHIR's escaping of , | $ and \ in parameter values.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		if i++; i == len(s) || strings.IndexByte(`,|$\`, s[i]) < 0 {
			return "", errEscape
		}
		out = append(out, s[i])
	}
	return string(out), nil
}

// parts splits a value at unescaped bars and unescapes what is between; ok is
// false unless there are between least and most of them.
func parts(s string, least, most int) ([]string, error) {
	raw := split(s, '|')
	if len(raw) < least || len(raw) > most {
		return nil, errors.New("wrong number of | in the value")
	}
	for i := range raw {
		var err error
		if raw[i], err = unescape(raw[i]); err != nil {
			return nil, err
		}
	}
	return raw, nil
}

var prefixes = [...]string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"}

// prefix cuts a comparison prefix off a value; without one it is "eq".
func prefix(s string) (string, string) {
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(s, p); ok {
			return p, rest
		}
	}
	return "eq", s
}
