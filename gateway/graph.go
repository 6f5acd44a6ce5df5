package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"gatehouse/fhir"

	"github.com/google/uuid"
)

// graph are the steps of a transaction, whose resources refer to each other.
type graph []*step

// writes tells a change from what only looks. In a transaction the latter sees
// what the former have left (https://hl7.org/fhir/R4/http.html#trules).
func writes(a *fhir.Access) bool {
	switch a.Interaction {
	case fhir.Create, fhir.Update, fhir.Patch, fhir.Delete:
		return true
	}
	return false
}

// plan names each entry's resource: criteria are resolved to ids first, so that
// the judged graph is the one that is sent (W-18).
func (x *exchange) plan(ctx context.Context, a *fhir.Access) (graph, error) {
	steps := make(graph, 0, len(a.Entries))
	names := make(map[string]*step, len(a.Entries))
	for _, e := range a.Entries {
		m, err := x.prepare(ctx, e.Access)
		if err != nil {
			return nil, err
		}
		if !writes(e.Access) {
			steps = append(steps, &step{m: m, reads: true})
			continue
		}
		if len(e.FullURL) > maxFullURL {
			return nil, badFullURL()
		}
		s := &step{m: m, fullURL: e.FullURL, base: baseOf(e.FullURL), names: names}
		if s.fullURL != "" {
			names[s.fullURL] = s // the grammar has refused a second one
		}
		if err := x.target(ctx, s); err != nil {
			return nil, err
		}
		if err := x.nameNew(s); err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, steps.distinct()
}

// nameNew gives a resource that has no id yet one to be judged under. It is the
// gateway's own: under a name of the client's choice what belongs to a new
// resource could be judged as an existing one's.
func (x *exchange) nameNew(s *step) error {
	own, _, isOwn := x.s.bases.ParseRef(s.fullURL)
	if s.ref.ID != "" {
		if isOwn && own != s.ref {
			return badFullURL()
		}
		return nil
	}
	if isOwn {
		return badFullURL()
	}
	s.ref.ID = requestID()
	s.urn = "urn:uuid:" + s.ref.ID
	if id, ok := strings.CutPrefix(s.fullURL, "urn:uuid:"); ok && uuid.Validate(id) == nil && len(id) == 36 && strings.ToLower(id) == id {
		s.urn = s.fullURL // elements other than references may name it too
	}
	return nil
}

func badFullURL() *failure {
	return &failure{status: http.StatusBadRequest, code: "request.bundle-entry",
		text: "An entry's fullUrl is not that of the resource that it is about; give a new resource a urn:uuid."}
}

// distinct refuses a transaction that touches one resource twice, as FHIR does:
// in which state would the second be judged?
func (g graph) distinct() error {
	seen := map[fhir.Ref]bool{}
	for _, s := range g {
		if s.reads {
			continue
		}
		if seen[s.ref] {
			return &failure{status: http.StatusBadRequest, code: "transaction.twice", text: "Two entries of the transaction are about the same resource."}
		}
		seen[s.ref] = true
	}
	return nil
}

// maxFullURL bounds, in bytes, what each relative reference of a resource is
// joined with (L-03).
const maxFullURL = 2 << 10

// named is the step whose resource a reference names within the transaction, by
// its fullUrl or relative to that of the resource that refers to it.
func (s *step) named(text string) *step {
	if len(text) > maxFullURL {
		return nil
	}
	if target := s.names[text]; target != nil {
		return target
	}
	if s.base == "" {
		return nil
	}
	return s.names[s.base+text]
}

// baseOf is what a relative reference in a resource with that fullUrl is
// relative to: what stands before its Type/id; "" for a urn.
func baseOf(fullURL string) string {
	id := strings.LastIndexByte(fullURL, '/')
	if !strings.Contains(fullURL, "://") || id < 0 {
		return ""
	}
	return fullURL[:strings.LastIndexByte(fullURL[:id], '/')+1]
}

// sentName is how the upstream is told of the resource.
func (s *step) sentName() string {
	if s.urn != "" {
		return s.urn
	}
	return s.ref.String()
}

// conditionalReference resolves "Patient?identifier=…" to the one match that
// the caller may see (FHIR-15). It is charged as the search that it is.
func (x *exchange) conditionalReference(ctx context.Context, m *matter, text string) (fhir.Ref, error) {
	if err := x.limitClient(x.cost(m)); err != nil {
		return fhir.Ref{}, err
	}
	path, query, _ := strings.Cut(text, "?")
	a, ferr := fhir.Parse(fhir.Request{Method: http.MethodGet, Path: "/" + path, Query: query}, x.s.grammar)
	if ferr != nil {
		return fhir.Ref{}, ferr
	}
	if a.Interaction != fhir.SearchType {
		return fhir.Ref{}, badBody(errors.New("conditional reference"))
	}
	it, err := x.resolve(ctx, a)
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
