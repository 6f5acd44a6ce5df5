package fhir

import "strings"

// path is a request's path cut at its slashes.
type path struct {
	seg [4]string
	n   int
}

// splitPath cuts a path below the base. It decodes nothing: types, ids and
// FHIR's own words never need an escape, and one that is there for no reason
// is how a path means something else to the next reader (T-02, T-04). Only the
// $ of an operation may come escaped, as some clients do.
func (p *parser) splitPath(s string) (path, *Error) {
	var out path
	if s == "" || s == "/" && p.o.Bases.bare() {
		return out, nil
	}
	if s[0] != '/' {
		return out, refuse(codePath, "The path must begin with a slash.")
	}
	for rest, more := s[1:], true; more; {
		var seg string
		if seg, rest, more = strings.Cut(rest, "/"); seg == "" {
			return out, refuse(codePath, "The path has an empty segment or ends in a slash; write it without.")
		}
		if out.n == len(out.seg) {
			return out, refuse(codePath, "The path has more segments than any of FHIR's.")
		}
		if strings.HasPrefix(seg, "%24") {
			seg = "$" + seg[3:]
		}
		if strings.ContainsAny(seg, "%;\\") {
			return out, refuse(codePath, "The path has an escape or a path parameter; types and ids are written as they are.")
		}
		out.seg[out.n] = seg
		out.n++
	}
	return out, nil
}

// route names the interaction by path and method.
func (p *parser) route(a *Access, method, raw string) *Error {
	s, err := p.splitPath(raw)
	if err != nil {
		return err
	}
	if method == "HEAD" && !p.entry {
		a.Head, method = true, "GET"
	}
	if s.n > 0 && s.seg[s.n-1][0] == '$' {
		return p.routeOperation(a, method, s)
	}
	switch {
	case s.n == 0:
		return verbs(a, method, verb{"GET", SearchSystem}, verb{"POST", Batch})
	case s.n == 1 && s.seg[0] == "metadata":
		return verbs(a, method, verb{"GET", Capabilities})
	case s.n == 1 && s.seg[0] == "_search":
		return verbs(a, method, verb{"POST", SearchSystem})
	case s.n == 1 && s.seg[0] == "_history":
		return verbs(a, method, verb{"GET", HistorySystem})
	}
	if err := p.typeOf(s.seg[0]); err != nil {
		return err
	}
	a.Type = s.seg[0]
	if s.n == 1 {
		return p.routeType(a, method)
	}
	if s.n == 2 && s.seg[1] == "_search" {
		return verbs(a, method, verb{"POST", SearchType})
	}
	if s.n == 2 && s.seg[1] == "_history" {
		return verbs(a, method, verb{"GET", HistoryType})
	}
	if err := idOf(s.seg[1]); err != nil {
		return err
	}
	a.ID = s.seg[1]
	return p.routeInstance(a, method, s)
}

func (p *parser) routeType(a *Access, method string) *Error {
	err := verbs(a, method, verb{"GET", SearchType}, verb{"POST", Create}, verb{"PUT", Update}, verb{"PATCH", Patch}, verb{"DELETE", Delete})
	a.Conditional = a.Interaction == Update || a.Interaction == Patch || a.Interaction == Delete
	return err
}

func (p *parser) routeInstance(a *Access, method string, s path) *Error {
	switch {
	case s.n == 2:
		return verbs(a, method, verb{"GET", Read}, verb{"PUT", Update}, verb{"PATCH", Patch}, verb{"DELETE", Delete})
	case s.seg[2] == "_history" && s.n == 3:
		return verbs(a, method, verb{"GET", HistoryInstance})
	case s.seg[2] == "_history":
		a.VersionID = s.seg[3]
		if err := idOf(a.VersionID); err != nil {
			return err
		}
		return verbs(a, method, verb{"GET", VRead})
	}
	return p.routeCompartment(a, method, s)
}

// routeCompartment reads [Compartment]/[id]/[type], …/* and their _search.
func (p *parser) routeCompartment(a *Access, method string, s path) *Error {
	a.Compartment = Ref{a.Type, a.ID}
	a.Type, a.ID = "", ""
	if _, in := p.o.Version.Compartment(a.Compartment.Type, a.Compartment.Type); !in {
		return refuse(codePath, "%s has no compartment, so nothing can stand behind its id but _history or an operation.", a.Compartment.Type)
	}
	if t := s.seg[2]; t != "*" && t != "_search" {
		if err := p.typeOf(t); err != nil {
			return err
		}
		if _, in := p.o.Version.Compartment(a.Compartment.Type, t); !in {
			return refuse(codePath, "FHIR defines no %s in the %s compartment.", t, a.Compartment.Type)
		}
		a.Type = t
	}
	switch {
	case s.n == 3 && s.seg[2] == "_search", s.n == 4 && s.seg[2] != "_search" && s.seg[3] == "_search":
		return verbs(a, method, verb{"POST", SearchCompartment})
	case s.n == 3:
		return verbs(a, method, verb{"GET", SearchCompartment})
	}
	return refuse(codePath, "Behind a compartment's type only _search can stand.")
}

type verb struct {
	method string
	is     Interaction
}

// verbs picks the interaction of a method at a path that has only these.
func verbs(a *Access, method string, list ...verb) *Error {
	for _, v := range list {
		if v.method == method {
			a.Interaction = v.is
			return nil
		}
	}
	var allow []string
	for _, v := range list {
		allow = append(allow, v.method)
		if v.method == "GET" {
			allow = append(allow, "HEAD")
		}
	}
	err := refuse(codeMethod, "FHIR has %s here.", strings.Join(allow, ", "))
	err.Allow = strings.Join(allow, ", ")
	return err
}

func (p *parser) typeOf(name string) *Error {
	if p.o.Version.KnownType(name) {
		return nil
	}
	for _, t := range p.o.Version.ResourceTypes() {
		if strings.EqualFold(t, name) {
			return refuse(codeType, "Types are case-sensitive; write %s.", t)
		}
	}
	return refuse(codeType, "%s is no resource type of FHIR %s.", shown(name), p.o.Version)
}

func idOf(id string) *Error {
	if !ValidID(id) {
		return refuse(codeID, "An id has 1 to 64 of the characters A-Z a-z 0-9 - and . (dot).")
	}
	return nil
}
