package demo

import (
	"fmt"
	"strconv"

	"gatehouse/fhir/wire"
)

// Resources are written here with their members in the order given and their
// numbers as they stand: encoding/json would sort the ones and round the others.
type (
	object []any  // name, value, name, value; a nil value is left out
	list   []any  // nil elements are left out
	number string // a JSON number, "1.10"
	raw    string // any JSON value
)

func encode(v any) []byte { return appendJSON(nil, v) }

func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return wire.Quote(dst, v)
	case number:
		return append(dst, v...)
	case raw:
		return append(dst, v...)
	case []byte:
		return append(dst, v...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case list:
		dst = append(dst, '[')
		for _, e := range v {
			if e == nil {
				continue
			}
			dst = append(appendJSON(dst, e), ',')
		}
		return closed(dst, ']')
	case object:
		dst = append(dst, '{')
		for i := 0; i < len(v); i += 2 {
			if v[i+1] == nil {
				continue
			}
			dst = append(wire.Quote(dst, v[i].(string)), ':')
			dst = append(appendJSON(dst, v[i+1]), ',')
		}
		return closed(dst, '}')
	}
	panic(fmt.Sprintf("no JSON for %T", v)) // program text
}

func closed(dst []byte, bracket byte) []byte {
	if dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, bracket)
}
