package fhir

import (
	"strings"
	"unicode/utf8"
)

// pair is one parameter as it stood in a query or form, decoded once.
type pair struct{ name, value string }

// pairs decodes a query or form. It knows nothing of FHIR and lets nothing
// through that another decoder could read differently: Go itself, for one,
// sees no parameter at all in "a=1;b=2" and forwards both (P-06, P-07).
func (p *parser) pairs(list []pair, raw string) ([]pair, *Error) {
	for more := raw != ""; more; {
		var piece string
		if piece, raw, more = strings.Cut(raw, "&"); piece == "" {
			continue
		}
		if p.params++; p.params > p.o.MaxParams {
			return nil, refuse(codeTooMany, "A request may have %d parameters.", p.o.MaxParams)
		}
		name, value, _ := strings.Cut(piece, "=")
		var err *Error
		var one pair
		if one.name, err = decode(name); err != nil {
			return nil, err
		}
		if one.value, err = decode(value); err != nil {
			return nil, err
		}
		if one.value == "" {
			return nil, refuse(codeValue, "The parameter %s has no value.", shown(one.name))
		}
		list = append(list, one)
	}
	return list, nil
}

// decode undoes percent-encoding exactly once.
func decode(s string) (string, *Error) {
	plain := true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%' || c == '+':
			plain = false
		case c <= ' ' || c >= 0x7f:
			return "", refuse(codeQuery, "The query has a byte that must be percent-encoded.")
		case c == ';' || c == '#':
			return "", refuse(codeQuery, "The query has a raw ; or #. Parameters are joined by &; within a value write %%3B or %%23.")
		}
	}
	if plain {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(s) || hex(s[i+1]) < 0 || hex(s[i+2]) < 0 {
				return "", refuse(codeQuery, "The query has a %% that two hexadecimal digits do not follow; write %%25 for the sign itself.")
			}
			c = byte(hex(s[i+1])<<4 | hex(s[i+2]))
			i += 2
		}
		if c < ' ' || c == 0x7f {
			return "", refuse(codeQuery, "The query has an encoded control character.")
		}
		b = append(b, c)
	}
	if !utf8.Valid(b) {
		return "", refuse(codeQuery, "The query is not UTF-8 once it is decoded.")
	}
	return string(b), nil
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// query reads the parameters of the URL and of a search form as one multiset
// (FHIR-04), and those of If-None-Exist.
func (p *parser) query(a *Access, r *Request) *Error {
	var form string
	if len(r.Body) > 0 && isSearch(a.Interaction) {
		form = string(r.Body)
	}
	var room [8]pair
	list, err := p.pairs(room[:0], r.Query)
	if err != nil {
		return err
	}
	if list, err = p.pairs(list, form); err != nil {
		return err
	}
	if len(r.Query) > maxQuery || len(form) > maxForm {
		return refuse(codeTooLarge, "The query is too large; a search form may have %d KiB.", maxForm>>10)
	}
	if a.Interaction == Operation {
		return p.operationParams(a, list)
	}
	if len(list) > 0 {
		if err := p.parameters(a, list); err != nil {
			return err
		}
	}
	if p.ifNone != "" {
		return p.ifNoneExist(a)
	}
	if a.Conditional && len(a.Criteria) == 0 {
		return refuse(codeID, "Without an id in the path this needs search criteria that select the resource.")
	}
	return nil
}

func (p *parser) parameters(a *Access, list []pair) *Error {
	types, err := p.searched(a, list)
	if err != nil {
		return err
	}
	for _, one := range list {
		if err := p.parameter(a, types, one); err != nil {
			return err
		}
	}
	return nil
}

func isSearch(i Interaction) bool {
	return i == SearchType || i == SearchSystem || i == SearchCompartment
}

// ifNoneExist reads the criteria of a conditional create, which some clients
// write with the type before them.
func (p *parser) ifNoneExist(a *Access) *Error {
	raw := p.ifNone
	raw = strings.TrimPrefix(strings.TrimPrefix(raw, a.Type+"?"), "?")
	list, err := p.pairs(nil, raw)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return refuse(codeHeader, "If-None-Exist has no search criteria.")
	}
	a.Conditional = true
	for _, one := range list {
		c, err := p.criterion([]string{a.Type}, one.name, one.value, 0)
		if err != nil {
			return err
		}
		a.Criteria = append(a.Criteria, c)
	}
	return nil
}

// searched gives the types that criteria are evaluated on: the one of the
// path, those of _type, or nil for every type.
func (p *parser) searched(a *Access, list []pair) ([]string, *Error) {
	if a.Type != "" {
		return []string{a.Type}, nil
	}
	if !isSearch(a.Interaction) {
		return nil, nil
	}
	for _, one := range list {
		if one.name != "_type" {
			continue
		}
		if a.types != nil {
			return nil, refuse(codeRepeated, "_type may stand once; join the types with commas.")
		}
		for _, t := range strings.Split(one.value, ",") {
			if err := p.typeOf(t); err != nil {
				return nil, err
			}
			a.types = append(a.types, t)
		}
		a.Criteria = append(a.Criteria, Param{Name: "_type", Type: "special", Values: a.types})
	}
	return a.types, nil
}

// parameter reads one parameter by what its interaction takes.
func (p *parser) parameter(a *Access, types []string, one pair) *Error {
	switch one.name {
	case "_format":
		return p.format(one.value)
	case "_pretty":
		return flag(&a.Results.Pretty, one)
	case "_type":
		if a.types != nil {
			return nil // read by searched
		}
	}
	if isResult(one.name) {
		if !resultsOf(a.Interaction, one.name) {
			return refuse(codeUnsupported, "%s has no meaning for this interaction.", shown(one.name))
		}
		return p.result(a, types, one)
	}
	if !isSearch(a.Interaction) && !a.Conditional {
		if a.Interaction == Capabilities && one.name == "mode" && one.value == "full" {
			return nil // the only CapabilityStatement there is
		}
		return refuse(codeUnknown, "The parameter %s has no meaning for this interaction.", shown(one.name))
	}
	c, err := p.criterion(types, one.name, one.value, 0)
	if err != nil {
		return err
	}
	if a.Criteria == nil {
		a.Criteria = make([]Param, 0, p.params)
	}
	a.Criteria = append(a.Criteria, c)
	return nil
}
