package fhir

import (
	"slices"
	"strings"
)

// operationParams reads an operation's parameters, of the query and of a
// Parameters body alike.
func (p *parser) operationParams(a *Access, list []pair) *Error {
	kinds := map[string]string{}
	for _, f := range strings.Fields(p.op.params) {
		name, kind, _ := strings.Cut(f, ":")
		kinds[name] = kind
	}
	for _, one := range append(list, p.bodyParams...) {
		var err *Error
		kind, known := kinds[one.name]
		switch {
		case one.name == "_format" || one.name == "_pretty":
			err = p.parameter(a, nil, one)
		case known:
			err = p.operationParam(a, kind, one)
		case p.op.search && isResult(one.name) && one.name != "_elements" && one.name != "_summary":
			err = refuse(codeUnsupported, "%s takes no %s: it is one page in an order of its own.", a.Operation, one.name)
		case p.op.search && isResult(one.name):
			err = p.result(a, []string{a.Type}, one)
		case p.op.search:
			var c Param
			if c, err = p.criterion([]string{a.Type}, one.name, one.value, 0); err == nil {
				a.Criteria = append(a.Criteria, c)
			}
		default:
			err = refuse(codeUnknown, "%s takes no parameter %s here.", a.Operation, shown(one.name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// operationParam checks one value by its kind. Commas mean what the operation
// says, so a value is not cut but where the kind is a list.
func (p *parser) operationParam(a *Access, kind string, one pair) *Error {
	c := Param{Name: one.name, Type: "string", Values: []string{one.value}}
	switch kind {
	case "count":
		if one.name == "_count" {
			return p.count(&a.Results, one)
		}
		c.Type = "number"
		if digits(one.value) != len(one.value) || len(one.value) > 6 {
			return refuse(codeValue, "%s is a whole number.", one.name)
		}
	case "since":
		return moment(&a.Results.Since, one, true)
	case "date":
		if c.Type = "date"; !validDate(one.value) {
			return refuse(codeValue, "%s is a date.", one.name)
		}
	case "id":
		if c.Type = "token"; !ValidID(one.value) {
			return refuse(codeValue, "%s is an id.", one.name)
		}
	case "format":
		if !slices.Contains([]string{"application/fhir+ndjson", "application/fhir ndjson", "application/ndjson", "ndjson"}, one.value) {
			return refuse(codeFormat, "%s is application/fhir+ndjson.", one.name)
		}
		c.Values[0] = "application/fhir+ndjson"
	case "patient":
		return p.operationPatients(a, c)
	case "types":
		return p.operationTypes(a, one)
	case "elements":
		return p.exportElements(a, c)
	case "filter":
		return p.typeFilter(a, one.value)
	}
	a.Criteria = append(a.Criteria, c)
	return nil
}

func (p *parser) operationPatients(a *Access, c Param) *Error {
	c.Type, c.Values = "reference", strings.Split(c.Values[0], ",")
	for i, v := range c.Values {
		canonical, err := p.reference(SearchParam{Code: c.Name, Targets: []string{"Patient"}}, "Patient", v)
		if err != nil {
			return err
		}
		c.Values[i] = canonical
	}
	a.Criteria = append(a.Criteria, c)
	return nil
}

func (p *parser) operationTypes(a *Access, one pair) *Error {
	if a.types != nil {
		return repeated("_type")
	}
	for _, t := range strings.Split(one.value, ",") {
		if err := p.typeOf(t); err != nil {
			return err
		}
		a.types = append(a.types, t)
	}
	a.Criteria = append(a.Criteria, Param{Name: "_type", Type: "special", Values: a.types})
	return nil
}

// exportElements checks [Type.]element names.
func (p *parser) exportElements(a *Access, c Param) *Error {
	c.Values = strings.Split(c.Values[0], ",")
	for _, v := range c.Values {
		typ, name, dotted := strings.Cut(v, ".")
		types := []string{typ}
		if !dotted {
			types, name = nil, typ
		}
		if !p.elementOf(types, name) {
			return refuse(codeValue, "_elements has a name that is no element at the top of a resource.")
		}
	}
	a.Criteria = append(a.Criteria, c)
	return nil
}

// typeFilter reads the searches of a _typeFilter, each as the search that it
// is: what may not be searched may not be filtered by either (BULK-02, O-03).
func (p *parser) typeFilter(a *Access, value string) *Error {
	for _, raw := range searches(value) {
		typ, query, ok := strings.Cut(raw, "?")
		if !ok || query == "" {
			return refuse(codeValue, "A _typeFilter is a search, as in Observation?category=laboratory.")
		}
		if err := p.typeOf(typ); err != nil {
			return err
		}
		f := &Access{Interaction: SearchType, Type: typ, Version: p.o.Version}
		list, err := p.pairs(nil, strings.ReplaceAll(query, " ", "%20"))
		if err != nil {
			return err
		}
		for _, one := range list {
			if isResult(one.name) || one.name == "_format" || one.name == "_pretty" {
				return refuse(codeUnsupported, "A _typeFilter takes search criteria alone.")
			}
			c, err := p.criterion([]string{typ}, one.name, one.value, 0)
			if err != nil {
				return err
			}
			f.Criteria = append(f.Criteria, c)
		}
		a.Filters = append(a.Filters, f)
	}
	return nil
}

// searches cuts a list of searches at the commas that a new one follows:
// "Observation?code=a,b,Condition?code=c" are two.
func searches(s string) []string {
	var list []string
	from := 0
	for i := 0; i < len(s); i++ {
		if s[i] != ',' {
			continue
		}
		if name, _, ok := strings.Cut(s[i+1:], "?"); ok && typeName(name) {
			list = append(list, s[from:i])
			from = i + 1
		}
	}
	return append(list, s[from:])
}
