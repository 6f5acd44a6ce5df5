package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/view"
)

// This file is $de-identify: what a caller holds and posts comes back as the
// view shows it through which the caller reads, or that policy obliges, under the
// pseudonyms of that domain and no other. Nothing of it is sent upstream. Who may
// ask learns the pseudonym of any id that they know, so
// policy permits it by an action of its own (operation) and each resource is judged.

// deIdentify gives what `gatehouse deid` would give of the posted document.
func (x *exchange) deIdentify(ctx context.Context, m *matter, out output) error {
	if m.view == nil {
		return &failure{status: http.StatusForbidden, code: "view.none",
			text: "You see records as they are: no view is configured for you through which to show what you post."}
	}
	doc, err := readPosted(m)
	if err != nil {
		return err
	}
	items, err := x.judgePosted(ctx, m, doc)
	if err != nil {
		return err
	}
	shown, err := x.shownPosted(m, doc, items)
	if err != nil {
		return err
	}
	var patients []string
	for _, it := range items {
		x.released(it)
		patients = append(patients, it.Verdict.Facts.Patients...)
	}
	x.outcome(http.StatusOK, "ok")
	if err := x.commit(ctx); err != nil {
		return err
	}
	x.charge(len(items), len(shown), patients)
	_, err = out.begin(head{status: http.StatusOK, contentType: fhirJSON, length: int64(len(shown))}).Write(shown)
	return clientGone(err)
}

// judgePosted judges each resource of the document as the operation on what it is;
// one that may not be shown refuses all. Consents are not consulted: the record is
// the caller's own copy, and to look for them would tell who is a patient here.
func (x *exchange) judgePosted(ctx context.Context, m *matter, doc []byte) ([]*judge.Item, error) {
	var t wire.Tree
	if err := t.Parse(doc); err != nil {
		return nil, badBody(err)
	}
	court := x.court(m)
	court.Consent = nil
	found := resourcesIn(&t, 0, nil)
	if len(found) == 0 || !holdsResources(&t, 0) {
		return nil, &failure{status: http.StatusBadRequest, code: "resource.invalid", text: "Each entry of a Bundle, and each parameter in one, must hold a resource."}
	}
	var items []*judge.Item
	for _, i := range found {
		raw := t.Raw(i)
		v, err := court.Read(raw)
		if err != nil {
			return nil, &failure{status: http.StatusBadRequest, code: "resource.invalid", text: "The body is not a resource that can be read.", log: err}
		}
		items = append(items, &judge.Item{Resource: raw, Verdict: v})
	}
	if most := x.s.cfg.Limits.Entries; len(items) > most {
		return nil, &failure{status: http.StatusRequestEntityTooLarge, code: "request.too-long", text: fmt.Sprintf("At most %d resources are taken at once.", most)}
	}
	court.Weigh(ctx, items)
	for _, it := range items {
		if err := x.refusedPosted(m, it); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func (x *exchange) refusedPosted(m *matter, it *judge.Item) error {
	v := &it.Verdict
	o := &v.Decision.Obligations
	switch {
	case v.Reason == "policy.error" || v.Reason == "relation.unavailable":
		x.withheld(it)
		return policyDown(errors.New(v.Reason))
	case v.Reason == "scope.instance":
		x.withheld(it)
		return &failure{status: http.StatusForbidden, code: "scope.instance", text: "Your scopes do not open a resource of this content."}
	case !v.Allow || o.Domain != "" && o.Domain != m.domain:
		x.withheld(it)
		return denied()
	}
	if f := x.stepUp(o.StepUp); f != nil {
		x.withheld(it)
		return f
	}
	return nil
}

// shownPosted is the document through the caller's view, and all that policy
// obliges for any resource of it.
func (x *exchange) shownPosted(m *matter, doc []byte, items []*judge.Item) ([]byte, error) {
	w, laid := m.view, []string(nil)
	for _, it := range items {
		for _, name := range it.Verdict.Decision.Obligations.Views {
			if slices.Contains(laid, name) {
				continue
			}
			over, err := x.s.view(name)
			if err != nil {
				return nil, x.policyDown(err)
			}
			w, laid = w.Overlay(over), append(laid, name)
		}
	}
	patient, _ := view.PatientOf(x.s.grammar.Version, doc, x.s.bases)
	shown, withheld, err := w.Document(nil, doc, view.Context{Domain: m.domain, Patient: patient, Base: x.s.publicURL, Own: x.s.bases})
	if err != nil || withheld {
		if !errors.Is(err, view.ErrErased) {
			x.alarm("view.failed")
		}
		return nil, &failure{status: http.StatusUnprocessableEntity, code: "view.withheld", log: err,
			text: "The resource cannot be brought into the form that you may see."}
	}
	return shown, nil
}

// readPosted takes the resource from the body, alone or in a Parameters. The
// parameter view may say which view is meant, and chooses none.
func readPosted(m *matter) ([]byte, error) {
	doc := m.access.Body
	var t wire.Tree
	if err := t.Parse(doc); err != nil {
		return nil, badBody(err)
	}
	if typ := t.Get(0, "resourceType"); m.access.Type != "Parameters" && typ >= 0 && t.Text(typ) == "Parameters" {
		var err error
		if doc, err = postedParameters(&t, m.view.Name()); err != nil {
			return nil, err
		}
		if err := t.Parse(doc); err != nil {
			return nil, badBody(err)
		}
	}
	typ := t.Get(0, "resourceType")
	if typ < 0 || m.access.Type != "" && t.Text(typ) != m.access.Type {
		return nil, &failure{status: http.StatusBadRequest, code: "resource.type", text: "The body's resourceType must be the type in the URL."}
	}
	return doc, nil
}

func postedParameters(t *wire.Tree, view string) (doc []byte, err error) {
	list := t.Get(0, "parameter")
	if list < 0 {
		return nil, parameter("$de-identify takes one resource.")
	}
	for i := range t.Children(list) {
		name, r := t.Get(i, "name"), t.Get(i, "resource")
		switch {
		case name >= 0 && t.Text(name) == "resource" && r >= 0 && doc == nil:
			doc = t.Raw(r)
		case name >= 0 && t.Text(name) == "view" && r < 0:
			if text := t.Get(i, "valueString"); text < 0 || t.Text(text) != view {
				return nil, parameter("The view is the one that you see records through; no other can be named.")
			}
		default:
			return nil, parameter("$de-identify takes resource and view.")
		}
	}
	if doc == nil {
		return nil, parameter("$de-identify takes one resource.")
	}
	return doc, nil
}

// resourcesIn finds the resources of a document, at any depth. What is contained
// is a part of its container; Bundles and Parameters are what they hold.
func resourcesIn(t *wire.Tree, node int, found []int) []int {
	switch t.Nodes[node].Kind {
	case wire.Object:
		if at := t.Get(node, "resourceType"); at >= 0 && !slices.Contains([]string{"Bundle", "Parameters"}, t.Text(at)) {
			return append(found, node)
		}
	case wire.Array:
	default:
		return found
	}
	for c := range t.Children(node) {
		found = resourcesIn(t, c, found)
	}
	return found
}

// holdsResources: what a Bundle or Parameters holds beside resources could name
// records, by a fullUrl or a reference, that are neither judged nor recorded.
func holdsResources(t *wire.Tree, node int) bool {
	typ := t.Get(node, "resourceType")
	if typ < 0 {
		return false
	}
	list := -1
	switch t.Text(typ) {
	case "Bundle":
		list = t.Get(node, "entry")
	case "Parameters":
		list = t.Get(node, "parameter")
	default:
		return true
	}
	if list < 0 {
		return true
	}
	for one := range t.Children(list) {
		if r := t.Get(one, "resource"); r < 0 || !holdsResources(t, r) {
			return false
		}
	}
	return true
}

// deIdentifies tells of an access that reads nothing but what was posted.
func deIdentifies(a *fhir.Access) bool { return a.Operation == "$de-identify" }
