// Package search knows what FHIR search parameters mean: which elements of a
// resource each one touches, and whether a resource matches.
package search

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// Matcher decides whether resources of one type match a list of parameters, as
// a server's search would (https://hl7.org/fhir/R4/search.html). It is safe for
// use by many goroutines.
type Matcher struct {
	typ     string
	clauses []clause
}

// clause is one parameter: some element that its paths select passes some test.
type clause struct {
	paths  []path
	tests  []test
	negate bool
}

// test is one alternative of a parameter against one element of the tree.
// It is compiled for the parameter's type and told the element's.
type test func(t *wire.Tree, element int, typ string) bool

// Compile prepares params for resources of typ ("" or "Resource" for
// parameters that every type has). bases are where absolute references to this
// server begin; nil knows none. What cannot be evaluated is an
// error, never ignored: a condition that is dropped widens what it guards.
// Errors name parameters and modifiers, not values.
func Compile(v fhir.Version, typ string, params []fhir.Param, bases *fhir.BaseSet) (*Matcher, error) {
	m := &Matcher{typ: typ}
	for _, p := range params {
		c := compilation{v: v, typ: typ, bases: bases}
		clause, err := c.clause(p)
		if err != nil {
			return nil, fmt.Errorf("search parameter %s: %w", p.Name, err)
		}
		m.clauses = append(m.clauses, clause)
	}
	return m, nil
}

// Match reports whether the resource at the root of t matches every parameter.
// A resource of another type is an error and no match.
func (m *Matcher) Match(t *wire.Tree) (bool, error) {
	if len(t.Nodes) == 0 {
		return false, fmt.Errorf("match: no resource")
	}
	if m.typ != "" && m.typ != "Resource" {
		if i := t.Get(0, "resourceType"); i < 0 || t.Text(i) != m.typ {
			return false, fmt.Errorf("match: resource is no %s", m.typ)
		}
	}
	for i := range m.clauses {
		if !m.clauses[i].match(t, 0) {
			return false, nil
		}
	}
	return true, nil
}

func (c *clause) match(t *wire.Tree, root int) bool {
	found := slices.ContainsFunc(c.paths, func(p path) bool {
		return walk(t, root, p.steps, func(element int) bool {
			return slices.ContainsFunc(c.tests, func(is test) bool { return is(t, element, p.typ) })
		})
	})
	return found != c.negate
}

// walk visits the elements that steps lead to, until visit says true.
func walk(t *wire.Tree, node int, steps []step, visit func(int) bool) bool {
	if len(steps) == 0 {
		return visit(node)
	}
	child := t.Get(node, steps[0].name)
	if child < 0 {
		return false
	}
	if t.Nodes[child].Kind != wire.Array {
		return steps[0].keeps(t, child) && walk(t, child, steps[1:], visit)
	}
	for element := range t.Children(child) {
		if steps[0].keeps(t, element) && walk(t, element, steps[1:], visit) {
			return true
		}
		if steps[0].first {
			return false
		}
	}
	return false
}

func (s step) keeps(t *wire.Tree, node int) bool {
	if t.Nodes[node].Kind == wire.Null {
		return false // holds the place of an element that is only an extension
	}
	if s.member != "" && member(t, node, s.member) != s.value {
		return false
	}
	return s.is == "" || referenceType(t, node) == s.is
}

// member is the text of a string member, "" if there is none.
func member(t *wire.Tree, node int, name string) string {
	if i := t.Get(node, name); i >= 0 {
		return t.Text(i)
	}
	return ""
}

// compilation turns one parameter into a clause.
type compilation struct {
	v     fhir.Version
	typ   string
	bases *fhir.BaseSet
}

func (c *compilation) clause(p fhir.Param) (clause, error) {
	if len(p.Chain) > 0 || p.Has != nil {
		return clause{}, fmt.Errorf("chains are not supported")
	}
	def, ok := c.v.SearchParam(c.typ, p.Name)
	if !ok || def.Expression == "" {
		return clause{}, fmt.Errorf("is unknown or cannot be evaluated")
	}
	root := c.typ
	if root == "" {
		root = "Resource"
	}
	paths, err := compileExpression(c.v, root, def.Expression)
	if err != nil {
		return clause{}, err
	}
	if len(p.Values) == 0 {
		return clause{}, fmt.Errorf("has no value")
	}
	if p.Modifier == "missing" {
		return missing(paths, p.Values)
	}
	out := clause{paths: paths, negate: p.Modifier == "not" && def.Type == "token"}
	for _, value := range p.Values {
		is, err := c.test(def, paths, p.Modifier, value)
		if err != nil {
			return clause{}, err
		}
		out.tests = append(out.tests, is)
	}
	return out, nil
}

func missing(paths []path, values []string) (clause, error) {
	if len(values) != 1 || values[0] != "true" && values[0] != "false" {
		return clause{}, fmt.Errorf(":missing is true or false")
	}
	present := func(*wire.Tree, int, string) bool { return true }
	return clause{paths: paths, tests: []test{present}, negate: values[0] == "true"}, nil
}

// test compiles one alternative by the type of its parameter.
func (c *compilation) test(def fhir.SearchParam, paths []path, modifier, value string) (test, error) {
	if value == "" {
		return nil, fmt.Errorf("has an empty value")
	}
	if def.Type != "composite" {
		if err := known(paths, def.Type); err != nil {
			return nil, err
		}
	}
	switch {
	case def.Type == "token" && (modifier == "" || modifier == "not"):
		return tokenTest(value, modifier == "not")
	case def.Type == "string" && (modifier == "" || modifier == "exact" || modifier == "contains"):
		return stringTest(value, modifier)
	case def.Type == "reference":
		return c.referenceTest(def, modifier, value)
	case modifier != "":
		return nil, fmt.Errorf("modifier :%s is not supported", modifier)
	case def.Type == "date":
		return dateTest(value)
	case def.Type == "number":
		return numberTest(value)
	case def.Type == "quantity":
		return quantityTest(value)
	case def.Type == "uri":
		return uriTest(value)
	case def.Type == "composite":
		return c.compositeTest(def, paths, value)
	}
	return nil, fmt.Errorf("parameters of type %s are not supported", def.Type)
}

// readable lists, for each type of parameter, the element types its test
// understands. SampledData stands there though nothing matches it: R4 names it
// beside Quantity, and its numbers have no single value to compare.
var readable = map[string]string{
	"token":     " Coding CodeableConcept Identifier ContactPoint code boolean string id uri dateTime ",
	"string":    " string markdown HumanName Address ",
	"reference": " Reference canonical uri ",
	"date":      " date dateTime instant Period Timing ",
	"number":    " decimal integer positiveInt unsignedInt Range ",
	"quantity":  " Quantity Age Duration Count Distance SimpleQuantity Money Range SampledData ",
	"uri":       " uri url canonical oid uuid ",
}

func known(paths []path, kind string) error {
	for _, p := range paths {
		if !strings.Contains(readable[kind], " "+p.typ+" ") && !p.any {
			return fmt.Errorf("a %s on an element of type %s is not supported", kind, p.typ)
		}
	}
	return nil
}

// compositeTest matches when one element satisfies every component at once.
func (c *compilation) compositeTest(def fhir.SearchParam, bases []path, value string) (test, error) {
	values := split(value, '$')
	if len(values) != len(def.Components) {
		return nil, fmt.Errorf("a value needs %d components", len(def.Components))
	}
	inner := make([]map[string]clause, len(values)) // by the type of the element that the composite is about
	for i, part := range def.Components {
		inner[i] = map[string]clause{}
		for _, base := range bases {
			part, err := c.component(base.typ, part, values[i])
			if err != nil {
				return nil, err
			}
			inner[i][base.typ] = part
		}
	}
	return func(t *wire.Tree, element int, typ string) bool {
		for _, byType := range inner {
			if part, ok := byType[typ]; !ok || !part.match(t, element) {
				return false
			}
		}
		return true
	}, nil
}

func (c *compilation) component(root string, part fhir.Component, value string) (clause, error) {
	def, ok := c.v.SearchParam(c.typ, part.Code)
	if !ok {
		return clause{}, fmt.Errorf("component %s is unknown", part.Code)
	}
	paths, err := compileExpression(c.v, root, part.Expression)
	if err != nil {
		return clause{}, err
	}
	is, err := c.test(def, paths, "", value)
	return clause{paths: paths, tests: []test{is}}, err
}
