package fhir

import (
	"strings"
)

// alternatives cuts a value at its commas and checks each one by the
// parameter's type and modifier.
func (p *parser) alternatives(c *Param, types []string, def SearchParam, value string) *Error {
	list, ok := split(value, ',')
	if !ok {
		return refuse(codeValue, `A value of %s has a \ that escapes nothing; FHIR escapes are \, \| \$ and \\.`, shown(c.Name))
	}
	if p.values += len(list); p.values > maxValues {
		return refuse(codeTooMany, "A request may have %d alternative values.", maxValues)
	}
	for i, v := range list {
		if strings.TrimSpace(v) == "" {
			return refuse(codeValue, "A value of %s is empty; see its commas.", shown(c.Name))
		}
		if def.Type == "reference" && c.Modifier != "identifier" && c.Modifier != "missing" {
			canonical, err := p.reference(def, c.Modifier, v)
			if err != nil {
				return err
			}
			list[i] = canonical
			continue
		}
		if want := p.valid(types, def, c.Modifier, v); want != "" {
			return refuse(codeValue, "A value of %s is not right: it is %s.", shown(c.Name), want)
		}
	}
	if def.Type == "reference" && p.o.Version.KnownType(c.Modifier) { // the values say it now
		c.dropModifier()
	}
	c.Values = list
	return nil
}

// dropModifier turns subject:Patient=1, whose value now reads Patient/1, into
// the form without a modifier: one meaning, one form.
func (c *Param) dropModifier() {
	c.Modifier = ""
	if n := len(c.Chain); n > 0 {
		c.Chain[n-1].Modifier = ""
	}
}

// split cuts at unescaped separators, leaving escapes in place. It is not ok
// if a backslash stands before anything that FHIR does not escape.
func split(s string, sep byte) (parts []string, ok bool) {
	n := strings.Count(s, string(sep)) + 1
	parts = make([]string, 0, n)
	from := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i == len(s) || s[i] != ',' && s[i] != '|' && s[i] != '$' && s[i] != '\\' {
				return nil, false
			}
		case sep:
			parts = append(parts, s[from:i])
			from = i + 1
		}
	}
	return append(parts, s[from:]), true
}

// valid checks one value and says what it must be if it is not that. The
// types of the check are those that the parameter is evaluated on.
func (p *parser) valid(types []string, def SearchParam, modifier, v string) string {
	if modifier == "missing" {
		return when(v == "true" || v == "false", "true or false")
	}
	switch def.Type {
	case "number":
		return when(validNumber(comparand(v)), "a number such as 5.40 or lt100")
	case "date":
		return when(validDate(comparand(v)), "a date such as 2026-11 or ge2026-11-03T08:00:00Z; write the + of a zone as %2B")
	case "quantity":
		return when(validQuantity(v), "a quantity such as 5.4|http://unitsofmeasure.org|mg or gt5.4")
	case "token", "reference": // the reference is an :identifier
		return validToken(def, modifier, v)
	case "uri":
		return when(strings.IndexByte(v, ' ') < 0, "a URI")
	case "composite":
		return p.validComposite(types, def, v)
	case "special":
		return validNear(v)
	}
	return ""
}

func when(ok bool, want string) string {
	if ok {
		return ""
	}
	return want
}

// comparand is a value without its prefix.
func comparand(v string) string {
	if len(v) > 2 {
		switch v[:2] {
		case "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap":
			return v[2:]
		}
	}
	return v
}

func validToken(def SearchParam, modifier, v string) string {
	if def.Code == "_id" {
		return when(ValidID(v), "an id")
	}
	switch modifier {
	case "text":
		return ""
	case "in", "not-in":
		return when(strings.IndexByte(v, ' ') < 0, "a value set's URL")
	}
	parts, _ := split(v, '|')
	if modifier == "of-type" {
		return when(len(parts) == 3 && parts[0] != "" && parts[1] != "" && parts[2] != "", "system|code|value")
	}
	return when(len(parts) == 1 || len(parts) == 2 && v != "|" && strings.IndexByte(parts[0], ' ') < 0, "code, system|code, |code or system|")
}

func validQuantity(v string) bool {
	parts, _ := split(v, '|')
	return (len(parts) == 1 || len(parts) == 3 && strings.IndexByte(parts[1], ' ') < 0) && validNumber(comparand(parts[0]))
}

// validComposite checks a$b by the types of the components.
func (p *parser) validComposite(types []string, def SearchParam, v string) string {
	parts, _ := split(v, '$')
	if len(parts) != len(def.Components) {
		return "as many values joined by $ as it has components"
	}
	for i, part := range parts {
		one, ok := p.lookup(types, def.Components[i].Code)
		if part == "" || !ok {
			return "values joined by $, none of them empty"
		}
		if one.Type == "reference" {
			if _, err := p.reference(one, "", part); err != nil {
				return "one of its references in a form that is not Type/id"
			}
		} else if want := p.valid(types, one, "", part); want != "" {
			return want
		}
	}
	return ""
}

// validNear checks latitude|longitude[|distance[|units]].
func validNear(v string) string {
	parts, _ := split(v, '|')
	ok := len(parts) >= 2 && len(parts) <= 4 && validNumber(parts[0]) && validNumber(parts[1])
	if ok && len(parts) > 2 && parts[2] != "" {
		ok = validNumber(parts[2])
	}
	return when(ok, "latitude|longitude|distance|units")
}

// reference puts a reference into its one form: "Type/id" for a resource of
// this server, and what it is for canonical URLs, URNs and other servers'. A
// bare id gets the type where only one is possible (P-04, R-01, R-07).
func (p *parser) reference(def SearchParam, modifier, v string) (string, *Error) {
	typ := modifier
	if typ == "" && len(def.Targets) == 1 {
		typ = def.Targets[0]
	}
	if ValidID(v) {
		if typ == "" {
			return v, nil
		}
		return typ + "/" + v, nil
	}
	ref, version, ok := p.o.Bases.ParseRef(v)
	if !ok {
		if foreign(v, p.o.Bases) && modifier == "" {
			return v, nil
		}
		return "", refuse(codeValue, "A value of %s is not right: it is Type/id, an id, or an absolute URL.", shown(def.Code))
	}
	if version != "" {
		return "", refuse(codeValue, "%s cannot be searched by version; write Type/id.", shown(def.Code))
	}
	if err := p.typeOf(ref.Type); err != nil {
		return "", err
	}
	if !pointsTo(def, ref.Type) || modifier != "" && modifier != ref.Type {
		return "", refuse(codeValue, "%s does not refer to %s.", shown(def.Code), ref.Type)
	}
	return ref.String(), nil
}

// foreign reports whether v is an absolute URL or URN that names nothing of
// this server. It is compared as text upstream and never resolved.
func foreign(v string, bases *BaseSet) bool {
	if strings.IndexByte(v, ' ') >= 0 {
		return false
	}
	if strings.HasPrefix(v, "urn:uuid:") || strings.HasPrefix(v, "urn:oid:") {
		return true
	}
	host, _, ok := splitURL(v)
	if !ok || host == "" {
		return false
	}
	_, own := bases.Relative(v)
	return !own
}
