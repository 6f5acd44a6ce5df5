package fhir

import (
	"slices"
	"strings"
)

// operation is what the gateway knows of one: where it may stand, by which
// methods, and what may go in. What is not here cannot be switched on, for
// nobody could judge what it does (O-06, O-08).
type operation struct {
	name      string
	levels    string // "system", type names for type level, "Type/id" for instances; "*" is any type
	get, post bool
	body      bool   // POST takes a resource that is judged as it stands; else Parameters of simple values, the same as a query
	params    string // name:kind; see operationParam
	search    bool   // takes the type's search parameters too
	returns   string // types of what comes back; "" any
}

var operations = []operation{
	{name: "$everything", levels: "Patient Patient/id Encounter/id Group/id", get: true, post: true,
		params: "start:date end:date _since:since _type:types _count:count"},
	{name: "$export", levels: "system Patient Group/id", get: true, post: true,
		params: "_outputFormat:format _since:since _until:date _type:types _elements:elements _typeFilter:filter patient:patient includeAssociatedData:text"},
	{name: "$lastn", levels: "Observation", get: true, post: true, search: true, params: "max:count", returns: "Observation"},
	{name: "$stats", levels: "Observation", get: true, post: true, returns: "Observation",
		params: "subject:text code:text system:text duration:text statistic:text include:text limit:text"},
	{name: "$docref", levels: "DocumentReference", get: true, post: true, returns: "DocumentReference",
		params: "patient:id start:date end:date type:text on-demand:text profile:text"},
	{name: "$document", levels: "Composition/id", get: true, post: true, params: "graph:text"},
	{name: "$summary", levels: "Patient Patient/id", get: true, post: true, params: "identifier:text profile:text"},
	{name: "$match", levels: "Patient", post: true, body: true, returns: "Patient"},
	{name: "$member-match", levels: "Patient", post: true, body: true, returns: "Patient"},
	{name: "$validate", levels: "* */id", post: true, body: true, params: "mode:text profile:text"},
	{name: "$meta", levels: "system * */id", get: true},
	{name: "$meta-add", levels: "*/id", post: true, body: true},
	{name: "$meta-delete", levels: "*/id", post: true, body: true},
	{name: "$graphql", levels: "system */id", get: true, post: true, body: true, params: "query:text operationName:text variables:text"},
	{name: "$expunge", levels: "system * */id", post: true, body: true},
	{name: "$reindex", levels: "system * */id", post: true, body: true},
	{name: "$expand", levels: "ValueSet ValueSet/id", get: true, post: true, returns: "ValueSet",
		params: "url:text valueSetVersion:text context:text contextDirection:text filter:text date:date offset:text count:text includeDesignations:text designation:text includeDefinition:text activeOnly:text excludeNested:text excludeNotForUI:text excludePostCoordinated:text displayLanguage:text exclude-system:text system-version:text"},
	{name: "$lookup", levels: "CodeSystem", get: true, post: true, returns: "CodeSystem",
		params: "code:text system:text version:text date:date displayLanguage:text property:text"},
	{name: "$validate-code", levels: "CodeSystem CodeSystem/id ValueSet ValueSet/id", get: true, post: true,
		params: "url:text context:text code:text system:text systemVersion:text version:text display:text date:date abstract:text displayLanguage:text"},
	{name: "$translate", levels: "ConceptMap ConceptMap/id", get: true, post: true, returns: "ConceptMap",
		params: "url:text conceptMapVersion:text code:text system:text version:text source:text target:text targetsystem:text reverse:text"},
}

// Operations are the names that Options.Operations can switch on, sorted.
func Operations() []string {
	var names []string
	for _, op := range operations {
		names = append(names, op.name)
	}
	slices.Sort(names)
	return names
}

func operationNamed(name string) *operation {
	for i := range operations {
		if operations[i].name == name {
			return &operations[i]
		}
	}
	return nil
}

// routeOperation finds the operation on the list, at its level, by its method.
func (p *parser) routeOperation(a *Access, method string, s path) *Error {
	level := "system"
	if s.n > 1 {
		if err := p.typeOf(s.seg[0]); err != nil {
			return err
		}
		a.Type, level = s.seg[0], "*"
	}
	if s.n > 2 {
		if err := idOf(s.seg[1]); err != nil {
			return err
		}
		a.ID, level = s.seg[1], "*/id"
	}
	if s.n > 3 {
		return refuse(codePath, "An operation stands behind the base, a type or an id.")
	}
	name := s.seg[s.n-1]
	op := operationNamed(name)
	if op == nil || !p.o.Operations[name] {
		return refuse(codeOperation, "The operation %s is not switched on here.", shown(name))
	}
	levels := strings.Fields(op.levels)
	if !slices.Contains(levels, level) && (s.n == 1 || !slices.Contains(levels, strings.Replace(level, "*", a.Type, 1))) {
		return refuse(codeOperation, "The operation %s is served at: %s.", name, strings.Join(levels, ", "))
	}
	var list []verb
	if op.get {
		list = append(list, verb{"GET", Operation})
	}
	if op.post {
		list = append(list, verb{"POST", Operation})
	}
	a.Operation, a.Method, p.op = name, method, op
	return verbs(a, method, list...)
}

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

// owns reports whether name is the operation's own parameter and not a search
// parameter that it takes.
func (op *operation) owns(name string) bool {
	if op == nil {
		return false
	}
	for _, f := range strings.Fields(op.params) {
		if own, _, _ := strings.Cut(f, ":"); own == name {
			return true
		}
	}
	return false
}

// operationTypes are the types that an operation may return.
func (a *Access) operationTypes() []string {
	switch op := operationNamed(a.Operation); {
	case op == nil:
		return a.Version.ResourceTypes()
	case op.returns != "":
		return strings.Fields(op.returns)
	case a.types != nil:
		return a.types
	case op.name == "$everything" || op.name == "$export" || op.name == "$document" || op.name == "$summary" || a.Type == "":
		return a.Version.ResourceTypes()
	}
	return []string{a.Type}
}
