package path

import "strings"

type kind uint8

const (
	end kind = iota
	word
	text
	number
	date
	symbol
)

type token struct {
	kind   kind
	text   string
	column int
}

// maxLength bounds an expression in bytes; evaluation recurses along it.
const maxLength = 16 << 10

func (p *parser) lex(s string) error {
	if len(s) > maxLength {
		return &Error{maxLength, "expression is too long"}
	}
	for i := 0; i < len(s); {
		start := i
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case c == '\'' || c == '`':
			body, n := quoted(s[i:])
			if n == 0 {
				return &Error{i + 1, "string is not closed"}
			}
			if c == '`' && body == "" {
				return &Error{i + 1, "name is empty"}
			}
			i += n
			k := text
			if c == '`' {
				k = word
			}
			p.tokens = append(p.tokens, token{k, body, start + 1})
			continue
		case c >= '0' && c <= '9':
			i = span(s, i, func(c byte) bool { return c >= '0' && c <= '9' })
			if i+1 < len(s) && s[i] == '.' && s[i+1] >= '0' && s[i+1] <= '9' {
				i = span(s, i+1, func(c byte) bool { return c >= '0' && c <= '9' })
			}
			p.tokens = append(p.tokens, token{number, s[start:i], start + 1})
		case c == '@':
			i = span(s, i+1, func(c byte) bool { return c >= '0' && c <= '9' || strings.IndexByte("-:.+TZ", c) >= 0 })
			p.tokens = append(p.tokens, token{date, s[start+1 : i], start + 1})
		case letter(c) || c == '$' || c == '%':
			i = span(s, i+1, func(c byte) bool { return letter(c) || c >= '0' && c <= '9' })
			p.tokens = append(p.tokens, token{word, s[start:i], start + 1})
		default:
			n := 1
			if i+1 < len(s) && strings.Contains(" <= >= != !~ ", " "+s[i:i+2]+" ") {
				n = 2
			}
			if !strings.Contains(" . , ( ) [ ] | = ~ < > <= >= != !~ + - * / & ", " "+s[i:i+n]+" ") || strings.HasPrefix(s[i:], "&&") {
				return &Error{i + 1, "unexpected character"}
			}
			i += n
			p.tokens = append(p.tokens, token{symbol, s[start:i], start + 1})
		}
	}
	p.tokens = append(p.tokens, token{end, "end of expression", len(s) + 1})
	return nil
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

func span(s string, i int, in func(byte) bool) int {
	for i < len(s) && in(s[i]) {
		i++
	}
	return i
}

// quoted reads a string with its escapes; n is 0 where it is not closed.
func quoted(s string) (body string, n int) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			return b.String(), i + 1
		case s[i] == '\\' && i+1 < len(s):
			i++
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case '\'', '"', '`', '\\', '/':
				b.WriteByte(s[i])
			default: // as regular expressions are written in rule files
				b.WriteByte('\\')
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return "", 0
}
