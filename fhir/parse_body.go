package fhir

import (
	"bytes"
	"mime"
	"strings"
	"sync"

	"gatehouse/fhir/wire"
)

const (
	jsonFHIR  = "application/fhir+json"
	jsonPatch = "application/json-patch+json"
)

// body checks the body by what its interaction takes. Every JSON body is
// walked to the end: a duplicate or a stray byte anywhere refuses it (N-06).
func (p *parser) body(a *Access, r *Request) *Error {
	switch {
	case isSearch(a.Interaction) && r.Method == "POST":
		return p.formBody(r)
	case a.Interaction == Create || a.Interaction == Update:
		return p.resourceBody(a, r)
	case a.Interaction == Patch:
		return p.patchBody(a, r)
	case a.Interaction == Batch:
		return p.bundleBody(a, r)
	case a.Interaction == Operation && r.Method == "POST":
		return p.operationBody(a, r)
	case len(r.Body) > 0:
		return refuse(codeBody, "A %s here has no body.", r.Method)
	}
	return nil
}

func (p *parser) formBody(r *Request) *Error {
	if len(r.Body) == 0 && r.ContentType == "" {
		return nil
	}
	if p.entry {
		return refuse(codeBody, "A search in a Bundle has its parameters in request.url.")
	}
	return p.mediaType(r.ContentType, "application/x-www-form-urlencoded")
}

// mediaType checks a Content-Type against those taken: UTF-8 only, and no
// other FHIR release.
func (p *parser) mediaType(got string, want ...string) *Error {
	for _, w := range want {
		if got == w {
			return nil
		}
	}
	media, params, err := mime.ParseMediaType(got)
	ok := err == nil && sameVersion(params, p.o.Version)
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		ok = false
	}
	for _, w := range want {
		if ok && media == w {
			return nil
		}
	}
	return refuse(codeContentType, "Send %s in UTF-8. XML and other forms are not taken.", strings.Join(want, " or "))
}

var trees = sync.Pool{New: func() any { return new(wire.Tree) }}

// walk reads a JSON body; done gives its tree back.
func walk(body []byte) (*wire.Tree, *Error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, refuse(codeBody, "The request needs a body.")
	}
	t := trees.Get().(*wire.Tree)
	if err := t.Parse(body); err != nil {
		done(t)
		return nil, notStrict(err)
	}
	return t, nil
}

func done(t *wire.Tree) {
	t.Doc = nil // the pool must not keep somebody's record
	trees.Put(t)
}

func notStrict(err error) *Error {
	if e, ok := err.(*wire.Error); ok {
		return refuse(codeBody, "The body is not strict JSON: %s at byte %d.", e.Reason, e.Offset)
	}
	return refuse(codeBody, "The body is not strict JSON.")
}

// resourceBody checks that the body is the resource that the URL names.
func (p *parser) resourceBody(a *Access, r *Request) *Error {
	if err := p.mediaType(r.ContentType, jsonFHIR, "application/json"); err != nil {
		return err
	}
	a.Body, a.ContentType = r.Body, jsonFHIR
	t, err := walk(r.Body)
	if err != nil {
		return err
	}
	defer done(t)
	if got := member(t, 0, "resourceType"); got != a.Type {
		return refuse(codeBody, "The body's resourceType must be %s, as in the URL.", a.Type)
	}
	id := t.Get(0, "id")
	if id >= 0 && !ValidID(t.Text(id)) {
		return refuse(codeBody, "The body's id is no FHIR id.")
	}
	if a.Interaction == Update && a.ID != "" && (id < 0 || t.Text(id) != a.ID) {
		return refuse(codeBody, "The body's id must be the one in the URL.")
	}
	return nil
}

// member is the text of a string member, and "" if there is none.
func member(t *wire.Tree, node int, name string) string {
	if i := t.Get(node, name); i >= 0 {
		return t.Text(i)
	}
	return ""
}

// patchBody takes JSON Patch and FHIRPath Patch; plain application/json could
// be either or a merge patch (W-05).
func (p *parser) patchBody(a *Access, r *Request) *Error {
	a.Body, a.ContentType = r.Body, jsonFHIR
	if p.mediaType(r.ContentType, jsonPatch) == nil {
		a.ContentType = jsonPatch
	} else if p.mediaType(r.ContentType, jsonFHIR) != nil {
		return refuse(codeContentType, "A patch is sent as %s or as %s with a Parameters resource.", jsonPatch, jsonFHIR)
	}
	t, err := walk(r.Body)
	if err != nil {
		return err
	}
	defer done(t)
	if a.ContentType == jsonPatch && t.Nodes[0].Kind != wire.Array {
		return refuse(codeBody, "A JSON Patch is an array of operations.")
	}
	if a.ContentType == jsonFHIR && member(t, 0, "resourceType") != "Parameters" {
		return refuse(codeBody, "A FHIRPath Patch is a Parameters resource.")
	}
	return nil
}

// operationBody keeps the body of an operation that takes a resource. For the
// others a POST of Parameters is the same as a GET, and becomes one, so that
// both are judged by one rule.
func (p *parser) operationBody(a *Access, r *Request) *Error {
	if !p.op.body {
		a.Method = "GET"
	}
	if len(r.Body) == 0 && r.ContentType == "" && p.op.get {
		return nil
	}
	if err := p.mediaType(r.ContentType, jsonFHIR, "application/json"); err != nil {
		return err
	}
	t, err := walk(r.Body)
	if err != nil {
		return err
	}
	defer done(t)
	if p.op.body {
		a.Body, a.ContentType = r.Body, jsonFHIR
		if t.Nodes[0].Kind != wire.Object {
			return refuse(codeBody, "The body of %s is an object.", a.Operation)
		}
		return nil
	}
	if member(t, 0, "resourceType") != "Parameters" {
		return refuse(codeBody, "The body of %s is a Parameters resource.", a.Operation)
	}
	return p.simpleParameters(a, t)
}

// simpleParameters reads Parameters of primitive values and references.
func (p *parser) simpleParameters(a *Access, t *wire.Tree) *Error {
	list := t.Get(0, "parameter")
	if list < 0 {
		return nil
	}
	for i := range t.Children(list) {
		one := pair{name: member(t, i, "name")}
		for c := range t.Children(i) {
			switch name := string(t.Name(c)); {
			case name == "name" || name == "id":
			case name == "valueReference":
				one.value = member(t, c, "reference")
			case strings.HasPrefix(name, "value") && t.Nodes[c].Kind != wire.Object && t.Nodes[c].Kind != wire.Array:
				if one.value = t.Text(c); one.value == "" {
					one.value = string(t.Raw(c))
				}
			default:
				return refuse(codeBody, "%s takes parameters with one simple value each.", a.Operation)
			}
		}
		if p.params++; p.params > p.o.MaxParams {
			return refuse(codeTooMany, "A request may have %d parameters.", p.o.MaxParams)
		}
		if one.name == "" || one.value == "" || !clean(one.value) {
			return refuse(codeBody, "%s takes parameters with a name and one simple value each.", a.Operation)
		}
		p.bodyParams = append(p.bodyParams, one)
	}
	return nil
}

// clean refuses what decode refuses in a query.
func clean(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}
