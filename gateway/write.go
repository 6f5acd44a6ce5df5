package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/patch"
	"gatehouse/gateway/judge"
)

// A write is judged twice: on the resource as it is and as it would become.
// The first is pinned with If-Match, so that what was judged is what changes;
// the intent is on disk before the upstream sees anything. A single write and
// an entry of a transaction are the same step, judged by the same code.

// step is one write on its way: what it is about, what was judged of it, and
// what is sent.
type step struct {
	m       *matter
	fullURL string           // in a transaction, as the client named the resource
	base    string           // what its relative references are joined with
	names   map[string]*step // the steps of its transaction by their fullUrl
	urn     string           // as the upstream is told to know what it is yet to create
	ref     fhir.Ref         // what is judged: an existing resource, or a new one under a name of its own
	chosen  bool             // criteria match nothing, and the body brings the id
	reads   bool             // nothing is written: an entry of a transaction that looks at what the others have left
	existed *judge.Item
	before  *judge.Item // nil where there is none
	after   *judge.Item // nil of a delete
	merged  *judge.Item // what the body was merged into, where it came through a view

	method, url, pin string
	body             []byte
}

// sends tells whether the upstream is to change anything.
func (s *step) sends() bool { return s.existed == nil && !s.reads }

// subject is the resource that the record names.
func (s *step) subject() *judge.Item {
	if s.after != nil {
		return s.after
	}
	return s.before
}

// write serves create, update, patch and delete.
func (x *exchange) write(ctx context.Context, m *matter, out output) error {
	s := &step{m: m}
	if err := x.target(ctx, s); err != nil {
		return err
	}
	if err := x.judgeStep(ctx, s, nil); err != nil {
		return err
	}
	if err := x.judgeAttached(ctx, s, nil); err != nil {
		return err
	}
	if s.existed != nil { // a match that the caller may see: nothing is created
		return x.wrote(ctx, s, out, head{status: http.StatusOK, location: x.locate(s.existed)})
	}
	return x.send(ctx, s, out)
}

// judgeStep judges a write before and after, and makes what is sent.
func (x *exchange) judgeStep(ctx context.Context, s *step, g graph) error {
	if !s.sends() {
		return nil
	}
	var err error
	if s.m.view != nil {
		if err = x.throughView(ctx, s); err != nil {
			return err
		}
	}
	switch s.m.access.Interaction {
	case fhir.Create:
		err = x.judgeCreate(ctx, s, g, x.court(s.m))
	case fhir.Update:
		err = x.judgeUpdate(ctx, s, g)
	case fhir.Patch:
		err = x.judgePatch(ctx, s, g)
	default:
		return x.judgeDelete(ctx, s)
	}
	if err != nil {
		return err
	}
	return x.judgeLinks(s)
}

func (x *exchange) judgeCreate(ctx context.Context, s *step, g graph, c *judge.Court) error {
	d, err := x.draft(ctx, s, g, s.m.access.Body, "")
	if err != nil {
		return err
	}
	s.method, s.url, s.body = http.MethodPost, s.m.access.Type, d.sent
	s.after, err = x.after(ctx, c, s, d)
	return err
}

// judgeUpdate judges a PUT. What does not exist yet is created, as FHIR allows,
// if a creation would be; what the body holds is judged first, since refusing
// it tells the caller nothing that it does not know (FHIR-16).
func (x *exchange) judgeUpdate(ctx context.Context, s *step, g graph) error {
	if s.m.access.ID == "" {
		c, err := x.creation(ctx, s.m)
		if err != nil {
			return err
		}
		return x.judgeCreate(ctx, s, g, c)
	}
	d, err := x.draft(ctx, s, g, s.m.access.Body, s.m.access.ID)
	if err != nil {
		return err
	}
	s.method, s.url, s.body = http.MethodPut, s.m.target(), d.sent
	if s.after, err = x.after(ctx, x.court(s.m), s, d); err != nil {
		return err
	}
	switch s.before, err = x.before(ctx, s.m); {
	case err != nil:
		return err
	case s.before == nil && (s.m.access.IfMatch != "" || !x.mayName(s.m.access.ID)):
		return absent(nil) // as if it were hidden: another answer would tell the two apart (W-09, FHIR-16)
	case s.before == nil:
		c, err := x.creation(ctx, s.m)
		if err != nil {
			return err
		}
		s.after, err = x.after(ctx, c, s, d)
		return err
	case s.chosen:
		return conflict(errors.New("the criteria match nothing, and the id of the body is taken"))
	}
	if s.pin, err = x.pin(s.m, s.before); err != nil {
		return err
	}
	if err := s.stillMerged(); err != nil {
		return err
	}
	if readable, changed := x.reads(ctx, s.m, s.before); readable && changed && s.merged == nil {
		return partial()
	}
	return x.keepLabels(ctx, s, d)
}

// mayName tells whether the client may choose an id for a new resource.
func (x *exchange) mayName(id string) bool {
	allowed := x.caller.client.NewIDs
	if allowed == "" {
		return true
	}
	prefix, ok := strings.CutSuffix(allowed, "*")
	return ok && strings.HasPrefix(id, prefix)
}

// judgePatch applies the patch here, so that what results can be judged, and
// puts the result: a server that read the patch otherwise would write what
// nobody has judged (W-04).
func (x *exchange) judgePatch(ctx context.Context, s *step, g graph) error {
	p, err := patch.Parse(x.s.grammar.Version, s.m.access.Body, s.m.access.ContentType)
	if err != nil {
		return patchFailed(err)
	}
	if err := x.existing(ctx, s); err != nil {
		return err
	}
	if readable, changed := x.reads(ctx, s.m, s.before); p.Reads() && (!readable || changed) {
		return &failure{status: http.StatusForbidden, code: "patch.reads",
			text: "The operations test, copy and move tell of what the record holds, which you may not read whole. Use add, replace and remove."}
	}
	if x.patchesHidden(p, s.before) && !x.mayUnlabel(ctx, s.m, s.before) {
		return keptLabels()
	}
	patched, err := p.Apply(s.before.Resource)
	if err != nil {
		return patchFailed(err)
	}
	if len(lostLabels(s.before.Resource, patched)) > 0 && !x.mayUnlabel(ctx, s.m, s.before) {
		return keptLabels()
	}
	d, err := x.draft(ctx, s, g, patched, s.m.access.ID)
	if err != nil {
		return err
	}
	s.method, s.url, s.body = http.MethodPut, s.m.target(), d.sent
	s.after, err = x.after(ctx, x.court(s.m), s, d)
	return err
}

func patchFailed(err error) error {
	if errors.Is(err, patch.ErrMediaType) {
		return &failure{status: http.StatusUnsupportedMediaType, code: "patch.media-type", text: "Send the patch as application/json-patch+json, or as a Parameters resource."}
	}
	return &failure{status: http.StatusUnprocessableEntity, code: "patch.failed", text: "The patch cannot be applied: " + err.Error() + "."}
}

func (x *exchange) judgeDelete(ctx context.Context, s *step) error {
	s.method = http.MethodDelete
	err := x.existing(ctx, s)
	s.url = s.m.target()
	return err
}

// existing judges and pins the resource as it is, for what needs one.
func (x *exchange) existing(ctx context.Context, s *step) (err error) {
	if s.m.access.ID == "" {
		return absent(nil)
	}
	if s.before, err = x.before(ctx, s.m); err != nil {
		return err
	}
	if s.before == nil {
		return absent(nil)
	}
	s.pin, err = x.pin(s.m, s.before)
	return err
}

func (m *matter) target() string { return m.access.Type + "/" + m.access.ID }

// before fetches and judges the resource as it is: nil where there is none, and
// the same error as for none where it may not be changed (W-02).
func (x *exchange) before(ctx context.Context, m *matter) (*judge.Item, error) {
	want := fhir.Ref{Type: m.access.Type, ID: m.access.ID}
	answer, err := x.own(ctx, want.String())
	if err != nil {
		return nil, err
	}
	switch answer.Status {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		discard(answer)
		return nil, nil
	default:
		discard(answer)
		return nil, x.readStatus(answer)
	}
	it, err := x.court(m).One(ctx, answer.Body, want, int64(x.s.cfg.Limits.Resource))
	if err != nil {
		return nil, x.judged(it, err)
	}
	if !fhir.ValidID(it.Verdict.Facts.VersionID) {
		it.Verdict.Facts.VersionID = tagVersion(answer.ETag)
	}
	return it, x.unviewed(it)
}

// unviewed holds a write to what a write must be: of the record itself, by a
// login that is good enough for it.
func (x *exchange) unviewed(it *judge.Item) error {
	o := it.Verdict.Decision.Obligations
	if o.StepUp != nil {
		if f := x.stepUp(o.StepUp); f != nil {
			return f
		}
	}
	if len(o.Views) > 0 {
		return readOnly()
	}
	return nil
}

func readOnly() *failure {
	return &failure{status: http.StatusForbidden, code: "view.read-only",
		text: "What you see is a changed form of the record, and cannot be written back."}
}

func tagVersion(etag string) string {
	version := strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
	if !fhir.ValidID(version) {
		return ""
	}
	return version
}

// pin is the If-Match that holds the upstream to the version that was judged.
func (x *exchange) pin(m *matter, before *judge.Item) (string, error) {
	version := before.Verdict.Facts.VersionID
	known := version
	if m.view != nil {
		known = x.versionTag(m)(m.view, &before.Verdict.Facts)
	}
	if m.access.IfMatch != "" && !matchesTag(m.access.IfMatch, `"`+known+`"`) {
		return "", versionConflict()
	}
	if version != "" {
		return `W/"` + version + `"`, nil
	}
	if x.s.cfg.Upstream.InsecureUnpinnedWrites {
		return "", nil
	}
	return "", unpinned()
}

func unpinned() error {
	return &failure{status: http.StatusConflict, code: "write.unpinned",
		text: "The FHIR server behind the gateway keeps no versions, so a change cannot be made safely. Its operator can allow it."}
}

func versionConflict() error {
	return &failure{status: http.StatusPreconditionFailed, code: "write.version",
		text: "The resource is not in the version that If-Match names. Read it again and repeat the change."}
}
