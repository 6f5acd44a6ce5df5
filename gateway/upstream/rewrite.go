package upstream

import (
	"gatehouse/fhir/wire"
)

// Rewrite adds the edits that make every URL of the upstream in a resource or
// Bundle the gateway's: references, fullUrl, links, request and response URLs,
// attachments and values of type url. Identifier systems, canonicals and texts
// are names or words and stay.
func (u *Upstream) Rewrite(t *wire.Tree, e *wire.Edits) {
	r := rewriter{tree: t, edits: e, upstream: u}
	if len(t.Nodes) > 0 {
		r.walk(0, "")
	}
}

type rewriter struct {
	tree     *wire.Tree
	edits    *wire.Edits
	upstream *Upstream
	scratch  []byte
}

// walk visits the members of an object, or of the objects of an array; within
// is the name of the nearest member around it. Depth is bounded by the parse.
func (r *rewriter) walk(node int, within string) {
	kind := r.tree.Nodes[node].Kind
	attachment := -1
	for child := range r.tree.Children(node) {
		name := within
		if kind == wire.Object {
			name = string(r.tree.Name(child))
		}
		switch r.tree.Nodes[child].Kind {
		case wire.Object, wire.Array:
			r.walk(child, name)
		case wire.String:
			if kind != wire.Object {
				continue
			}
			if name == "url" && within != "link" && within != "request" {
				attachment = child
			} else if located(name, within) {
				r.rewrite(child)
			}
		}
	}
	if attachment >= 0 && within != "extension" && within != "modifierExtension" && r.isAttachment(node) {
		r.rewrite(attachment)
	}
}

// located says whether a member holds where something is.
func located(name, within string) bool {
	switch name {
	case "reference", "fullUrl", "valueUrl":
		return true
	case "location":
		return within == "response"
	case "url":
		return within == "link" || within == "request"
	}
	return false
}

// isAttachment tells an Attachment's url (where) from a resource's or an
// extension's (a name) by the company it keeps.
func (r *rewriter) isAttachment(node int) bool {
	for child := range r.tree.Children(node) {
		switch string(r.tree.Name(child)) {
		case "id", "extension", "contentType", "language", "data", "url", "size", "hash", "title", "creation",
			"height", "width", "frames", "duration", "pages",
			"_contentType", "_language", "_data", "_url", "_size", "_hash", "_title", "_creation":
		default:
			return false
		}
	}
	return true
}

func (r *rewriter) rewrite(node int) {
	if public, ok := r.upstream.Public(r.tree.Text(node)); ok {
		r.scratch = wire.Quote(r.scratch[:0], public)
		r.edits.Replace(node, r.scratch)
	}
}
