package compat

import (
	"errors"
	"fmt"
	"slices"

	"gatehouse/fhir/wire"
)

// generalize replaces a primitive by the value of the first case that holds
// (D8). As in the tools, a condition that is empty holds.
func (r *run) generalize(n *node, m *method) (done, error) {
	if !n.primitive {
		return done{}, fmt.Errorf("%s is no primitive", n.typ)
	}
	if n.raw == nil {
		return done{}, nil
	}
	var t wire.Tree
	if err := t.Parse(n.raw); err != nil {
		return done{}, err
	}
	for _, c := range m.cases {
		holds, err := c.when.HoldsAt(&t, 0, n.typ)
		if err != nil {
			return done{}, err
		}
		if !holds {
			continue
		}
		items, err := c.then.EvalAt(&t, 0, n.typ)
		if err != nil {
			return done{}, err
		}
		if len(items) > 1 {
			return done{}, errors.New("a case gives more than one value")
		}
		n.raw = nil
		if len(items) == 1 {
			n.literal(items[0].Text(&t))
		}
		return done{generalized: true}, nil
	}
	if !m.keepOthers {
		n.raw = nil
	}
	return done{generalized: true}, nil
}

// literal puts a text in the place of a value, as the literal that the type
// wants where it is one.
func (n *node) literal(text string) {
	is := n.typ == "boolean" && (text == "true" || text == "false") ||
		slices.Contains(numbers, n.typ) && number.MatchString(text)
	if is {
		n.raw = []byte(text)
		return
	}
	n.set(text)
}
