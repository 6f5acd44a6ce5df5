package search

import (
	"strings"

	"gatehouse/fhir/wire"
)

// token is one alternative of a token parameter: code, |code, system|code or
// system|.
type token struct {
	system, code string
	anySystem    bool // "code"
	anyCode      bool // "system|"
	loose        bool // letter case aside
}

// tokenTest compiles a token. Codes are compared to the letter, for a code
// system may tell letters apart and a match grants; below :not a match denies,
// and there letter case is no way around it.
func tokenTest(value string, negated bool) (test, error) {
	field, err := parts(value, 1, 2)
	if err != nil {
		return nil, err
	}
	k := token{code: field[0], anySystem: true, loose: negated}
	if len(field) == 2 {
		k = token{system: field[0], code: field[1], anyCode: field[1] == "", loose: negated}
	}
	if k.anyCode && k.system == "" {
		return nil, errEmptyToken
	}
	return k.matches, nil
}

func (k token) matches(t *wire.Tree, element int, typ string) bool {
	switch typ {
	case "Coding":
		return k.coding(t, element)
	case "CodeableConcept":
		list := t.Get(element, "coding")
		if list < 0 {
			return false
		}
		for coding := range t.Children(list) {
			if k.coding(t, coding) {
				return true
			}
		}
		return false
	case "Identifier":
		return k.is(member(t, element, "system"), member(t, element, "value"))
	case "ContactPoint":
		return k.anySystem && k.is("", member(t, element, "value"))
	case "boolean", "dateTime":
		return k.boolean(t, element)
	}
	// A code's system is that of its binding, which the instance does not say:
	// only a token without one can be compared with it.
	text := t.Text(element)
	return text != "" && (k.anySystem && k.is("", text) || k.loose && k.equal(text))
}

// boolean compares true and false; a date stands for true (Patient.deceased).
func (k token) boolean(t *wire.Tree, element int) bool {
	truth := "true"
	if t.Nodes[element].Kind == wire.False {
		truth = "false"
	}
	return k.anySystem && k.code == truth
}

func (k token) coding(t *wire.Tree, coding int) bool {
	return k.is(member(t, coding, "system"), member(t, coding, "code"))
}

func (k token) is(system, code string) bool {
	if code == "" && !k.anyCode || !k.anySystem && system != k.system {
		return false
	}
	return k.anyCode || k.equal(code)
}

func (k token) equal(code string) bool {
	return code == k.code || k.loose && strings.EqualFold(code, k.code)
}
