package fhir

import (
	"encoding/base64"
	"strconv"
	"strings"

	"gatehouse/fhir/wire"
)

// bundleBody reads a batch or transaction, each entry as a request of its own.
// In a batch an entry that cannot be named is answered by itself; in a
// transaction it refuses the whole (FHIR-15).
func (p *parser) bundleBody(a *Access, r *Request) *Error {
	if p.entry {
		return refuse(codeEntry, "A batch or transaction cannot stand in another.")
	}
	if err := p.mediaType(r.ContentType, jsonFHIR, "application/json"); err != nil {
		return err
	}
	t, err := walk(r.Body)
	if err != nil {
		return err
	}
	defer done(t)
	switch kind := member(t, 0, "type"); {
	case member(t, 0, "resourceType") != "Bundle":
		return refuse(codeBundleType, "What is posted to the base is a Bundle; post a resource to its type.")
	case kind == "transaction":
		a.Interaction = Transaction
	case kind != "batch":
		return refuse(codeBundleType, "A Bundle posted to the base is a batch or a transaction; post others to Bundle.")
	}
	if err := onlyMembers(t, 0, "resourceType", "type", "entry", "id", "meta", "language", "identifier", "timestamp", "link", "total"); err != nil {
		return err
	}
	return p.entries(a, t)
}

func onlyMembers(t *wire.Tree, node int, names ...string) *Error {
	if t.Nodes[node].Kind != wire.Object {
		return refuse(codeEntry, "The Bundle has a value where FHIR has an object.")
	}
	for c := range t.Children(node) {
		known := false
		for _, n := range names {
			known = known || n == string(t.Name(c))
		}
		if !known {
			return refuse(codeEntry, "The Bundle has the member %s, which a batch or transaction cannot carry.", shown(string(t.Name(c))))
		}
	}
	return nil
}

func (p *parser) entries(a *Access, t *wire.Tree) *Error {
	list := t.Get(0, "entry")
	if list < 0 {
		return nil
	}
	if t.Nodes[list].Kind != wire.Array {
		return refuse(codeEntry, "Bundle.entry is an array.")
	}
	seen := map[string]bool{}
	for i := range t.Children(list) {
		if len(a.Entries) == p.o.MaxEntries {
			return refuse(codeTooLarge, "A Bundle may have %d entries.", p.o.MaxEntries)
		}
		e := p.bundleEntry(t, i)
		if e.Err == nil && e.FullURL != "" && seen[e.FullURL] {
			e.Access, e.Err = nil, refuse(codeEntry, "Its fullUrl stands on another entry too.")
		}
		seen[e.FullURL] = true
		if e.Err != nil && a.Interaction == Transaction {
			err := *e.Err
			err.Text = "Bundle.entry[" + strconv.Itoa(len(a.Entries)) + "]: " + err.Text
			return &err
		}
		a.Entries = append(a.Entries, e)
	}
	return nil
}

// bundleEntry reads one entry through the same parser as an HTTP request, with
// the entry's conditions in place of headers (W-15, W-16).
func (p *parser) bundleEntry(t *wire.Tree, i int) *Entry {
	e := &Entry{}
	r, sub, err := p.entryRequest(t, i)
	if err == nil {
		e.FullURL = member(t, i, "fullUrl")
		if e.FullURL != "" && !strings.HasPrefix(e.FullURL, "urn:uuid:") && !strings.HasPrefix(e.FullURL, "urn:oid:") && !strings.Contains(e.FullURL, "://") {
			err = refuse(codeEntry, "A fullUrl is an absolute URL or a urn:uuid.")
		}
	}
	if err == nil {
		e.Access, err = sub.access(r)
	}
	e.Err = err
	return e
}

func (p *parser) entryRequest(t *wire.Tree, i int) (Request, *parser, *Error) {
	var r Request
	sub := &parser{o: p.o, entry: true}
	if err := onlyMembers(t, i, "fullUrl", "resource", "request", "link", "id"); err != nil {
		return r, sub, err
	}
	req := t.Get(i, "request")
	if req < 0 {
		return r, sub, refuse(codeEntry, "An entry of a batch or transaction needs a request.")
	}
	if err := onlyMembers(t, req, "method", "url", "ifMatch", "ifNoneMatch", "ifNoneExist", "ifModifiedSince", "id"); err != nil {
		return r, sub, err
	}
	r.Method = member(t, req, "method")
	var err *Error
	if r.Path, r.Query, err = p.entryURL(member(t, req, "url")); err != nil {
		return r, sub, err
	}
	sub.cond = conditions{ifMatch: member(t, req, "ifMatch"), ifNoneMatch: member(t, req, "ifNoneMatch"), returnPref: p.cond.returnPref}
	sub.ifNone = member(t, req, "ifNoneExist")
	if since := member(t, req, "ifModifiedSince"); since != "" {
		return r, sub, refuse(codeUnsupported, "ifModifiedSince in an entry is not served; use ifNoneMatch.")
	}
	return r, sub, sub.entryBody(t, i, &r)
}

// entryURL cuts an entry's url, relative to the base or absolute below it.
func (p *parser) entryURL(url string) (path, query string, err *Error) {
	if path, _, _ := strings.Cut(url, "?"); strings.Contains(path, "://") { // further on it is in the value of a criterion
		rest, ok := p.o.Bases.Relative(url)
		if !ok {
			return "", "", refuse(codeEntry, "request.url names another server; write it relative to the base, as in Patient/1.")
		}
		url = rest
	}
	if url == "" || url[0] == '/' || url[0] == '.' {
		return "", "", refuse(codeEntry, "request.url is relative to the base, as in Patient/1 or Observation?code=1234-5.")
	}
	path, query, _ = strings.Cut(url, "?")
	if path != "" {
		path = "/" + path
	}
	return path, query, nil
}

// entryBody finds the body of an entry: its resource, which for a patch may be
// a Binary that wraps a JSON Patch.
func (p *parser) entryBody(t *wire.Tree, i int, r *Request) *Error {
	res := t.Get(i, "resource")
	if res < 0 {
		return nil
	}
	if t.Nodes[res].Kind != wire.Object {
		return refuse(codeEntry, "An entry's resource is an object.")
	}
	r.Body, r.ContentType = t.Raw(res), jsonFHIR
	if r.Method != "PATCH" || member(t, res, "resourceType") != "Binary" {
		return nil
	}
	if member(t, res, "contentType") != jsonPatch {
		return refuse(codeContentType, "A patch in a Bundle is a Parameters resource, or a Binary of %s.", jsonPatch)
	}
	patch, err := base64.StdEncoding.DecodeString(member(t, res, "data"))
	if err != nil {
		return refuse(codeEntry, "The Binary's data is not base64.")
	}
	r.Body, r.ContentType = patch, jsonPatch
	return nil
}
