package sink

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/gateway/audit"
)

// fact is what a receiver filters by without reading the AuditEvent.
type fact struct{ name, value string }

// maxFact caps a fact, in bytes.
const maxFact = 256

func factsOf(e audit.Event) []fact {
	r := e.Record
	all := []fact{{"index", strconv.FormatInt(e.Index, 10)}, {"part", strconv.Itoa(e.Part)}, {"kind", r.Kind.String()}, {"request", r.Request},
		{"interaction", r.Interaction}, {"type", r.Type}, {"client", r.Caller.Client}, {"user", r.Caller.User},
		{"outcome", e.Outcome()}, {"code", r.Code}, {"address", r.Address}}
	if r.Status > 0 {
		all = append(all, fact{"status", strconv.Itoa(r.Status)})
	}
	kept := all[:0]
	for _, f := range all {
		if f.value != "" {
			kept = append(kept, fact{f.name, escaped(f.value)})
		}
	}
	return kept
}

// escaped caps a text and spells out what could forge a line, colour a terminal
// or turn its direction (U-05). The log has done so before; a receiver's safety
// does not rest on that.
func escaped(s string) string {
	var b strings.Builder
	for i, r := range s {
		if b.Len() >= maxFact {
			break
		}
		switch {
		case r == utf8.RuneError && s[i] != 0xEF:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i]), 16))
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(`\u{` + strconv.FormatInt(int64(r), 16) + "}")
		}
	}
	return b.String()
}
