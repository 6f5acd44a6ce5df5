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
	{name: "$docref", levels: "DocumentReference", get: true, post: true, returns: "DocumentReference",
		params: "patient:id start:date end:date type:text on-demand:text profile:text"},
	{name: "$de-identify", levels: "system *", post: true, body: true},
	{name: "$validate", levels: "* */id", post: true, body: true, params: "mode:text profile:text"},
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
	case op.name == "$everything" || op.name == "$export" || a.Type == "":
		return a.Version.ResourceTypes()
	}
	return []string{a.Type}
}
