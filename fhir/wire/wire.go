// Package wire reads and edits FHIR's JSON on its bytes: what it leaves alone
// stays as it was, to the byte.
//
// Everything here refuses what RFC 8259 and RFC 7493 (I-JSON) refuse: bad
// syntax, invalid UTF-8, lone surrogates, trailing bytes. It also refuses a
// member name that contains an escape, since FHIR names never need one and an
// escape hides a duplicate from whoever compares bytes.
package wire

import "fmt"

// maxDepth is how deep arrays and objects may nest. FHIR needs some twenty.
const maxDepth = 512

// Error says where and why bytes were refused. It never quotes them, since
// they may be a patient's.
type Error struct {
	Offset int64 // of the offending byte, from the start of the document
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("JSON at byte %d: %s", e.Offset, e.Reason) }

// maxValues is how many values a Tree or the hits of a Skim hold: 24 MiB of
// memory. Without it a body of nothing but commas would take twelve times its
// size; a FHIR document of 16 MiB has some 600,000 values.
const maxValues = 1 << 20

// A fault is why a scan stopped; the zero fault is none. Scanners return it
// with the offset, so that nothing is allocated until a document is refused.
type fault uint8

const (
	none fault = iota
	truncated
	badSyntax
	badControl
	badEscape
	badSurrogate
	badUTF8
	escapedName
	duplicateName
	tooDeep
	trailing
	tooLong
	tooMany
	lateType
	notBundle
	badEntry
	enough // none: what was looked for has been found
)

var reasons = [...]string{
	none:          "no fault",
	truncated:     "unexpected end",
	badSyntax:     "unexpected character",
	badControl:    "control character in a string",
	badEscape:     "invalid escape in a string",
	badSurrogate:  "lone surrogate in a string",
	badUTF8:       "invalid UTF-8 in a string",
	escapedName:   "escape in a member name",
	duplicateName: "duplicate member name",
	tooDeep:       "nested too deeply",
	trailing:      "bytes after the end",
	tooLong:       "longer than the limit",
	tooMany:       "too many values",
	lateType:      "no resourceType near the start",
	notBundle:     "not a Bundle",
	badEntry:      "entry is not an array of objects",
	enough:        "no fault",
}

func (f fault) at(offset int) error { return &Error{int64(offset), reasons[f]} }
