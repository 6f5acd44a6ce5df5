package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/fhir/wire"
	"gatehouse/gateway/judge"
	"gatehouse/gateway/upstream"
)

// pollAfter is when to ask again, in seconds, where the upstream does not say.
const pollAfter = "10"

// exportStatus tells how far an export is, and once it is done what there is.
func (x *exchange) exportStatus(ctx context.Context, m *matter, types []string) error {
	answer, err := x.forward(ctx, m, upstream.Request{Method: http.MethodGet, Target: x.job.Target, Accept: upstream.Manifest})
	if err != nil {
		return err
	}
	switch answer.Status {
	case http.StatusOK:
		return x.exportDone(ctx, m, answer, types)
	case http.StatusAccepted:
		discard(answer)
		return x.exportRuns(ctx, answer)
	}
	discard(answer)
	return x.jobStatus(answer)
}

func (x *exchange) jobStatus(a *upstream.Answer) error {
	switch a.Status {
	case http.StatusNotFound, http.StatusGone:
		return absent(fmt.Errorf("upstream status %d", a.Status))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return upstreamBusy(a)
	}
	return &failure{status: http.StatusBadGateway, code: "export.failed", log: fmt.Errorf("upstream status %d", a.Status),
		text: "The export failed at the FHIR server behind the gateway. Begin another."}
}

func (x *exchange) exportRuns(ctx context.Context, a *upstream.Answer) error {
	x.outcome(http.StatusAccepted, "ok")
	if err := x.commit(ctx); err != nil {
		return err
	}
	h := x.out.w.Header()
	h.Set("X-Progress", progress(a.Progress))
	h.Set("Retry-After", cmp.Or(a.RetryAfter, pollAfter))
	x.out.begin(head{status: http.StatusAccepted, length: 0})
	return nil
}

var percentage = regexp.MustCompile(`(?:^|[^0-9.])([0-9]{1,3}(?:\.[0-9]{1,2})?) ?%`)

// progress is the percentage of an upstream's X-Progress. Its words are nobody's
// to pass on: they may name a file, a host or a patient.
func progress(said string) string {
	if found := percentage.FindStringSubmatch(said); found != nil {
		return found[1] + "%"
	}
	return "in progress"
}

// exportDone writes the manifest anew.
func (x *exchange) exportDone(ctx context.Context, m *matter, a *upstream.Answer, types []string) error {
	manifest, err := judge.ReadManifest(a.Body, m.eval, int64(x.s.cfg.Limits.Resource))
	if err != nil {
		if errors.Is(err, judge.ErrMalformed) {
			return badUpstream(err)
		}
		return internal(err)
	}
	body, err := x.manifest(manifest, types)
	if err != nil {
		return err
	}
	x.outcome(http.StatusOK, "ok")
	if err := x.commit(ctx); err != nil {
		return err
	}
	x.out.w.Header().Set("Expires", time.Unix(x.job.Ends, 0).UTC().Format(http.TimeFormat))
	_, err = x.out.begin(head{status: http.StatusOK, contentType: "application/json", length: int64(len(body))}).Write(body)
	return clientGone(err)
}

// manifest lists the files of types that the caller may have. Of an export of
// few records, that there is a file would tell that there is a record, seen or
// withheld: there is one for every type then.
func (x *exchange) manifest(from *judge.Manifest, types []string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`{"transactionTime":`)
	b.Write(wire.Quote(nil, from.Time))
	b.WriteString(`,"request":`)
	b.Write(wire.Quote(nil, x.job.Asked))
	b.WriteString(`,"requiresAccessToken":true,"output":[`)
	files, err := x.exportFiles(from, types)
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		url, err := x.seal(fileHandles, f)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"type":"` + f.File + `","url":`) // a type that FHIR has
		b.Write(wire.Quote(b.AvailableBuffer(), url))
		b.WriteByte('}')
	}
	b.WriteString(`],"error":[]}`)
	return b.Bytes(), nil
}

// exportFiles refuses files that lie elsewhere: past the gateway nobody judges
// them (BULK-04).
func (x *exchange) exportFiles(from *judge.Manifest, types []string) ([]job, error) {
	var files []job
	for _, f := range from.Files {
		if !slices.Contains(types, f.Type) {
			continue // nobody asked, or nobody may have it
		}
		target, ok := x.s.up.Below(f.URL)
		if !ok {
			x.alarm("upstream.foreign-link")
			return nil, exportForeign()
		}
		files = append(files, x.fileOf(f.Type, target))
	}
	if !x.job.Few {
		return files, nil
	}
	for _, typ := range types {
		_, belongs := x.s.grammar.Version.Compartment("Patient", typ)
		if belongs && !slices.ContainsFunc(files, func(j job) bool { return j.File == typ }) {
			files = append(files, x.fileOf(typ, ""))
		}
	}
	slices.SortStableFunc(files, func(a, b job) int { return strings.Compare(a.File, b.File) })
	return files, nil
}

// fileOf is a file of the job, whose one type is all that it is asked for.
func (x *exchange) fileOf(typ, target string) job {
	j := job{Target: target, Path: x.job.Path, File: typ, Ends: x.job.Ends, Query: "_type=" + typ}
	for part := range strings.SplitSeq(x.job.Query, "&") {
		if strings.HasPrefix(part, "_elements=") {
			j.Query += "&" + part
		}
	}
	return j
}

// cancelExport ends a job and lets the upstream delete its files.
func (x *exchange) cancelExport(ctx context.Context, m *matter) error {
	x.record.Interaction = "$export-cancel"
	if err := x.intent(ctx); err != nil {
		return err
	}
	answer, err := x.forward(ctx, m, upstream.Request{Method: http.MethodDelete, Target: x.job.Target})
	if err != nil {
		return err
	}
	discard(answer)
	if answer.Status >= 300 {
		return x.jobStatus(answer)
	}
	x.outcome(http.StatusAccepted, "ok")
	if err := x.commit(ctx); err != nil {
		return err
	}
	x.out.begin(head{status: http.StatusAccepted, length: 0})
	return nil
}
