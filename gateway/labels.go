package gateway

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"

	"gatehouse/fhir"
	"gatehouse/fhir/patch"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
)

// keepLabels carries over the security labels that a PUT leaves out. Leaving
// them out is no word about them: many clients never saw them. What is sent is
// judged once more, with them.
func (x *exchange) keepLabels(ctx context.Context, s *step, d draft) (err error) {
	lost := lostLabels(s.before.Resource, d.judged)
	if len(lost) == 0 {
		return nil
	}
	if d.sent, err = addLabels(d.sent, lost); err != nil {
		return badBody(err)
	}
	if d.judged, err = addLabels(d.judged, lost); err != nil {
		return badBody(err)
	}
	s.body = d.sent
	s.after, err = x.after(ctx, x.court(s.m), s, d)
	return err
}

// patchesHidden tells whether a patch works on labels that its sender does not
// see. What becomes of it would show them: which index is there, which test
// holds, which removal fails.
func (x *exchange) patchesHidden(p *patch.Patch, before *judge.Item) bool {
	return x.caller.marks.Show != "all" && (p.Touches("meta", "security") || before.Verdict.Facts.Inlaid)
}

func keptLabels() *failure {
	return &failure{status: http.StatusForbidden, code: "resource.labels",
		text: "Security labels can be added, and not taken off, by you. Add them with a PUT."}
}

// mayUnlabel tells whether policy and scope would let the caller take labels
// off by the operation that is made for it.
func (x *exchange) mayUnlabel(ctx context.Context, m *matter, before *judge.Item) bool {
	op := x.matter(&fhir.Access{Interaction: fhir.Operation, Operation: "$meta-delete", Method: http.MethodPost, Type: m.access.Type, ID: m.access.ID})
	if x.chooseView(ctx, op) != nil {
		return false
	}
	c := x.court(op)
	c.Letter = 'u'
	_, err := c.Resource(ctx, before.Resource, fhir.Ref{Type: m.access.Type, ID: m.access.ID})
	return err == nil
}

// lostLabels are the labels of before that after has not, as they stand there.
func lostLabels(before, after []byte) [][]byte {
	kept := map[string]bool{}
	for key := range labels(after) {
		kept[key] = true
	}
	var lost [][]byte
	for key, raw := range labels(before) {
		if !kept[key] {
			lost = append(lost, raw)
		}
	}
	slices.SortFunc(lost, bytes.Compare)
	return lost
}

func labels(doc []byte) map[string][]byte {
	var t wire.Tree
	if t.Parse(doc) != nil {
		return nil
	}
	meta := t.Get(0, "meta")
	if meta < 0 {
		return nil
	}
	list := t.Get(meta, "security")
	if list < 0 {
		return nil
	}
	found := map[string][]byte{}
	for i := range t.Children(list) {
		key := string(t.Raw(i))
		if code := t.Get(i, "code"); code >= 0 {
			key = t.Text(code)
			if system := t.Get(i, "system"); system >= 0 {
				key = t.Text(system) + "|" + key
			}
		}
		found[key] = t.Raw(i)
	}
	return found
}

func addLabels(doc []byte, lost [][]byte) ([]byte, error) {
	var t wire.Tree
	if err := t.Parse(doc); err != nil {
		return nil, err
	}
	var e wire.Edits
	e.Reset(&t)
	list := slices.Concat([]byte{'['}, bytes.Join(lost, []byte{','}), []byte{']'})
	meta := t.Get(0, "meta")
	switch {
	case meta < 0:
		e.Append(0, "meta", slices.Concat([]byte(`{"security":`), list, []byte{'}'}))
	case t.Nodes[meta].Kind != wire.Object:
		return nil, errors.New("meta is no object")
	default:
		security := t.Get(meta, "security")
		switch {
		case security < 0:
			e.Append(meta, "security", list)
		case t.Nodes[security].Kind != wire.Array:
			return nil, errors.New("meta.security is no list")
		default:
			for _, raw := range lost {
				e.AppendElement(security, raw)
			}
		}
	}
	return e.Apply(nil), nil
}
