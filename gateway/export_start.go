package gateway

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/upstream"
)

// startExport forwards a kick-off for the types that the caller may have, and
// hands out the URL of the job.
func (x *exchange) startExport(ctx context.Context, m *matter, types []string) error {
	if err := x.checkExport(ctx, m, types); err != nil {
		return err
	}
	limited, err := x.limitExport(ctx, m.access, types)
	if err != nil {
		return err
	}
	j, err := x.newJob(m)
	if err != nil {
		return err
	}
	if err := x.intent(ctx); err != nil {
		return err
	}
	answer, err := x.forward(ctx, m, exportRequest(limited))
	if err != nil {
		return err
	}
	defer discard(answer)
	if j.Target, err = x.accepted(answer); err != nil {
		return err
	}
	where, err := x.seal(jobHandles, *j)
	if err != nil {
		return err
	}
	x.outcome(http.StatusAccepted, "ok")
	if err := x.commit(ctx); err != nil {
		return err
	}
	x.out.w.Header().Set("Content-Location", where)
	x.out.begin(head{status: http.StatusAccepted, length: 0})
	return nil
}

// checkExport refuses what is asked the wrong way, and what names records that
// the caller may not see.
func (x *exchange) checkExport(ctx context.Context, m *matter, types []string) error {
	a := m.access
	if a.Head {
		return &failure{status: http.StatusMethodNotAllowed, code: "request.method", text: "An export is begun by GET or POST.", allow: "GET, POST"}
	}
	if !a.Async {
		return &failure{status: http.StatusBadRequest, code: "export.async", text: "An export takes its time. Ask for it with the header Prefer: respond-async."}
	}
	if m.empty {
		return absent(nil)
	}
	if m.view.SmallestCell() > 0 && (len(a.Filters) > 0 || a.Results.Since != "" || criterion(a, "_until") != nil) {
		return smallCell() // whom they pick nobody counts before the files are there
	}
	if err := x.checkFilters(ctx, m, types); err != nil {
		return err
	}
	if err := x.checkViews(ctx, m, types); err != nil {
		return err
	}
	if err := x.checkGroup(ctx, m); err != nil {
		return err
	}
	return x.checkPatients(ctx, m)
}

// checkFilters refuses filters of types that are not exported, and those that
// look over a chain at what may be hidden: whether a row comes back would tell
// of it (O-03).
func (x *exchange) checkFilters(ctx context.Context, m *matter, types []string) error {
	for _, f := range m.access.Filters {
		if !slices.Contains(types, f.Type) {
			return exportFilter("A _typeFilter is of a type that is not exported.")
		}
		for i := range f.Criteria {
			if !hopping(f.Criteria[i]) {
				continue
			}
			sure, err := x.certain(ctx, m, &f.Criteria[i])
			if err != nil {
				return err
			}
			if !sure {
				return exportFilter("A _typeFilter looks over a chain at resources that you may not see whole. Filter without chains and _has.")
			}
		}
	}
	return nil
}

// checkViews refuses to select by what a view hides that policy obliges for a
// type alone: the filters were held against the caller's own view, before it was
// known of what types they are.
func (x *exchange) checkViews(ctx context.Context, m *matter, types []string) error {
	if m.access.Results.Since == "" && criterion(m.access, "_until") == nil {
		types = nil
	}
	for _, f := range m.access.Filters {
		types = append(types[:len(types):len(types)], f.Type)
	}
	_, whole := m.eval.Possible()
	for _, typ := range types {
		if _, d := m.eval.PossibleFor(ctx, typ); !slices.Equal(d.Obligations.Views, whole.Obligations.Views) {
			return &failure{status: http.StatusBadRequest, code: "view.parameter-hidden",
				text: "You see " + typ + " in another form. Leave out its _typeFilter, _since and _until."}
		}
	}
	return nil
}

func exportFilter(text string) error {
	return &failure{status: http.StatusBadRequest, code: "export.filter", text: text}
}

// checkGroup asks whether the caller may see the Group. The consents of its
// members are not asked: what is exported of each is judged by itself, and the
// Group is not shown.
func (x *exchange) checkGroup(ctx context.Context, m *matter) error {
	if m.access.ID == "" {
		return nil
	}
	read := &fhir.Access{Interaction: fhir.Read, Type: m.access.Type, ID: m.access.ID, Version: m.access.Version}
	answer, err := x.own(ctx, read.Target())
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		discard(answer)
		return x.readStatus(answer)
	}
	court := x.court(&matter{asked: read, access: read, eval: m.eval, domain: m.domain})
	court.Grants, court.Consent = x.caller.grants.System(), nil
	it, err := court.One(ctx, answer.Body, fhir.Ref{Type: read.Type, ID: read.ID}, int64(x.s.cfg.Limits.Resource))
	if err != nil {
		return x.judged(it, err)
	}
	return x.largeGroup(ctx, m, it.Resource)
}

// patientsAtOnce is how many patients of a list are looked up by one search.
const patientsAtOnce = 100

// checkPatients refuses a list with a patient whom the caller may not see: that
// one is as good as absent, and what the server says of absent ones would tell.
func (x *exchange) checkPatients(ctx context.Context, m *matter) error {
	p := criterion(m.access, "patient")
	if p == nil {
		return nil
	}
	search := &fhir.Access{Interaction: fhir.SearchType, Type: "Patient", Version: m.access.Version}
	if err := x.checkScope(&matter{access: search}); err != nil {
		return err
	}
	for _, list := range lists(m.access.Criteria, "patient") {
		x.record.Patients = append(x.record.Patients, list...)
		for some := range slices.Chunk(list, patientsAtOnce) {
			ids, seen := make([]string, 0, len(some)), map[fhir.Ref]bool{}
			for _, ref := range some {
				ids = append(ids, strings.TrimPrefix(ref, "Patient/"))
			}
			if err := x.currentType(ctx, m, "Patient", ids, seen); err != nil {
				return err
			}
			for _, id := range ids {
				if !seen[fhir.Ref{Type: "Patient", ID: id}] {
					return absent(nil)
				}
			}
		}
	}
	return nil
}

func lists(criteria []fhir.Param, name string) [][]string {
	var all [][]string
	for _, c := range criteria {
		if c.Name == name {
			all = append(all, c.Values)
		}
	}
	return all
}

// limitExport is the export as it goes upstream: of the types that are left,
// and of whole resources, since elements are cut after judgement (FHIR-07).
func (x *exchange) limitExport(ctx context.Context, a *fhir.Access, types []string) (*fhir.Access, error) {
	if criterion(a, "_type") == nil {
		// A server may refuse a type that it does not have; nobody named it.
		if has := x.s.upstreamTypes(ctx); len(has) > 0 {
			types = slices.DeleteFunc(slices.Clone(types), func(t string) bool { return !slices.Contains(has, t) })
		}
	}
	limited, ok := a.LimitTypes(types)
	if !ok {
		return nil, denied()
	}
	limited.Criteria = slices.DeleteFunc(limited.Criteria, func(p fhir.Param) bool { return p.Name == "_elements" })
	return limited, nil
}

// newJob is the job as far as the request tells it.
func (x *exchange) newJob(m *matter) (*job, error) {
	path, _, _ := strings.Cut(m.question(), "?")
	kept := *m.access
	kept.Filters, kept.Results = nil, fhir.Results{}
	kept.Criteria = slices.DeleteFunc(slices.Clone(kept.Criteria), func(p fhir.Param) bool { return p.Name != "_type" && p.Name != "_elements" })
	_, query, _ := strings.Cut(kept.Target(), "?")
	below, raw, err := x.below()
	if err != nil {
		return nil, err
	}
	asked := x.s.publicURL + below
	if raw != "" {
		asked += "?" + raw
	}
	a := m.access
	few := a.ID != "" || len(a.Filters) > 0 || a.Results.Since != "" || criterion(a, "patient") != nil || criterion(a, "_until") != nil
	return &job{Path: "/" + path, Query: query, Asked: asked, Few: few, Ends: x.start.Add(exportLife).Unix()}, nil
}

// longKickoff is the query of a kick-off that is sent by POST for its length: one
// that names every type is shorter, and GET is what every server knows.
const longKickoff = 4 << 10

// exportRequest prints the kick-off. A list of patients is sent by POST, which
// is the one way that Bulk Data has for it, and so is what is long.
func exportRequest(a *fhir.Access) upstream.Request {
	r := upstream.Request{Method: http.MethodGet, Target: a.Target(), Prefer: "respond-async", Slow: true}
	if path, query, _ := strings.Cut(r.Target, "?"); len(query) > longKickoff || criterion(a, "patient") != nil {
		r.Method, r.Target, r.Body, r.ContentType = http.MethodPost, path, exportParameters(a), fhirJSON
	}
	return r
}

// exportParameters is the kick-off's Parameters resource.
func exportParameters(a *fhir.Access) []byte {
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Parameters"`)
	between := `,"parameter":[`
	add := func(name, before, value, after string) {
		b.WriteString(between + `{"name":"` + name + `",` + before)
		b.Write(wire.Quote(b.AvailableBuffer(), value))
		b.WriteString(after + `}`)
		between = ","
	}
	for _, c := range a.Criteria {
		switch c.Name {
		case "patient":
			for _, ref := range c.Values {
				add(c.Name, `"valueReference":{"reference":`, ref, `}`)
			}
		case "_until":
			add(c.Name, `"valueInstant":`, c.Values[0], "")
		default: // a name of fhir's own list
			add(c.Name, `"valueString":`, strings.Join(c.Values, ","), "")
		}
	}
	if a.Results.Since != "" {
		add("_since", `"valueInstant":`, a.Results.Since, "")
	}
	for _, f := range a.Filters {
		add("_typeFilter", `"valueString":`, f.Target(), "")
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// accepted is where the job that an upstream has begun tells its state.
func (x *exchange) accepted(a *upstream.Answer) (string, error) {
	switch a.Status {
	case http.StatusAccepted:
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return "", upstreamBusy(a)
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
		http.StatusUnprocessableEntity, http.StatusNotImplemented:
		return "", &failure{status: http.StatusBadRequest, code: "export.unsupported", log: fmt.Errorf("upstream status %d", a.Status),
			text: "The FHIR server behind the gateway does not do this export. /metadata tells whether it exports at all; use fewer or other parameters."}
	default:
		return "", badUpstream(fmt.Errorf("upstream status %d", a.Status))
	}
	target, ok := x.s.up.Below(a.ContentLocation)
	if !ok {
		x.alarm("upstream.foreign-link")
		return "", exportForeign()
	}
	if x.namesResource(target) {
		return "", badUpstream(fmt.Errorf("the state of the export is at a resource"))
	}
	return target, nil
}

// namesResource tells a target that is a resource or a search of them from one
// that is a job's. The gateway sends DELETE to the latter.
func (x *exchange) namesResource(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	first, rest, _ := strings.Cut(path, "/")
	return path == "" || x.s.grammar.Version.KnownType(first) && !strings.HasPrefix(rest, "$")
}

func exportForeign() error {
	return &failure{status: http.StatusBadGateway, code: "export.foreign",
		text: "The FHIR server behind the gateway puts the export on another host, where nobody would judge it. Tell whoever runs the gateway."}
}
