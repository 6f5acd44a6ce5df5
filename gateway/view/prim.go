package view

import "gatehouse/fhir/wire"

// prim is a primitive type, as far as a method must tell them apart.
type prim uint8

const (
	primString prim = iota // string, markdown, xhtml and whatever else is text
	primBoolean
	primInteger
	primDecimal
	primDate
	primDateTime
	primInstant
	primTime
	primURI
	primID
	primCode
	primBase64
)

// prims leaves out what is text: R5's integer64 is, in JSON.
var prims = map[string]prim{
	"boolean": primBoolean, "integer": primInteger, "positiveInt": primInteger,
	"unsignedInt": primInteger, "decimal": primDecimal, "date": primDate, "dateTime": primDateTime,
	"instant": primInstant, "time": primTime, "uri": primURI, "url": primURI, "canonical": primURI,
	"oid": primURI, "uuid": primURI, "id": primID, "code": primCode, "base64Binary": primBase64,
}

func primOf(typ string) prim { return prims[typ] }

// fits reports whether a JSON value may stand for the type. What does not fit
// was never judged as what it is.
func (p prim) fits(k wire.Kind) bool {
	switch p {
	case primBoolean:
		return k == wire.True || k == wire.False
	case primInteger, primDecimal:
		return k == wire.Number
	}
	return k == wire.String
}

func (p prim) dated() bool { return p == primDate || p == primDateTime || p == primInstant }
