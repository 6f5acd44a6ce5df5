package gateway

import (
	"context"
	"net/http"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// draft is a resource that a client wants written. It is sent in another form
// than it is judged in only where it refers to what a transaction is about to
// create: that has no id yet, and is judged under one of the gateway's own.
type draft struct {
	sent, judged []byte
}

// draft brings a body into the form that is judged and sent. Every reference in
// it is one that can be named, and own ones are written "Type/id": what the
// upstream could read otherwise than the gateway has no place in a write.
// id is what the resource will have; with none the body's own is taken out, for
// a server that kept it would overwrite a record that nobody has judged.
func (x *exchange) draft(ctx context.Context, s *step, g graph, body []byte, id string) (draft, error) {
	w := draftWalk{x: x, ctx: ctx, step: s, graph: g}
	if err := w.tree.Parse(body); err != nil {
		return draft{}, &failure{status: http.StatusBadRequest, code: "resource.syntax", text: "The body is not strict JSON: " + err.Error() + "."}
	}
	w.sent.Reset(&w.tree)
	w.judged.Reset(&w.tree)
	typ := s.m.access.Type
	if i := w.tree.Get(0, "resourceType"); i < 0 || w.tree.Text(i) != typ {
		return draft{}, &failure{status: http.StatusBadRequest, code: "resource.type", text: "The body's resourceType must be the type in the URL."}
	}
	if err := w.identify(id); err != nil {
		return draft{}, err
	}
	if meta := w.tree.Get(0, "meta"); meta >= 0 && (marked(&w.tree, w.tree.Get(meta, "tag")) || marked(&w.tree, w.tree.Get(meta, "security"))) {
		return draft{}, partial()
	}
	if err := w.walk(typ, 0); err != nil {
		return draft{}, err
	}
	return draft{sent: w.sent.Apply(nil), judged: w.judged.Apply(nil)}, nil
}

// partial refuses to write back what is a part or a changed form of a record:
// what it lacks would be lost (W-11, FHIR-14).
func partial() *failure {
	return &failure{status: http.StatusUnprocessableEntity, code: "resource.partial",
		text: "This is a part or a changed form of the record; writing it back would erase what it lacks. Read the whole resource and send that, or send a patch."}
}

func marked(t *wire.Tree, list int) bool {
	if list < 0 || t.Nodes[list].Kind != wire.Array {
		return false
	}
	for i := range t.Children(list) {
		if code := t.Get(i, "code"); code >= 0 {
			switch t.Text(code) {
			case "SUBSETTED", "REDACTED", "MASKED", "PSEUDED", "ANONYED", "ABSTRED":
				return true
			}
		}
	}
	return false
}

// draftWalk visits a body by the types of its elements.
type draftWalk struct {
	x            *exchange
	ctx          context.Context
	step         *step
	graph        graph
	tree         wire.Tree
	sent, judged wire.Edits
	searches     int
}

// maxSearches bounds the references by search in one resource: each is a
// request to the upstream (L-03).
const maxSearches = 20

func (w *draftWalk) replace(node int, sent, judged string) {
	if text := w.tree.Text(node); text == sent && text == judged {
		return
	}
	w.sent.Replace(node, wire.Quote(nil, sent))
	w.judged.Replace(node, wire.Quote(nil, judged))
}

func (w *draftWalk) identify(id string) error {
	i := w.tree.Get(0, "id")
	switch {
	case id == "" && i >= 0:
		w.sent.Remove(i)
		w.judged.Remove(i)
	case id != "" && i < 0:
		w.sent.Append(0, "id", wire.Quote(nil, id))
		w.judged.Append(0, "id", wire.Quote(nil, id))
	case id != "" && w.tree.Text(i) != id:
		return &failure{status: http.StatusBadRequest, code: "resource.id", text: "The body's id must be the id of the resource that is written."}
	}
	return nil
}

func (w *draftWalk) walk(typ string, node int) error {
	if err := w.ctx.Err(); err != nil {
		return err // nobody waits for the answer any more
	}
	v := w.x.s.grammar.Version
	if typ == "Reference" {
		if err := w.reference(node); err != nil {
			return err
		}
	}
	for c := range w.tree.Children(node) {
		name := string(w.tree.Name(c))
		if name == "resourceType" {
			continue
		}
		bare := strings.TrimPrefix(name, "_")
		info, known := v.Element(typ, bare)
		switch {
		case !known && twin(v, typ, bare):
			return &failure{status: http.StatusBadRequest, code: "resource.element",
				text: "A member of the body differs from a FHIR element in case alone. Element names are case-sensitive."}
		case !known:
			continue // the upstream's to refuse, or an element of its own
		case !w.shaped(info, c):
			return &failure{status: http.StatusBadRequest, code: "resource.element",
				text: "An element of the body is a list where FHIR has one value, or one value where FHIR has a list."}
		case bare != name:
			info.Type = "Element"
		case typ == "Attachment" && name == "url":
			info.Type = "url" // STU3 calls it a uri
		}
		if err := w.values(info, c); err != nil {
			return err
		}
	}
	return nil
}

// shaped reports whether a list stands where FHIR has one, and there alone: of
// two subjects a server might keep another than the gateway judged (N-08).
func (w *draftWalk) shaped(info fhir.ElementInfo, node int) bool {
	if (w.tree.Nodes[node].Kind == wire.Array) != info.Array {
		return false
	}
	if info.Array {
		for c := range w.tree.Children(node) {
			if w.tree.Nodes[c].Kind == wire.Array {
				return false
			}
		}
	}
	return true
}

// twin reports whether a name is a FHIR element's but for its case: a server
// that folds case would take it for the element, and the gateway did not (N-08).
func twin(v fhir.Version, typ, name string) bool {
	if strings.EqualFold(name, "resourceType") {
		return true
	}
	for e := range v.Elements(typ) {
		if strings.EqualFold(e.Name, name) {
			return true
		}
	}
	return false
}

// values visits an element's value, or each of them.
func (w *draftWalk) values(info fhir.ElementInfo, node int) error {
	switch w.tree.Nodes[node].Kind {
	case wire.Array:
		for c := range w.tree.Children(node) {
			if err := w.values(info, c); err != nil {
				return err
			}
		}
	case wire.Object:
		if info.Type == "Resource" {
			return w.nested(info, node)
		}
		return w.walk(info.Type, node)
	case wire.String:
		if info.Type == "url" { // an attachment's, for instance: own ones are kept relative too
			if ref, version, ok := w.x.s.bases.ParseRef(w.tree.Text(node)); ok {
				w.replace(node, versioned(ref, version), versioned(ref, version))
			}
		}
	}
	return nil
}

func versioned(ref fhir.Ref, version string) string {
	if version == "" {
		return ref.String()
	}
	return ref.String() + "/_history/" + version
}

// nested visits a resource within the body. A patient cannot be written inside
// another resource: who it is could not be told from those that there are.
func (w *draftWalk) nested(info fhir.ElementInfo, node int) error {
	typ := ""
	if i := w.tree.Get(node, "resourceType"); i >= 0 {
		typ = w.tree.Text(i)
	}
	if !w.x.s.grammar.Version.KnownType(typ) && typ != "Parameters" {
		return &failure{status: http.StatusBadRequest, code: "resource.type", text: "A resource within the body has no resourceType that FHIR knows."}
	}
	if info.Name == "contained" && typ == "Patient" {
		return &failure{status: http.StatusUnprocessableEntity, code: "resource.contained",
			text: "A Patient cannot be contained in what is written here. Refer to the patient's own record."}
	}
	return w.walk(typ, node)
}

// reference checks one Reference, and writes it as the upstream stores it.
func (w *draftWalk) reference(node int) error {
	i := w.tree.Get(node, "reference")
	if i < 0 {
		return nil // logical, or a name alone: judged as naming nobody
	}
	text := w.tree.Text(i)
	if target := w.step.named(text); target != nil {
		w.replace(i, target.sentName(), target.ref.String())
		return nil
	}
	if path, own := w.x.s.bases.Relative(text); own {
		text = path
	} else if foreign(text) {
		return nil // another server's: data, never followed (FHIR-23)
	}
	ref, version, ok := w.x.s.bases.ParseRef(text)
	switch {
	case ok && w.x.s.grammar.Version.KnownType(ref.Type) && w.agrees(node, ref.Type):
		w.replace(i, versioned(ref, version), versioned(ref, version))
		return nil
	case ok:
	case strings.Contains(text, "?") && w.graph != nil:
		if w.searches++; w.searches > maxSearches {
			break
		}
		ref, err := w.x.conditionalReference(w.ctx, w.step.m, text)
		if err != nil {
			return err
		}
		w.replace(i, ref.String(), ref.String())
		return nil
	case len(text) > 1 && text[0] == '#' && !strings.ContainsAny(text, "/?"), text == "#":
		return nil
	case w.graph == nil && (strings.HasPrefix(text, "urn:uuid:") || strings.HasPrefix(text, "urn:oid:")):
		return nil // names nothing on this server; in a transaction it must name an entry
	}
	return &failure{status: http.StatusUnprocessableEntity, code: "resource.reference",
		text: "A reference in the body cannot be read. Write Type/id, an absolute URL, #id of a contained resource, or, in a transaction, a fullUrl or one of a few searches; Reference.type must say the same."}
}

// agrees refuses a Reference whose type says another thing than its reference:
// which of the two a server believes is unknown.
func (w *draftWalk) agrees(node int, typ string) bool {
	i := w.tree.Get(node, "type")
	return i < 0 || w.tree.Text(i) == typ
}

// foreign tells whether a reference is an absolute URL. A scheme stands in front:
// "://" further on is in the value of a criterion, and what is searched for is
// resolved by the gateway, never by the upstream (W-18).
func foreign(s string) bool {
	scheme, rest, ok := strings.Cut(s, "://")
	return ok && scheme != "" && !strings.Contains(rest, "?") && !strings.ContainsFunc(scheme, func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("+-.", r)
	})
}
