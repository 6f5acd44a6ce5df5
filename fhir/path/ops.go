package path

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

type binary struct {
	op          string
	left, right node
}

func newBinary(op string, left, right node) (node, error) {
	if op == "xor" || op == "!~" || op == "mod" {
		return nil, fmt.Errorf("operator %s is not supported", op)
	}
	return &binary{op, left, right}, nil
}

func (b *binary) eval(e *eval, in []Item) ([]Item, error) {
	left, err := b.left.eval(e, in)
	if err != nil {
		return nil, err
	}
	if b.op == "and" || b.op == "or" {
		l, err := truth(e, left)
		if err != nil || l == (b.op == "or") {
			return boolean(l), err
		}
	}
	right, err := b.right.eval(e, in)
	if err != nil {
		return nil, err
	}
	switch b.op {
	case "and", "or":
		r, err := truth(e, right)
		return boolean(r), err
	case "|":
		return union(e, left, right), nil
	case "in":
		return member(e, left, right)
	case "contains":
		return member(e, right, left)
	}
	return b.single(e, left, right)
}

// union holds each value once: nodes by place, computed ones by value.
func union(e *eval, left, right []Item) (out []Item) {
	for _, i := range slices.Concat(left, right) {
		if !slices.ContainsFunc(out, func(o Item) bool { return o.Node == i.Node && o.value == i.value }) {
			out = append(out, i)
		}
	}
	return out
}

func member(e *eval, one, of []Item) ([]Item, error) {
	if len(one) == 0 {
		return nil, nil
	}
	if len(one) > 1 {
		return nil, errSingle
	}
	v := e.value(one[0])
	return boolean(slices.ContainsFunc(of, func(o Item) bool {
		order, ok, err := compare(e.value(o), v)
		return err == nil && ok && order == 0
	})), nil
}

func (b *binary) single(e *eval, left, right []Item) ([]Item, error) {
	if len(left) == 0 || len(right) == 0 {
		return nil, nil
	}
	if len(left) > 1 || len(right) > 1 {
		return nil, errSingle
	}
	l, r := e.value(left[0]), e.value(right[0])
	switch b.op {
	case "+", "-", "*", "/", "div", "&":
		return arithmetic(b.op, l, r)
	case "~":
		return boolean(strings.EqualFold(l.text, r.text) && l.kind == r.kind), nil
	}
	if l.kind != r.kind && l.kind != isDate && r.kind != isDate && (b.op == "=" || b.op == "!=") {
		return boolean(b.op == "!="), nil
	}
	order, ok, err := compare(l, r)
	if err != nil || !ok {
		return nil, err
	}
	switch b.op {
	case "=":
		return boolean(order == 0), nil
	case "!=":
		return boolean(order != 0), nil
	case "<":
		return boolean(order < 0), nil
	case "<=":
		return boolean(order <= 0), nil
	case ">":
		return boolean(order > 0), nil
	}
	return boolean(order >= 0), nil
}

func arithmetic(op string, l, r value) ([]Item, error) {
	if op == "&" || op == "+" && l.kind != isNumber && r.kind != isNumber {
		return []Item{computed(value{isText, l.text + r.text})}, nil
	}
	x, okX := new(big.Rat).SetString(l.text)
	y, okY := new(big.Rat).SetString(r.text)
	if l.kind != isNumber || r.kind != isNumber || !okX || !okY || len(l.text) > 64 || len(r.text) > 64 {
		return nil, errNumber
	}
	z := new(big.Rat)
	switch op {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		z.Mul(x, y)
	default:
		if y.Sign() == 0 {
			return nil, nil
		}
		z.Quo(x, y)
	}
	if op == "div" {
		z.SetInt(new(big.Int).Quo(z.Num(), z.Denom()))
	}
	return []Item{computed(value{isNumber, decimal(z)})}, nil
}

func decimal(z *big.Rat) string {
	if z.IsInt() {
		return z.Num().String()
	}
	return strings.TrimRight(z.FloatString(8), "0")
}
