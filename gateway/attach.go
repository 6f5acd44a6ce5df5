package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// A Binary without a security context is seen by whoever may see what it is
// attached to. So attaching one gives it away: whoever could name any Binary in a
// record of an own patient could read every one (D-06, D-07). A write may
// therefore attach only what its sender may read, or has just created.

// made is who created a Binary, and when.
type made struct {
	by string
	at time.Time
}

const (
	madeKept = 1 << 14   // Binaries that are remembered
	madeFor  = time.Hour // within which its maker may attach one that is part of nothing yet
)

// maker names the caller in made.
func (x *exchange) maker() string { return x.caller.subject.Key() + "\x00" + x.caller.subject.Client }

// judgeAttached refuses a write that attaches a Binary which the caller could not
// read by itself. What the resource names already is left.
func (x *exchange) judgeAttached(ctx context.Context, s *step, g graph) error {
	if s.after == nil || !s.sends() {
		return nil
	}
	added := x.binaries(s.after.Resource)
	if len(added) > 0 && s.before != nil {
		known := x.binaries(s.before.Resource)
		added = slices.DeleteFunc(added, func(r fhir.Ref) bool { return slices.Contains(known, r) })
	}
	for i, ref := range added {
		if i == maxSearches || !x.mayAttach(ctx, g, ref) {
			return &failure{status: http.StatusUnprocessableEntity, code: "resource.attachment",
				text: "An attachment names a Binary that is not there, or that you may not read. Create it in the same transaction, or just before."}
		}
	}
	return nil
}

func (x *exchange) mayAttach(ctx context.Context, g graph, ref fhir.Ref) bool {
	if m, ok := x.g.binaries.Get(ref.ID); ok && m.by == x.maker() && x.start.Sub(m.at) < madeFor {
		return true
	}
	for _, s := range g {
		if s.ref == ref && s.sends() && s.before == nil && s.after != nil {
			return true // a PUT of this transaction creates it, or fails
		}
	}
	if x.visibleFacts(ctx, ref) != nil {
		return true
	}
	x.even(ctx, ref.ID) // one that is hidden takes as long as one that is not there
	return false
}

// binaries are those of this server that a resource's attachments name, anywhere
// in it.
func (x *exchange) binaries(resource []byte) []fhir.Ref {
	w := attachments{v: x.s.grammar.Version, bases: x.s.bases}
	if w.tree.Parse(resource) == nil {
		w.value("Resource", 0)
	}
	return w.found
}

// attachments walks a resource by the types of its elements, as the draft was.
type attachments struct {
	v     fhir.Version
	bases *fhir.BaseSet
	tree  wire.Tree
	found []fhir.Ref
}

func (w *attachments) walk(typ string, node int) {
	for c := range w.tree.Children(node) {
		name := string(w.tree.Name(c))
		info, known := w.v.Element(typ, name)
		if !known || strings.HasPrefix(name, "_") {
			continue
		}
		if typ == "Attachment" && name == "url" {
			info.Type = "url"
		}
		w.value(info.Type, c)
	}
}

func (w *attachments) value(typ string, node int) {
	switch w.tree.Nodes[node].Kind {
	case wire.Array:
		for c := range w.tree.Children(node) {
			w.value(typ, c)
		}
	case wire.Object:
		if i := w.tree.Get(node, "resourceType"); typ == "Resource" && i >= 0 {
			typ = w.tree.Text(i)
		}
		w.walk(typ, node)
	case wire.String:
		if ref, _, ok := w.bases.ParseRef(w.tree.Text(node)); typ == "url" && ok && ref.Type == "Binary" && !slices.Contains(w.found, ref) {
			w.found = append(w.found, ref)
		}
	}
}
