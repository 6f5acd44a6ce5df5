package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// kind is the static type of an expression. The schema of the input fixes it,
// so a compiled condition meets no type error when it runs.
type kind uint8

const (
	constant   kind = iota // known value, nil where it is undefined
	text                   // string
	list                   // array of strings
	number                 // integer
	boolean                // of a built-in
	value                  // anything that a table holds
	encounters             // array of encounters
	encounter              // one of them
	period                 // of an encounter
)

// expr is a compiled Rego term: a function of the frame whose second result
// tells whether the term is defined.
type expr struct {
	typ        kind
	uses       uses
	value      ast.Value              // of a constant
	row        func(*frame) ast.Value // of a value; nil where undefined
	text       func(*frame) (string, bool)
	list       func(*frame) ([]string, bool)
	number     func(*frame) (int64, bool)
	holds      func(*frame) (bool, bool)
	encounters func(*frame) []Encounter
	encounter  func(*frame) *Encounter // nil where undefined
	guard      func(*frame) bool       // of encounters: are they defined?
	isNow      bool                    // input.context.now itself
	partial    bool                    // it may be undefined
}

func textExpr(u uses, get func(*frame) (string, bool)) expr {
	return expr{typ: text, uses: u, text: get}
}

func listExpr(u uses, get func(*frame) ([]string, bool)) expr {
	return expr{typ: list, uses: u, list: get}
}

func numberExpr(u uses, get func(*frame) (int64, bool)) expr {
	return expr{typ: number, uses: u, number: get}
}

func boolExpr(u uses, get func(*frame) (bool, bool)) expr {
	return expr{typ: boolean, uses: u, holds: get}
}

// maybe is e, undefined at times where partial is set.
func (e expr) maybe(partial bool) expr {
	e.partial = partial
	return e
}

func constExpr(v ast.Value) expr {
	return expr{typ: constant, value: v}
}

// asText, asList and asNumber see a constant as what it is, so that a built-in
// takes constants and facts alike. A false second result: it is no such thing.
func (e expr) asText() (expr, bool) {
	if s, ok := e.value.(ast.String); ok && e.typ == constant {
		k := string(s)
		return textExpr(0, func(*frame) (string, bool) { return k, true }), true
	}
	return e, e.typ == text
}

func (e expr) asNumber() (expr, bool) {
	if n, ok := e.value.(ast.Number); ok && e.typ == constant {
		k, ok := n.Int64()
		return numberExpr(0, func(*frame) (int64, bool) { return k, true }), ok
	}
	return e, e.typ == number
}

func (e expr) asList() (expr, bool) {
	if a, ok := e.value.(*ast.Array); ok && e.typ == constant {
		k, ok := stringsOf(a)
		return listExpr(0, func(*frame) ([]string, bool) { return k, true }), ok
	}
	return e, e.typ == list
}

// stringsOf is an array or set of strings as a slice; false where it holds
// anything else.
func stringsOf(v ast.Value) ([]string, bool) {
	c, ok := v.(interface{ Foreach(func(*ast.Term)) })
	if !ok {
		return nil, false
	}
	all, ok := []string{}, true
	c.Foreach(func(t *ast.Term) {
		s, is := t.Value.(ast.String)
		ok = ok && is
		all = append(all, string(s))
	})
	return all, ok
}

// truth is the term as a condition of a rule body: defined and not false.
func (e expr) truth() func(*frame) bool {
	switch e.typ {
	case constant:
		ok := e.value != nil && e.value.Compare(ast.Boolean(false)) != 0
		return func(*frame) bool { return ok }
	case boolean:
		return func(f *frame) bool { ok, _ := e.holds(f); return ok }
	case value:
		return func(f *frame) bool {
			v := e.row(f)
			return v != nil && v.Compare(ast.Boolean(false)) != 0
		}
	}
	return e.defined()
}

func (e expr) defined() func(*frame) bool {
	switch e.typ {
	case constant:
		ok := e.value != nil
		return func(*frame) bool { return ok }
	case text:
		return func(f *frame) bool { _, ok := e.text(f); return ok }
	case list:
		return func(f *frame) bool { _, ok := e.list(f); return ok }
	case number:
		return func(f *frame) bool { _, ok := e.number(f); return ok }
	case boolean:
		return func(f *frame) bool { _, ok := e.holds(f); return ok }
	case value:
		return func(f *frame) bool { return e.row(f) != nil }
	case encounters:
		return e.guard
	}
	return func(f *frame) bool { return e.encounter(f) != nil }
}

// element is the list's element at the index expression.
func (e expr) element(at expr) expr {
	u := e.uses | at.uses
	if e.typ == encounters {
		return expr{typ: encounter, uses: u, partial: true, encounter: func(f *frame) *Encounter {
			if !e.guard(f) {
				return nil
			}
			all := e.encounters(f)
			if i, ok := at.number(f); ok && i >= 0 && i < int64(len(all)) {
				return &all[i]
			}
			return nil
		}}
	}
	return textExpr(u, func(f *frame) (string, bool) {
		all, ok := e.list(f)
		if i, is := at.number(f); ok && is && i >= 0 && i < int64(len(all)) {
			return all[i], true
		}
		return "", false
	}).maybe(true)
}

// size is how many elements there are to walk, 0 where the list is undefined.
func (e expr) size() func(*frame) int {
	if e.typ == encounters {
		return func(f *frame) int {
			if !e.guard(f) {
				return 0
			}
			return len(e.encounters(f))
		}
	}
	return func(f *frame) int { all, _ := e.list(f); return len(all) }
}
