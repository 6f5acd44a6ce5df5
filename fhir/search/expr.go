package search

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/fhir"
)

// path leads from a resource to the elements that one alternative of a search
// expression selects.
type path struct {
	steps []step
	typ   string // FHIR type of what it leads to
	any   bool   // true where mere existence counts, whatever the element holds (Patient.deceased)
}

// step is one member name with what narrows its values.
type step struct {
	name          string
	member, value string // where(member='value')
	is            string // where(resolve() is T)
	first         bool   // [0]
}

func (p path) String() string {
	names := make([]string, len(p.steps))
	for i, s := range p.steps {
		names[i] = s.name
	}
	return strings.Join(names, ".")
}

// compileExpression resolves the FHIRPath of a search parameter against the
// type tables. It reads the subset that the definitions use: paths, unions,
// `as`, `as()`, `ofType()`, `where(m='v')`, `where(resolve() is T)` and `[0]`.
// Anything else is an error, for half an expression selects other elements.
func compileExpression(v fhir.Version, root, expression string) ([]path, error) {
	if died := root + ".deceased"; expression == died+".exists() and "+died+" != false" || expression == died+".exists()" {
		return []path{
			{steps: []step{{name: "deceasedBoolean"}}, typ: "boolean"},
			{steps: []step{{name: "deceasedDateTime"}}, typ: "dateTime", any: true},
		}, nil
	}
	var paths []path
	for _, part := range union(expression) {
		c := compiler{v: v, root: root, rest: part}
		if part == "" {
			return nil, fmt.Errorf("expression is empty")
		}
		found, err := c.compile()
		if err != nil {
			return nil, fmt.Errorf("expression %q: %w", part, err)
		}
		paths = append(paths, found...)
	}
	return paths, nil
}

// union cuts an expression at its outermost "|".
func union(expression string) []string {
	var parts []string
	depth, from := 0, 0
	for i := range len(expression) {
		switch expression[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '|':
			if depth == 0 {
				parts = append(parts, strings.TrimSpace(expression[from:i]))
				from = i + 1
			}
		}
	}
	return append(parts, strings.TrimSpace(expression[from:]))
}

// branch is a path in the making; choice holds the bare name of a choice
// element until `as` or the end says which of its types are meant.
type branch struct {
	path
	choice string
}

type compiler struct {
	v        fhir.Version
	root     string
	rest     string
	branches []branch
}

func (c *compiler) compile() ([]path, error) {
	c.branches = []branch{{path: path{typ: c.root}}}
	inner, after := c.rest, ""
	if strings.HasPrefix(c.rest, "(") {
		var err error
		if inner, err = c.argument(); err != nil {
			return nil, err
		}
		after = strings.TrimPrefix(c.rest, ".")
	}
	elements, typ, cast := strings.Cut(inner, " as ")
	c.rest = elements
	if err := c.walk(true); err != nil {
		return nil, err
	}
	if cast {
		c.cast(typ)
	}
	c.rest = after
	if err := c.walk(false); err != nil {
		return nil, err
	}
	c.settle()
	paths := make([]path, len(c.branches))
	for i, b := range c.branches {
		paths[i] = b.path
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("selects no element of %s", c.root)
	}
	return paths, nil
}

// walk consumes all of c.rest, step by step. An absolute path may begin with
// the type it is about.
func (c *compiler) walk(absolute bool) error {
	for first := true; c.rest != ""; first = false {
		name := c.name()
		switch {
		case name == "":
			return fmt.Errorf("unexpected %q", c.rest)
		case strings.HasPrefix(c.rest, "("):
			argument, err := c.argument()
			if err != nil {
				return err
			}
			if err := c.call(name, argument); err != nil {
				return err
			}
		case first && absolute && (name == c.root || name == "Resource" || name == "DomainResource"):
		default:
			c.step(name)
		}
		if strings.HasPrefix(c.rest, "[0]") {
			c.rest = c.rest[len("[0]"):]
			c.last(func(s *step) { s.first = true })
		}
		if c.rest != "" && !strings.HasPrefix(c.rest, ".") {
			return fmt.Errorf("unexpected %q", c.rest)
		}
		c.rest = strings.TrimPrefix(c.rest, ".")
	}
	return nil
}

func (c *compiler) name() string {
	n := 0
	for n < len(c.rest) && (c.rest[n]|0x20 >= 'a' && c.rest[n]|0x20 <= 'z' || n > 0 && c.rest[n] >= '0' && c.rest[n] <= '9') {
		n++
	}
	name := c.rest[:n]
	c.rest = c.rest[n:]
	return name
}

func (c *compiler) argument() (string, error) {
	depth := 0
	for i := range len(c.rest) {
		switch c.rest[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				argument := c.rest[1:i]
				c.rest = c.rest[i+1:]
				return argument, nil
			}
		}
	}
	return "", fmt.Errorf("parenthesis is not closed")
}

func (c *compiler) call(function, argument string) error {
	switch function {
	case "as", "ofType":
		c.cast(argument)
		return nil
	case "where":
		c.settle()
		if typ, ok := strings.CutPrefix(argument, "resolve() is "); ok {
			c.last(func(s *step) { s.is = typ })
			return nil
		}
		member, value, ok := strings.Cut(argument, "='")
		if value, closed := strings.CutSuffix(value, "'"); ok && closed {
			c.last(func(s *step) { s.member, s.value = member, value })
			return nil
		}
	}
	return fmt.Errorf("%s(%s) is not supported", function, argument)
}

func (c *compiler) last(change func(*step)) {
	for i := range c.branches {
		if n := len(c.branches[i].steps); n > 0 {
			change(&c.branches[i].steps[n-1])
		}
	}
}

func (c *compiler) step(name string) {
	c.settle()
	next := c.branches[:0:0]
	for _, b := range c.branches {
		e, ok := c.v.Element(b.typ, name)
		if !ok {
			continue
		}
		if e.Choice && e.Type == "" {
			b.choice = name
			next = append(next, b)
			continue
		}
		next = append(next, b.to(e))
	}
	c.branches = next
}

func (b branch) to(e fhir.ElementInfo) branch {
	return branch{path: path{steps: append(slices.Clip(b.steps), step{name: e.Name}), typ: e.Type}}
}

// cast keeps what is of type typ.
func (c *compiler) cast(typ string) {
	next := c.branches[:0:0]
	c.settle()
	if c.v.Kind(typ) == fhir.Unknown { // "DateTime", as R4 writes it in code-value-date, and STU3 often
		typ = strings.ToLower(typ[:min(1, len(typ))]) + typ[min(1, len(typ)):]
	}
	for _, b := range c.branches {
		if b.typ == "Resource" && c.v.KnownType(typ) { // an entry of R5's Bundle; nothing compares resources
			b.typ = typ
		}
		if b.typ == typ {
			next = append(next, b)
		}
	}
	c.branches = next
}

// settle spreads pending choices over all their types.
func (c *compiler) settle() {
	next := c.branches[:0:0]
	for _, b := range c.branches {
		if b.choice == "" {
			next = append(next, b)
			continue
		}
		for e := range c.v.Elements(b.typ) {
			if e.Path == b.choice && e.Type != "" {
				next = append(next, b.to(e))
			}
		}
	}
	c.branches = next
}

// Elements lists the elements of typ, as dotted JSON names ("valueQuantity",
// "participant.actor"), that the search parameter code evaluates; filters in
// its expression are left out. It is an error where the release gives the
// parameter no expression (_text, _content) or one that is not understood.
func Elements(v fhir.Version, typ, code string) ([]string, error) {
	p, ok := v.SearchParam(typ, code)
	if !ok {
		return nil, fmt.Errorf("%s has no search parameter %s", typ, code)
	}
	if p.Expression == "" {
		return nil, fmt.Errorf("search parameter %s has no expression", code)
	}
	paths, err := compileExpression(v, typ, p.Expression)
	if err != nil {
		return nil, fmt.Errorf("search parameter %s: %w", code, err)
	}
	var names []string
	for _, base := range paths {
		if p.Type != "composite" {
			names = append(names, base.String())
			continue
		}
		for _, part := range p.Components {
			steps, root := base.steps, base.typ
			expression, ofResource := strings.CutPrefix(part.Expression, "%resource.")
			if ofResource {
				steps, root = nil, typ
			}
			under, err := compileExpression(v, root, expression)
			if err != nil {
				return nil, fmt.Errorf("search parameter %s: %w", code, err)
			}
			for _, u := range under {
				names = append(names, path{steps: slices.Concat(steps, u.steps)}.String())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
