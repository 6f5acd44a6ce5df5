package path

import (
	"slices"

	"gatehouse/fhir"
)

type parser struct {
	version fhir.Version
	tokens  []token
	at      int
}

// maxDepth is how deep an expression may nest.
const maxDepth = 64

// levels are the binary operators, the weakest first.
var levels = [][]string{{"or", "xor"}, {"and"}, {"in", "contains"}, {"=", "!=", "~", "!~"}, {"<", "<=", ">", ">="}, {"|"}, {"is", "as"}, {"+", "-", "&"}, {"*", "/", "div", "mod"}}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != end {
		p.at++
	}
	return t
}

func (p *parser) fail(t token, reason string) error { return &Error{t.column, reason} }

func (p *parser) take(s string) bool {
	if t := p.peek(); t.kind == symbol && t.text == s {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(s string) error {
	if !p.take(s) {
		return p.fail(p.peek(), "expected "+s)
	}
	return nil
}

func (p *parser) expression(level, depth int) (node, error) {
	if depth > maxDepth {
		return nil, p.fail(p.peek(), "nested too deeply")
	}
	if level == len(levels) {
		return p.postfix(depth)
	}
	left, err := p.expression(level+1, depth)
	if err != nil {
		return nil, err
	}
	for {
		op := p.peek()
		if op.kind != symbol && op.kind != word || !slices.Contains(levels[level], op.text) {
			return left, nil
		}
		p.next()
		if op.text == "is" || op.text == "as" {
			typ, err := p.typeName()
			if err != nil {
				return nil, err
			}
			left = &typed{left, op.text, typ}
			continue
		}
		right, err := p.expression(level+1, depth+1)
		if err != nil {
			return nil, err
		}
		if left, err = newBinary(op.text, left, right); err != nil {
			return nil, p.fail(op, err.Error())
		}
	}
}

func (p *parser) typeName() (string, error) {
	t := p.next()
	if t.kind != word || p.version.Kind(t.text) == fhir.Unknown {
		return "", p.fail(t, "not a type: "+t.text)
	}
	return t.text, nil
}

func (p *parser) postfix(depth int) (node, error) {
	n, err := p.term(depth)
	if err != nil {
		return nil, err
	}
	for {
		switch {
		case p.take("."):
			t := p.next()
			if t.kind != word {
				return nil, p.fail(t, "expected a name after the dot")
			}
			if n, err = p.named(n, t, depth); err != nil {
				return nil, err
			}
		case p.take("["):
			t := p.next()
			if t.kind != number {
				return nil, p.fail(t, "expected an index")
			}
			if err := p.expect("]"); err != nil {
				return nil, err
			}
			n = &index{n, t.text}
		default:
			return n, nil
		}
	}
}

func (p *parser) term(depth int) (node, error) {
	switch t := p.next(); {
	case t.kind == text:
		return literal{value{kind: isText, text: t.text}}, nil
	case t.kind == number:
		return literal{value{kind: isNumber, text: t.text}}, nil
	case t.kind == date:
		return literal{value{kind: isDate, text: t.text}}, nil
	case t.kind == symbol && t.text == "(":
		n, err := p.expression(0, depth+1)
		if err != nil {
			return nil, err
		}
		return n, p.expect(")")
	case t.kind == symbol && t.text == "-" && p.peek().kind == number:
		return literal{value{kind: isNumber, text: "-" + p.next().text}}, nil
	case t.kind == word:
		switch t.text {
		case "true", "false":
			return literal{value{kind: isBool, text: t.text}}, nil
		case "$this":
			return this{}, nil
		case "%resource", "%context":
			return resource{}, nil
		}
		if t.text[0] == '$' || t.text[0] == '%' {
			return nil, p.fail(t, "unknown variable "+t.text)
		}
		return p.named(nil, t, depth)
	default:
		return nil, p.fail(t, "unexpected "+t.text)
	}
}

// named is a member, a type at the head of a path, or a function; from is nil
// at the head.
func (p *parser) named(from node, t token, depth int) (node, error) {
	head := from == nil
	if head {
		from = this{}
	}
	if !p.take("(") {
		if head && t.text[0] >= 'A' && t.text[0] <= 'Z' {
			if k := p.version.Kind(t.text); k != fhir.Resource && k != fhir.Abstract && k != fhir.Complex {
				return nil, p.fail(t, "not a type: "+t.text)
			}
			return &typeHead{t.text}, nil
		}
		return &child{from, t.text}, nil
	}
	var args []node
	for !p.take(")") {
		if len(args) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		if t.text == "ofType" || t.text == "as" || t.text == "is" {
			typ, err := p.typeName()
			if err != nil {
				return nil, err
			}
			if err := p.expect(")"); err != nil {
				return nil, err
			}
			return &typed{from, t.text, typ}, nil
		}
		arg, err := p.expression(0, depth+1)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	f, err := newCall(p.version, from, t.text, args)
	if err != nil {
		return nil, p.fail(t, err.Error())
	}
	return f, nil
}
