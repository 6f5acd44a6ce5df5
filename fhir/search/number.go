package search

import (
	"errors"
	"math/big"
	"strconv"
	"strings"

	"gatehouse/fhir/wire"
)

var errNumber = errors.New("is no number")

// number is a searched value with the range that its digits imply: 5.4 stands
// for [5.35, 5.45).
type number struct{ value, lo, hi *big.Rat }

// decimal reads a JSON number exactly. Exponents past two digits are refused:
// a few bytes of them name a number that fills the memory.
func decimal(s string) (*big.Rat, error) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	if len(mantissa) > 64 || len(exponent) > 3 || !digits(mantissa) {
		return nil, errNumber
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, errNumber
	}
	return r, nil
}

// digits reports whether s is -?digits(.digits)?, leaving out what else big.Rat
// reads (fractions, other bases, underscores).
func digits(s string) bool {
	whole, part, dotted := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	all := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return all(whole) && (!dotted || all(part))
}

func parseNumber(s string) (number, error) {
	value, err := decimal(s)
	if err != nil {
		return number{}, err
	}
	mantissa, exponent, exponential := strings.Cut(strings.ToLower(s), "e")
	power := 0
	if exponential {
		if power, err = strconv.Atoi(exponent); err != nil {
			return number{}, errNumber
		}
		power-- // R4 §3.1.1.4.5: 1e2 is [95, 105)
	}
	if dot := strings.IndexByte(mantissa, '.'); dot >= 0 {
		power -= len(mantissa) - dot - 1
	}
	half, _ := new(big.Rat).SetString("0.5e" + strconv.Itoa(power))
	return number{value, new(big.Rat).Sub(value, half), new(big.Rat).Add(value, half)}, nil
}

// compare tells how the target, from low to high, stands to n; a nil end is open.
func (n number) compare(comparison string, low, high *big.Rat) bool {
	above := high == nil || high.Cmp(n.value) > 0
	below := low == nil || low.Cmp(n.value) < 0
	within := low != nil && high != nil && low.Cmp(n.lo) >= 0 && high.Cmp(n.hi) < 0
	switch comparison {
	case "eq":
		return within
	case "ne":
		return !within
	case "gt":
		return above
	case "lt":
		return below
	case "ge":
		return high == nil || high.Cmp(n.value) >= 0
	case "le":
		return low == nil || low.Cmp(n.value) <= 0
	case "sa":
		return low != nil && low.Cmp(n.value) > 0
	case "eb":
		return high != nil && high.Cmp(n.value) < 0
	case "ap":
		return n.near(low, high)
	}
	return false
}

// near is within a tenth of the value, as R4 recommends.
func (n number) near(low, high *big.Rat) bool {
	tenth := new(big.Rat).Mul(new(big.Rat).Abs(n.value), big.NewRat(1, 10))
	from, to := new(big.Rat).Sub(n.value, tenth), new(big.Rat).Add(n.value, tenth)
	return (low == nil || low.Cmp(to) <= 0) && (high == nil || high.Cmp(from) >= 0)
}

func numberTest(value string) (test, error) {
	comparison, rest := prefix(value)
	want, err := parseNumber(rest)
	if err != nil {
		return nil, err
	}
	return func(t *wire.Tree, element int, typ string) bool {
		if typ == "Range" {
			return quantity{comparison: comparison, number: want}.matches(t, element, typ)
		}
		got, err := decimal(string(t.Raw(element)))
		return err == nil && want.compare(comparison, got, got)
	}, nil
}

// quantity is prefix, number, system and code: 5.4|http://unitsofmeasure.org|mg.
// Units are compared, not converted.
type quantity struct {
	comparison   string
	number       number
	unit         bool // a system or code is given
	system, code string
}

func quantityTest(value string) (test, error) {
	field, err := parts(value, 1, 3)
	if err != nil {
		return nil, err
	}
	if len(field) == 2 {
		return nil, errors.New("a quantity is number|system|code")
	}
	comparison, rest := prefix(field[0])
	n, err := parseNumber(rest)
	if err != nil {
		return nil, err
	}
	q := quantity{comparison: comparison, number: n}
	if len(field) == 3 {
		q.unit, q.system, q.code = true, field[1], field[2]
		if q.code == "" {
			return nil, errors.New("a quantity with a system needs a code")
		}
	}
	return q.matches, nil
}

func (q quantity) matches(t *wire.Tree, element int, typ string) bool {
	switch typ {
	case "SampledData":
		return false
	case "Range":
		low, okLow := q.end(t, element, "low")
		high, okHigh := q.end(t, element, "high")
		return okLow && okHigh && (low != nil || high != nil) && q.number.compare(q.comparison, low, high)
	case "Money":
		value, ok := q.value(t, element)
		return ok && (!q.unit || q.system == "" && q.code == member(t, element, "currency")) &&
			q.number.compare(q.comparison, value, value)
	}
	value, ok := q.value(t, element)
	return ok && q.measures(t, element) && q.number.compare(q.comparison, value, value)
}

// end is one end of a Range, nil where it is open.
func (q quantity) end(t *wire.Tree, element int, name string) (*big.Rat, bool) {
	i := t.Get(element, name)
	if i < 0 {
		return nil, true
	}
	if !q.measures(t, i) {
		return nil, false
	}
	return q.value(t, i)
}

// value is not ok where there is none, or where a comparator ("<5") makes it
// one that nobody knows.
func (q quantity) value(t *wire.Tree, element int) (*big.Rat, bool) {
	i := t.Get(element, "value")
	if i < 0 || t.Nodes[i].Kind != wire.Number || t.Get(element, "comparator") >= 0 {
		return nil, false
	}
	value, err := decimal(string(t.Raw(i)))
	return value, err == nil
}

// measures reports whether the unit is the one asked for: with a system by
// code, without one by code or by name.
func (q quantity) measures(t *wire.Tree, element int) bool {
	code := member(t, element, "code")
	switch {
	case !q.unit:
		return true
	case q.system == "":
		return q.code == code || q.code == member(t, element, "unit")
	}
	return q.code == code && q.system == member(t, element, "system")
}
