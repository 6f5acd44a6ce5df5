package path

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

type eval struct {
	version fhir.Version
	tree    *wire.Tree
	root    Item
}

type node interface {
	eval(e *eval, in []Item) ([]Item, error)
}

// value is a primitive, as text and what it is.
type value struct {
	kind valueKind
	text string
}

type valueKind uint8

const (
	isNothing valueKind = iota // an object or array
	isBool
	isNumber
	isText
	isDate
)

func (e *eval) value(i Item) value {
	if i.Node < 0 {
		return i.value
	}
	switch e.tree.Nodes[i.Node].Kind {
	case wire.True, wire.False:
		return value{isBool, string(e.tree.Raw(i.Node))}
	case wire.Number:
		return value{isNumber, string(e.tree.Raw(i.Node))}
	case wire.String:
		switch i.Type {
		case "date", "dateTime", "instant", "time":
			return value{isDate, e.tree.Text(i.Node)}
		}
		return value{isText, e.tree.Text(i.Node)}
	}
	return value{}
}

type literal struct{ value }

func (l literal) eval(*eval, []Item) ([]Item, error) { return []Item{computed(l.value)}, nil }

func computed(v value) Item { return Item{Node: -1, value: v} }

func boolean(b bool) []Item {
	return []Item{computed(value{isBool, strconv.FormatBool(b)})}
}

type this struct{}

func (this) eval(_ *eval, in []Item) ([]Item, error) { return in, nil }

type resource struct{}

func (resource) eval(e *eval, _ []Item) ([]Item, error) { return []Item{e.root}, nil }

// typeHead keeps what is of the type that the path begins with.
type typeHead struct{ typ string }

func (h *typeHead) eval(e *eval, in []Item) (out []Item, _ error) {
	for _, i := range in {
		if isA(e.version, i.Type, h.typ) {
			out = append(out, i)
		}
	}
	return out, nil
}

func isA(v fhir.Version, typ, want string) bool {
	switch want {
	case "Resource":
		return v.Kind(typ) == fhir.Resource
	case "DomainResource":
		return v.Kind(typ) == fhir.Resource && typ != "Bundle" && typ != "Binary" && typ != "Parameters"
	}
	return typ == want
}

type child struct {
	from node
	name string
}

func (c *child) eval(e *eval, in []Item) (out []Item, _ error) {
	in, err := c.from.eval(e, in)
	for _, i := range in {
		e.children(i, func(info fhir.ElementInfo, at Item) {
			if info.Name == c.name || info.Path == c.name {
				out = append(out, at)
			}
		})
	}
	return out, err
}

type index struct {
	from node
	n    string
}

func (x *index) eval(e *eval, in []Item) ([]Item, error) {
	items, err := x.from.eval(e, in)
	n, bad := strconv.Atoi(x.n)
	if err != nil || bad != nil || n >= len(items) {
		return nil, err
	}
	return items[n : n+1], nil
}

// typed is ofType, as and is.
type typed struct {
	from node
	op   string
	typ  string
}

func (t *typed) eval(e *eval, in []Item) (out []Item, err error) {
	items, err := t.from.eval(e, in)
	if err != nil {
		return nil, err
	}
	if t.op == "is" {
		if len(items) == 0 {
			return nil, nil
		}
		return boolean(len(items) == 1 && isA(e.version, items[0].Type, t.typ)), nil
	}
	for _, i := range items {
		if isA(e.version, i.Type, t.typ) {
			out = append(out, i)
		}
	}
	return out, nil
}

var (
	errTruth   = errors.New("evaluate path: a condition is not one truth value")
	errSingle  = errors.New("evaluate path: one value expected, several found")
	errCompare = errors.New("evaluate path: values of different types compared")
	errNumber  = errors.New("evaluate path: arithmetic with what is no number")
)

func truth(e *eval, items []Item) (bool, error) {
	if len(items) == 0 {
		return false, nil
	}
	v := e.value(items[0])
	if len(items) > 1 || v.kind != isBool {
		return false, errTruth
	}
	return v.text == "true", nil
}

// compare orders two values; ok is false where that cannot be said (dates of
// different precision).
func compare(a, b value) (order int, ok bool, err error) {
	switch {
	case a.kind == isNumber && b.kind == isNumber:
		x, okX := new(big.Rat).SetString(a.text)
		y, okY := new(big.Rat).SetString(b.text)
		if !okX || !okY || len(a.text) > 64 || len(b.text) > 64 {
			return 0, false, errNumber
		}
		return x.Cmp(y), true, nil
	case a.kind == isDate && (b.kind == isDate || b.kind == isText), b.kind == isDate && a.kind == isText:
		return compareDates(a.text, b.text)
	case a.kind != b.kind || a.kind == isNothing:
		return 0, false, errCompare
	}
	return strings.Compare(a.text, b.text), true, nil
}

func compareDates(a, b string) (int, bool, error) {
	x, errX := time.Parse(time.RFC3339, a)
	y, errY := time.Parse(time.RFC3339, b)
	if errX == nil && errY == nil {
		return x.Compare(y), true, nil
	}
	n := min(len(a), len(b))
	if order := strings.Compare(a[:n], b[:n]); order != 0 || len(a) == len(b) {
		return order, true, nil
	}
	return 0, false, nil
}
