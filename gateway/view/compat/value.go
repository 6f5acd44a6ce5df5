package compat

import (
	"fmt"
	"strconv"
	"strings"

	"gatehouse/fhir/wire"
)

// value is a part of a rule file, whatever it is written in. Scalars keep their
// text: "036" is a prefix, not a number.
type value struct {
	kind         kind
	text         string   // of a scalar
	quoted       bool     // a scalar written as text
	names        []string // of an object, in order
	parts        []*value // of an object or array
	line, column int
}

type kind uint8

const (
	null kind = iota
	scalar
	object
	array
)

// get finds a member; the tools do not regard case where none has the very
// name.
func (v *value) get(name string) *value {
	if v == nil || v.kind != object {
		return nil
	}
	found := -1
	for i, n := range v.names {
		if n == name {
			return v.parts[i]
		}
		if found < 0 && strings.EqualFold(n, name) {
			found = i
		}
	}
	if found < 0 {
		return nil
	}
	return v.parts[found]
}

// string is the text of a scalar; "" where there is none.
func (v *value) string() string {
	if v == nil || v.kind != scalar {
		return ""
	}
	return v.text
}

// integer reads a whole number, which may be written as text.
func (v *value) integer() (int, error) { return strconv.Atoi(v.string()) }

// add gives an object a member. Names that get would confuse are refused.
func (v *value) add(file, name string, part *value) error {
	for _, n := range v.names {
		if n == name {
			return part.errorf(file, "%q is given twice", name)
		}
	}
	v.names, v.parts = append(v.names, name), append(v.parts, part)
	return nil
}

func (v *value) errorf(file, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %w", file, v.line, v.column, fmt.Errorf(format, args...))
}

// json writes the value as JSON, for rules that give a structure.
func (v *value) json(dst []byte) []byte {
	switch v.kind {
	case null:
		return append(dst, "null"...)
	case scalar:
		if !v.quoted && (v.text == "true" || v.text == "false" || number.MatchString(v.text)) {
			return append(dst, v.text...)
		}
		return wire.Quote(dst, v.text)
	}
	open, end := byte('{'), byte('}')
	if v.kind == array {
		open, end = '[', ']'
	}
	dst = append(dst, open)
	for i, p := range v.parts {
		if i > 0 {
			dst = append(dst, ',')
		}
		if v.kind == object {
			dst = append(wire.Quote(dst, v.names[i]), ':')
		}
		dst = p.json(dst)
	}
	return append(dst, end)
}

// bom may begin files that were made on Windows.
const bom = "\ufeff"
