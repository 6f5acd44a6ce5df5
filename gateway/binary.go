package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/scope"
)

var (
	contextPlan    = wire.NewPlan("securityContext.reference")
	attachmentPlan = wire.NewPlan("content.attachment.url")
)

// referrer finds the facts of the resource that a Binary is a part of: its
// security context, or a DocumentReference that names it. One that the caller
// may not see is none.
func (x *exchange) referrer(ctx context.Context, id string, binary []byte) *fhir.Facts {
	hits, err := contextPlan.Skim(binary, nil)
	if err != nil {
		return nil
	}
	if len(hits) > 0 {
		of, ok := x.reference(binary, hits[0])
		if !ok || of.Type == "Binary" {
			return nil
		}
		return x.visibleFacts(ctx, of)
	}
	return x.documentOf(ctx, id)
}

// even makes the request upstream that judging a Binary takes where it was not
// made: without, an absent one would be answered sooner than one that is hidden.
func (x *exchange) even(ctx context.Context, id string) {
	if !x.looked {
		x.documentOf(ctx, id)
	}
}

// documentOf finds the facts of the DocumentReferences that name a Binary, taken
// together: like a resource of two patients, one that is part of two records needs
// both (B-06). So all of them are looked for, and one that the caller may not see
// hides the Binary: else an own one beside it would open it.
func (x *exchange) documentOf(ctx context.Context, id string) *fhir.Facts {
	x.looked = true
	self, count := fhir.Ref{Type: "Binary", ID: id}, windowEntries
	named := fhir.Param{Name: "location", Type: "uri", Values: []string{self.String(), strings.TrimSuffix(x.s.cfg.Upstream.URL, "/") + "/" + self.String(), x.s.publicURL + "/" + self.String()}}
	m, err := x.onto(ctx, &fhir.Access{Interaction: fhir.SearchType, Type: "DocumentReference", Criteria: []fhir.Param{named},
		Version: x.s.grammar.Version, Results: fhir.Results{Count: &count}})
	if err != nil {
		x.alarm("binary.referrer")
		return nil
	}
	m.access = m.asked // not narrowed: those of others count
	m.printed = m.access.Target()
	var found *fhir.Facts
	hidden := false
	target := m.printed
	for range maxRefill {
		target, err = x.overPage(ctx, m, target, func(it *judge.Item) error {
			switch holds, err := x.attaches(it.Resource, self); { // the upstream's word for it is not enough
			case err != nil || holds && !it.Verdict.Allow:
				hidden = true
			case holds:
				found = together(found, &it.Verdict.Facts)
			}
			return nil
		})
		if err != nil || target == "" || hidden {
			break
		}
	}
	if err != nil || target != "" && !hidden {
		x.alarm("binary.referrer")
		return nil
	}
	if hidden {
		return nil
	}
	return found
}

// together are whose several resources are, and the labels of all.
func together(a, b *fhir.Facts) *fhir.Facts {
	if a == nil {
		f := *b
		return &f
	}
	a.Patients, a.Labels = union(a.Patients, b.Patients), union(a.Labels, b.Labels)
	a.Unnamed = a.Unnamed || b.Unnamed
	return a
}

func union(a, b []string) []string {
	a = append(slices.Clone(a), b...)
	slices.Sort(a)
	return slices.Compact(a)
}

func (x *exchange) reference(doc []byte, h wire.Hit) (fhir.Ref, bool) {
	text, err := wire.Unquote(doc[h.Start:h.End])
	if err != nil {
		return fhir.Ref{}, false
	}
	ref, _, ok := x.s.bases.ParseRef(text)
	return ref, ok
}

// attaches tells whether a DocumentReference holds a Binary.
func (x *exchange) attaches(document []byte, binary fhir.Ref) (bool, error) {
	hits, err := attachmentPlan.Skim(document, nil)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(hits, func(h wire.Hit) bool {
		ref, ok := x.reference(document, h)
		return ok && ref == binary
	}), nil
}

// visibleFacts are those of a resource that the caller may see, else nil.
func (x *exchange) visibleFacts(ctx context.Context, ref fhir.Ref) *fhir.Facts {
	m, err := x.onto(ctx, &fhir.Access{Interaction: fhir.Read, Type: ref.Type, ID: ref.ID, Version: x.s.grammar.Version})
	if err != nil {
		return nil
	}
	x.looked = true
	answer, err := x.own(ctx, ref.String())
	if err != nil {
		x.alarm("binary.referrer")
		return nil
	}
	if answer.Status != http.StatusOK {
		discard(answer)
		return nil
	}
	court := x.court(m)
	court.Letter = scope.Included
	it, err := court.One(ctx, answer.Body, ref, int64(x.s.cfg.Limits.Resource))
	if err != nil || !x.assured(it.Verdict.Decision.Obligations.StepUp) {
		return nil
	}
	return &it.Verdict.Facts
}

var binaryPlan = wire.NewPlan("contentType", "data")

// content is what a Binary holds, as released, if it is of a media range that was
// asked for (D-07).
func content(binary []byte, ranges []string) (mediaType string, data []byte, err error) {
	hits, err := binaryPlan.Skim(binary, nil)
	if err != nil {
		return "", nil, badUpstream(err)
	}
	var encoded string
	for _, h := range hits {
		text, err := wire.Unquote(binary[h.Start:h.End])
		if err != nil {
			return "", nil, badUpstream(err)
		}
		if h.Path == 0 {
			mediaType = text
		} else {
			encoded = text
		}
	}
	kind, parameters, err := mime.ParseMediaType(mediaType)
	if err != nil || encoded == "" || !slices.ContainsFunc(ranges, func(r string) bool { return covers(r, kind) }) {
		return "", nil, &failure{status: http.StatusNotAcceptable, code: "request.format",
			text: "The content is not of a type that Accept names. Read the resource with Accept: application/fhir+json; it tells which."}
	}
	if data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), "")); err != nil {
		return "", nil, badUpstream(errors.New("data of a Binary is not base64"))
	}
	return mime.FormatMediaType(kind, parameters), data, nil
}

func covers(mediaRange, kind string) bool {
	prefix, any := strings.CutSuffix(mediaRange, "*")
	return mediaRange == kind || any && strings.HasPrefix(kind, prefix)
}

// attachment keeps a browser from showing what it is given: a record's document may
// be a page with scripts (N-15).
func (x *exchange) attachment() {
	h := x.out.w.Header()
	h.Set("Content-Disposition", "attachment")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
}
