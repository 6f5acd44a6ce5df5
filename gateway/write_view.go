package gateway

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"gatehouse/fhir"
	"gatehouse/fhir/patch"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/view"
)

// This file takes back what a client read through its view (W-11), where the
// view lets it (`write: true`): the change is merged into the record as it is
// stored, and judged from there on like any other write.

// throughView turns what a client wrote, in the form that it sees, into what the
// record is to become.
func (x *exchange) throughView(ctx context.Context, s *step) error {
	a := s.m.access
	if !s.m.view.Writes() || a.Conditional || s.names != nil {
		return readOnly()
	}
	switch a.Interaction {
	case fhir.Delete:
		return nil
	case fhir.Create:
		return x.createThrough(s)
	}
	before, err := x.before(ctx, s.m)
	if err != nil {
		return err
	}
	if before == nil {
		return absent(nil)
	}
	shown, err := x.shownBefore(ctx, s.m, before)
	if err != nil {
		return err
	}
	written := a.Body
	if a.Interaction == fhir.Patch {
		p, err := patch.Parse(x.s.grammar.Version, a.Body, a.ContentType)
		if err != nil {
			return patchFailed(err)
		}
		if written, err = p.Apply(shown); err != nil { // on what is shown: it can test nothing else
			return patchFailed(err)
		}
	}
	patient := ""
	if p := before.Verdict.Facts.Patients; len(p) == 1 {
		patient = p[0]
	}
	merged, err := s.m.view.Merge(before.Resource, shown, written, x.viewContext(s.m, patient))
	if err != nil {
		return notThrough(err)
	}
	if now, _ := view.PatientOf(x.s.grammar.Version, merged, x.s.bases); now != patient {
		return notThrough(&view.HiddenError{Path: "the patient"}) // its dates would be shifted by two offsets
	}
	s.merged = before
	s.replaceBody(merged)
	return nil
}

// createThrough turns a new resource's body back. Whose it is must be known
// before its dates can be.
func (x *exchange) createThrough(s *step) error {
	body := s.m.access.Body
	patient := view.WrittenPatient(body, s.m.view, x.viewContext(s.m, ""))
	made, err := s.m.view.Merge(nil, nil, body, x.viewContext(s.m, patient))
	if err != nil {
		return notThrough(err)
	}
	if now, _ := view.PatientOf(x.s.grammar.Version, made, x.s.bases); patient != "" && now != patient {
		return notThrough(&view.HiddenError{Path: "the patient"})
	}
	s.replaceBody(made)
	return nil
}

func (x *exchange) viewContext(m *matter, patient string) view.Context {
	return view.Context{Domain: m.domain, Patient: patient, Base: x.s.publicURL, Own: x.s.bases}
}

// shownBefore is the record as its reader sees it. Who may not read it cannot
// write it back.
func (x *exchange) shownBefore(ctx context.Context, m *matter, before *judge.Item) ([]byte, error) {
	read := x.matter(&fhir.Access{Interaction: fhir.Read, Type: m.access.Type, ID: m.access.ID})
	if err := x.chooseView(ctx, read); err != nil {
		return nil, err
	}
	it, err := x.court(read).Resource(ctx, bytes.Clone(before.Resource), fhir.Ref{Type: m.access.Type, ID: m.access.ID})
	if errors.Is(err, judge.ErrWithheld) || err == nil && (read.view != m.view || read.domain != m.domain || len(it.Verdict.Decision.Obligations.Views) > 0) {
		return nil, readOnly()
	}
	if err != nil {
		return nil, badUpstream(err)
	}
	return it.Released, nil
}

// replaceBody has the write go on with a body in the record's own form.
func (s *step) replaceBody(body []byte) {
	one := *s.m.access
	one.Body, one.ContentType = body, fhirJSON
	if one.Interaction == fhir.Patch { // what results is put, as with any patch
		one.Interaction = fhir.Update
	}
	s.m.access = &one
}

// stillMerged holds a write to the record that it was merged into.
func (s *step) stillMerged() error {
	if s.merged == nil || s.before == nil {
		return nil
	}
	if s.merged.Verdict.Facts.VersionID != s.before.Verdict.Facts.VersionID || !bytes.Equal(s.merged.Resource, s.before.Resource) {
		return versionConflict()
	}
	return nil
}

// asSeen turns what an answer to a write says of the record into what the
// client knows it by.
func (x *exchange) asSeen(s *step, h *head) {
	w := s.m.view
	if w == nil {
		return
	}
	version := tagVersion(h.etag)
	h.etag, h.lastModified = "", ""
	ref, _, ok := x.s.bases.ParseRef(h.location)
	if !ok {
		ref, h.location = s.ref, ""
	}
	if version != "" && ref.ID != "" {
		version = x.versionTag(s.m)(w, &fhir.Facts{Type: ref.Type, ID: ref.ID, VersionID: version})
		h.etag = `W/"` + version + `"`
	}
	if h.location == "" {
		return
	}
	h.location = ""
	if id, err := w.Pseudonym(s.m.domain, ref.Type, ref.ID); err == nil {
		h.location = x.s.publicURL + "/" + versioned(fhir.Ref{Type: ref.Type, ID: id}, version)
	}
}

func notThrough(err error) error {
	var hidden *view.HiddenError
	if errors.As(err, &hidden) {
		return &failure{status: http.StatusUnprocessableEntity, code: "view.write-hidden",
			text: "What you send cannot be merged into the record: " + hidden.Path + " is hidden or changed by your view. Send back there what you read, and change only what is shown as it is."}
	}
	return badBody(err)
}
