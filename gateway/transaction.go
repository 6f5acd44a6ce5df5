package gateway

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/patch"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/upstream"
)

// step is one entry of a transaction, judged and ready to be sent.
type step struct {
	entry   *fhir.Entry
	m       *matter
	fullURL string
	ref     fhir.Ref    // what it will be: an existing resource, or a new one under a name of its own
	before  *judge.Item // nil where there is none
	item    *judge.Item // what the record names
	method  string
	url     string
	pin     string
	body    []byte
	existed bool // a conditional create that matches: nothing is sent
}

// transaction judges every entry on the whole graph, and sends all or nothing:
// one denied entry refuses the transaction, without saying which (W-19).
func (x *exchange) transaction(ctx context.Context, a *fhir.Access, out output) error {
	steps, err := x.plan(ctx, a)
	if err != nil {
		return wholeDenied(err)
	}
	for _, s := range steps {
		if err := x.judgeStep(ctx, s, steps); err != nil {
			return wholeDenied(err)
		}
	}
	x.describe(a)
	for _, s := range steps {
		if s.item != nil && !s.existed {
			x.changed(s.item)
		}
	}
	if err := x.intent(ctx); err != nil {
		return err
	}
	heads, err := x.sendTransaction(ctx, steps)
	if err != nil {
		return err
	}
	return x.answerTransaction(ctx, steps, heads, out)
}

// wholeDenied hides which entry was denied, and why, where that would tell of
// data; errors of the request itself stay as they are.
func wholeDenied(err error) error {
	f := asFailure(err)
	if f.status == http.StatusNotFound || f.status == http.StatusForbidden {
		return &failure{status: http.StatusForbidden, code: "transaction.denied", log: err,
			text: "An entry of the transaction may not be carried out, so none was."}
	}
	return f
}

// plan names each entry's resource: conditional criteria are resolved to ids
// first, so that the judged graph is the one that is sent (W-18).
func (x *exchange) plan(ctx context.Context, a *fhir.Access) ([]*step, error) {
	steps := make([]*step, 0, len(a.Entries))
	for _, e := range a.Entries {
		switch e.Access.Interaction {
		case fhir.Create, fhir.Update, fhir.Patch, fhir.Delete:
		default:
			return nil, &failure{status: http.StatusBadRequest, code: "transaction.read",
				text: "A transaction here holds creates, updates, patches and deletes. Put reads and searches in a batch."}
		}
		m, err := x.prepare(ctx, e.Access)
		if err != nil {
			return nil, err
		}
		s := &step{entry: e, m: m, fullURL: e.FullURL, body: e.Access.Body}
		if err := x.target(ctx, s); err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, distinctTargets(steps)
}

// target resolves what an entry is about.
func (x *exchange) target(ctx context.Context, s *step) error {
	a := s.m.access
	s.ref = fhir.Ref{Type: a.Type, ID: a.ID}
	if a.Conditional {
		it, err := x.resolve(ctx, s.m)
		if err != nil {
			return err
		}
		if it != nil {
			s.ref.ID, s.item = it.Verdict.Facts.ID, it
			s.existed = a.Interaction == fhir.Create
			one := *a
			one.ID = s.ref.ID
			s.m.access = &one
		}
	}
	if s.ref.ID == "" { // a new resource: known in the graph by its fullUrl's uuid
		s.ref.ID = strings.TrimPrefix(s.fullURL, "urn:uuid:")
		if !fhir.ValidID(s.ref.ID) {
			s.ref.ID = requestID()
		}
	}
	return nil
}

// distinctTargets refuses a transaction that touches one resource twice, as
// FHIR does: in which state would the second be judged?
func distinctTargets(steps []*step) error {
	seen := map[fhir.Ref]bool{}
	for _, s := range steps {
		if seen[s.ref] {
			return &failure{status: http.StatusBadRequest, code: "transaction.twice", text: "Two entries of the transaction are about the same resource."}
		}
		seen[s.ref] = true
	}
	return nil
}

// judgeStep judges one entry before and after, with its references resolved
// within the graph.
func (x *exchange) judgeStep(ctx context.Context, s *step, steps []*step) error {
	a := s.m.access
	if s.existed {
		return nil
	}
	exists := a.ID != "" && a.Interaction != fhir.Create
	if exists {
		before, err := x.before(ctx, s.m)
		var f *failure
		switch {
		case err == nil:
			s.before = before
		case errors.As(err, &f) && f.code == "resource.not-found" && !f.hidden && a.Interaction == fhir.Update && a.IfMatch == "":
		default:
			return err
		}
		if s.pin, err = x.pin(s.m, s.before); err != nil {
			return err
		}
	}
	switch a.Interaction {
	case fhir.Create:
		s.method, s.url = http.MethodPost, a.Type
	case fhir.Delete:
		if s.before == nil {
			return absent(nil)
		}
		s.method, s.url, s.item, s.body = http.MethodDelete, s.m.target(), s.before, nil
		return nil
	case fhir.Patch:
		if s.before == nil {
			return absent(nil)
		}
		patched, err := patch.Apply(s.before.Resource, s.body, a.ContentType)
		if err != nil {
			return patchFailed(err)
		}
		s.body = patched
		s.method, s.url = http.MethodPut, s.m.target()
	case fhir.Update:
		s.method, s.url = http.MethodPut, s.m.target()
		if a.ID == "" { // conditional, and nothing matches
			s.method, s.url = http.MethodPost, a.Type
		}
	}
	return x.judgeAfter(ctx, s, steps)
}

// judgeAfter judges the resource as it would become. It is judged with new
// resources under the names that the graph gives them, and sent with their urns.
func (x *exchange) judgeAfter(ctx context.Context, s *step, steps []*step) error {
	sent, judged, err := x.linkGraph(ctx, s.body, steps)
	if err != nil {
		return err
	}
	after := *s.m
	changed := *s.m.access
	changed.Body = judged
	after.access = &changed
	id := ""
	if s.method == http.MethodPut {
		id = s.m.access.ID
	}
	_, it, err := x.after(ctx, &after, id)
	if err != nil {
		return err
	}
	s.item, s.body = it, sent
	return nil
}

// linkGraph resolves the references of a resource within the transaction, and
// its conditional references by a search that the caller may make. It returns
// the form that is sent and the form that is judged.
func (x *exchange) linkGraph(ctx context.Context, body []byte, steps []*step) (sent, judged []byte, err error) {
	var t wire.Tree
	if err := t.Parse(body); err != nil {
		return nil, nil, badBody(err)
	}
	var out, in wire.Edits
	out.Reset(&t)
	in.Reset(&t)
	for i := range t.Nodes {
		if string(t.Name(i)) != "reference" || t.Nodes[i].Kind != wire.String {
			continue
		}
		text := t.Text(i)
		if s := stepNamed(steps, text); s != nil {
			in.Replace(i, wire.Quote(nil, s.ref.String()))
			if s.m.access.ID != "" { // it exists: the upstream needs no urn for it
				out.Replace(i, wire.Quote(nil, s.ref.String()))
			}
			continue
		}
		if !strings.Contains(text, "?") {
			continue
		}
		ref, err := x.conditionalReference(ctx, text)
		if err != nil {
			return nil, nil, err
		}
		in.Replace(i, wire.Quote(nil, ref.String()))
		out.Replace(i, wire.Quote(nil, ref.String()))
	}
	return out.Apply(nil), in.Apply(nil), nil
}

func stepNamed(steps []*step, fullURL string) *step {
	if fullURL == "" {
		return nil
	}
	for _, s := range steps {
		if s.fullURL == fullURL {
			return s
		}
	}
	return nil
}

// conditionalReference resolves "Patient?identifier=…" to the one match that
// the caller may see (FHIR-15).
func (x *exchange) conditionalReference(ctx context.Context, text string) (fhir.Ref, error) {
	path, query, _ := strings.Cut(text, "?")
	a, ferr := fhir.Parse(fhir.Request{Method: http.MethodGet, Path: "/" + path, Query: query}, x.s.grammar)
	if ferr != nil {
		return fhir.Ref{}, ferr
	}
	if a.Interaction != fhir.SearchType {
		return fhir.Ref{}, badBody(errors.New("conditional reference"))
	}
	it, err := x.resolve(ctx, x.matter(a))
	if err != nil {
		return fhir.Ref{}, err
	}
	if it == nil {
		return fhir.Ref{}, &failure{status: http.StatusPreconditionFailed, code: "conditional.none", text: "A conditional reference matches nothing that you may see."}
	}
	return fhir.Ref{Type: it.Verdict.Facts.Type, ID: it.Verdict.Facts.ID}, nil
}

func badBody(err error) error {
	return &failure{status: http.StatusBadRequest, code: "resource.syntax", text: "The body is not a resource that can be read.", log: err}
}

// sendTransaction posts the Bundle that was judged.
func (x *exchange) sendTransaction(ctx context.Context, steps []*step) ([]judge.Response, error) {
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	sent := 0
	var m *matter
	for _, s := range steps {
		if s.existed {
			continue
		}
		if sent++; sent > 1 {
			b.WriteByte(',')
		}
		m = s.m
		s.write(&b)
	}
	b.WriteString(`]}`)
	if sent == 0 {
		return nil, nil
	}
	answer, err := x.forward(ctx, m, upstream.Request{Method: http.MethodPost, Target: "", Body: b.Bytes(), ContentType: fhirJSON, Prefer: "return=minimal"})
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		defer discard(answer)
		if answer.Status == http.StatusNotFound {
			return nil, badUpstream(errors.New("transaction answered with 404"))
		}
		return nil, x.writeStatus(answer)
	}
	heads, err := judge.Responses(answer.Body, m.eval, int64(x.s.cfg.Limits.Resource))
	if err == nil && len(heads) != sent {
		err = errors.New("another number of responses than of entries")
	}
	if err != nil {
		return nil, &failure{status: http.StatusInternalServerError, code: "upstream.unknown", log: err,
			text: "The transaction was sent and its answer cannot be read: it may have been made. Report the request id."}
	}
	for _, s := range steps {
		if s.item != nil {
			x.forgetConsents(s.item)
		}
	}
	return heads, nil
}

func (s *step) write(b *bytes.Buffer) {
	b.WriteByte('{')
	if s.fullURL != "" {
		b.WriteString(`"fullUrl":`)
		b.Write(wire.Quote(nil, s.fullURL))
		b.WriteByte(',')
	}
	if s.body != nil {
		b.WriteString(`"resource":`)
		b.Write(s.body)
		b.WriteByte(',')
	}
	b.WriteString(`"request":{"method":"` + s.method + `","url":`)
	b.Write(wire.Quote(nil, s.url))
	member(b, "ifMatch", s.pin)
	b.WriteString(`}}`)
}

// answerTransaction tells for each entry what became of it, without a body.
func (x *exchange) answerTransaction(ctx context.Context, steps []*step, heads []judge.Response, out output) error {
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle","type":"transaction-response","entry":[`)
	for i, s := range steps {
		if i > 0 {
			b.WriteByte(',')
		}
		o := entryOutput{head: head{status: http.StatusOK}}
		if s.existed {
			o.head.location = x.locate(s.item)
		} else {
			o.head = x.stepHead(heads[0])
			heads = heads[1:]
		}
		o.entry(&b)
	}
	b.WriteString(`]}`)
	x.outcome(http.StatusOK, "ok")
	if err := x.commit(ctx); err != nil {
		return afterWrite(err)
	}
	_, err := out.begin(head{status: http.StatusOK, contentType: fhirJSON, length: int64(b.Len())}).Write(b.Bytes())
	return clientGone(err)
}

func (x *exchange) stepHead(r judge.Response) head {
	h := head{status: r.Status, etag: r.ETag}
	if r.Location == "" {
		return h
	}
	location, ok := x.s.up.Public(r.Location)
	if !ok {
		ref, version, relative := x.s.bases.ParseRef(r.Location)
		if !relative {
			x.alarm("upstream.foreign-location")
			return h
		}
		location = x.s.publicURL + "/" + ref.String()
		if version != "" {
			location += "/_history/" + version
		}
	}
	h.location = location
	return h
}
