package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/patch"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/upstream"
)

// A write is judged twice: on the resource as it is and as it would become.
// The first is pinned with If-Match, so that what was judged is what changes;
// the intent is on disk before the upstream sees anything.

// create judges the new resource and posts it.
func (x *exchange) create(ctx context.Context, m *matter, out output) error {
	body, after, err := x.after(ctx, m, "")
	if err != nil {
		return err
	}
	if m.access.Conditional {
		existing, err := x.resolve(ctx, m)
		if err != nil {
			return err
		}
		if existing != nil { // a match that the caller may see: nothing is created
			return x.wrote(ctx, m, out, head{status: http.StatusOK, location: x.locate(existing), length: 0}, existing)
		}
	}
	return x.send(ctx, m, out, upstream.Request{Method: http.MethodPost, Target: m.access.Type, Body: body, ContentType: fhirJSON}, after)
}

// update judges the resource before and after, and puts it. A resource that
// does not exist yet is created, as FHIR allows.
func (x *exchange) update(ctx context.Context, m *matter, out output) error {
	if err := x.identifyTarget(ctx, m); err != nil {
		return err
	}
	body, after, err := x.after(ctx, m, m.access.ID)
	if err != nil {
		return err
	}
	if m.access.ID == "" { // a conditional update that matches nothing
		return x.send(ctx, m, out, upstream.Request{Method: http.MethodPost, Target: m.access.Type, Body: body, ContentType: fhirJSON}, after)
	}
	before, err := x.before(ctx, m)
	var f *failure
	if errors.As(err, &f) && f.code == "resource.not-found" && before == nil && !f.hidden {
		if m.access.IfMatch != "" {
			return versionConflict()
		}
		before = nil
	} else if err != nil {
		return err
	}
	pin, err := x.pin(m, before)
	if err != nil {
		return err
	}
	return x.send(ctx, m, out, upstream.Request{Method: http.MethodPut, Target: m.target(), Body: body, ContentType: fhirJSON, IfMatch: pin}, after)
}

// patch applies the patch here, so that what results can be judged, and puts
// the result: a server that read the patch otherwise would write what nobody
// has judged (W-04).
func (x *exchange) patch(ctx context.Context, m *matter, out output) error {
	if err := x.identifyTarget(ctx, m); err != nil {
		return err
	}
	if m.access.ID == "" {
		return absent(nil)
	}
	before, err := x.before(ctx, m)
	if err != nil {
		return err
	}
	patched, err := patch.Apply(before.Resource, m.access.Body, m.access.ContentType)
	if err != nil {
		return patchFailed(err)
	}
	changed := *m.access
	changed.Body = patched
	m.access = &changed
	body, after, err := x.after(ctx, m, m.access.ID)
	if err != nil {
		return err
	}
	pin, err := x.pin(m, before)
	if err != nil {
		return err
	}
	return x.send(ctx, m, out, upstream.Request{Method: http.MethodPut, Target: m.target(), Body: body, ContentType: fhirJSON, IfMatch: pin}, after)
}

func patchFailed(err error) error {
	if errors.Is(err, patch.ErrMediaType) {
		return &failure{status: http.StatusUnsupportedMediaType, code: "patch.media-type", text: "Send the patch as application/json-patch+json."}
	}
	return &failure{status: http.StatusUnprocessableEntity, code: "patch.failed", text: "The patch cannot be applied: " + err.Error() + "."}
}

// remove judges the resource as it is and deletes it.
func (x *exchange) remove(ctx context.Context, m *matter, out output) error {
	if err := x.identifyTarget(ctx, m); err != nil {
		return err
	}
	if m.access.ID == "" {
		return absent(nil)
	}
	before, err := x.before(ctx, m)
	if err != nil {
		return err
	}
	pin, err := x.pin(m, before)
	if err != nil {
		return err
	}
	return x.send(ctx, m, out, upstream.Request{Method: http.MethodDelete, Target: m.target(), IfMatch: pin}, before)
}

func (m *matter) target() string { return m.access.Type + "/" + m.access.ID }

// after judges what the client sends. Refusing it needs no secrecy: the caller
// knows what it wrote, and is told before the upstream is asked (FHIR-16).
func (x *exchange) after(ctx context.Context, m *matter, id string) ([]byte, *judge.Item, error) {
	body := m.access.Body
	if err := checkBody(body, m.access.Type, id); err != nil {
		return nil, nil, err
	}
	it, err := x.court(m).Resource(ctx, body, fhir.Ref{Type: m.access.Type, ID: id})
	switch {
	case errors.Is(err, judge.ErrWithheld):
		x.withheld(it)
		return nil, nil, &failure{status: http.StatusForbidden, code: writeDenied(it), text: "You may not write a resource of this content."}
	case err != nil:
		return nil, nil, &failure{status: http.StatusBadRequest, code: "resource.invalid", text: "The body is not a resource that can be read.", log: err}
	}
	return body, it, nil
}

func writeDenied(it *judge.Item) string {
	if it.Verdict.Reason == "scope.instance" {
		return "scope.instance"
	}
	return "policy.denied"
}

// checkBody holds a body to what the URL says of it, and refuses to write back
// what is marked as a part or a changed form of a record (W-11, FHIR-14).
func checkBody(body []byte, typ, id string) error {
	var t wire.Tree
	if err := t.Parse(body); err != nil {
		return &failure{status: http.StatusBadRequest, code: "resource.syntax", text: "The body is not strict JSON: " + err.Error() + "."}
	}
	if i := t.Get(0, "resourceType"); i < 0 || t.Text(i) != typ {
		return &failure{status: http.StatusBadRequest, code: "resource.type", text: "The body's resourceType must be the type in the URL."}
	}
	i := t.Get(0, "id")
	if id != "" && (i < 0 || t.Text(i) != id) {
		return &failure{status: http.StatusBadRequest, code: "resource.id", text: "The body's id must be the id in the URL."}
	}
	for _, list := range []string{"tag", "security"} {
		if meta := t.Get(0, "meta"); meta >= 0 && marked(&t, t.Get(meta, list)) {
			return &failure{status: http.StatusUnprocessableEntity, code: "resource.partial",
				text: "This is a part or a changed form of the record; writing it back would erase what it lacks. Read the whole resource and send that, or send a patch."}
		}
	}
	return nil
}

func marked(t *wire.Tree, list int) bool {
	if list < 0 || t.Nodes[list].Kind != wire.Array {
		return false
	}
	for i := t.First(list); i < int(t.Nodes[list].Next); i = int(t.Nodes[i].Next) {
		if code := t.Get(i, "code"); code >= 0 {
			switch t.Text(code) {
			case "SUBSETTED", "REDACTED", "MASKED", "PSEUDED", "ANONYED", "ABSTRED":
				return true
			}
		}
	}
	return false
}

// before fetches and judges the resource as it is. One that may not be changed
// is absent (W-02).
func (x *exchange) before(ctx context.Context, m *matter) (*judge.Item, error) {
	want := fhir.Ref{Type: m.access.Type, ID: m.access.ID}
	answer, err := x.own(ctx, want.String())
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		discard(answer)
		return nil, x.readStatus(answer)
	}
	it, err := x.court(m).One(ctx, answer.Body, want, int64(x.s.cfg.Limits.Resource))
	if err != nil {
		err = x.judged(it, err)
		var f *failure
		if errors.As(err, &f) && f.code == "resource.not-found" {
			f.hidden = true
		}
		return nil, err
	}
	if it.Verdict.Facts.VersionID == "" {
		it.Verdict.Facts.VersionID = tagVersion(answer.ETag)
	}
	return it, nil
}

func tagVersion(etag string) string { return strings.Trim(strings.TrimPrefix(etag, "W/"), `"`) }

// pin is the If-Match that holds the upstream to the version that was judged.
func (x *exchange) pin(m *matter, before *judge.Item) (string, error) {
	if before == nil {
		return "", nil
	}
	version := before.Verdict.Facts.VersionID
	if m.access.IfMatch != "" && !matchesTag(m.access.IfMatch, `"`+version+`"`) {
		return "", versionConflict()
	}
	if version == "" {
		if x.s.cfg.Upstream.InsecureUnpinnedWrites {
			return "", nil
		}
		return "", &failure{status: http.StatusConflict, code: "write.unpinned",
			text: "The FHIR server behind the gateway keeps no versions, so a change cannot be made safely. Its operator can allow it."}
	}
	return `W/"` + version + `"`, nil
}

func versionConflict() error {
	return &failure{status: http.StatusPreconditionFailed, code: "write.version",
		text: "The resource is not in the version that If-Match names. Read it again and repeat the change."}
}

// send records the intent, forwards the write and answers.
func (x *exchange) send(ctx context.Context, m *matter, out output, r upstream.Request, it *judge.Item) error {
	x.changed(it)
	if err := x.intent(ctx); err != nil {
		return err
	}
	r.Prefer = "return=minimal"
	answer, err := x.forward(ctx, m, r)
	if err != nil {
		return err
	}
	defer discard(answer)
	if err := x.writeStatus(answer); err != nil {
		return err
	}
	x.forgetConsents(it)
	h := head{status: answer.Status, etag: answer.ETag, lastModified: answer.LastModified, length: 0}
	if h.status == http.StatusNoContent || r.Method == http.MethodDelete {
		h.status = http.StatusNoContent
	}
	if location := first(answer.Location, answer.ContentLocation); location != "" {
		public, ok := x.s.up.Public(location)
		if !ok {
			x.alarm("upstream.foreign-location")
		} else {
			h.location = public
		}
	}
	return x.wrote(ctx, m, out, h, it)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// wrote answers a write: with the resource where the client asks for it and
// may read it, else without a body (SMART-25).
func (x *exchange) wrote(ctx context.Context, m *matter, out output, h head, it *judge.Item) error {
	var body []byte
	if m.access.ReturnPref == "representation" && h.status != http.StatusNoContent {
		body = x.readBack(ctx, m, h.location)
	}
	if body != nil {
		h.contentType = fhirJSON
	}
	h.length = int64(len(body))
	x.outcome(h.status, "ok")
	x.changed(it)
	if err := x.commit(ctx); err != nil {
		return afterWrite(err)
	}
	_, err := out.begin(h).Write(body)
	return clientGone(err)
}

// afterWrite is the answer when the write is done and its record is not: the
// client must not take it for undone (DESIGN §10.3).
func afterWrite(err error) error {
	return &failure{status: http.StatusInternalServerError, code: "audit.unavailable", log: err,
		text: "The change was made, and its outcome could not be recorded. Report the request id."}
}

// readBack reads what was written as its caller may see it; nil where it may
// not.
func (x *exchange) readBack(ctx context.Context, m *matter, location string) []byte {
	ref := fhir.Ref{Type: m.access.Type, ID: m.access.ID}
	if location != "" {
		var ok bool
		if ref, _, ok = x.s.bases.ParseRef(location); !ok {
			return nil
		}
	}
	read, err := x.prepare(ctx, &fhir.Access{Interaction: fhir.Read, Type: ref.Type, ID: ref.ID})
	if err != nil {
		return nil
	}
	it, _, err := x.fetch(ctx, read, x.court(read), ref.String(), ref)
	if err != nil {
		return nil
	}
	x.released(it)
	return it.Released
}

func (x *exchange) locate(it *judge.Item) string {
	f := &it.Verdict.Facts
	return x.s.publicURL + "/" + f.Type + "/" + f.ID
}

// writeStatus turns the upstream's refusal of a write into the answer. Its own
// words stay behind: they may quote the record (E-01).
func (x *exchange) writeStatus(a *upstream.Answer) error {
	log := fmt.Errorf("upstream status %d", a.Status)
	switch a.Status {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent, http.StatusAccepted:
		return nil
	case http.StatusConflict:
		return &failure{status: http.StatusConflict, code: "write.conflict", log: log,
			text: "The change conflicts with the record as it is, for instance because other resources refer to it."}
	case http.StatusPreconditionFailed:
		return versionConflict()
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return &failure{status: http.StatusUnprocessableEntity, code: "resource.refused", log: log,
			text: "The FHIR server behind the gateway does not accept this resource. Check it against R4 and the server's profiles."}
	case http.StatusNotFound, http.StatusGone, http.StatusMethodNotAllowed:
		return absent(log)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return upstreamBusy(a)
	}
	return badUpstream(log)
}

func (x *exchange) forgetConsents(it *judge.Item) {
	if x.s.consent == nil || it.Verdict.Facts.Type != "Consent" {
		return
	}
	for _, p := range it.Verdict.Facts.Patients {
		x.s.consent.Forget(p)
	}
}
