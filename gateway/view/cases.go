package view

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"

	"gatehouse/fhir"
	"gatehouse/fhir/path"
)

// This file is generalize by cases: the first condition that holds of a value
// says what is shown in its place. A value of which nobody can say whether a
// condition holds is taken out, whatever becomes of the others.

// branch is one case, compiled.
type branch struct{ when, then *path.Expr }

// readCases compiles cases as written, in their order. The texts are for the
// view's revision.
func readCases(v fhir.Version, list yaml.MapSlice) (cases []branch, texts []string, err error) {
	for _, item := range list {
		when, ok := item.Key.(string)
		then, ok2 := item.Value.(string)
		if !ok || !ok2 {
			return nil, nil, errors.New("cases: write \"condition\": \"expression\", both in quotes")
		}
		var b branch
		if b.when, err = path.Compile(v, when); err != nil {
			return nil, nil, fmt.Errorf("case %q: %w", when, err)
		}
		if b.then, err = path.Compile(v, then); err != nil {
			return nil, nil, fmt.Errorf("case %q: value %q: %w", when, then, err)
		}
		cases, texts = append(cases, b), append(texts, when, then)
	}
	return cases, texts, nil
}

// byCase shows what the first case that holds says of leaf i; of a value for
// which none does, what others says.
func (r *run) byCase(i int, f *field, ru *rule) bool {
	for _, c := range ru.cases {
		holds, err := c.when.EvalAt(&r.tree, i, f.info.Type)
		if err != nil {
			return r.fail(fmt.Sprintf("case at %s", ru.at), fmt.Errorf("%w: %w", errRule, err))
		}
		if len(holds) != 1 {
			return false
		}
		switch holds[0].Text(&r.tree) {
		case "true":
			return r.result(i, f, ru, c.then)
		case "false":
		default:
			return false
		}
	}
	return ru.method.others && r.wellFormed(i, f.kind)
}

// result puts the value of an expression in the place of leaf i, where it is one
// of the leaf's type.
func (r *run) result(i int, f *field, ru *rule, then *path.Expr) bool {
	items, err := then.EvalAt(&r.tree, i, f.info.Type)
	if err != nil {
		return r.fail(fmt.Sprintf("case at %s", ru.at), fmt.Errorf("%w: %w", errRule, err))
	}
	if len(items) != 1 {
		return false
	}
	text := items[0].Text(&r.tree)
	switch {
	case text == "":
		return false
	case f.kind == primBoolean:
		return (text == "true" || text == "false") && r.value(i, []byte(text))
	case f.kind == primInteger:
		return wholeNumber.MatchString(text) && r.value(i, []byte(text))
	case f.kind == primDecimal:
		return decimalNumber.MatchString(text) && r.value(i, []byte(text))
	case f.kind.dated():
		return datesOf(f.kind, text) && r.quoted(i, text)
	case f.kind == primTime:
		return timeOfDay(text) && r.quoted(i, text)
	case f.kind == primBase64:
		return false
	case f.kind == primID:
		return fhirID(text) && r.quoted(i, text)
	case f.kind == primCode || f.kind == primURI:
		return !strings.ContainsAny(text, " \t\r\n") && r.quoted(i, text)
	}
	return r.quoted(i, text)
}

var (
	wholeNumber   = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,9})$`)
	decimalNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)
)

// datesOf tells whether a text is a date, dateTime or instant as FHIR writes them.
func datesOf(kind prim, text string) bool {
	d, ok := parseDate(text)
	switch kind {
	case primDate:
		return ok && d.rest == ""
	case primInstant:
		return ok && d.rest != ""
	}
	return ok
}
