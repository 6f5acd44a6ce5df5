package auth

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode"

	"gatehouse/config"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// claims are the members of one JSON object, each as it stood. Names are
// compared exactly: "Patient" is not "patient".
type claims map[string]jsontext.Value

// maxDepth bounds the nesting of what tokens hold: real ones use four levels.
const maxDepth = 16

// parseClaims reads one JSON object and refuses whatever two readers could
// understand differently: a name that is there twice at any level, invalid
// UTF-8, trailing bytes. Its errors quote no content.
func parseClaims(doc []byte) (claims, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(doc))
	if dec.PeekKind() != '{' {
		return nil, errors.New("not a JSON object")
	}
	for {
		if _, err := dec.ReadToken(); err != nil {
			return nil, errors.New("not strict JSON")
		}
		if dec.StackDepth() > maxDepth {
			return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
		}
		if dec.StackDepth() == 0 {
			break
		}
	}
	var c claims
	if err := json.Unmarshal(doc, &c); err != nil { // refuses what trails, too
		return nil, errors.New("not strict JSON")
	}
	return c, nil
}

// find gives the first alternative that is there and says something.
func (c claims) find(p config.ClaimPath) jsontext.Value {
	for _, names := range p {
		if v := c.at(names...); v != nil {
			return v
		}
	}
	return nil
}

// at gives the claim at a path of member names; nil where it is absent, null,
// an empty string or an empty list.
func (c claims) at(names ...string) jsontext.Value {
	for i, name := range names {
		v := c[name]
		if i == len(names)-1 {
			return said(v)
		}
		c = object(v)
	}
	return nil
}

func said(v jsontext.Value) jsontext.Value {
	switch string(v) {
	case "", "null", `""`, "[]":
		return nil
	}
	return v
}

// object gives the members of an object that has been parsed strictly before;
// nil for anything else.
func object(v jsontext.Value) (c claims) {
	if v.Kind() == '{' && json.Unmarshal(v, &c) == nil {
		return c
	}
	return nil
}

// list gives the elements of a list, or v alone where it is none.
func list(v jsontext.Value) []jsontext.Value {
	var vs []jsontext.Value
	if v.Kind() == '[' && json.Unmarshal(v, &vs) == nil {
		return vs
	}
	return []jsontext.Value{v}
}

// text gives the value of a string that holds no control or invisible
// character; those are there to deceive a log or a comparison.
func text(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil || bytes.ContainsFunc(b, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) }) {
		return "", false
	}
	return string(b), true
}

// identifier gives the value of a string that names a principal, a client or a
// token: printable ASCII of at most 255 characters (OpenID Connect Core §2 for
// sub, RFC 6749 A.1 for client ids), so that no two of them look alike.
func identifier(v jsontext.Value) (string, bool) {
	s, ok := text(v)
	if !ok || s == "" || len(s) > 255 {
		return "", false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return "", false
		}
	}
	return s, true
}

// seconds gives a NumericDate; fractions, exponents, signs and strings are
// refused (J-06).
func seconds(v jsontext.Value) (int64, bool) {
	if v.Kind() != '0' || len(v) > 12 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	return n, err == nil && n >= 0
}
