package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

func equality(args []expr) (expr, error) {
	a, b := args[0], args[1]
	if a.typ == constant {
		a, b = b, a
	}
	u := a.uses | b.uses
	if b.typ == constant {
		return equalsConstant(a, b)
	}
	if b.typ == value {
		a, b = b, a
	}
	if a.typ == value {
		return equalsRow(a, b)
	}
	if a.typ != b.typ {
		return neverEqual(a, b)
	}
	switch a.typ {
	case text:
		return boolExpr(u, func(f *frame) (bool, bool) {
			x, ok := a.text(f)
			y, is := b.text(f)
			return ok && is && x == y, ok && is
		}), nil
	case list:
		return boolExpr(u, func(f *frame) (bool, bool) {
			x, ok := a.list(f)
			y, is := b.list(f)
			return ok && is && slices.Equal(x, y), ok && is
		}), nil
	case number:
		return boolExpr(u, func(f *frame) (bool, bool) {
			x, ok := a.number(f)
			y, is := b.number(f)
			return ok && is && x == y, ok && is
		}), nil
	}
	return expr{}, errNotCompiled
}

func equalsConstant(a, b expr) (expr, error) {
	if b.value == nil {
		return constExpr(nil), nil
	}
	if a.typ == constant {
		if a.value == nil {
			return a, nil
		}
		return constExpr(ast.Boolean(a.value.Compare(b.value) == 0)), nil
	}
	if a.typ == value {
		want := b.value
		return boolExpr(a.uses, func(f *frame) (bool, bool) {
			v := a.row(f)
			return v != nil && v.Compare(want) == 0, v != nil
		}), nil
	}
	switch k := b.value.(type) {
	case ast.String:
		if want := string(k); a.typ == text {
			return boolExpr(a.uses, func(f *frame) (bool, bool) {
				s, ok := a.text(f)
				return ok && s == want, ok
			}), nil
		}
	case ast.Number:
		if want, ok := k.Int64(); ok && a.typ == number {
			return boolExpr(a.uses, func(f *frame) (bool, bool) {
				n, ok := a.number(f)
				return ok && n == want, ok
			}), nil
		}
		if a.typ == number {
			return expr{}, errNotCompiled
		}
	case ast.Boolean:
		if want := bool(k); a.typ == boolean {
			return boolExpr(a.uses, func(f *frame) (bool, bool) {
				holds, ok := a.holds(f)
				return ok && holds == want, ok
			}), nil
		}
	case *ast.Array:
		if want, ok := stringsOf(k); ok && a.typ == list {
			return boolExpr(a.uses, func(f *frame) (bool, bool) {
				all, ok := a.list(f)
				return ok && slices.Equal(all, want), ok
			}), nil
		}
	}
	return neverEqual(a, b)
}

// equalsRow compares what a table holds with text.
func equalsRow(row, other expr) (expr, error) {
	if other.typ != text {
		return expr{}, errNotCompiled
	}
	return boolExpr(row.uses|other.uses, func(f *frame) (bool, bool) {
		v := row.row(f)
		s, ok := other.text(f)
		if v == nil || !ok {
			return false, false
		}
		t, is := v.(ast.String)
		return is && string(t) == s, true
	}), nil
}

// neverEqual is a comparison of two types that have no value in common.
func neverEqual(a, b expr) (expr, error) {
	if a.typ >= encounters || b.typ >= encounters {
		return expr{}, errNotCompiled
	}
	x, y := a.defined(), b.defined()
	return boolExpr(a.uses|b.uses, func(f *frame) (bool, bool) { return false, x(f) && y(f) }), nil
}

func inequality(args []expr) (expr, error) {
	e, err := equality(args)
	if err != nil {
		return expr{}, err
	}
	if e.typ == constant {
		if b, ok := e.value.(ast.Boolean); ok {
			return constExpr(!b), nil
		}
		return e, nil
	}
	return boolExpr(e.uses, func(f *frame) (bool, bool) {
		same, ok := e.holds(f)
		return ok && !same, ok
	}), nil
}
